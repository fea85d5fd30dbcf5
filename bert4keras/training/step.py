"""One training step of a `RegularizedModel`: the same batch through the model several times."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import ops

from .._compat import flat_inputs, run_graph, with_implicit_mask, with_mask_of
from .adversarial import perturbed
from .gradients import (
    random_state,
    set_random_state,
    value_and_detached_grads,
    value_and_grad,
    variable_values,
)
from .techniques import Objective, Technique

Gradients = tuple[tuple[Any, Any], list[Any], list[Any]]


class TrainingStep:
    """What the techniques of one step share.

    Every pass starts from the same random state, so that all have the same dropout masks, and only
    the perturbation is between them; of the new state, that of the first pass is kept.

    Args:
        model: the `RegularizedModel`.
        inputs, labels, weights: the batch, as Keras hands it out.
        all_weights: the sample weights before rows without a label got 0.
        scale: factor of the loss under mixed precision, a float32 scalar.
        training: whether dropout and the like are on.
    """

    def __init__(
        self,
        model: Any,
        inputs: Any,
        labels: Any,
        weights: Any,
        all_weights: Any,
        scale: Any,
        training: bool = True,
    ):
        self.model, self.embedding, self.seed = model, model.embedding, model.seed_generator
        self.inputs, self.labels = flat_inputs(model, inputs), labels
        self.weights, self.all_weights = weights, all_weights
        self.scale, self.training = scale, training
        self.objective: Objective = model.technique("objective") or Objective()
        self.objective.prepare_batch(self)
        self.random_state = random_state()

    def embed(self) -> list[Any]:
        """The vectors of the batch, (B, T, E) each: one tensor for each time that ids are read."""
        return list(
            keras.tree.flatten(self.model.lookup_model(self.inputs, training=self.training))
        )

    def model_loss(self, labels: Any, outputs: Any, weights: Any) -> Any:
        """The loss that the model has been compiled with, and what its layers add."""
        inputs = keras.tree.pack_sequence_as(self.model.input, self.inputs)
        return self.model.plain_loss(inputs, labels, outputs, weights, self.training)

    def from_logits(self, given: bool | None) -> bool:
        """Whether the model returns scores: as a technique says, else as the compiled loss does."""
        own = getattr(self.model.loss, "from_logits", False)
        return bool(own if given is None else given)

    def forward(
        self, vectors: Sequence[Any], values: list[Any] | None = None, loss: Callable | None = None
    ) -> tuple[Any, tuple[Any, list[Any]]]:
        """One pass.

        Args:
            vectors: what the embedding layer returns, as from `embed`.
            values: what stands for the trainable variables, see `value_and_detached_grads`.
            loss: function of the outputs; None is the objective.

        Returns:
            The loss, a float scalar, and a pair of the outputs and the new state.
        """
        values = variable_values(self.model.trainable_variables) if values is None else values
        pending = list(vectors)

        def call(layer, run, first):
            if layer is self.embedding:
                if not is_lookup(first):
                    return run()  # the tied output matrix
                output = with_implicit_mask(layer, first, pending.pop(0))
            else:
                output = run()
            return with_mask_of(output, self.objective.change_output(self, layer, output))

        set_random_state(self.random_state)
        with self.model.state(values) as state:
            inputs = keras.tree.pack_sequence_as(self.model.input, self.inputs)
            outputs = run_graph(self.model, inputs, call, self.training)
            value = (loss or (lambda outputs: self.objective.loss(self, outputs)))(outputs)
            new = [state.get_current_value(v) for v in self.model.non_trainable_variables]
        return ops.cast(value, "float32"), (outputs, new)

    def value_and_detached_grads(
        self, vectors: list[Any], loss: Callable | None = None, of_variables: bool = False
    ) -> Gradients:
        """The result of `forward`, and gradients of the loss as constants.

        They are computed on the scaled loss, and are in float32 and without the scale.
        """

        def function(vectors, values):
            value, rest = self.forward(vectors, values, loss)
            return value * self.scale, rest

        found = value_and_detached_grads(
            function, vectors, self.model.trainable_variables, of_variables=of_variables
        )
        (value, rest), *gradients = found
        return (value / self.scale, rest), *(self.unscaled(some) for some in gradients)

    def unscaled(self, gradients: list[Any]) -> list[Any]:
        """Gradients in float32, without the factor of the loss."""
        return [None if g is None else ops.cast(g, "float32") / self.scale for g in gradients]

    def run(self) -> tuple[Any, Any]:
        """The loss of the step with all its techniques, and the outputs that metrics see."""
        vectors, technique = self.embed(), self.model.technique
        adversarial, penalty, consistency = map(
            technique, ("adversarial", "penalty", "consistency")
        )
        loss, (outputs, state), gradients = self.first_pass(vectors, adversarial, penalty)
        if adversarial is not None:
            gradients = [ops.stop_gradient(gradient) for gradient in gradients]
            move = adversarial.perturbation(self, vectors, gradients)
            loss = loss + self.forward(perturbed(vectors, constants(move)))[0]
        if consistency is not None:
            move = consistency.perturbation(self, vectors, outputs)
            others = self.forward(
                perturbed(vectors, constants(move)),
                loss=lambda others: consistency.divergence(self, outputs, others),
            )
            loss = loss + consistency.weight * others[0]
        for variable, value in zip(self.model.non_trainable_variables, state, strict=True):
            if value is not None:
                variable.assign(value)
        return loss, self.objective.metric_outputs(outputs)

    def first_pass(
        self, vectors: list[Any], adversarial: Technique | None, penalty: Technique | None
    ) -> tuple[Any, tuple[Any, Any], list[Any] | None]:
        """The batch as it is: its part of the loss, outputs and state, gradients by the vectors."""
        clean = adversarial is None or adversarial.clean
        if penalty is not None:
            (value, rest), gradients = value_and_grad(
                lambda *vectors: self.scaled(*self.forward(vectors)), vectors, has_aux=True
            )
            gradients = self.unscaled(gradients)
            term = finite_part(penalty.penalty(gradients))
            return value / self.scale * clean + term, rest, gradients
        if adversarial is None:
            return *self.forward(vectors), None
        (value, rest), gradients, others = self.value_and_detached_grads(
            vectors, of_variables=clean
        )
        if not clean:
            return 0.0, rest, gradients
        # Known already, the gradient of this pass is handed on by a term that is linear in vectors
        # and variables, so that the trainer need not go back through the pass again.
        variables = self.model.trainable_variables if others else []
        pairs = [*zip(gradients, vectors, strict=True), *zip(others, variables, strict=True)]
        slope = sum(
            ops.sum(ops.cast(at, "float32") * gradient)
            for gradient, at in pairs
            if gradient is not None
        )
        value = ops.stop_gradient(value)
        return value + finite_part(slope - ops.stop_gradient(slope)), rest, gradients

    def scaled(self, value: Any, rest: Any) -> tuple[Any, Any]:
        """The value as the trainer scales it."""
        return value * self.scale, rest


def constants(tensors: list[Any]) -> list[Any]:
    """Tensors that nothing is differentiated through."""
    return [ops.stop_gradient(tensor) for tensor in tensors]


def finite_part(value: Any) -> Any:
    """A value, or 0 where half precision made it infinite or NaN: the loss stays a number.

    Its gradient is NaN then, by which the optimizer knows that the scale was too large.
    """
    return ops.where(ops.isfinite(value), value, 0.0)


def is_lookup(x: Any) -> bool:
    """Whether an embedding layer that is given this reads ids."""
    return "int" in keras.backend.standardize_dtype(x.dtype)
