"""Base class of the pretraining objectives: what a model is trained to predict, and from what.

To write one, subclass `PretrainingObjective`, give it a `name`, decorate it with
`@register_objective`, and write `corrupt` and `build`. `corrupt` runs in worker processes: an
objective holds only plain values and arrays, nothing of Keras, so that it can be sent there. In a
worker `keras` has no backend for training, so `corrupt` uses numpy only. A target of
`data.masking.IGNORED` (-1) is not predicted.

Legend: B rows, L tokens of a row, M predictions of a row, V vocabulary.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, TypeAlias, TypeVar

import keras
import numpy as np
from keras import ops

from ... import checkpoints
from ...checkpoints.tensor_match import first_names
from ...data.masking import IGNORED
from ...losses import SparseCategoricalCrossentropy
from ...models import Backbone
from ...models.model_config import ConfigSource
from ...registry import class_prefix
from ...tokenizers.base import TokenizerBase
from ...training import SparseCategoricalAccuracy
from ..rows import TokenRows

logger = logging.getLogger(__name__)

Arrays: TypeAlias = dict[str, np.ndarray]
_ObjectiveClass = TypeVar("_ObjectiveClass", bound="type[PretrainingObjective]")

PRETRAINING_OBJECTIVES: dict[str, type[PretrainingObjective]] = {}
"""Name of an objective, as on the command line -> its class."""


def register_objective(cls: _ObjectiveClass) -> _ObjectiveClass:
    """Make an objective known by its `name`."""
    PRETRAINING_OBJECTIVES[cls.name] = cls
    return cls


class PretrainingObjective:
    """Base of the objectives.

    Args:
        tokenizer: of the model. Only facts are kept: sizes and ids.

    Class attributes:
        name: as on the command line.
        needs_mask: True if the vocabulary must have a mask token.
        architecture: end of the name of the class of transformers that has the saved heads, by
            which `tasks.load` finds the task; None: there is no such class.

    Attributes:
        vocab_size: V.
        mask_id: id of the mask token, or None.
        pad_id: id of padding in `TokenRows`.
        plain_ids: ids of all tokens that are not special, to draw random tokens from.

    Raises:
        ValueError: the objective masks tokens, and the vocabulary has no mask token.
    """

    name: ClassVar[str]
    needs_mask: ClassVar[bool] = False
    architecture: ClassVar[str | None] = None

    def __init__(self, tokenizer: TokenizerBase):
        self.vocab_size = tokenizer.vocab_size
        self.mask_id = tokenizer.mask_token_id
        self.pad_id = tokenizer.pad_token_id or 0
        if self.needs_mask and self.mask_id is None:
            raise ValueError(
                f"the objective {self.name} masks tokens, and the vocabulary has no "
                f"{tokenizer.token_mask or 'mask token'}: use a tokenizer that has one, name it "
                "with token_mask=, or choose the objective lm."
            )
        special = {tokenizer.vocab.get(token) for token in tokenizer.special_tokens}
        ids = np.array(sorted(tokenizer.vocab.values()), "int32")
        self.plain_ids = ids[~np.isin(ids, [i for i in special if i is not None])]

    def required_id(self, tokenizer: TokenizerBase, attribute: str, use: str) -> int:
        """Return the id of a special token, such as `"sep_token_id"`.

        Raises:
            ValueError: the tokenizer has no such token; `use` says what it is needed for.
        """
        found = getattr(tokenizer, attribute)
        if found is None:
            name = attribute.removesuffix("_token_id")
            raise ValueError(
                f"the objective {self.name} needs {use}, and the tokenizer has no {name} token: "
                "use another tokenizer or another objective."
            )
        return int(found)

    def corrupt(
        self, rows: TokenRows, rng: np.random.Generator
    ) -> tuple[Arrays, Arrays | np.ndarray]:
        """Make the inputs of the model and its targets; to be overridden.

        Args:
            rows: some packed rows; a batch is later cut out of the results along the first axis.
            rng: source of randomness; the same state gives the same result.

        Returns:
            Inputs by the names of the inputs of the model that `build` returns, and targets; all
            arrays begin with the axis B.
        """
        raise NotImplementedError

    def build(self, checkpoint: ConfigSource, **options: Any) -> keras.Model:
        """Build the model to train, whose inputs have the names of `corrupt`; to be overridden.

        Args:
            checkpoint: of `build_transformer_model`: a directory, whose weights are loaded, or a
                config as a path, dict or `TransformerConfig`, for random weights.
            **options: of `build_transformer_model`, such as `dropout_rate` and `remat`.
        """
        raise NotImplementedError

    @property
    def loss(self) -> Any:
        """Loss for `compile`: cross entropy of logits; a target below 0 is ignored."""
        return SparseCategoricalCrossentropy(from_logits=True)

    @property
    def metrics(self) -> list[Any]:
        """Metrics for `compile`."""
        return [SparseCategoricalAccuracy()]

    def backbone(self, model: keras.Model) -> Backbone:
        """Return the part of the trained model that a checkpoint has."""
        return next(layer for layer in model.layers if isinstance(layer, Backbone))

    def save(self, model: keras.Model, directory: Path, tokenizer: TokenizerBase) -> None:
        """Write a checkpoint in the Hugging Face layout: config, weights and tokenizer."""
        backbone = self.backbone(model)
        checkpoints.save(backbone, directory, config=self.saved_config(backbone))
        tokenizer.save(directory)

    def saved_config(self, backbone: Backbone) -> dict[str, Any]:
        """Return the values of config.json for a trained backbone."""
        values = backbone.config.to_json_dict()
        values.pop("architectures", None)  # of the checkpoint that was trained on
        if self.architecture is not None:
            values["architectures"] = [class_prefix(values["model_type"]) + self.architecture]
        return values

    def check_vocabulary(self, backbone: Backbone) -> Backbone:
        """Return a backbone whose table has a row for every id of the tokenizer.

        Weights that its checkpoint lacks, and that start at random, are named in a log message.

        Raises:
            ValueError: it has too few; JAX would then compute with NaN.
        """
        rows = backbone.config.vocab_size
        if rows < self.vocab_size:
            raise ValueError(
                f"the tokenizer has {self.vocab_size} ids and the model only {rows} rows of "
                "token vectors; they belong to different checkpoints, or new tokens were added "
                "to only one of them."
            )
        report = getattr(backbone, "load_report", None)
        if report is not None and report.missing:
            logger.warning("%s starts with random %s", self.name, first_names(report.missing))
        return backbone


def check_fraction(name: str, value: float) -> None:
    """Raise ValueError unless an option lies between 0 and 1."""
    if not 0 < value < 1:
        raise ValueError(f"{name} must lie between 0 and 1, not {value}.")


def check_at_least(name: str, value: float, least: float) -> None:
    """Raise ValueError if an option is below `least`, or no number."""
    if not value >= least:
        raise ValueError(f"{name} must be {least} or more, not {value}.")


def with_ignored(options: Mapping[str, Any], *heads: str) -> dict[str, Any]:
    """Return options of `build_transformer_model` that let a checkpoint lack some heads.

    Args:
        options: the options.
        heads: beginnings of the names of their layers, such as `"NSP-"`.
    """
    given = options.get("ignore", ())
    given = [given] if isinstance(given, str) else [*given]
    return {**options, "ignore": [*given, *(f"{head}*" for head in heads)]}


def named_model(backbone: Backbone, names: Sequence[str], **given: Any) -> keras.Model:
    """Wrap a backbone as a model whose inputs are a dict by name.

    Args:
        backbone: the model; inputs of it that are neither in `names` nor `given`, such as segment
            ids, are zeros.
        names: names of the inputs, as in `Backbone.input_order`; int32 (B, L) each.
        **given: symbolic tensors for inputs that are computed from others.
    """
    inputs = {name: keras.Input((None,), dtype="int32", name=name) for name in names}
    tensors: Mapping[str, Any] = {**inputs, **given}
    zeros = ops.zeros_like(inputs["token_ids"]) if set(backbone.input_order) - set(tensors) else 0
    output = backbone([tensors.get(name, zeros) for name in backbone.input_order])
    return keras.Model(inputs, output)


def predictions(
    ids: np.ndarray, chosen: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return chosen positions of rows as `masked_positions`, and what is predicted there.

    Args:
        ids: int (B, L), the token to predict at each position.
        chosen: bool (B, L), True for positions with a prediction, at most `count` of a row.
        count: M.

    Returns:
        Positions in their order and targets, int32 (B, M), where positions without a prediction are
        0 and their targets `IGNORED`; and where the predictions are, bool (B, M).
    """
    positions = np.argsort(~chosen, axis=1, kind="stable")[:, :count].astype("int32")
    is_target = np.take_along_axis(chosen, positions, axis=1)
    targets = np.where(is_target, np.take_along_axis(ids, positions, axis=1), IGNORED)
    return np.where(is_target, positions, 0), targets.astype("int32"), is_target
