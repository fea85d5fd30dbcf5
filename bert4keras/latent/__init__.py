"""Latent variables and densities: models of vectors and codes that are trained without labels."""

from __future__ import annotations

from .density import Density

__all__ = [
    "Density",
]
