"""Latent variables and densities: models of vectors and codes that are trained without labels."""

from __future__ import annotations

from .adversarial_inference import ALI, AdversarialPrior
from .bijectors import ActNorm, AffineCoupling, Bijector, InvertibleLinear
from .bottleneck import Bottleneck, GaussianBottleneck, GumbelBottleneck, VectorQuantizedBottleneck
from .density import Density
from .divergences import DIVERGENCES, Divergence
from .energy import EnergyGAN, langevin
from .flows import Flow, Glow, RealNVP
from .gan import GAN, OGAN, gradient_penalty
from .glann import GLANN
from .lipschitz import LipschitzDense, SpectralNormPenalty, spectral_norm, spectral_norm_bound
from .quantizer import VectorQuantizer
from .residual_flow import InvertibleResidual, InvertibleResNet
from .sampling import (
    Annealing,
    GaussianSampling,
    GumbelSoftmax,
    categorical_kl,
    gaussian_kl,
    straight_through,
)
from .score import ScoreModel
from .vae import VAE
from .vae_metrics import active_units, importance_weighted_bound, mutual_information

__all__ = [
    "ALI",
    "DIVERGENCES",
    "GAN",
    "GLANN",
    "OGAN",
    "VAE",
    "ActNorm",
    "AdversarialPrior",
    "AffineCoupling",
    "Annealing",
    "Bijector",
    "Bottleneck",
    "Density",
    "Divergence",
    "EnergyGAN",
    "Flow",
    "GaussianBottleneck",
    "GaussianSampling",
    "Glow",
    "GumbelBottleneck",
    "GumbelSoftmax",
    "InvertibleLinear",
    "InvertibleResNet",
    "InvertibleResidual",
    "LipschitzDense",
    "RealNVP",
    "ScoreModel",
    "SpectralNormPenalty",
    "VectorQuantizedBottleneck",
    "VectorQuantizer",
    "active_units",
    "categorical_kl",
    "gaussian_kl",
    "gradient_penalty",
    "importance_weighted_bound",
    "langevin",
    "mutual_information",
    "spectral_norm",
    "spectral_norm_bound",
    "straight_through",
]
