"""Any Keras optimizer, extended by a list of techniques."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from .._compat import assign_if, calls_of_apply, layout, track_variable, variable_index
from .._serialization import revive, serializable
from .averages import EMA
from .checks import as_extension, check_extensions, check_inner
from .extension import Extension, GradientTransform, WeightUpdate
from .updates import Accumulate

STATE = "bert4keras"  # what of a saved state says whose it is


@serializable
class ExtendedOptimizer(keras.optimizers.Optimizer):
    """An optimizer that does what another does, and what a list of extensions adds.

    An update goes through them in an order that only the gradient transforms among them choose:

    1. `Accumulate` waits for the mean of some gradients; what follows happens once per update.
    2. `Clip`, `Normalize`, `Noise`, `FunctionTransform` and bare functions `(path, gradient)`, in
       the order of the list.
    3. `WeightDecay`, then the inner optimizer, with its own clipping.
    4. `LayerAdaptation`, `LearningRateMultipliers` and `LazyEmbeddings` scale or undo the step;
       `Lookahead` syncs.
    5. `EMA` averages the weights that result.

    Under mixed float16 Keras puts its `LossScaleOptimizer` around it; a micro-batch whose
    gradient overflows then counts as never seen.

    Args:
        inner_optimizer: a Keras optimizer, its name, or another `ExtendedOptimizer`, whose
            extensions are then taken over.
        extensions: which to add; of each class one, but any number of different transforms.
        name: of the optimizer.

    Raises:
        TypeError: something that is no optimizer or no extension.
        ValueError: an extension twice; an inner optimizer that accumulates, averages, scales the
            loss or decays weights by itself where an extension does; patterns, when the optimizer
            is built, that do not fit the variables; a saved state of another optimizer.

    Attributes:
        inner_optimizer, extensions: as given, extensions in their order.
        paths, model_variables: of the variables, once built.

    Example:
        >>> optimizer = ExtendedOptimizer(
        ...     keras.optimizers.Adam(warm_up(2e-5, 100, 1000)),
        ...     [Accumulate(4), Clip(1.0), WeightDecay(0.01), Lookahead(), EMA(0.999)],
        ... )
        >>> model.compile(optimizer, loss)
    """

    def __init__(
        self,
        inner_optimizer: keras.optimizers.Optimizer | str,
        extensions: Sequence[Any] = (),
        name: str | None = None,
    ):
        inner = keras.optimizers.get(inner_optimizer)
        extensions = [as_extension(extension) for extension in extensions]
        if isinstance(inner, ExtendedOptimizer):
            extensions = [*inner.extensions, *extensions]
            inner = inner.inner_optimizer
        check_extensions(extensions)
        check_inner(inner, extensions)
        # The rate is a function so that Keras makes no variable of it.
        super().__init__(learning_rate=lambda: inner.learning_rate, name=name)
        self.inner_optimizer = inner
        self.extensions = tuple(sorted(extensions, key=lambda extension: extension.stage))
        counts = [e.steps for e in extensions if isinstance(e, Accumulate)]
        self._accumulation_steps = counts[0] if counts else 1

    def build(self, variables: Sequence[Any]) -> None:
        """Check the patterns against the variables' paths and create all state."""
        if self.built:
            return
        super().build(variables)
        if not self.inner_optimizer.built:
            self.inner_optimizer.build(variables)
        # Held by an object that neither Keras nor TensorFlow looks into for what to track.
        self._state = _State(list(variables))
        self._state.states = [extension.build(self) for extension in self.extensions]

    def variables_like(self, name: str) -> dict[int, Any]:
        """New state, one variable for each of the model's, zeros, in float32 at least."""
        made = {}
        for index, variable in enumerate(self.model_variables):
            if not overwritten(variable):
                dtype = keras.backend.standardize_dtype(variable.dtype)
                made[index] = self.add_variable(
                    shape=variable.shape,
                    dtype="float32" if dtype in ("float16", "bfloat16") else dtype,
                    layout=layout(variable),
                    name=f"{slot_name(self.paths[index])}{name}",
                )
        return made

    def track(self, variable: Any) -> None:
        """Make a variable, such as a random state, part of the optimizer's."""
        track_variable(self, variable)

    def inner_slots(self) -> dict[int | None, list[Any]]:
        """The inner optimizer's variables, such as moments, of each of the model's, by name.

        Under None those that are of no one variable: counters, or what its name does not say.
        """
        slots: dict[int | None, list[Any]] = {}
        prefixes = {index: slot_name(path) for index, path in enumerate(self.paths)}
        for slot in self.inner_optimizer.variables:
            owners = [i for i, prefix in prefixes.items() if slot.name.startswith(prefix)]
            owner = max(owners, key=lambda i: len(prefixes[i]), default=None)
            slots.setdefault(owner, []).append(slot)
        return slots

    @property
    def paths(self) -> list[str]:
        return self._state.paths

    @property
    def model_variables(self) -> list[Any]:
        return self._state.variables

    @property
    def variables(self) -> list[Any]:
        return [*super().variables, *self.inner_optimizer.variables]

    @property
    def iterations(self) -> Any:
        """Updates of the weights, as schedules count them."""
        return self.inner_optimizer.iterations

    @property
    def updates(self) -> Any:
        """Updates before the present one that were made with these extensions."""
        return ops.floor_divide(calls_of_apply(self), self._accumulation_steps)

    @property
    def learning_rate(self) -> Any:
        return self.inner_optimizer.learning_rate

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        self.inner_optimizer.learning_rate = value

    def apply(self, grads: Sequence[Any], trainable_variables: Sequence[Any] | None = None) -> None:
        """Take the gradients of one batch; update the weights if it is time to."""
        grads = list(grads)
        if not grads:
            return
        if not self.built:
            if trainable_variables is None:
                raise ValueError("ExtendedOptimizer: build(variables) first, or pass the variables")
            self.build(list(trainable_variables))
        gradients = self._by_index(grads, trainable_variables)
        if self._accumulation_steps == 1:
            self._update(gradients)
        else:
            self._accumulate(gradients)
        calls_of_apply(self).assign_add(1)

    def _by_index(
        self, grads: Sequence[Any], trainable_variables: Sequence[Any] | None
    ) -> dict[int, Any]:
        if trainable_variables is None:
            indices: Sequence[int] = range(len(self.model_variables))
        else:
            try:
                indices = [variable_index(self, v) for v in trainable_variables]
            except KeyError:
                raise ValueError(
                    "ExtendedOptimizer: it was built for other variables; make and compile a new "
                    "optimizer when trainable variables change"
                ) from None
        if len(grads) != len(indices):
            raise ValueError(
                f"ExtendedOptimizer: {len(grads)} gradients for {len(indices)} variables"
            )
        return dict(zip(indices, grads, strict=True))

    def _accumulate(self, gradients: dict[int, Any]) -> None:
        (sums,) = (s for e, s in self._extended() if isinstance(e, Accumulate))
        for index, total in sums.items():
            if gradients.get(index) is not None:
                gradients[index] = as_dense(gradients[index])
                total.assign_add(gradients[index])

        def update() -> None:
            means = dict(gradients)
            for index, gradient in gradients.items():
                if gradient is not None and index in sums:
                    mean = sums[index] / self._accumulation_steps
                    means[index] = ops.cast(mean, gradient.dtype)
            self._update(means)
            for total in sums.values():
                total.assign(ops.zeros(total.shape, total.dtype))

        full = calls_of_apply(self) % self._accumulation_steps == self._accumulation_steps - 1
        assign_if(full, update, [*self.model_variables, *self.variables])

    def _update(self, gradients: dict[int, Any]) -> None:
        """One update of the weights, by the inner optimizer within the extensions."""
        extended = self._extended()
        usable = [
            i
            for i, gradient in gradients.items()
            if gradient is not None and not overwritten(self.model_variables[i])
        ]
        if any(extension.reads_gradients for extension in self.extensions):
            gradients = gradients | {index: as_dense(gradients[index]) for index in usable}
        update = WeightUpdate(self, {index: gradients[index] for index in usable})
        for extension, state in extended:
            if isinstance(extension, GradientTransform):
                for index in filter(lambda i: extension.concerns(state, i), usable):
                    gradients[index] = extension.transform(
                        state, update, self.paths[index], gradients[index]
                    )
        for extension, state in reversed(extended):
            extension.begin(state, update)
        variables = [self.model_variables[index] for index in gradients]
        self.inner_optimizer.apply(list(gradients.values()), variables)
        for extension, state in extended:
            extension.end(state, update)

    def _extended(self) -> list[tuple[Extension, Any]]:
        return list(zip(self.extensions, self._state.states, strict=True))

    def average_values(self) -> dict[int, np.ndarray]:
        """The averages of `EMA` by the variable's index.

        Raises:
            ValueError: there is no `EMA`, or was no update yet.
        """
        found = [(e, s) for e, s in self._extended() if isinstance(e, EMA)] if self.built else []
        if not any(isinstance(extension, EMA) for extension in self.extensions):
            raise ValueError(
                "ExtendedOptimizer: no weights are averaged; give it EMA() as an extension"
            )
        updates = int(ops.convert_to_numpy(self.updates)) if found else 0
        if not updates:
            raise ValueError("ExtendedOptimizer: there are no averages before the first update")
        ((ema, averages),) = found
        return {i: ops.convert_to_numpy(a) * ema.scale(updates) for i, a in averages.items()}

    def finalize_variable_values(self, var_list: Sequence[Any]) -> None:
        self.inner_optimizer.finalize_variable_values(var_list)

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Set all variables, in the order of `variables`."""
        if len(weights) != len(self.variables):
            raise ValueError(
                f"ExtendedOptimizer: {len(weights)} arrays for {len(self.variables)} variables"
            )
        for variable, weight in zip(self.variables, weights, strict=True):
            variable.assign(weight)

    def save_own_variables(self, store: Any) -> None:
        """Own state, and whose it is; Keras visits the inner optimizer by itself."""
        for i, variable in enumerate(super().variables):
            store[str(i)] = ops.convert_to_numpy(variable)
        store[STATE] = np.frombuffer(json.dumps(self._description()).encode(), "uint8")

    def load_own_variables(self, store: Any) -> None:
        """Raises a ValueError for the state of another optimizer, which Keras skips."""
        own = super().variables
        if not self.built or not list(store.keys()):
            super().load_own_variables(store)  # which warns that there is nothing to load
            return
        here, saved = self._description(), None
        if STATE in store.keys():  # noqa: SIM118 - a store of Keras is no mapping
            saved = json.loads(np.asarray(store[STATE]).tobytes().decode())
        if saved != here:
            other = "another class" if saved is None else saved["optimizer"]
            also = (
                ""
                if saved is None or saved["optimizer"] != here["optimizer"]
                else (", of other variables")
            )
            raise ValueError(
                f"the saved optimizer is {other}{also}, this one {here['optimizer']}: its state "
                "cannot be resumed. Compile with the same optimizer and extensions; to load the "
                "weights alone, do so before compile()"
            )
        for i, variable in enumerate(own):
            variable.assign(store[str(i)])

    def _description(self) -> dict[str, Any]:
        names = [str(e) if isinstance(e, Accumulate) else type(e).__name__ for e in self.extensions]
        return {
            "optimizer": f"{type(self.inner_optimizer).__name__} with [{', '.join(names)}]",
            "shapes": [list(variable.shape) for variable in self.variables],
        }

    def get_config(self) -> dict[str, Any]:
        serialize = keras.saving.serialize_keras_object
        return {
            "name": self.name,
            "inner_optimizer": serialize(self.inner_optimizer),
            "extensions": [serialize(extension) for extension in self.extensions],
        }

    @classmethod
    def from_config(
        cls, config: Mapping[str, Any], custom_objects: Any = None
    ) -> ExtendedOptimizer:
        with keras.saving.custom_object_scope(custom_objects or {}):
            return cls(
                keras.saving.deserialize_keras_object(config["inner_optimizer"]),
                [revive(extension) for extension in config["extensions"]],
                config["name"],
            )


class _State:
    """Variables of the model and the extensions' states."""

    def __init__(self, variables: list[Any]):
        self.variables = variables
        self.paths = [variable.path for variable in variables]
        self.states: list[Any] = []
        self.swapped = False  # whether averages are in the place of the weights


def slot_name(path: str) -> str:
    """How the names of Keras' slots of a variable begin."""
    return path.replace("/", "_") + "_"


def overwritten(variable: Any) -> bool:
    """Whether a variable's "gradient" is its new value (Keras' float8 scales)."""
    return getattr(variable, "overwrite_with_gradient", False)


def as_dense(gradient: Any) -> Any:
    """A gradient as a tensor; TensorFlow's of an embedding is a list of rows."""
    return ops.convert_to_tensor(gradient)
