"""A model that is trained with adversarial, consistency or mixing techniques."""

from __future__ import annotations

import contextlib
import types
from collections.abc import Iterator, Sequence
from typing import Any

import keras
from keras import ops

from .._compat import full_precision, inner_layers, is_functional, layer_calls
from .._serialization import revive, serializable
from ..saving import AtomicSave
from .gradients import loss_scale, variable_values
from .step import TrainingStep, is_lookup
from .techniques import Technique

ROLES = ("objective", "adversarial", "penalty", "consistency")


@serializable
class RegularizedModel(AtomicSave, keras.Model):
    """A functional model with the same layers and weights, whose `fit` uses techniques.

        model = RegularizedModel(model, [FGM(epsilon=1.0)])
        model.compile("adam", "sparse_categorical_crossentropy")
        model.fit(...)

    `evaluate`, `predict` and weight files are those of the plain model, which stays usable as
    `plain`. Saved to a `.keras` file it comes back as it is, with its techniques;
    `save_model(model.plain, path)` saves the model alone.

    Techniques combine: `RDrop` or `Mixup` say what the loss of a batch is, and `FGM` or `PGD`,
    `GradientPenalty` and `VAT` add to whatever it is. All act on the vectors that the embedding
    layer looks up, never on its matrix. The loss reported in training is all that is minimised.

    Args:
        model: functional model, such as `keras.Model(bert.input, head(bert.output))`.
        techniques: what to use, at most one of a kind.
        embedding: name of the layer whose looked-up vectors are perturbed.
        **kwargs: of `keras.Model`, such as `name`.

    Raises:
        TypeError: a model that is not functional, a technique that is none.
        ValueError: no or contradicting techniques, a layer that is not there or looks nothing up, a
            model that is regularised already, outputs or a loss that a technique cannot use.

    Example:
        >>> model = RegularizedModel(model, [RDrop(alpha=4), FGM(epsilon=0.5)])
    """

    def __init__(
        self,
        model: keras.Model,
        techniques: Sequence[Technique],
        embedding: str = "Embedding-Token",
        **kwargs: Any,
    ):
        check_model(model)
        super().__init__(model.input, model.output, **{"name": model.name, **kwargs})
        self.techniques = check_techniques(techniques)
        symbols = embedding_calls(self, embedding)
        # Kept apart: nothing that Keras would save or count as layers of this model.
        self._untracked = types.SimpleNamespace(plain=model, data=None, result=None, scope=None)
        self._untracked.lookup_model = keras.Model(self.inputs, symbols)
        self._untracked.embedding = self.get_layer(embedding)
        self._untracked.scopes = []
        self.seed_generator = keras.random.SeedGenerator()
        for technique in self.techniques:
            self._check_technique(technique)

    @property
    def plain(self) -> keras.Model:
        """The model without techniques; it has the same layers and weights."""
        return self._untracked.plain

    @property
    def embedding(self) -> keras.layers.Layer:
        """The layer whose looked-up vectors are perturbed."""
        return self._untracked.embedding

    @property
    def lookup_model(self) -> keras.Model:
        """From the inputs to what the embedding layer returns for ids."""
        return self._untracked.lookup_model

    def technique(self, role: str) -> Technique | None:
        """The technique of this role, unless its numbers switch it off."""
        found = (one for one in self.techniques if one.role == role and one.active)
        return next(found, None)

    def _check_technique(self, technique: Technique) -> None:
        name = type(technique).__name__
        if technique.one_output and len(self.outputs) != 1:
            raise ValueError(
                f"{name} compares class probabilities, but this model has {len(self.outputs)} "
                f"outputs: {', '.join(self.output_names)}. Give it a model with the one it is for."
            )
        again = [one.name for one in inner_layers(self) if getattr(one, "remat", False)]
        if technique.role == "penalty" and again and keras.backend.backend() != "jax":
            raise ValueError(
                f"{name} differentiates twice, which {keras.backend.backend()} cannot do through "
                f"what is computed again: {', '.join(again)}. Build the model without `remat`, or "
                "use JAX. FGM differentiates once."
            )
        layer = getattr(technique, "layer", None)
        if layer is not None:
            uses = sum(operation.name == layer for operation, _, _ in layer_calls(self))
            if uses != 1:
                names = ", ".join(one.name for one in self.layers)
                raise ValueError(
                    f"{name}: the model uses a layer {layer!r} {uses} times, not once. It has: "
                    f"{names}."
                )

    def compile(self, optimizer="rmsprop", loss=None, *args, metrics=None, **kwargs):
        """As of `keras.Model`. With `VAT`, `metrics` are weighted: rows without a label count 0.

        Raises:
            ValueError: a loss that one of the techniques cannot use.
        """
        for technique in self.techniques:
            name = type(technique).__name__
            if technique.own_loss and loss is None:
                raise ValueError(
                    f"{name} needs the labels as targets and a loss in `compile`: what a layer "
                    "makes of labels among the inputs cannot be mixed."
                )
            head = getattr(loss, "__self__", None)
            if technique.role == "penalty" and not getattr(head, "twice_differentiable", True):
                raise ValueError(
                    f"{name} differentiates the loss twice, which the loss of a "
                    f"{type(head).__name__} does not allow. FGM differentiates once."
                )
        if self.reads_unlabelled and metrics and not kwargs.get("weighted_metrics"):
            kwargs["weighted_metrics"], metrics = metrics, None
        super().compile(optimizer, loss, *args, metrics=metrics, **kwargs)

    def compile_from_config(self, config: dict[str, Any]) -> None:
        self.compile(**keras.saving.deserialize_keras_object(config))
        if self.optimizer is not None:
            self.optimizer.build(self.trainable_variables)

    @property
    def reads_unlabelled(self) -> bool:
        """Tell whether rows with a label below 0 are used: `VAT` trains on them without one."""
        return any(technique.role == "consistency" for technique in self.techniques)

    def train_step(self, *args):
        """One step of `fit`; the data come last, after what JAX keeps outside of the model."""
        if not any(technique.active for technique in self.techniques):
            return super().train_step(*args)
        self._untracked.data, self._untracked.scale = (
            args[-1],
            loss_scale(self.optimizer, args[:-1]),
        )
        try:
            return super().train_step(*args)
        finally:
            self._untracked.data = self._untracked.result = None
            self._untracked.scopes.clear()

    def call(self, inputs, training=None, mask=None):
        if self._untracked.data is None or not training:
            return super().call(inputs, training=training, mask=mask)
        _, y, weights = keras.utils.unpack_x_y_sample_weight(self._untracked.data)
        with full_precision():
            step = TrainingStep(
                self, inputs, *self._labelled(y, weights), weights, self._untracked.scale
            )
            self._untracked.result, outputs = step.run()
        return outputs

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        result = self._untracked.result
        if result is not None and len(self.outputs) == 1:
            return result
        y, sample_weight = self._labelled(y, sample_weight)
        loss = None
        if result is None or self.loss is not None:  # the losses of several outputs are metrics
            loss = self.plain_loss(x, y, y_pred, sample_weight, training)
        return loss if result is None else result

    def plain_loss(self, x, y, y_pred, sample_weight, training):
        """The compiled loss, and what layers and weights add."""
        return super().compute_loss(x, y, y_pred, sample_weight, training)

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        return super().compute_metrics(x, *self._shown(y, y_pred, sample_weight))

    def _shown(self, y, y_pred, sample_weight):
        y, sample_weight = self._labelled(y, sample_weight)
        return y, y_pred, sample_weight

    def _labelled(self, y, weights):
        """Labels and weights in which rows without a label count 0 and the others for them."""
        if not self.reads_unlabelled or y is None:
            return y, weights
        known = ops.cast(y, "float32") >= 0
        share = ops.maximum(ops.mean(ops.cast(known, "float32")), 1e-9)
        factor = ops.cast(known, "float32") / share
        if len(factor.shape) > 1 and factor.shape[-1] == 1:
            factor = ops.squeeze(factor, axis=-1)
        if weights is not None:
            weights = ops.cast(weights, "float32")
            while len(weights.shape) < len(factor.shape):
                weights = ops.expand_dims(weights, axis=-1)
            factor = factor * weights
        return ops.maximum(y, ops.zeros_like(y)), factor

    @property
    def losses(self):
        """In a step those of the pass that runs, else as of `keras.Model`."""
        scope = self._untracked.scope if hasattr(self, "_untracked") else None
        if scope is None:
            return super().losses
        decayed = (v for v in self.trainable_variables if v.regularizer is not None)
        return [*scope.losses, *(v.regularizer(v.value) for v in decayed)]

    @contextlib.contextmanager
    def state(self, values: list[Any] | None) -> Iterator[keras.StatelessScope]:
        """A scope in which the model runs and nothing is written to it.

        Args:
            values: what stands for the trainable variables; None reads these.
        """
        mapping = []
        if values is not None:
            others = variable_values(self.non_trainable_variables)
            mapping = [
                *zip(self.trainable_variables, values, strict=True),
                *zip(self.non_trainable_variables, others, strict=True),
                # The losses of several outputs are counted as metrics, by `compute_loss` alone.
                *((v, ops.zeros(v.shape, v.dtype)) for v in self.metrics_variables),
            ]
        scope = keras.StatelessScope(state_mapping=mapping, collect_losses=True)
        # Layers know their losses by id, which must not be given out twice in a step.
        self._untracked.scopes.append(scope)
        with scope:
            self._untracked.scope = scope
            try:
                yield scope
            finally:
                self._untracked.scope = None

    def get_config(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "trainable": self.trainable,
            "model": keras.saving.serialize_keras_object(self.plain),
            "techniques": [keras.saving.serialize_keras_object(one) for one in self.techniques],
            "embedding": self.embedding.name,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> RegularizedModel:
        config = dict(config)
        model = keras.saving.deserialize_keras_object(config.pop("model"), custom_objects)
        techniques = [revive(one) for one in config.pop("techniques")]
        return cls(model, techniques, **config)


def check_model(model: Any) -> None:
    """Refuse what has no graph of layers, and what is regularised already."""
    if isinstance(model, RegularizedModel):
        names = ", ".join(type(one).__name__ for one in model.techniques)
        raise ValueError(
            f"this model is a RegularizedModel already, with {names}. Give all techniques in one "
            "list, with the model itself (`model.plain`)."
        )
    if not is_functional(model):
        raise TypeError(
            f"RegularizedModel needs a functional model, keras.Model(inputs, outputs), not a "
            f"{type(model).__name__}: it runs the graph of layers around the embedding."
        )


def check_techniques(techniques: Any) -> tuple[Technique, ...]:
    """The techniques, if they are some and go together."""
    techniques = tuple(techniques) if isinstance(techniques, (list, tuple)) else (techniques,)
    for one in techniques:
        if not isinstance(one, Technique):
            raise TypeError(
                f"RegularizedModel needs techniques such as FGM(epsilon=1.0), not {one!r}"
            )
    if not techniques:
        raise ValueError("RegularizedModel needs at least one technique, such as FGM(epsilon=1.0)")
    for role in ROLES:
        names = [type(one).__name__ for one in techniques if one.role == role]
        if len(names) > 1:
            raise ValueError(f"{' and '.join(names)} exclude each other: give one of them.")
    return techniques


def embedding_calls(model: keras.Model, name: str) -> list[Any]:
    """The symbolic outputs of the embedding layer of this name where it reads ids."""
    found = [out for layer, x, out in layer_calls(model) if layer.name == name and is_lookup(x)]
    if not found:
        kind = keras.layers.Embedding
        layers = {layer.name for layer, _, _ in layer_calls(model) if isinstance(layer, kind)}
        inside = [layer.name for layer in model.layers if isinstance(layer, keras.Model)]
        hint = (
            f" It calls the models {', '.join(inside)} as layers; build it on their outputs \
(`head(bert.output)`, not `head(bert(x))`)."
            if inside
            else ""
        )
        raise ValueError(
            f"the model has no layer {name!r} that looks up vectors of ids. Those that do: "
            f"{', '.join(sorted(layers)) or 'none'}; name one as `embedding`.{hint}"
        )
    return found
