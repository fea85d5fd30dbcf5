"""Sentence vectors: similarity of texts, and search for the texts nearest to a query."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from ..._structure import flatten
from ...data import DataGenerator
from ...latent import Flow
from ...losses import cosent
from ...models import Backbone
from ...tokenizers.base import TokenizerBase
from ..base import Encoded, Task, TaskError, register_task
from ..pretrained import locate, open_encoder
from . import export, sentence_transformers
from .compression import ProductQuantizer
from .correlation import pearson, spearman
from .flow import flow_encoder
from .functions import SIMILARITIES, pairwise_similarity, similarity_matrix, unit_rows
from .index import METRICS, VectorIndex
from .models import config_up_to, normalizes, sentence_encoder
from .prompts import Prompted, prompted_windows, search_prompts
from .search import TextIndex
from .training import scored_pair, training_batches, training_model

_LONG_TEXTS = ("mean", "truncate")


@register_task
class SentenceEncoder(Task[Any]):
    """Encoder of texts as vectors, whose similarity reflects that of the texts' meanings.

    A text of more than `maxlen` tokens is read in windows, each with the prompt before it. Its
    vector is the mean of the windows' vectors, weighted by their tokens, and has length 1 if the
    model normalizes. `long_texts="truncate"` cuts such texts, as sentence-transformers does.

    Args:
        tokenizer, model, maxlen: as in `Task`; the model's output is vectors (B, D).
        prompts: texts put before the texts, by name, such as `{"query": "query: "}`.
        default_prompt: name of the prompt that is used by default.
        similarity: "cosine", "dot", "euclidean" or "manhattan"; the last two are negated distances.
        long_texts: "mean" or "truncate".
        lower_case: convert texts to lower case before tokenization.
        encoder_config: config.json of the encoder, which `save_huggingface` writes.

    Raises:
        TaskError: options do not fit.

    Example:
        >>> encoder = SentenceEncoder.build("minilm-l6")
        >>> encoder("It is raining.").shape
        (384,)
        >>> encoder.similarity("It is raining.", ["The weather is bad.", "The cat sleeps."])
        array([[0.6, 0.1]], dtype=float32)
        >>> encoder.index(["The cat sleeps.", "The weather is bad."]).search("It is raining.", k=1)
        [Neighbour(text='The weather is bad.', score=0.6, position=1)]
    """

    def __init__(
        self,
        tokenizer: TokenizerBase,
        model: keras.Model,
        prompts: Mapping[str, str] | None = None,
        default_prompt: str | None = None,
        similarity: str = "cosine",
        long_texts: str = "mean",
        lower_case: bool = False,
        maxlen: int | None = None,
        encoder_config: Mapping[str, Any] | None = None,
    ):
        super().__init__(tokenizer, model, maxlen)
        self.encoder_config = encoder_config
        if isinstance(model.output, (list, tuple)) or len(model.output.shape) != 2:
            shapes = [tuple(x.shape) for x in flatten(model.output)]
            raise TaskError(f"the model's output must be vectors (B, D), not {shapes}.")
        if similarity not in SIMILARITIES:
            known = ", ".join(SIMILARITIES)
            raise TaskError(f"similarity={similarity!r} must be one of {known}.")
        if long_texts not in _LONG_TEXTS:
            raise TaskError(f"long_texts={long_texts!r} must be 'mean' or 'truncate'.")
        self.prompts, self.default_prompt = dict(prompts or {}), default_prompt
        self.similarity_name, self.long_texts, self.lower_case = similarity, long_texts, lower_case
        self.prompt_text(default_prompt)

    @classmethod
    def build(
        cls,
        checkpoint: str | Path | Backbone,
        pooling: str | Sequence[str] | None = None,
        dense: Sequence[tuple[int, str]] = (),
        normalize: bool = False,
        prompts: Mapping[str, str] | None = None,
        default_prompt: str | None = None,
        similarity: str = "cosine",
        long_texts: str = "mean",
        maxlen: int | None = None,
        tokenizer: TokenizerBase | None = None,
        layer: int = -1,
        **options: Any,
    ) -> SentenceEncoder:
        """Build a sentence encoder from a pretrained encoder.

        Args:
            checkpoint: directory, `hf://org/name`, a preset, or a `Backbone` (with `tokenizer`).
            pooling: "cls", "mean", "max", "mean_sqrt_len", "weightedmean", "lasttoken", several of
                these, "first-last" or "pooler"; see `sentence_encoder`. None: that of a directory
                of sentence-transformers, with its other options; "mean" for other directories.
            dense: size and activation of new dense layers on the pooled vector.
            normalize: give the vectors length 1.
            prompts, default_prompt, similarity, long_texts, maxlen: as in the class.
            tokenizer: in place of the checkpoint's own.
            layer: as in `sentence_encoder`; the encoder ends with that block.
            **options: of `build_transformer_model`, such as `dropout_rate`.
        """
        if not isinstance(checkpoint, Backbone):
            checkpoint = locate(checkpoint)
            own = pooling is None and layer == -1
            if own and sentence_transformers.is_sentence_encoder(checkpoint):
                if dense or normalize or prompts or default_prompt or similarity != "cosine":
                    raise TaskError(
                        f"{checkpoint} defines its own dense layers, normalization, prompts and "
                        "similarity. To set others, give pooling=... too."
                    )
                return cls.from_huggingface(checkpoint, maxlen, long_texts, tokenizer, **options)
        if pooling == "pooler":
            options = {"with_pool": True, **options}
        tokenizer, bert = open_encoder(checkpoint, tokenizer, options)
        model = sentence_encoder(bert, pooling or "mean", dense, normalize, layer)
        config: dict[str, Any] = {"encoder_config": config_up_to(bert, layer), "maxlen": maxlen}
        return cls(tokenizer, model, prompts, default_prompt, similarity, long_texts, **config)

    @property
    def loss(self) -> Any:
        """CoSENT, the loss of `training_model("cosent")`; other training models add their own."""
        return cosent

    # From texts to vectors

    def prompt_text(self, prompt: str | None) -> str:
        """Return the text of a prompt by its name; None: the default one, or none.

        Raises:
            TaskError: an unknown name.
        """
        prompt = self.default_prompt if prompt is None else prompt
        if prompt is None:
            return ""
        if prompt not in self.prompts:
            known = ", ".join(map(repr, self.prompts)) or "none"
            raise TaskError(f"there is no prompt {prompt!r}; known: {known}.")
        return self.prompts[prompt]

    def encode(self, sample: str | Prompted) -> Encoded:
        """Encode a text, with the default prompt unless it has one."""
        if isinstance(sample, str):
            sample = Prompted(sample, self.prompt_text(None))
        given = sample.text if isinstance(sample, Prompted) else sample
        if not isinstance(given, str):
            raise TypeError(f"a text is encoded, not {type(given).__name__}: {given!r:.60}")
        text, prompt = (s.lower() if self.lower_case else s for s in sample)
        cut = self.long_texts == "truncate"
        windows = prompted_windows(self.tokenizer, text, prompt, self.maxlen, cut)
        rows = [self.encoder.select(w.token_ids, w.segment_ids) for w in windows]
        return Encoded(sample, rows, extra=[max(1, w.end - w.begin) for w in windows])

    def decode(self, outputs: Sequence[np.ndarray], encoded: Encoded) -> np.ndarray:
        vectors = np.stack(outputs).astype("float32")
        if not np.isfinite(vectors).all():
            raise TaskError(f"the vector of {encoded.sample.text!r:.60} is not finite.")
        if len(vectors) == 1:
            return vectors[0]
        mean = np.average(vectors.astype("float64"), axis=0, weights=encoded.extra)
        return (unit_rows(mean) if normalizes(self.model) else mean).astype("float32")

    def exported_facts(self) -> dict[str, Any]:
        return {"normalizes": normalizes(self.model)}

    def __call__(  # type: ignore[override]  # vectors of a list are one array
        self, samples: str | list[str], prompt: str | None = None
    ) -> np.ndarray:
        """Return the vector (D,) of a text, or the vectors (N, D) of a list."""
        if isinstance(samples, list):
            return self.predict(samples, prompt=prompt)
        return self.predict([samples], prompt=prompt)[0]

    def predict(  # type: ignore[override]  # as above
        self,
        samples: Iterable[str],
        batch_size: int = 64,
        progress: bool | None = None,
        prompt: str | None = None,
    ) -> np.ndarray:
        """Return the vectors of texts, float32 (N, D).

        Args:
            samples, batch_size, progress: as in `Task.predict`.
            prompt: name of the prompt to put before each; None: the default one.
        """
        before = self.prompt_text(prompt)
        asked = [x if isinstance(x, Prompted) else Prompted(x, before) for x in samples]
        vectors = super().predict(asked, batch_size, progress)
        return np.stack(vectors) if vectors else np.zeros((0, self.model.output.shape[-1]), "f4")

    def stream(
        self, samples: Iterable[str], batch_size: int = 64, prompt: str | None = None
    ) -> Iterator[np.ndarray]:
        """Yield the vectors of an iterable of texts one after another, reading 16 batches ahead."""
        before = self.prompt_text(prompt)
        return super().stream((Prompted(text, before) for text in samples), batch_size)

    # Comparing

    def similarity(
        self, first: str | Sequence[str] | np.ndarray, second: str | Sequence[str] | np.ndarray
    ) -> np.ndarray:
        """Return similarities (N, M), float32, of N texts with M texts.

        Args:
            first, second: a text, a list of texts, or their vectors (N, D).
        """
        return similarity_matrix(self._vectors(first), self._vectors(second), self.similarity_name)

    def _vectors(self, texts: str | Sequence[str] | np.ndarray) -> np.ndarray:
        if isinstance(texts, np.ndarray) and texts.dtype.kind == "f":
            return np.atleast_2d(texts)
        return self.predict([texts] if isinstance(texts, str) else list(texts))

    def index(
        self,
        texts: Sequence[str],
        prompt: str | None = None,
        query_prompt: str | None = None,
        batch_size: int = 64,
        compression: ProductQuantizer | None = None,
    ) -> TextIndex:
        """Build a search index of texts.

        Args:
            texts: texts to be searched.
            prompt: of the texts; None: "document", "passage" or "corpus", else the default prompt.
            query_prompt: name of the prompt of queries; None: "query" if there is one.
            batch_size, compression: as in `predict` and `VectorIndex`.

        Raises:
            TaskError: the similarity is a distance, or there are no texts.
        """
        if self.similarity_name not in METRICS:
            raise TaskError(f"an index searches by cosine or dot, not {self.similarity_name}.")
        if not len(texts):
            raise TaskError("an index needs at least one text.")
        of_query, of_text = search_prompts(self.prompts)
        prompt, query_prompt = prompt or of_text, query_prompt or of_query
        vectors = self.predict(texts, batch_size, prompt=prompt)
        index = VectorIndex(vectors, texts, self.similarity_name, compression)
        return TextIndex(self, index, query_prompt, prompt)

    # Training

    def training_model(
        self, objective: str = "cosent", scale: float = 20.0, symmetric: bool = False
    ) -> keras.Model:
        """Build a model that trains this encoder, whose weights it shares.

        Args:
            objective: "cosent" ranks scored pairs, compiled with `loss`; the others have no labels
                and are compiled without a loss: "simcse" (single texts; dropout makes the partner),
                "pairs" (a text and its partner, against the partners of the batch), "triples" (and
                a text that is no partner).
            scale, symmetric: as in `losses.in_batch_negatives`, for the latter three.

        Example:
            >>> model = encoder.training_model("cosent")
            >>> model.compile("adam", encoder.loss)
            >>> model.fit(encoder.batches([(("The cat sleeps.", "It is raining."), 0.1), ...]))
        """
        return training_model(self.model, objective, scale, symmetric)

    def batches(
        self,
        samples: Sequence[Any],
        batch_size: int = 32,
        shuffle: bool = False,
        seed: int = 0,
        prompts: Sequence[str] | None = None,
        **options: Any,
    ) -> DataGenerator:
        """Return batches for `fit` of a training model.

        Args:
            samples: texts (for "simcse"), tuples of texts ("pairs", "triples"), or pairs with a
                score, `((first, second), score)` or `ScoredPair` ("cosent").
            batch_size, shuffle, seed, **options: of `DataGenerator`.
            prompts: names of the prompts of a sample's texts, such as `("query", "passage")`.

        Longer texts than `maxlen` are truncated; a `TruncationWarning` counts them.
        """
        options |= {"batch_size": batch_size, "shuffle": shuffle, "seed": seed}
        before = None if prompts is None else [self.prompt_text(name) for name in prompts]
        encode = lambda text, k: self.encode(  # noqa: E731
            text if before is None else Prompted(text, before[k % len(before)])
        )
        return training_batches(samples, encode, self.encoder.padding, options)

    def evaluate(
        self, samples: Iterable[tuple[Sequence[str], float]], batch_size: int = 64
    ) -> dict[str, float]:
        """Return the correlation of similarities and scores.

        Args:
            samples: pairs of texts with a score, as in `batches`.
            batch_size: as in `predict`.

        Returns:
            "spearman" and "pearson".
        """
        samples = [scored_pair(sample) for sample in samples]
        if len(samples) < 2:
            raise TaskError(f"evaluate() got {len(samples)} samples; a correlation needs 2.")
        texts = list(dict.fromkeys(text for pair, _ in samples for text in pair))
        vectors = dict(zip(texts, self.predict(texts, batch_size), strict=True))
        first, second = (np.stack([vectors[pair[k]] for pair, _ in samples]) for k in range(2))
        found = pairwise_similarity(first, second, self.similarity_name)
        return self.metrics(found, [score for _, score in samples])

    def metrics(
        self, answers: Sequence[float] | np.ndarray, labels: Sequence[float]
    ) -> dict[str, float]:
        """Return Spearman's and Pearson's correlation; 0 where all of either are equal."""
        scores = {"spearman": spearman(answers, labels), "pearson": pearson(answers, labels)}
        return {name: 0.0 if math.isnan(value) else value for name, value in scores.items()}

    # Files

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "prompts": self.prompts,
            "default_prompt": self.default_prompt,
            "similarity": self.similarity_name,
            "long_texts": self.long_texts,
            "lower_case": self.lower_case,
        }

    @classmethod
    def reads(cls, directory: Path, config: Mapping[str, Any]) -> int:
        return 2 * sentence_transformers.is_sentence_encoder(directory)

    @classmethod
    def from_huggingface(
        cls,
        directory: str | Path,
        maxlen: int | None = None,
        long_texts: str = "mean",
        tokenizer: TokenizerBase | None = None,
        **options: Any,
    ) -> SentenceEncoder:
        """Read a directory of sentence-transformers.

        Args:
            directory: it, `hf://org/name` or a named checkpoint.
            maxlen: tokens of a row; None: as the directory says.
            long_texts: as in the class; "truncate" gives the vectors of sentence-transformers for
                texts that are longer than `maxlen` too.
            tokenizer: in place of the checkpoint's own.
            **options: of `build_transformer_model`.

        Raises:
            TaskError: modules that are not known, or paths that lead out of the directory.
        """
        read = sentence_transformers.read_encoder
        tokenizer, model, known = read(locate(directory), tokenizer, options)
        known["maxlen"] = maxlen or known["maxlen"]
        return cls(tokenizer, model, long_texts=long_texts, **known)

    def with_options(self, **changes: Any) -> SentenceEncoder:
        """Return this encoder with options such as `long_texts="truncate"`; both share weights."""
        return type(self)(self.tokenizer, self.model, **{**self.get_config(), **changes})

    def with_flow(self, flow: Flow) -> SentenceEncoder:
        """Return this encoder with a flow of `fit_flow` as its last layer; both share weights."""
        return type(self)(self.tokenizer, flow_encoder(self.model, flow), **self.get_config())

    def save_huggingface(self, directory: str | Path) -> None:
        """Write a directory that sentence-transformers opens.

        Args:
            directory: replaced as a whole if sentence-transformers or this method wrote it.

        Raises:
            TaskError: a directory of something else, a model with layers that have no module there,
                or no `encoder_config`.
        """
        export.write_task(self, directory)
