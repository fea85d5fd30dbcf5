"""What Keras' own training loop does not bring along."""

from .evaluator import Evaluator

__all__ = ["Evaluator"]
