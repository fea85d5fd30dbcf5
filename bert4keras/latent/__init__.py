"""Latent variables and densities: models of vectors and codes that are trained without labels."""

from __future__ import annotations

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
    "Annealing",
    "Density",
    "GaussianSampling",
    "GumbelSoftmax",
    "VectorQuantizer",
    "categorical_kl",
    "gaussian_kl",
    "straight_through",
]
