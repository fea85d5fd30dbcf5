"""Lion with the defaults of 0.11."""

from __future__ import annotations

from typing import Any

import keras

from . import PACKAGE


@keras.saving.register_keras_serializable(PACKAGE)
class Lion(keras.optimizers.Lion):
    """`keras.optimizers.Lion` with the defaults of 0.11.

    Args:
        learning_rate, beta_1, beta_2, **kwargs: of that class.
    """

    def __init__(
        self,
        learning_rate: float | keras.optimizers.schedules.LearningRateSchedule = 3e-4,
        beta_1: float = 0.95,
        beta_2: float = 0.98,
        **kwargs: Any,
    ):
        super().__init__(learning_rate, beta_1, beta_2, **kwargs)
