"""BERT-flow: sentence vectors mapped to a Gaussian by a normalizing flow.

The vectors of a pretrained encoder lie in a narrow cone, where any two texts have a high cosine. A
flow z = f(x) trained on vectors without labels maps them to N(0, I), which has no preferred
direction. `Whitening` is the linear case: it matches mean and covariance only.

Source: Li et al., On the sentence embeddings from pre-trained language models, 2020
    (arXiv:2011.05864).
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from ..._serialization import revive, serializable
from ..._types import Shape, Tensor
from ...latent import Flow, Glow, InvertibleResNet, RealNVP
from ...layers.masking import EndsMask
from .arrays import matrix

FLOWS: dict[str, type[Flow]] = {"realnvp": RealNVP, "glow": Glow, "iresnet": InvertibleResNet}
"""Name -> class of the flow that `fit_flow` trains."""


def fit_flow(
    vectors: np.ndarray,
    flow: str | Flow = "glow",
    epochs: int = 20,
    batch_size: int = 256,
    learning_rate: float = 1e-3,
    held_out: float = 0.1,
    verbose: int = 0,
) -> Flow:
    """Train a flow on vectors, until the density of held-out vectors falls.

    Args:
        vectors: (N, D), float, of one encoder; labels are not needed.
        flow: "realnvp", "glow" or "iresnet", with their default sizes; or a flow.
        epochs: largest number of epochs; the weights of the best one are kept.
        batch_size, learning_rate: of Adam.
        held_out: part of the vectors that chooses the epoch.
        verbose: as in `fit`.

    Raises:
        ValueError: an unknown name, numbers that are not finite, or fewer than 20 vectors.

    Example:
        >>> flow = fit_flow(encoder.predict(texts), "glow")
        >>> isotropic = encoder.with_flow(flow)
    """
    vectors = np.asarray(matrix(vectors, "vectors"), "float32")
    if isinstance(flow, str):
        if flow not in FLOWS:
            raise ValueError(f"flow={flow!r} must be one of {', '.join(FLOWS)}, or a Flow.")
        flow = FLOWS[flow]()
    if len(vectors) < 20:
        raise ValueError(f"A flow is trained on at least 20 vectors, got {len(vectors)}.")
    order = np.random.default_rng(0).permutation(len(vectors))
    count = max(1, int(held_out * len(vectors)))
    held, train = vectors[order[:count]], vectors[order[count:]]
    flow.compile(keras.optimizers.Adam(learning_rate, global_clipnorm=10.0))
    stop = keras.callbacks.EarlyStopping("val_loss", patience=2, restore_best_weights=True)
    flow.fit(
        train,
        batch_size=batch_size,
        epochs=epochs,
        validation_data=(held,),
        callbacks=[stop],
        verbose=verbose,
    )
    return flow


@serializable
class FlowTransform(EndsMask, keras.layers.Layer):
    """Layer that maps vectors (B, D) to the space in which a flow makes them Gaussian, (B, D).

    Args:
        flow: the flow, which is saved with the layer.
    """

    def __init__(self, flow: Flow, **kwargs: Any):
        super().__init__(**{"dtype": "float32", **kwargs})
        self.flow = flow

    def build(self, input_shape: Shape) -> None:
        if not self.flow.built:
            self.flow.build(input_shape)

    def call(self, x: Tensor) -> Tensor:
        return self.flow.forward_and_log_det(x)[0]

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "flow": keras.saving.serialize_keras_object(self.flow)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> FlowTransform:
        return cls(**{**config, "flow": revive(config["flow"])})


def flow_encoder(encoder: keras.Model, flow: Flow) -> keras.Model:
    """Add a trained flow to an encoder as its last layer; `whitened_encoder` is the linear case.

    Args:
        encoder: model from a text to a vector (B, D).
        flow: trained on vectors of this encoder.

    Returns:
        Model with output (B, D), float32.

    Raises:
        ValueError: a flow that is not trained, or on vectors of another size.
    """
    width = encoder.output.shape[-1]
    if flow.size != width:
        found = "a flow without weights" if flow.size is None else f"flow of {flow.size} dimensions"
        raise ValueError(f"{found}, encoder of {width}: call fit_flow on this encoder's vectors.")
    output = FlowTransform(flow, name="Flow")(encoder.output)
    return keras.Model(encoder.inputs, output, name="Flow-Encoder")
