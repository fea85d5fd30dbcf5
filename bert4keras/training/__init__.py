"""What Keras' own training loop does not bring along."""

from .evaluator import Evaluator
from .theseus import ModuleReplacement, Theseus

__all__ = ["Evaluator", "ModuleReplacement", "Theseus"]
