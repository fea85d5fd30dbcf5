"""Serialization of the package's objects in `.keras` files, under the name `bert4keras`.

`import bert4keras` registers layers, masks, positions and functions, so that Keras finds them by
their names. A loss that reads the weights of a head (`crf.loss`) is stored as the head and the name
of the method, see `BoundMethod`.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import threading
import weakref
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import keras

from ._compat import inner_layers, object_loaded_as, remember_loaded

_Registered = TypeVar("_Registered", bound=Callable)

PACKAGE = "bert4keras"
QUANTIZED, _STORES = "quantized", "_stores_quantization"


def serializable(value: _Registered) -> _Registered:
    """Register a class or function with Keras; a layer stores the quantization of inner layers too.

    Keras stores the quantization of a layer itself. Inner layers (the projections of an attention
    layer) are created by `build` on loading, so theirs goes into the build config of the outer one.
    """
    is_layer = isinstance(value, type) and issubclass(value, keras.layers.Layer)
    if is_layer and not issubclass(value, keras.Model) and not hasattr(value, _STORES):
        _store_quantization(value)
    return keras.saving.register_keras_serializable(PACKAGE)(value)


def _store_quantization(layer_class: type) -> None:
    get, build = layer_class.get_build_config, layer_class.build_from_config

    def get_build_config(self: Any) -> dict[str, Any] | None:
        config = get(self)
        return config and {**config, **quantization_config(self)}

    def build_from_config(self: Any, config: Mapping[str, Any]) -> None:
        config = dict(config)
        quantized = config.pop(QUANTIZED, {})
        build(self, config)
        quantize_as(self, quantized)

    layer_class.get_build_config = get_build_config
    layer_class.build_from_config = build_from_config
    setattr(layer_class, _STORES, True)


def quantization_config(layer: keras.layers.Layer) -> dict[str, Any]:
    """Return a config entry with the dtype policy of each quantized inner layer.

    Raises:
        ValueError: a quantization (gptq, awq) that cannot be repeated without its data.
    """
    quantized = {}
    for i, inner in enumerate(inner_layers(layer)):
        mode = getattr(inner.dtype_policy, "quantization_mode", None)
        if mode in ("gptq", "awq"):
            raise ValueError(
                f"`{inner.path}` is quantized by {mode}, which a `.keras` file cannot hold. Save "
                "only the weights: bert4keras.save_weights(model, path). To load them, build the "
                "model again, quantize it in the same way, and call model.load_weights(path)."
            )
        if mode is not None:
            quantized[str(i)] = keras.saving.serialize_keras_object(inner.dtype_policy)
    return {QUANTIZED: quantized} if quantized else {}


def quantize_as(layer: keras.layers.Layer, quantized: Mapping[str, Any]) -> None:
    """Set the dtype policies of the inner layers, from an entry of `quantization_config`."""
    inner = inner_layers(layer) if quantized else []
    for i, policy in quantized.items():
        inner[int(i)].dtype_policy = keras.saving.deserialize_keras_object(policy)


@dataclasses.dataclass(frozen=True)
class Configurable:
    """A serialisable value that a layer or builder takes and that decides one aspect of the model.

    Subclasses are frozen dataclasses; a field may itself be a `Configurable`.
    """

    def get_config(self) -> dict[str, Any]:
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        lost = inspect.signature(type(self)).parameters.keys() - values.keys()
        if lost and type(self).get_config is Configurable.get_config:
            raise TypeError(
                f"{type(self).__name__} cannot be saved: {', '.join(sorted(lost))} is no field. "
                "Make it a frozen dataclass (@dataclasses.dataclass(frozen=True))."
            )
        return {
            key: keras.saving.serialize_keras_object(value)
            if isinstance(value, Configurable)
            else value
            for key, value in values.items()
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Configurable:
        return cls(**{key: revive(value) for key, value in config.items()})


def revive(value: object) -> Any:
    """Return the `Configurable` of a serialised one, and any other value unchanged."""
    if isinstance(value, Mapping) and "class_name" in value:
        return keras.saving.deserialize_keras_object(dict(value))
    return value


def function_of(owner: str) -> Callable[[Callable], Callable]:
    """Register a static method of a class as `owner.name`, so that a file can refer to it.

    Args:
        owner: name of the class.

    Example:
        >>> class Head(keras.layers.Layer):
        ...     @staticmethod
        ...     @function_of("Head")
        ...     def loss(y_true, scores): ...
    """

    def register(function: Callable) -> Callable:
        name = f"{owner}.{function.__name__}"
        return keras.saving.register_keras_serializable(PACKAGE, name)(function)

    return register


class storable_method:
    """Decorator of a layer's method: a model compiled with it as a loss can be saved."""

    def __init__(self, function: Callable):
        self.function = function
        self.__doc__ = function.__doc__

    def __get__(self, layer: keras.layers.Layer, owner: type | None = None) -> Any:
        return self.function if layer is None else BoundMethod(layer, self.function)


@serializable
class BoundMethod:
    """A bound method of a layer that Keras can serialise.

    Args:
        layer: the layer, a `HasStorableMethods`.
        function: function of the layer's class, decorated with `storable_method`.
    """

    def __init__(self, layer: keras.layers.Layer, function: Callable):
        self.layer, self.function = layer, function
        functools.update_wrapper(self, function.__get__(layer))  # name, docstring and signature

    @property
    def __self__(self) -> Any:
        """The layer, as for every bound method."""
        return self.layer

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(self.layer, *args, **kwargs)

    def __repr__(self) -> str:
        return f"<{self.__qualname__} of {self.layer!r}>"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, BoundMethod):
            return NotImplemented
        return self.layer is other.layer and self.function is other.function

    def __hash__(self) -> int:
        return hash((id(self.layer), self.function))

    def get_config(self) -> dict[str, Any]:
        return {
            "layer": self.layer.name,
            "kind": type(self.layer).__name__,
            "method": self.__name__,
            "identity": id(self.layer),
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> BoundMethod | LateMethod:
        layer = object_loaded_as(config["identity"])
        if layer is None:
            return LateMethod(config["layer"], config["kind"], config["method"])
        return method_of(layer, config["method"])


@serializable
class LateMethod:
    """A method of a layer that is looked up when it is first called.

    `keras.models.clone_model` and `compile_from_config` deserialise a loss without the model it
    belongs to. When the loss is computed the layers of the model have just run, so the layer that
    was called last under this name is the right one.

    Args:
        layer, kind: name and class name of the layer.
        method: name of the method.
    """

    def __init__(self, layer: str, kind: str, method: str):
        self.key, self.__name__ = (layer, kind), method
        self.bound: BoundMethod | None = None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self.bound is None:
            layer = _called.__dict__.get(self.key, lambda: None)()
            if layer is None:
                name, kind = self.key
                raise ValueError(
                    f"no layer {name!r}, a {kind}, was called before its `{self.__name__}`. "
                    f"Compile again: model.compile(loss=model.get_layer({name!r}).{self.__name__})."
                )
            self.bound = method_of(layer, self.__name__)
        return self.bound(*args, **kwargs)

    def get_config(self) -> dict[str, Any]:
        if self.bound is not None:
            return self.bound.get_config()
        return dict(zip(("layer", "kind"), self.key, strict=True), method=self.__name__)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> BoundMethod | LateMethod:
        return BoundMethod.from_config({"identity": None, **config})


def method_of(layer: keras.layers.Layer, name: str) -> BoundMethod:
    """Return the method that a file names; it must be a `storable_method`."""
    if not isinstance(inspect.getattr_static(type(layer), name, None), storable_method):
        raise ValueError(f"{type(layer).__name__} has no storable method {name!r}.")
    return getattr(layer, name)


_called = threading.local()  # (name, class name) -> weak reference to the layer called last


class HasStorableMethods:
    """Mixin of layers that have `storable_method`s.

    In a `.keras` file the layers of a model come before its loss. Each of these layers is stored
    with its `id`, which is unique in the file, and the loss with the `id` of its layer. While the
    file is read, Keras keeps objects by these ids, so the loss gets the layer of the same model.
    """

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        _called.__dict__[self.name, type(self).__name__] = weakref.ref(self)
        return super().__call__(*args, **kwargs)

    def get_build_config(self) -> dict[str, Any] | None:
        config = super().get_build_config()
        return config and {**config, "identity": id(self)}

    def build_from_config(self, config: Mapping[str, Any]) -> None:
        config = dict(config)
        remember_loaded(self, config.pop("identity", None))
        super().build_from_config(config)
