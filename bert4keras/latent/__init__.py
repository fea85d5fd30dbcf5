"""Latent variables and densities: models of vectors and codes that are trained without labels."""

from __future__ import annotations

from .adversarial_inference import ALI, AdversarialPrior
from .density import Density
from .quantizer import VectorQuantizer
from .sampling import (
    Annealing,
    GaussianSampling,
    GumbelSoftmax,
    categorical_kl,
    gaussian_kl,
    straight_through,
)

__all__ = [
    "ALI",
    "AdversarialPrior",
    "Annealing",
    "Density",
    "GaussianSampling",
    "GumbelSoftmax",
    "VectorQuantizer",
    "categorical_kl",
    "gaussian_kl",
    "straight_through",
]
