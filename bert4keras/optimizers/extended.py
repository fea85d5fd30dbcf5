"""An optimizer around another one, with a list of extensions.

Keras' `apply(gradients)` is called once per batch. For an inner optimizer A and extensions
e_1 ... e_n in the order of their stages, one update of the weights is

    g = transforms(gradients)
    e_n.begin, ..., e_1.begin        weights before the update
    A.apply(g)
    e_1.end, ..., e_n.end            weights after the update

`begin` keeps what `end` needs, such as a copy of the old weights; so an extension does not have to
know the formula of A, and can be combined with any optimizer. With `Accumulate(k)` this happens in
every k-th call only, with the mean of k gradients.

Two counters differ then: the calls of `apply` (Keras' private counter), from which accumulation and
the extensions count, and the `iterations` of A, which are the updates that schedules count.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from .._compat import assign_if, calls_of_apply, layout, track_variable, variable_index
from .._serialization import revive, serializable
from .._types import Tensor
from .averages import EMA
from .checks import as_extension, check_extensions, check_inner, check_replicas
from .extension import Extension, GradientTransform, WeightUpdate
from .schedules import LearningRate
from .updates import Accumulate

_DESCRIPTION = "bert4keras"  # key of a saved state under which its optimizer is described


@serializable
class ExtendedOptimizer(keras.optimizers.Optimizer):
    """Wrap a Keras optimizer and apply a list of extensions around each of its updates.

    The order is fixed, except that gradient transforms run in the order of the list:

    1. `Accumulate` collects the mean of several gradients; the rest happens once per update.
    2. `Clip`, `Normalize`, `Noise`, `FunctionTransform` and bare functions `(path, gradient)`, in
       the order of the list.
    3. `WeightDecay`, then the inner optimizer, with its own clipping.
    4. `LayerAdaptation`, `LearningRateMultipliers` and `LazyEmbeddings` scale or undo the step;
       `Lookahead` syncs.
    5. `EMA` averages the resulting weights.

    Under mixed float16 Keras wraps it in its `LossScaleOptimizer`; a micro-batch whose gradient
    overflows is then skipped entirely.

    Args:
        inner_optimizer: a Keras optimizer, its name, or another `ExtendedOptimizer`, whose
            extensions are added to these.
        extensions: extensions to add: one of each class, but any number of different transforms.
        name: name of the optimizer.

    Raises:
        TypeError: not an optimizer, or not an extension.
        ValueError: the same extension twice; an inner optimizer that itself accumulates, averages,
            scales the loss or decays weights; when the optimizer is built, patterns that do not
            match its variables; when a state is loaded, one of another optimizer.

    Attributes:
        inner_optimizer, extensions: the arguments; extensions in the order of their stages.
        paths, model_variables: paths of the variables, and the variables, once built.

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
        extensions: Sequence[Extension | Callable[[str, Tensor], Tensor]] = (),
        name: str | None = None,
    ):
        inner = keras.optimizers.get(inner_optimizer)
        extensions = [as_extension(extension) for extension in extensions]
        if isinstance(inner, ExtendedOptimizer):
            extensions = [*inner.extensions, *extensions]
            inner = inner.inner_optimizer
        check_extensions(extensions)
        check_inner(inner, extensions)
        check_replicas(extensions)
        # As a function, because Keras would make another variable from a number.
        super().__init__(learning_rate=lambda: inner.learning_rate, name=name)
        self.inner_optimizer = inner
        self.extensions = tuple(sorted(extensions, key=lambda extension: extension.stage))
        counts = [e.steps for e in extensions if isinstance(e, Accumulate)]
        self._accumulation_steps = counts[0] if counts else 1

    def build(self, variables: Sequence[keras.Variable]) -> None:
        """Match the patterns with the paths of the variables and create all state."""
        if self.built:
            return
        super().build(variables)
        if not self.inner_optimizer.built:
            self.inner_optimizer.build(variables)
        # In an object whose attributes neither Keras nor TensorFlow tracks.
        self._state = _State(list(variables))
        self._state.states = [extension.build(self) for extension in self.extensions]

    def variables_like(self, name: str) -> dict[int, keras.Variable]:
        """Create a state variable for each variable of the model: zeros, in float32 or wider."""
        made = {}
        for index, variable in enumerate(self.model_variables):
            if not _overwritten(variable):
                dtype = keras.backend.standardize_dtype(variable.dtype)
                made[index] = self.add_variable(
                    shape=variable.shape,
                    dtype="float32" if dtype in ("float16", "bfloat16") else dtype,
                    layout=layout(variable),
                    name=f"{_slot_name(self.paths[index])}{name}",
                )
        return made

    def track(self, variable: keras.Variable) -> None:
        """Make a variable, such as a random state, part of the optimizer's state."""
        track_variable(self, variable)

    def inner_slots(self) -> dict[int | None, list[keras.Variable]]:
        """Return the inner optimizer's variables, such as moments, by index of their variable.

        The owner is recognised by its path in the name. Variables without an owner, such as
        counters, are under None.
        """
        slots: dict[int | None, list[keras.Variable]] = {}
        prefixes = {index: _slot_name(path) for index, path in enumerate(self.paths)}
        for slot in self.inner_optimizer.variables:
            owners = [i for i, prefix in prefixes.items() if slot.name.startswith(prefix)]
            owner = max(owners, key=lambda i: len(prefixes[i]), default=None)
            slots.setdefault(owner, []).append(slot)
        return slots

    @property
    def paths(self) -> list[str]:
        """Paths of the model's trainable variables."""
        return self._state.paths

    @property
    def model_variables(self) -> list[keras.Variable]:
        """The model's trainable variables."""
        return self._state.variables

    @property
    def variables(self) -> list[keras.Variable]:
        """All state: its own, the extensions' and the inner optimizer's."""
        return [*super().variables, *self.inner_optimizer.variables]

    @property
    def iterations(self) -> keras.Variable:
        """Number of updates of the weights, which schedules count."""
        return self.inner_optimizer.iterations

    @property
    def updates(self) -> Tensor:
        """Number of updates with these extensions before the current one."""
        return ops.floor_divide(calls_of_apply(self), self._accumulation_steps)

    @property
    def learning_rate(self) -> Tensor:
        """Learning rate of the inner optimizer."""
        return self.inner_optimizer.learning_rate

    @learning_rate.setter
    def learning_rate(self, value: LearningRate | Tensor) -> None:
        self.inner_optimizer.learning_rate = value

    def apply(
        self,
        grads: Sequence[Tensor | None],
        trainable_variables: Sequence[keras.Variable] | None = None,
    ) -> None:
        """Take the gradients of one batch; update the weights, or accumulate."""
        grads = list(grads)
        if not grads:
            return
        if not self.built:
            if trainable_variables is None:
                raise ValueError(
                    "ExtendedOptimizer: it is not built; call build(variables) or pass variables"
                )
            self.build(list(trainable_variables))
        gradients = self._by_index(grads, trainable_variables)
        if self._accumulation_steps == 1:
            self._update(gradients)
        else:
            self._accumulate(gradients)
        calls_of_apply(self).assign_add(1)

    def _by_index(
        self, grads: Sequence[Tensor | None], trainable_variables: Sequence[keras.Variable] | None
    ) -> dict[int, Tensor | None]:
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

    def _accumulate(self, gradients: dict[int, Tensor | None]) -> None:
        (sums,) = (s for e, s in self._extended() if isinstance(e, Accumulate))
        for index, total in sums.items():
            if gradients.get(index) is not None:
                gradients[index] = _as_dense(gradients[index])
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

    def _update(self, gradients: dict[int, Tensor | None]) -> None:
        """Update the weights once, by the inner optimizer within its extensions.

        Args:
            gradients: by index of the variable; None for a variable without gradient.
        """
        extended = self._extended()
        usable = [
            i
            for i, gradient in gradients.items()
            if gradient is not None and not _overwritten(self.model_variables[i])
        ]
        if any(extension.reads_gradients for extension in self.extensions):
            gradients = gradients | {index: _as_dense(gradients[index]) for index in usable}
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

    def average_values(self, bias_correction: bool = True) -> dict[int, np.ndarray]:
        """Return the averages of `EMA` by index of the variable.

        Args:
            bias_correction: False: without the correction of `EMA`.

        Raises:
            ValueError: there is no `EMA`, or there was no update yet.
        """
        found = [(e, s) for e, s in self._extended() if isinstance(e, EMA)] if self.built else []
        if not any(isinstance(extension, EMA) for extension in self.extensions):
            raise ValueError(
                "ExtendedOptimizer: no weights are averaged; add EMA() to its extensions"
            )
        updates = int(ops.convert_to_numpy(self.updates)) if found else 0
        if not updates:
            raise ValueError("ExtendedOptimizer: there are no averages before the first update")
        ((ema, averages),) = found
        scale = ema.scale(updates) if bias_correction else 1.0
        return {i: ops.convert_to_numpy(a) * scale for i, a in averages.items()}

    def finalize_variable_values(self, var_list: Sequence[keras.Variable]) -> None:
        self.inner_optimizer.finalize_variable_values(var_list)

    def set_weights(self, weights: Sequence[np.ndarray]) -> None:
        """Assign all variables, in the order of `variables`."""
        if len(weights) != len(self.variables):
            raise ValueError(
                f"ExtendedOptimizer: {len(weights)} arrays for {len(self.variables)} variables"
            )
        for variable, weight in zip(self.variables, weights, strict=True):
            variable.assign(weight)

    def save_own_variables(self, store: Any) -> None:
        """Save its own state and a description; Keras saves the inner optimizer separately."""
        for i, variable in enumerate(super().variables):
            store[str(i)] = ops.convert_to_numpy(variable)
        store[_DESCRIPTION] = np.frombuffer(json.dumps(self._description()).encode(), "uint8")

    def load_own_variables(self, store: Any) -> None:
        """Load its own state; raise a ValueError for that of another optimizer.

        Keras would skip such a state with a warning.
        """
        own = super().variables
        if not self.built or not list(store.keys()):
            super().load_own_variables(store)  # which warns that there is nothing to load
            return
        here, saved = self._description(), None
        if _DESCRIPTION in store.keys():  # noqa: SIM118 - a store of Keras is not a mapping
            saved = json.loads(np.asarray(store[_DESCRIPTION]).tobytes().decode())
        if saved != here:
            other = "another class" if saved is None else saved["optimizer"]
            also = (
                ""
                if saved is None or saved["optimizer"] != here["optimizer"]
                else (", of other variables")
            )
            raise ValueError(
                f"the saved optimizer is {other}{also}, this one {here['optimizer']}: its state "
                "cannot be resumed. Compile with the same optimizer and extensions; to load only "
                "the weights, do so before compile()"
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
    """Variables of the model, and states of the extensions in their order."""

    def __init__(self, variables: list[keras.Variable]):
        self.variables = variables
        self.paths = [variable.path for variable in variables]
        self.states: list[Any] = []
        self.swapped = False  # True while averages are in place of the weights


def _slot_name(path: str) -> str:
    """Return the beginning of the names of the state variables that Keras makes for a variable."""
    return path.replace("/", "_") + "_"


def _overwritten(variable: keras.Variable) -> bool:
    """Return whether a variable's "gradient" is its new value (Keras' float8 scales)."""
    return getattr(variable, "overwrite_with_gradient", False)


def _as_dense(gradient: Tensor) -> Tensor:
    """Return a gradient as a dense tensor; for an embedding TensorFlow makes a list of rows."""
    return ops.convert_to_tensor(gradient)
