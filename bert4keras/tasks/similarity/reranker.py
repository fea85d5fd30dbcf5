"""Ranking of texts for a query by a cross-encoder."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from ..._json import read_json, short_repr
from ..._structure import flatten
from ...data import DataGenerator
from ...models import Backbone
from ...tokenizers.base import TokenizerBase
from ..base import Encoded, Task, TaskError, register_task
from ..huggingface import replaced
from ..pretrained import locate
from ..windows import text_windows
from .export import write_json
from .ranking_metrics import pair_scores, ranking_scores
from .sentence_transformers import SETTINGS, TORCH

_ACTIVATIONS = {"sigmoid": f"{TORCH}Sigmoid", "identity": "torch.nn.modules.linear.Identity"}
_LEGACY_KEY = "sbert_ce_default_activation_function"


@dataclasses.dataclass(frozen=True)
class Ranked:
    """A text of a ranking.

    Attributes:
        text: the text.
        score: its relevance to the query; a probability with the activation "sigmoid".
        position: its index among the ranked texts.
    """

    text: str
    score: float
    position: int

    def __str__(self) -> str:
        return f"{self.score:.4f}  {self.text}"


@register_task
class Reranker(Task[float | list[Ranked]]):
    """Cross-encoder that scores and ranks texts for a query.

    It is more accurate than a comparison of vectors, since each word sees the other text, but
    slower: nothing can be computed in advance. A search by `SentenceEncoder` finds some hundred
    texts, which the reranker then sorts.

    A text that is longer than `maxlen` allows gets the score of its best window (MaxP); in training
    each window has the text's label.

    Args:
        tokenizer, model, maxlen: as in `Task`; the model's output is scores (B, 1) without
            activation.
        activation: "sigmoid", which makes the scores probabilities, or "identity".
        encoder_config: of `Task`.

    Raises:
        TaskError: options do not fit.

    Source: Nogueira and Cho, 2019 (arXiv:1901.04085); MaxP: Dai and Callan, 2019
        (arXiv:1905.09217).

    Example:
        >>> reranker = Reranker.build("minilm-l6")
        >>> reranker.model.compile("adam", reranker.loss)
        >>> reranker.model.fit(reranker.batches([(("Who?", "It was me."), 1.0), ...]))
        >>> reranker("Who?", ["It was me.", "It is raining."])
        [Ranked(text='It was me.', score=0.98, position=0), Ranked(...)]
    """

    architecture = "ForSequenceClassification"

    def __init__(
        self,
        tokenizer: TokenizerBase,
        model: keras.Model,
        activation: str = "sigmoid",
        maxlen: int | None = None,
        encoder_config: Mapping[str, Any] | None = None,
    ):
        super().__init__(tokenizer, model, maxlen)
        self.encoder_config = encoder_config
        shapes = [tuple(x.shape) for x in flatten(model.output)]
        if len(shapes) != 1 or shapes[0][1:] != (1,):
            raise TaskError(f"the model's output must be scores (B, 1), not {shapes}.")
        if activation not in _ACTIVATIONS:
            raise TaskError(f"activation={activation!r} must be 'sigmoid' or 'identity'.")
        self.activation = activation

    @classmethod
    def build(
        cls,
        checkpoint: str | Path | Backbone,
        activation: str = "sigmoid",
        maxlen: int | None = None,
        tokenizer: TokenizerBase | None = None,
        dropout: float = 0.1,
        **options: Any,
    ) -> Reranker:
        """Put a new head on a pretrained encoder, the one of its family in transformers.

        Args:
            checkpoint: directory, `hf://org/name`, a preset, or a `Backbone`, for which
                `tokenizer` is given.
            activation, maxlen: as in the class.
            tokenizer: in place of the checkpoint's own.
            dropout: rate before the dense layers.
            **options: of `build_transformer_model`.
        """
        from ..huggingface import build_with_head

        built = build_with_head(checkpoint, "sequence", 1, dropout, tokenizer, options)
        tokenizer, model, config = built
        return cls(tokenizer, model, activation, maxlen, config)

    @property
    def loss(self) -> Any:
        """Cross-entropy for labels from 0 to 1; squared error with the activation "identity"."""
        if self.activation == "sigmoid":
            return keras.losses.BinaryCrossentropy(from_logits=True)
        return keras.losses.MeanSquaredError()

    def encode(self, sample: tuple[str, str | Sequence[str]]) -> Encoded:
        """Encode a query with a text, or with each of a list of texts."""
        query, texts = _parted(sample)
        rows, owners = [], []
        for number, text in enumerate([texts] if isinstance(texts, str) else texts):
            for window in text_windows(self.tokenizer, query, text, self.maxlen):
                rows.append(self.encoder.select(window.token_ids, window.segment_ids))
                owners.append(number)
        return Encoded((query, texts), rows, extra=np.array(owners, "int64"))

    def decode(self, outputs: Sequence[np.ndarray], encoded: Encoded) -> float | list[Ranked]:
        query, texts = encoded.sample
        scores = np.array([float(output[0]) for output in outputs], "float64")
        if not np.isfinite(scores).all():
            raise TaskError(f"a score for {query!r:.60} is not finite.")
        if self.activation == "sigmoid":
            scores = 0.5 * (1 + np.tanh(scores / 2))
        if isinstance(texts, str):
            return float(scores.max())
        best = [float(scores[encoded.extra == i].max()) for i in range(len(texts))]
        order = sorted(range(len(texts)), key=lambda i: -best[i])  # equal scores keep their order
        return [Ranked(texts[i], best[i], i) for i in order]

    def __call__(self, samples: Any, texts: Sequence[str] | str | None = None) -> Any:
        """Rank texts, `reranker(query, texts)`; score a pair or answer a list of samples.

        Args:
            samples: a query. Without `texts`: a sample or a list of them, each `(query, text)`,
                whose answer is a score, or `(query, [text, ...])`, whose answer is a ranking.
            texts: a list of texts, or one.
        """
        if texts is None:
            return super().__call__(samples)
        return self.predict([(samples, texts)])[0]

    def scores(self, pairs: Sequence[tuple[str, str]], batch_size: int = 64) -> np.ndarray:
        """Return scores (N,) of N pairs of texts, float32."""
        return np.array(self.predict(pairs, batch_size), "float32")

    def batches(
        self,
        samples: Sequence[tuple[tuple[str, str | Sequence[str]], float | Sequence[float]]],
        batch_size: int = 32,
        shuffle: bool = False,
        seed: int = 0,
        **options: Any,
    ) -> DataGenerator:
        """Return batches for `model.fit`.

        Args:
            samples: `((query, text), label)`, or `((query, [text, ...]), [label, ...])`; labels
                are 0 and 1, or grades from 0 to 1 (with "identity" any numbers).
            batch_size, shuffle, seed, **options: of `DataGenerator`.
        """
        pairs = []
        for sample, label in samples:
            query, texts = _parted(sample)
            if isinstance(texts, str):
                pairs.append(((query, texts), label))
            else:
                labels = _labels(texts, label)
                pairs += [((query, text), one) for text, one in zip(texts, labels, strict=True)]
        return super().batches(pairs, batch_size, shuffle, seed, **options)

    def training_windows(self, label: Any, encoded: Encoded) -> Iterable[int]:
        return range(len(encoded.rows))

    def encode_label(self, label: Any, encoded: Encoded, window: int = 0) -> np.ndarray:
        try:
            value = float(label)
        except (TypeError, ValueError):
            value = np.nan
        highest = 1 if self.activation == "sigmoid" else np.inf
        if not (np.isfinite(value) and (highest == np.inf or 0 <= value <= 1)):
            wanted = "from 0 to 1; divide grades by the highest" if highest == 1 else "finite"
            raise TaskError(f"the label {label!r:.40} of {encoded.sample!r:.60} must be {wanted}.")
        return np.array([value], "float32")

    def metrics(self, answers: Sequence[Any], labels: Sequence[Any]) -> dict[str, float]:
        """Return `ranking_scores` of rankings, or `pair_scores` of scores of pairs."""
        if all(isinstance(answer, float) for answer in answers):
            threshold = 0.5 if self.activation == "sigmoid" else 0.0
            return pair_scores(answers, [float(label) for label in labels], threshold)
        if any(isinstance(answer, float) for answer in answers):
            raise TaskError(
                "some samples are pairs, others have a list of texts: evaluate them separately."
            )
        ordered = []
        for answer, label in zip(answers, labels, strict=True):
            relevances = _labels(answer, label)
            ordered.append([relevances[one.position] for one in answer])
        return ranking_scores(ordered)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "activation": self.activation}

    @classmethod
    def reads(cls, directory: Path, config: Mapping[str, Any]) -> int:
        """Return 2 for a cross-encoder of sentence-transformers with one score."""
        one = len(config.get("id2label") or ()) == 1 or config.get("num_labels") == 1
        return 2 * (one and super().reads(directory, config) and _named(directory, config) != "")

    @classmethod
    def from_huggingface(cls, directory: str | Path, **options: Any) -> Reranker:
        """Read a fine-tuned checkpoint (`...ForSequenceClassification` with one label).

        Raises:
            TaskError: the model is of another kind, has several labels, or an unknown activation.
        """
        from ..huggingface import load_with_head

        directory = locate(directory)
        tokenizer, model, config = load_with_head(directory, "sequence", options)
        if model.output.shape[-1] != 1:
            raise TaskError(
                f"{directory} has {model.output.shape[-1]} labels, and a ranking needs one score. "
                "TextClassifier.load reads it."
            )
        name = _named(directory, config).rpartition(".")[2].lower() or "sigmoid"
        if name not in _ACTIVATIONS:
            raise TaskError(f"{directory}: the activation {short_repr(name)} is not known.")
        return cls(tokenizer, model, name, encoder_config=config)

    def save_huggingface(self, directory: str | Path) -> None:
        """Write a directory that transformers, and CrossEncoder of sentence-transformers, open.

        Args:
            directory: destination; replaced as a whole if it holds a checkpoint.

        Raises:
            TaskError: the directory holds something else, or there is no `encoder_config`.
        """
        from ..huggingface import save_with_head

        activation = {"activation_fn": _ACTIVATIONS[self.activation]}
        config = {
            **(self.encoder_config or {}),
            "id2label": {"0": "LABEL_0"},
            "label2id": {"LABEL_0": 0},
            "sentence_transformers": {"version": "4.0.0", **activation},
        }
        with replaced(directory, self.encoder_config, "config.json") as new:
            self.tokenizer.save(new)
            save_with_head(self.model, "sequence", config, new)
            write_json(new / SETTINGS, {"model_type": "CrossEncoder", **activation})


def _parted(sample: Any) -> tuple[str, str | list[str]]:
    """Return query and text, or query and texts."""
    try:
        query, texts = sample
    except (TypeError, ValueError):
        query, texts = None, None
    several = not isinstance(texts, str) and isinstance(texts, Sequence)
    fits = isinstance(texts, str) or (several and all(isinstance(text, str) for text in texts))
    if isinstance(sample, str) or not isinstance(query, str) or not fits:
        raise TaskError(f"a sample is (query, text) or (query, [text, ...]), not {sample!r:.80}.")
    return query, list(texts) if several else texts


def _labels(texts: Sequence[Any], labels: Any) -> Sequence[float]:
    """Return labels of the texts of one query."""
    if isinstance(labels, str) or not hasattr(labels, "__len__") or len(labels) != len(texts):
        raise TaskError(f"{len(texts)} texts need as many labels, not {labels!r:.60}.")
    return labels


def _named(directory: Path, config: Mapping[str, Any]) -> str:
    """Return the class of activation that a cross-encoder's files name; "" without one."""
    own, path = config.get("sentence_transformers"), directory / SETTINGS
    settings = read_json(path, TaskError) if path.is_file() else {}
    places = (own if isinstance(own, dict) else {}, settings)
    found = [place.get("activation_fn") for place in places] + [config.get(_LEGACY_KEY)]
    return next((name for name in found if isinstance(name, str) and name), "")
