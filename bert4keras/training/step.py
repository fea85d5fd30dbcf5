"""One training step of a `RegularizedModel`: several forward passes of one batch.

Symbols: E the vectors that the embedding layer looks up for the batch, (B, T, D); theta all
trainable variables; L(E, theta) the loss of the objective; d a perturbation of E. A step minimises

    L(E, theta)                         the first pass, without it if FGM or PGD has `clean=False`
    + L(E + d, theta)                   FGM, PGD
    + epsilon / 2 |dL/dE|^2             GradientPenalty
    + weight KL(f(E) || f(E + d))       VAT, with f the outputs of the model

The embedding vectors are an argument of every pass: E is looked up once, and the passes run the
graph of the model with other vectors in place of the embedding layer's output.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import keras
from keras import ops

from .._compat import flat_inputs, run_graph, with_implicit_mask, with_mask_of
from .._types import Tensor
from .adversarial import perturbed
from .gradients import (
    random_state,
    set_random_state,
    value_and_detached_grads,
    value_and_grad,
    variable_values,
)
from .techniques import Objective, Technique

if TYPE_CHECKING:
    from .regularized import RegularizedModel

# Outputs of the model, and the new values of its non-trainable variables.
_PassResult = tuple[Any, list[Tensor | None]]


class TrainingStep:
    """State that the techniques share during one step.

    Every pass starts from the same random state, so all have the same dropout masks and differ only
    in the perturbation. Of the new states, that of the first pass is kept.

    Args:
        model: the model that is trained.
        inputs, labels, weights: the batch, as Keras passes it to the model.
        all_weights: the sample weights before rows without a label got weight 0.
        scale: factor of the loss under mixed precision, a float32 scalar.
        training: of `keras.Model.__call__`.
    """

    def __init__(
        self,
        model: RegularizedModel,
        inputs: Any,
        labels: Any,
        weights: Any,
        all_weights: Any,
        scale: Tensor,
        training: bool = True,
    ):
        self.model, self.embedding, self.seed = model, model.embedding, model.seed_generator
        self.inputs, self.labels = flat_inputs(model, inputs), labels
        self.weights, self.all_weights = weights, all_weights
        self.scale, self.training = scale, training
        self.objective: Objective = model.technique("objective") or Objective()
        self.objective.prepare_batch(self)
        self.random_state = random_state()

    def embed(self) -> list[Tensor]:
        """Look up the vectors of the batch: (B, T, D) for each call of the embedding layer."""
        vectors = self.model.lookup_model(self.inputs, training=self.training)
        return list(keras.tree.flatten(vectors))

    def model_loss(self, labels: Any, outputs: Any, weights: Any) -> Tensor:
        """Return the compiled loss of the model plus the losses that its layers add."""
        inputs = keras.tree.pack_sequence_as(self.model.input, self.inputs)
        return self.model.plain_loss(inputs, labels, outputs, weights, self.training)

    def from_logits(self, given: bool | None) -> bool:
        """Return whether the model's outputs are logits: `given`, or as the compiled loss says."""
        own = getattr(self.model.loss, "from_logits", False)
        return bool(own if given is None else given)

    def forward(
        self,
        vectors: Sequence[Tensor],
        values: list[Tensor] | None = None,
        loss: Callable[[Any], Tensor] | None = None,
    ) -> tuple[Tensor, _PassResult]:
        """Run the model once, on given embedding vectors.

        Args:
            vectors: in place of the outputs of the embedding layer, as from `embed`.
            values: of the trainable variables, see `value_and_detached_grads`.
            loss: function of the outputs; None is the objective.

        Returns:
            The loss, a float32 scalar, and the outputs and new state.
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
        self,
        vectors: list[Tensor],
        loss: Callable[[Any], Tensor] | None = None,
        of_variables: bool = False,
    ) -> tuple[tuple[Tensor, _PassResult], list[Tensor | None], list[Tensor | None]]:
        """Run `forward` and compute gradients of its loss by vectors and variables, as constants.

        They are computed on the scaled loss, and returned in float32 without the scale.
        """

        def function(vectors, values):
            value, rest = self.forward(vectors, values, loss)
            return value * self.scale, rest

        found = value_and_detached_grads(
            function, vectors, self.model.trainable_variables, of_variables=of_variables
        )
        (value, rest), *gradients = found
        return (value / self.scale, rest), *(self.unscaled(some) for some in gradients)

    def unscaled(self, gradients: list[Tensor | None]) -> list[Tensor | None]:
        """Return gradients in float32, without the scale of the loss."""
        return [None if g is None else ops.cast(g, "float32") / self.scale for g in gradients]

    def run(self) -> tuple[Tensor, Any]:
        """Run all passes; return the loss of the step and the outputs for the metrics."""
        vectors, technique = self.embed(), self.model.technique
        roles = ("adversarial", "penalty", "consistency")
        adversarial, penalty, consistency = map(technique, roles)
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
        self, vectors: list[Tensor], adversarial: Technique | None, penalty: Technique | None
    ) -> tuple[Tensor | float, _PassResult, list[Tensor | None] | None]:
        """Run the batch without perturbation.

        An adversarial technique needs g = dL/dE of this pass to find its perturbation, and the
        trainer needs the gradient of the pass by all variables. One backward pass can give both: it
        computes g and h = dL/dtheta (E held constant) as constants, and this method returns

            L' = L + s - stop_gradient(s),     s = <g, E> + <h, theta>

        in which L is a constant too. L' has the value of L. Its gradient by theta is

            dL'/dtheta = g dE/dtheta + h,

        the chain rule for L(E(theta), theta), where E(theta) looks the vectors up. So the trainer
        goes back only through s, which is linear, and never through this pass again: a step of FGM
        costs two forward and two backward passes instead of two and three.

        That does not work with a gradient penalty, which is itself differentiated through g; there
        the pass stays in the trainer's graph.

        Args:
            vectors: E, from `embed`.
            adversarial, penalty: techniques of these roles, or None.

        Returns:
            The terms of the loss that belong to this pass (0 if the adversarial technique replaces
            the batch), outputs and state, and g: None if no technique needs it.
        """
        clean = adversarial is None or adversarial.clean
        if penalty is not None:
            (value, rest), gradients = value_and_grad(
                lambda *vectors: self.scaled(*self.forward(vectors)), vectors, has_aux=True
            )
            gradients = self.unscaled(gradients)
            term = _finite_part(penalty.penalty(gradients))
            return value / self.scale * clean + term, rest, gradients
        if adversarial is None:
            return *self.forward(vectors), None
        (value, rest), gradients, others = self.value_and_detached_grads(
            vectors, of_variables=clean
        )
        if not clean:
            return 0.0, rest, gradients
        variables = self.model.trainable_variables if others else []
        pairs = [*zip(gradients, vectors, strict=True), *zip(others, variables, strict=True)]
        slope = sum(
            ops.sum(ops.cast(at, "float32") * gradient)
            for gradient, at in pairs
            if gradient is not None
        )
        value = ops.stop_gradient(value)
        return value + _finite_part(slope - ops.stop_gradient(slope)), rest, gradients

    def scaled(self, value: Tensor, rest: _PassResult) -> tuple[Tensor, _PassResult]:
        """Return the result of `forward` with the loss scaled, as the trainer will scale it."""
        return value * self.scale, rest


def constants(tensors: list[Tensor]) -> list[Tensor]:
    """Return tensors that nothing is differentiated through."""
    return [ops.stop_gradient(tensor) for tensor in tensors]


def _finite_part(value: Tensor) -> Tensor:
    """Return a value, or 0 where half precision made it infinite or NaN.

    So the reported loss stays a number. Its gradient is NaN then, which tells the optimizer that
    the scale of the loss was too large.
    """
    return ops.where(ops.isfinite(value), value, 0.0)


def is_lookup(x: Tensor) -> bool:
    """Return whether the input of an embedding layer is ids, not vectors (a tied output layer)."""
    return "int" in keras.backend.standardize_dtype(x.dtype)
