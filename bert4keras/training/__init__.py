"""What Keras' own training loop does not bring along."""

from .attributions import Attributions, IntegratedGradients
from .evaluator import Evaluator
from .theseus import ModuleReplacement, Theseus

__all__ = ["Attributions", "Evaluator", "IntegratedGradients", "ModuleReplacement", "Theseus"]
