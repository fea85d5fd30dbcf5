"""Training on many devices and hosts: `keras.distribution` for the models of this package.

JAX only. The page docs/distributed.md shows how to start processes, and what TensorFlow and torch
have in its place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import keras

from ._compat import distribution_works, process_place

_WAYS_OUT = {
    "tensorflow": "tf.distribute.MirroredStrategy",
    "torch": "torch's DistributedDataParallel",
}


def data_parallel(devices: Sequence[str] | None = None) -> keras.distribution.DataParallel:
    """Return a distribution that copies the model to all devices and splits each batch.

    Set it before the model is built: `keras.distribution.set_distribution(data_parallel())`. Losses
    and gradients are those of the whole batch, also where devices have different numbers of real
    tokens. With several processes, see `data_shard`.

    Args:
        devices: names as of `keras.distribution.list_devices()`; None: all, of all processes.

    Raises:
        ValueError: on TensorFlow or torch, where it would do nothing.
    """
    check_distribution(needed=True)
    return keras.distribution.DataParallel(
        devices=list(devices or keras.distribution.list_devices()), auto_shard_dataset=False
    )


class _ModelParallel(keras.distribution.ModelParallel):
    """`keras.distribution.ModelParallel` that also takes weights which the axis does not divide.

    JAX raises an error where a size is not a multiple of the number of devices, such as for 3
    classes on 2 devices. Here each device then gets a copy of the whole weight.
    """

    def get_variable_layout(self, variable: keras.Variable) -> keras.distribution.TensorLayout:
        """Return the layout of a weight: as the map says, or copies."""
        found = super().get_variable_layout(variable)
        mesh = self.device_mesh
        sizes = dict(zip(mesh.axis_names, mesh.shape, strict=True))
        fits = len(found.axes) == len(variable.shape) and all(
            axis is None or size % sizes[axis] == 0
            for axis, size in zip(found.axes, variable.shape, strict=True)
        )
        if fits:
            return found
        return keras.distribution.TensorLayout([None] * len(variable.shape), mesh)


def model_parallel(
    model_devices: int,
    devices: Sequence[str] | None = None,
    layouts: Mapping[str, tuple[str | None, ...]] | None = None,
) -> keras.distribution.ModelParallel:
    """Return a distribution that splits the large weights over groups of devices.

    The devices form a grid of (number of devices / `model_devices`) copies of the model; a batch is
    split over the copies. What is split is told by `layout_map`; a weight whose size is not a
    multiple of `model_devices`, where JAX would raise an error, is copied. Set the distribution
    before the model is built.

    Args:
        model_devices: devices that share the weights of one copy.
        devices: as in `data_parallel`.
        layouts: further weights to split, `{"Scores/kernel": (None, "model")}`: a regular
            expression that matches the whole path, and for each axis None or "model".

    Raises:
        ValueError: the number of devices is not a multiple; TensorFlow or torch.
    """
    check_distribution(needed=True)
    devices = list(devices or keras.distribution.list_devices())
    if model_devices < 1 or len(devices) % model_devices:
        raise ValueError(
            f"model_devices={model_devices} must divide the number of devices, {len(devices)}."
        )
    mesh = keras.distribution.DeviceMesh(
        (len(devices) // model_devices, model_devices), ("batch", "model"), devices
    )
    layout = layout_map(mesh)
    for pattern, axes in (layouts or {}).items():
        layout[pattern] = axes
    return _ModelParallel(layout_map=layout, auto_shard_dataset=False)


# Weights that are split, as two regular expressions: all but the last part, and the last. Of two
# matrices in a row the first is split by its outputs and the second by its inputs, so that nothing
# has to be exchanged between them.
_BY_OUTPUTS = (
    r".*Attention/(query|key|value|position_query|position_key)",
    r".*FeedForward/(inner|gate)",
    r".*GatedAttentionUnit/inner",
)
_BY_INPUTS = (r".*(Attention|FeedForward|GatedAttentionUnit)/output",)
_BY_ROWS = (r".*Embedding-Token", r".*Output-LM")  # a part of the vocabulary each


def layout_map(
    mesh: keras.distribution.DeviceMesh, axis: str = "model"
) -> keras.distribution.LayoutMap:
    """Return the layouts of the weights of all models of this package.

    Attention and feed-forward layers are split by heads and units, the matrix of the vocabulary by
    tokens; norms, positions and task heads are copied.

    Args:
        mesh: grid of devices.
        axis: name of the axis of the mesh whose devices share the weights.

    Returns:
        The map. `model_parallel` uses it; `keras.distribution.ModelParallel` takes it too, if all
        sizes are multiples of the size of the axis.

    Raises:
        ValueError: the mesh has no such axis.

    Source: Shoeybi et al., Megatron-LM, 2019 (arXiv:1909.08053).
    """
    if axis not in mesh.axis_names:
        raise ValueError(f"axis={axis!r} must be one of the mesh, {list(mesh.axis_names)}.")
    found = keras.distribution.LayoutMap(mesh)
    for layer in _BY_OUTPUTS:
        found[f"{layer}/kernel"] = (None, axis)
        found[f"{layer}/bias"] = (axis,)
    for layer in _BY_INPUTS:
        found[f"{layer}/kernel"] = (axis, None)
    for layer in _BY_ROWS:
        found[f"{layer}/embeddings"] = (axis, None)
    return found


def data_shard() -> tuple[int, int]:
    """Return (rank, size), the part of each batch for this process: `DataGenerator(shard=...)`.

    It depends on the distribution in effect. Processes that share the weights of one copy of the
    model get the same rows. Without a distribution, it is the place of the process among all of
    JAX; (0, 1) on other backends.
    """
    rank, size = process_place()
    distribution = keras.distribution.distribution()
    if distribution is None or size <= num_replicas():
        return rank, size
    return distribution.data_shard_id, num_replicas()


def num_replicas() -> int:
    """Return the number of copies of the model in the distribution in effect; 1 without one."""
    distribution = keras.distribution.distribution()
    if distribution is None:
        return 1
    mesh = distribution.device_mesh
    if distribution.batch_dim_name not in mesh.axis_names:
        return 1
    return mesh.shape[list(mesh.axis_names).index(distribution.batch_dim_name)]


def check_distribution(needed: bool = False) -> None:
    """Raise ValueError if a distribution is set, or needed, where Keras ignores it.

    Args:
        needed: check also if none is set.
    """
    if distribution_works() or not (needed or keras.distribution.distribution() is not None):
        return
    backend = keras.backend.backend()
    other = _WAYS_OUT.get(backend)
    other = f", or {other}, see docs/distributed.md" if other else ""
    raise ValueError(
        f"keras.distribution does nothing on {backend}: the model would be trained on one device. "
        f"Use JAX (KERAS_BACKEND=jax){other}."
    )
