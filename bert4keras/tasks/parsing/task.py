"""Trees of sentences from a language model that saw no tree."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import keras
import numpy as np

from ..._types import Array
from ...losses import SparseCategoricalCrossentropy
from ...tokenizers.base import TokenizerBase
from ..base import Encoded, Task, TaskError, register_task
from ..from_scratch import word_tokenizer
from ..generation.perplexity import perplexity
from ..generation.scoring import TokenScorer
from .answers import Bracketing, Parse, tree_of_words
from .language_model import distances_model, on_lstm_language_model
from .metrics import unlabelled_scores
from .trees import build_tree


@register_task
class SentenceParser(Task[Parse]):
    """Parser that learns the constituents of sentences from raw texts, without a treebank.

    It is a language model of ON-LSTM layers. How much of its state a layer forgets at a token, the
    syntax distance, says how large the constituent is that ends before the token; `build_tree`
    makes a binary tree of the distances.

    Args:
        tokenizer, model: as in `Task`; the model is one of `on_lstm_language_model`, between whose
            start and end token a text is.
        maxlen: largest number of tokens of a row in training. Longer texts are cut there; a text
            to parse may be longer.
        layer: number of the ON-LSTM layer whose distances are used, from 0 on; None: the second
            one, as in the paper, if there is one.
        right_biased: of `build_tree`.

    Raises:
        TaskError: there is no such layer, or the tokenizer has no start or end token.

    Example:
        >>> parser = SentenceParser.build(texts)
        >>> parser.model.compile("adam", parser.loss)
        >>> parser.model.fit(parser.batches(texts), epochs=10)
        >>> print(parser("the cat sat down"))
        ┬┬── the
        │└── cat
        └┬── sat
         └── down

    Source: Shen et al., Ordered Neurons, 2019 (arXiv:1810.09536).
    """

    loss = SparseCategoricalCrossentropy(from_logits=True)

    def __init__(
        self,
        tokenizer: TokenizerBase,
        model: keras.Model,
        maxlen: int | None = None,
        layer: int | None = None,
        right_biased: bool = False,
    ):
        super().__init__(tokenizer, model, maxlen)
        if None in (tokenizer.token_start, tokenizer.token_end):
            raise TaskError("the tokenizer must have a start and an end token.")
        self._reader = distances_model(model)
        count = self._reader.output.shape[-1]
        if layer is not None and not 0 <= layer < count:
            raise TaskError(f"layer={layer}, but the model's ON-LSTM layers are 0 to {count - 1}.")
        self.layer = min(1, count - 1) if layer is None else layer
        self.right_biased = right_biased

    @classmethod
    def build(
        cls,
        texts: Iterable[str],
        min_count: int = 2,
        max_words: int | None = None,
        maxlen: int | None = None,
        tokenizer: TokenizerBase | None = None,
        **options: Any,
    ) -> SentenceParser:
        """Build a parser with random weights.

        Args:
            texts: the texts that it will be trained on; their words are its vocabulary.
            min_count, max_words: of `word_tokenizer`.
            maxlen: of the class.
            tokenizer: in place of one of whole words.
            **options: of `on_lstm_language_model`.
        """
        if tokenizer is None:
            tokenizer = word_tokenizer(texts, min_count, max_words)
        pad = tokenizer.pad_token_id
        model = on_lstm_language_model(tokenizer.vocab_size, pad_token_id=pad, **options)
        return cls(tokenizer, model, maxlen)

    def get_config(self) -> dict[str, Any]:
        own = {"layer": self.layer, "right_biased": self.right_biased}
        return {**super().get_config(), **own}

    # Trees

    def encode(self, sample: str) -> Encoded:
        (ids,), _, (offsets,) = self.tokenizer.encode_batch([sample], return_offsets=True)
        return Encoded(sample, [self._inputs(ids[:-1])], [offsets[1:-1]], ids)

    def exported_models(self) -> dict[str, keras.Model]:
        return {"model": self._reader}

    def run(self, inputs: Array) -> Array:
        return np.asarray(self._reader.predict_on_batch(inputs))[..., self.layer]

    def decode(self, outputs: Sequence[Array], encoded: Encoded) -> Parse:
        offsets = encoded.offsets[0]
        distances = [float(d) for d in outputs[0][1 : len(offsets) + 1]]  # without the start token
        spans = build_tree(distances, self.right_biased)
        return Parse(encoded.sample, tuple(offsets), tuple(distances), tuple(spans))

    def metrics(self, answers: Sequence[Parse], labels: Sequence[Bracketing]) -> dict[str, float]:
        """Return `unlabelled_scores` on the words of the labels, without whole sentences."""
        found = [
            tree_of_words(answer, label.words, self.right_biased)
            for answer, label in zip(answers, labels, strict=True)
        ]
        whole = [(0, len(label.words)) for label in labels]
        return unlabelled_scores(
            [set(spans) - {w} for spans, w in zip(found, whole, strict=True)],
            [set(label.spans) - {w} for label, w in zip(labels, whole, strict=True)],
        )

    # The language model

    def training_rows(self, samples: Iterable[Any]) -> list[tuple[Encoded, Any, int]]:
        """Return (encoded text, None, place of its first token) of each row to train on.

        Args:
            samples: texts.
        """
        rows = []
        for text in self._texts(samples):
            encoded = self.encode(text)
            rows += [(encoded, None, p) for p in range(0, len(encoded.extra) - 1, self.maxlen)]
        return rows

    def training_row(self, encoded: Encoded, label: None, window: int) -> tuple[Any, Any]:
        """Return tokens, and for each the one after it."""
        ids = np.asarray(encoded.extra[window : window + self.maxlen + 1], "int32")
        return self._inputs(ids[:-1]), ids[1:]

    def log_probabilities(self, samples: Iterable[str], batch_size: int = 64) -> list[Array]:
        """Return for each text log p of each token given those before it, and of the end token."""
        scorer = TokenScorer(self.model, True, self.encoder.padding)
        parts = [self.training_rows([text]) for text in self._texts(samples)]
        rows = [self.training_row(*row) for part in parts for row in part]
        found = iter(scorer(rows, batch_size))
        return [np.concatenate([next(found) for _ in part]) for part in parts]

    def evaluate(self, samples: Iterable[Any], batch_size: int = 64) -> dict[str, float]:
        """Return perplexity, or scores of the trees, on samples.

        Args:
            samples: texts: `perplexity` per token; pairs (text, `Bracketing`), such as those of
                `read_treebank`: `f1`, `precision` and `recall` of constituents without labels.
            batch_size: as in `predict`.
        """
        samples = list(samples)
        if samples and isinstance(samples[0], str):
            return {"perplexity": perplexity(self.log_probabilities(samples, batch_size))}
        return super().evaluate(samples, batch_size)

    def _inputs(self, ids: Sequence[int] | Array) -> tuple[Any, ...]:
        return self.encoder.select(ids, np.zeros(len(ids), "int32"))

    @staticmethod
    def _texts(samples: Iterable[Any]) -> list[str]:
        """Return the samples, which must be texts."""
        if isinstance(samples, str):
            raise TaskError("give a list of texts, not one text.")
        texts = list(samples)
        for number, text in enumerate(texts):
            if not isinstance(text, str):
                raise TaskError(
                    f"sample {number} is no text but {type(text).__name__}: a language model is "
                    "trained on raw texts, without labels."
                )
        return texts
