"""A model whose `fit` uses adversarial training, a gradient penalty, consistency or mixup.

Keras computes the gradients of a step by itself: it calls the model, then `compute_loss`, and
differentiates the result. A `RegularizedModel` fits its several forward passes into that:

1. `train_step` keeps the batch, because `call` gets only its inputs.
2. `call` runs all passes (`TrainingStep.run`) and keeps the loss; it returns outputs for metrics.
3. `compute_loss` returns the loss that was kept.

So the loops of all backends, gradient accumulation, loss scaling and callbacks work as usual.
"""

from __future__ import annotations

import contextlib
import types
from collections.abc import Iterator, Sequence
from typing import Any

import keras
from keras import ops

from .._compat import (
    full_precision,
    inner_layers,
    is_functional,
    layer_calls,
    tensorflow_replicas,
)
from .._serialization import revive, serializable
from .._types import Tensor
from ..saving import AtomicSave
from .gradients import loss_scale, variable_values
from .step import TrainingStep, is_lookup
from .techniques import Technique
from .unlabelled import weigh_labelled

_ROLES = ("objective", "adversarial", "penalty", "consistency")


@serializable
class RegularizedModel(AtomicSave, keras.Model):
    """A functional model that shares layers and weights with another and trains with techniques.

        model = RegularizedModel(model, [FGM(epsilon=1.0)])
        model.compile("adam", "sparse_categorical_crossentropy")
        model.fit(...)

    `evaluate`, `predict` and weight files are those of the plain model, which can still be used as
    `plain`. A `.keras` file of a `RegularizedModel` has its techniques too;
    `save_model(model.plain, path)` saves only the model.

    Techniques can be combined: `RDrop` or `Mixup` defines the loss of a batch, and `FGM` or `PGD`,
    `GradientPenalty` and `VAT` add terms to it. All act on the vectors that the embedding layer
    looks up, never on its matrix. The loss reported in training is the sum that is minimised.

    Args:
        model: functional model, such as `keras.Model(bert.input, head(bert.output))`.
        techniques: at most one of each role, see `Technique`.
        embedding: name of the layer whose looked-up vectors are perturbed.
        **kwargs: of `keras.Model`, such as `name`.

    Raises:
        TypeError: the model is not functional, or a technique is not a `Technique`.
        ValueError: no techniques, or techniques that exclude each other; a layer that does not
            exist or looks up no ids; a model that is a `RegularizedModel` already; outputs or a
            loss that a technique cannot use.

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
        _check_model(model)
        super().__init__(model.input, model.output, **{"name": model.name, **kwargs})
        self.techniques = _check_techniques(techniques)
        symbols = embedding_calls(self, embedding)
        # In a namespace, which Keras does not track: else it would save these models and layers
        # as parts of this one.
        self._untracked = types.SimpleNamespace(plain=model, data=None, result=None, scope=None)
        self._untracked.lookup_model = keras.Model(self.inputs, symbols)
        self._untracked.embedding = self.get_layer(embedding)
        self._untracked.scopes = []
        self.seed_generator = keras.random.SeedGenerator()
        for technique in self.techniques:
            self._check_technique(technique)

    @property
    def plain(self) -> keras.Model:
        """The model without techniques, with the same layers and weights."""
        return self._untracked.plain

    @property
    def embedding(self) -> keras.layers.Layer:
        """The layer whose looked-up vectors are perturbed."""
        return self._untracked.embedding

    @property
    def lookup_model(self) -> keras.Model:
        """Model from the inputs to the vectors that the embedding layer returns for ids."""
        return self._untracked.lookup_model

    def technique(self, role: str) -> Technique | None:
        """Return the technique of a role, or None if there is none or its numbers disable it."""
        found = (one for one in self.techniques if one.role == role and one.active)
        return next(found, None)

    def _check_technique(self, technique: Technique) -> None:
        name = type(technique).__name__
        if technique.one_output and len(self.outputs) != 1:
            raise ValueError(
                f"{name} compares class probabilities, but this model has {len(self.outputs)} "
                f"outputs: {', '.join(self.output_names)}. Give it a model with one output."
            )
        remat = [one.name for one in inner_layers(self) if getattr(one, "remat", False)]
        if technique.role == "penalty" and remat and keras.backend.backend() != "jax":
            raise ValueError(
                f"{name} differentiates twice, which {keras.backend.backend()} cannot do through "
                f"layers that are recomputed: {', '.join(remat)}. Build the model without `remat`, "
                "use JAX, or use FGM, which differentiates once."
            )
        layer = getattr(technique, "layer", None)
        if layer is not None:
            uses = sum(call.layer.name == layer for call in layer_calls(self))
            if uses != 1:
                names = ", ".join(one.name for one in self.layers)
                raise ValueError(
                    f"{name}: the model calls a layer {layer!r} {uses} times, but it must be once. "
                    f"Layers of the model: {names}."
                )

    def compile(self, optimizer="rmsprop", loss=None, *args, metrics=None, **kwargs):
        """Configure training, like `keras.Model.compile`.

        With `VAT`, `metrics` become `weighted_metrics`, so that rows without a label count 0.

        Raises:
            ValueError: a loss that one of the techniques cannot use.
        """
        for technique in self.techniques:
            name = type(technique).__name__
            if technique.role != "objective" and (replicas := tensorflow_replicas()) > 1:
                raise ValueError(
                    f"{name} scales a perturbation by the gradient of the whole batch, but each of "
                    f"the {replicas} replicas of tf.distribute has only its part. Use JAX, where "
                    "it works on many devices, see docs/distributed.md."
                )
            if technique.own_loss and loss is None:
                raise ValueError(
                    f"{name} needs the labels as targets and a loss in `compile`: a loss that a "
                    "layer computes from labels among the inputs cannot be mixed."
                )
            if technique.role == "penalty" and not twice_differentiable(loss):
                raise ValueError(
                    f"{name} differentiates the loss twice, which the loss of a "
                    f"{type(loss.__self__).__name__} does not allow. Use FGM, which differentiates "
                    "once."
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
        """True if rows with a label below 0, which means no label, are trained on (`VAT`)."""
        return any(technique.role == "consistency" for technique in self.techniques)

    def train_step(self, *args):
        """Run one step of `fit`; the batch is the last argument, after the state of JAX."""
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
        # Also with a result if there are several outputs, whose losses Keras reports as metrics.
        if result is None or self.loss is not None:
            loss = self.plain_loss(x, y, y_pred, sample_weight, training)
        return loss if result is None else result

    def plain_loss(self, x, y, y_pred, sample_weight, training):
        """Return the compiled loss plus the losses of layers and weight regularizers."""
        return super().compute_loss(x, y, y_pred, sample_weight, training)

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        return super().compute_metrics(x, *self._shown(y, y_pred, sample_weight))

    def _shown(self, y, y_pred, sample_weight):
        y, sample_weight = self._labelled(y, sample_weight)
        return y, y_pred, sample_weight

    def _labelled(self, y, weights):
        """Return labels and weights of the loss; rows without a label count 0 (`VAT`)."""
        if not self.reads_unlabelled or y is None:
            return y, weights
        return weigh_labelled(y, weights)

    @property
    def losses(self):
        """Losses of layers and weight regularizers; within a step, those of the running pass."""
        scope = self._untracked.scope if hasattr(self, "_untracked") else None
        if scope is None:
            return super().losses
        decayed = (v for v in self.trainable_variables if v.regularizer is not None)
        return [*scope.losses, *(v.regularizer(v.value) for v in decayed)]

    @contextlib.contextmanager
    def state(self, values: list[Tensor] | None) -> Iterator[keras.StatelessScope]:
        """Open a scope in which the model can run without assigning to its variables.

        Args:
            values: values of the trainable variables; None: their own.
        """
        mapping = []
        if values is not None:
            others = variable_values(self.non_trainable_variables)
            mapping = [
                *zip(self.trainable_variables, values, strict=True),
                *zip(self.non_trainable_variables, others, strict=True),
                # With several outputs each pass updates metrics of their losses; only the update
                # by `compute_loss` should count, so passes get other variables.
                *((v, ops.zeros(v.shape, v.dtype)) for v in self.metrics_variables),
            ]
        scope = keras.StatelessScope(state_mapping=mapping, collect_losses=True)
        # Layers find their losses by the id of the scope, which must stay unique within a step;
        # an id is free again when its object is gone, so all scopes of the step are kept.
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
    def from_config(
        cls, config: dict[str, Any], custom_objects: dict[str, type] | None = None
    ) -> RegularizedModel:
        config = dict(config)
        model = keras.saving.deserialize_keras_object(config.pop("model"), custom_objects)
        techniques = [revive(one) for one in config.pop("techniques")]
        return cls(model, techniques, **config)


def twice_differentiable(loss: Any) -> bool:
    """Return whether the second derivative of a loss is correct.

    A layer whose loss defines its own gradient says so by an attribute `twice_differentiable` of
    False; its loss is recognised as a bound method of the layer.
    """
    return getattr(getattr(loss, "__self__", None), "twice_differentiable", True)


def _check_model(model: keras.Model) -> None:
    """Refuse a model that is not functional or is a `RegularizedModel` already."""
    if isinstance(model, RegularizedModel):
        names = ", ".join(type(one).__name__ for one in model.techniques)
        raise ValueError(
            f"this model is a RegularizedModel already, with {names}. Give all techniques in one "
            "list, with the model itself (`model.plain`)."
        )
    if not is_functional(model):
        raise TypeError(
            f"RegularizedModel needs a functional model, keras.Model(inputs, outputs), not a "
            f"{type(model).__name__}: it runs the graph of layers with other embedding vectors."
        )


def _check_techniques(techniques: Technique | Sequence[Technique]) -> tuple[Technique, ...]:
    """Return the techniques as a tuple; refuse none, and several of one role."""
    techniques = tuple(techniques) if isinstance(techniques, (list, tuple)) else (techniques,)
    for one in techniques:
        if not isinstance(one, Technique):
            raise TypeError(
                f"RegularizedModel needs techniques such as FGM(epsilon=1.0), not {one!r}"
            )
    if not techniques:
        raise ValueError("RegularizedModel needs at least one technique, such as FGM(epsilon=1.0)")
    for role in _ROLES:
        names = [type(one).__name__ for one in techniques if one.role == role]
        if len(names) > 1:
            raise ValueError(f"{' and '.join(names)} exclude each other: use one of them.")
    return techniques


def embedding_calls(model: keras.Model, name: str) -> list[keras.KerasTensor]:
    """Return the symbolic outputs of an embedding layer's calls on ids.

    Calls on vectors, which are a tied output layer, are left out.

    Args:
        model: a functional model.
        name: name of the embedding layer.

    Raises:
        ValueError: there is no such call.
    """
    calls = [call for call in layer_calls(model) if call.layer.name == name]
    found = [call.output for call in calls if is_lookup(call.first_input)]
    if not found:
        kind = keras.layers.Embedding
        layers = {call.layer.name for call in layer_calls(model) if isinstance(call.layer, kind)}
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
