"""Latent variables and densities: models of vectors and codes that are trained without labels."""

from __future__ import annotations

from .adversarial_inference import ALI, AdversarialPrior
from .density import Density
from .divergences import DIVERGENCES, Divergence, get_divergence
from .energy import EnergyGAN, langevin
from .gan import GAN, OGAN, adversarial_loss, gradient_penalty, player_term
from .glann import GLANN
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
    "DIVERGENCES",
    "GAN",
    "GLANN",
    "OGAN",
    "AdversarialPrior",
    "Annealing",
    "Density",
    "Divergence",
    "EnergyGAN",
    "GaussianSampling",
    "GumbelSoftmax",
    "VectorQuantizer",
    "adversarial_loss",
    "categorical_kl",
    "gaussian_kl",
    "get_divergence",
    "gradient_penalty",
    "langevin",
    "player_term",
    "straight_through",
]
