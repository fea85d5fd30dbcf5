"""GAN-BERT: a text classifier from few labels and many texts without one.

A classifier consists of an encoder, which gives a vector h of each text, and a head: features f(h)
and scores l_1 .. l_k. GAN-BERT makes the head the critic of a GAN of vectors. A generator G(z)
imitates the vectors of texts; the head gets one more score, l_0, for "made by the generator". With

    v(h) = log sum_c e^l_c(h) - l_0(h)            the log odds of a text against a fake
    p(class c | h, no fake) = softmax(l_1 .. l_k)

the two losses are, in one pass (see `latent.gan`),

    head and encoder:  cross entropy of the labelled texts - weight * bound of the divergence
    generator:         weight * (its adversarial loss + matching * |E f(h) - E f(G(z))|^2)

The bound for "gan" is the loss of the paper; texts without a label enter only there. Afterwards
generator and l_0 are dropped: what remains is an ordinary classifier of k classes. The head must be
deterministic here, so it runs without dropout in all terms except the cross entropy.

With `correlation` the critic is that of O-GAN: n outputs E(h) on the features, v(h) = mean of E(h),
and the standardized E(h) is a code of the text, trained to give back the z of a generated vector.

Symbols: B batch, k classes, D size of h, n size of z.

Source: Croce, Castellucci, Basili, GAN-BERT: Generative Adversarial Learning for Robust Text
Classification with a Bunch of Labeled Examples, 2020 (ACL); Su, O-GAN, 2019 (arXiv:1903.01931).
"""

from __future__ import annotations

import types
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from ..._compat import is_functional, layer_calls
from ..._serialization import serializable
from ..._types import Tensor
from ...latent.divergences import get_divergence
from ...latent.gan import code_correlation, player_term
from ...latent.networks import mlp
from ...saving import AtomicSave
from ...training.unlabelled import weigh_labelled


@serializable
class GANBERT(AtomicSave, keras.Model):
    """A classifier that trains with a generator of sentence vectors; it shares the layers given.

    `fit` takes texts with and without a label (a label of None in `TextClassifier.batches`).
    Labelled texts should come more often than there are, or most batches have none:
    `labelled * 8 + [(text, None) for text in others]`. `evaluate` and `predict` are those of the
    classifier.

    Args:
        model: functional classifier, scores (B, k) without activation, such as `task.model`.
        divergence: name in `latent.DIVERGENCES`, except "wasserstein".
        latent_size: n.
        generator: network from z (B, n) to vectors (B, D); None: a new one with one hidden layer.
            One that is not `trainable` (`latent.GLANN(...).generator`) stays as it is.
        correlation: weight of O-GAN's correlation; 0: no O-GAN.
        matching: weight of the distance between mean features.
        weight: weight of all adversarial terms.

    Raises:
        TypeError: the model is not functional.
        ValueError: the model has no vector of a text before its scores, fewer than 2 classes, or a
            generator of another size; "wasserstein".

    Example:
        >>> task = TextClassifier.build("minilm-l6", labels)
        >>> model = GANBERT(task.model)
        >>> model.compile(keras.optimizers.AdamW(5e-5), task.loss, metrics=["accuracy"])
        >>> model.fit(task.batches(labelled * 8 + [(text, None) for text in others], shuffle=True))
        >>> task.save("classifier")
    """

    def __init__(
        self,
        model: keras.Model,
        divergence: str = "gan",
        latent_size: int = 100,
        generator: keras.Model | None = None,
        correlation: float = 0.0,
        matching: float = 1.0,
        weight: float = 1.0,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.divergence = get_divergence(divergence)
        if divergence == "wasserstein":
            raise ValueError("GANBERT has no gradient penalty, which 'wasserstein' needs.")
        vector, features = _vector_and_features(model)
        self.classifier, self.latent_size = model, latent_size
        self.correlation, self.matching, self.weight = correlation, matching, weight
        self.custom_generator = generator is not None
        size = int(vector.shape[-1])
        self.generator = generator or mlp((size, size), "generator", "leaky_relu")
        self.generator.build((None, latent_size))
        if tuple(self.generator.compute_output_shape((None, latent_size))) != (None, size):
            raise ValueError(f"the generator must map (B, {latent_size}) to vectors (B, {size}).")
        # Of the critic only: l_0, or E(h).
        self.critic = keras.layers.Dense(latent_size if correlation else 1, name="critic")
        self.critic.build(features.shape)
        self.seed_generator = keras.random.SeedGenerator()
        # In a namespace, which Keras does not track: their layers are those of the classifier.
        self._untracked = types.SimpleNamespace(
            encoder=keras.Model(model.input, vector),
            head=keras.Model(vector, [features, model.output]),
        )
        self.built = True

    def call(self, inputs: Tensor | Sequence[Tensor], training: bool | None = None) -> Any:
        """Return the scores (B, k); in training a pair of the vectors (B, D) and the scores."""
        vectors = self._untracked.encoder(inputs, training=training)
        scores = self._untracked.head(vectors, training=training)[1]
        return (vectors, scores) if training else scores

    def judge(self, vectors: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return features (B, F), v (B,) and critic outputs of vectors (B, D), without dropout."""
        features, scores = self._untracked.head(vectors, training=False)
        outputs = ops.cast(self.critic(features), "float32")
        features, scores = ops.cast(features, "float32"), ops.cast(scores, "float32")
        if self.correlation:
            return features, ops.mean(outputs, axis=-1), outputs
        return features, ops.logsumexp(scores, axis=-1) - outputs[:, 0], outputs

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        vectors, scores = y_pred if isinstance(y_pred, tuple) else (None, y_pred)
        y, sample_weight = weigh_labelled(y, sample_weight)
        loss = super().compute_loss(x, y, scores, sample_weight, training)
        if vectors is None:
            return loss
        noise = (ops.shape(vectors)[0], self.latent_size)
        z = keras.random.normal(noise, dtype="float32", seed=self.seed_generator)
        return loss + self.weight * self.adversarial(vectors, z)

    def adversarial(self, vectors: Tensor, z: Tensor) -> Tensor:
        """Return the loss of critic and generator, a float32 scalar.

        Args:
            vectors: of texts, (B, D).
            z: noise (B, n).
        """
        features, real, _ = self.judge(vectors)
        target = ops.stop_gradient(ops.mean(features, axis=0))
        fake = ops.cast(self.generator(z), vectors.dtype)

        def generator_loss(fake: Tensor) -> Tensor:
            made, v, _ = self.judge(fake)
            distance = ops.sum(ops.square(ops.mean(made, axis=0) - target))
            return self.divergence.generator_loss(v) + self.matching * distance

        bound = self.divergence.bound(real, self.judge(ops.stop_gradient(fake))[1])
        loss = player_term(generator_loss, fake) - bound
        if self.correlation:
            loss = loss - self.correlation * code_correlation(z, self.judge(fake)[2])
        return loss

    @property
    def code_model(self) -> keras.Model:
        """Model from the inputs to codes (B, n), with `correlation`.

        `SentenceEncoder(task.tokenizer, gan_bert.code_model)` searches the nearest texts by code.

        Raises:
            ValueError: the model was built without `correlation`.
        """
        if not self.correlation:
            raise ValueError(
                "GANBERT has codes only with `correlation`, such as GANBERT(..., correlation=1.0)."
            )
        features = self._untracked.head(self._untracked.encoder.output)[0]
        standardized = keras.layers.LayerNormalization(
            epsilon=1e-8, center=False, scale=False, dtype="float32", name="code"
        )
        return keras.Model(self.classifier.input, standardized(self.critic(features)))

    def compile(self, optimizer="rmsprop", loss=None, *args, metrics=None, **kwargs):
        """Configure training, like `keras.Model.compile`; rows without a label count in no metric.

        Args:
            optimizer, loss: of Keras; the loss is that of the labels, such as `task.loss`.
            *args, **kwargs: of Keras.
            metrics: of the labels.
        """
        if metrics and not kwargs.get("weighted_metrics"):
            kwargs["weighted_metrics"], metrics = metrics, None
        super().compile(optimizer, loss, *args, metrics=metrics, **kwargs)

    def compile_from_config(self, config: dict[str, Any]) -> None:
        self.compile(**keras.saving.deserialize_keras_object(config))
        if self.optimizer is not None:
            self.optimizer.build(self.trainable_variables)

    @property
    def reads_unlabelled(self) -> bool:
        """True: rows with a label below 0, which means no label, are trained on."""
        return True

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        scores = y_pred[1] if isinstance(y_pred, tuple) else y_pred
        y, sample_weight = weigh_labelled(y, sample_weight)
        return super().compute_metrics(x, y, scores, sample_weight)

    def get_config(self) -> dict[str, Any]:
        generator = self.generator if self.custom_generator else None
        return {
            "name": self.name,
            "model": keras.saving.serialize_keras_object(self.classifier),
            "generator": generator and keras.saving.serialize_keras_object(generator),
            "divergence": self.divergence.name,
            "latent_size": self.latent_size,
            "correlation": self.correlation,
            "matching": self.matching,
            "weight": self.weight,
        }

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: dict[str, type] | None = None
    ) -> GANBERT:
        parts = {
            key: config[key] and keras.saving.deserialize_keras_object(config[key], custom_objects)
            for key in ("model", "generator")
        }
        return cls(**{**config, **parts})


def _vector_and_features(model: keras.Model) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """Return h, the first vector of a text in the model, and f, the last before the scores.

    From the scores back along the first input of each layer, h is the last tensor of shape (B, D).
    """
    if not is_functional(model):
        raise TypeError(
            "GANBERT needs a functional classifier, keras.Model(inputs, scores), not a "
            f"{type(model).__name__}."
        )
    scores = model.output
    if isinstance(scores, (list, tuple)) or len(scores.shape) != 2 or scores.shape[-1] < 2:
        shapes = [tuple(x.shape) for x in keras.tree.flatten(scores)]
        raise ValueError(f"GANBERT needs scores (B, k) of at least 2 classes, not {shapes}.")
    before = {id(call.output): call.first_input for call in layer_calls(model)}
    path = [scores]
    while id(path[-1]) in before and _is_vector(before[id(path[-1])]):
        path.append(before[id(path[-1])])
    if len(path) < 2:
        raise ValueError(
            "the model has no vector of a text (B, D) before its scores: pool the encoder's "
            "vectors before the last layer."
        )
    return path[-1], path[1]


def _is_vector(tensor: keras.KerasTensor) -> bool:
    return len(tensor.shape) == 2 and tensor.shape[-1] is not None and "float" in tensor.dtype
