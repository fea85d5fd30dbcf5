"""Texts as latent vectors or codes, and texts written from them."""

from __future__ import annotations

from .layers import TextCrossentropy, WordDropout
from .task import SentenceAutoencoder

__all__ = ["SentenceAutoencoder", "TextCrossentropy", "WordDropout"]
