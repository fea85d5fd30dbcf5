"""Training techniques and callbacks beyond Keras' own training loop."""

from .adversarial import FGM, PGD, GradientPenalty
from .attributions import Attributions, IntegratedGradients
from .backup import BackupAndRestore
from .consistency import VAT, RDrop
from .evaluator import Evaluator
from .metrics import BinaryAccuracy, SparseCategoricalAccuracy
from .mixup import Mixup
from .regularized import RegularizedModel
from .theseus import Theseus

__all__ = [
    "FGM",
    "PGD",
    "VAT",
    "Attributions",
    "BackupAndRestore",
    "BinaryAccuracy",
    "Evaluator",
    "GradientPenalty",
    "IntegratedGradients",
    "Mixup",
    "RDrop",
    "RegularizedModel",
    "SparseCategoricalAccuracy",
    "Theseus",
]
