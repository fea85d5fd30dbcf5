"""T5 1.0, T5.1.1 and mT5: `config`, `weights` (the tables of checkpoints) and `model`."""

from . import model  # noqa: F401  (it registers the families)
