"""Masked language model with a second task about two segments: their order, or their belonging."""

from __future__ import annotations

from typing import Any, ClassVar

import keras
import numpy as np

from ...config import ConfigError
from ...data.masking import IGNORED
from ...losses import SparseCategoricalCrossentropy
from ...models import build_transformer_model
from ...models.model_config import ConfigSource
from ...tokenizers.base import TokenizerBase
from ...training import SparseCategoricalAccuracy
from ..rows import TokenRows
from .base import Arrays, named_model, register_objective, with_ignored
from .masked_lm import MaskedLM
from .segments import (
    Documents,
    TextRanges,
    find_documents,
    join_segments,
    sentence_end_ids,
    split_places,
)

_TOKENS_OF_A_DOCUMENT = 32  # of a row, for the number of documents that are judged


@register_objective
class SentenceOrder(MaskedLM):
    """Masked LM, and tell whether two consecutive segments of a document were swapped.

    A document becomes `[CLS] first [SEP] second [SEP]`. It is divided behind a sentence, and both
    segments lose their last token, so that only their contents tell the order; the row gets one
    token of padding. Half of them are swapped (label 1). The pooled vector of each [CLS] is
    classified, as in ALBERT, and the two losses are added. Documents without the end of a sentence
    inside have no label, nor have those behind the first L / 32 of a row; both are masked like the
    others.

    Args:
        tokenizer: with [MASK] and [SEP], and the ends of sentences (".", "。", ...) as tokens.
        **options: of `MaskedLM`: `rate`, `unit`, `mean_span`.

    Raises:
        ValueError: an argument out of its range, or a token that the vocabulary lacks.
        ConfigError: from `build`, a family whose checkpoints do not have the classifier.

    Source: Lan et al., ALBERT, 2019 (arXiv:1909.11942), section 3.1.
    """

    name: ClassVar[str] = "sentence-order"
    architecture: ClassVar[str | None] = "ForPreTraining"

    def __init__(self, tokenizer: TokenizerBase, **options: Any):
        super().__init__(tokenizer, **options)
        self.sep_id = self.required_id(tokenizer, "sep_token_id", "[SEP] between two segments")
        self.required_id(tokenizer, "cls_token_id", "[CLS], whose vector is classified")
        self.sentence_ends = sentence_end_ids(tokenizer.vocab)
        if not len(self.sentence_ends):
            raise ValueError(
                f"the objective {self.name} divides texts between sentences, and the vocabulary "
                'has no token such as "." or "。".'
            )

    def corrupt(
        self, rows: TokenRows, rng: np.random.Generator
    ) -> tuple[Arrays, Arrays | np.ndarray]:
        length = rows.token_ids.shape[1]
        documents = find_documents(rows)
        place, at_end = split_places(rows, documents, self.sentence_ends, rng)
        number = rows.document_ids.ravel()[documents.start] - 1  # in its row
        most = max(1, length // _TOKENS_OF_A_DOCUMENT)
        divided = at_end & (number < most)
        first = TextRanges(documents.first, place - documents.first)
        second = TextRanges(place + 1, documents.last - place - 2)
        changed = (rng.random(len(place)) < 0.5) & divided
        left, right, changed = self._change(first, second, changed, divided, rng)
        specials = (self.sep_id, self.pad_id)
        rows, segments = join_segments(rows, documents, left, right, divided, *specials)
        inputs, targets = self.mask_rows(rows, rng)
        starts, labels = self._labels(documents, divided, number, changed, rows.token_ids.shape)
        inputs |= {"segment_ids": segments, "document_starts": starts}
        return inputs, {"tokens": targets, "segments": labels}

    def _change(
        self,
        first: TextRanges,
        second: TextRanges,
        changed: np.ndarray,
        divided: np.ndarray,
        rng: np.random.Generator,
    ) -> tuple[TextRanges, TextRanges, np.ndarray]:
        """Return the left and the right segments, and which documents are changed."""
        pairs = zip(first, second, strict=True)
        left, right = zip(
            *((np.where(changed, b, a), np.where(changed, a, b)) for a, b in pairs), strict=True
        )
        return TextRanges(*left), TextRanges(*right), changed

    def _labels(
        self,
        documents: Documents,
        divided: np.ndarray,
        number: np.ndarray,
        changed: np.ndarray,
        shape: tuple[int, ...],
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the positions of the [CLS] of judged documents and their labels, int32 (B, K)."""
        most = max(1, shape[1] // _TOKENS_OF_A_DOCUMENT)
        starts = np.zeros((shape[0], most), "int32")
        labels = np.full_like(starts, IGNORED)
        at = (documents.start // shape[1])[divided], number[divided]
        starts[at] = (documents.start % shape[1])[divided]
        labels[at] = changed[divided]
        return starts, labels

    def build(self, checkpoint: ConfigSource, **options: Any) -> keras.Model:
        heads = {"with_mlm": "linear", "with_nsp": "linear"}
        options = {"application": "packed", **heads, **with_ignored(options, "Pooler-", "NSP-")}
        backbone = build_transformer_model(
            checkpoint, masked_positions=True, document_starts=True, **options
        )
        tables = backbone.checkpoint_tables
        saved = [t for t in tables if t.format == "huggingface"]
        if not any(t.of_weight("NSP-Proba/kernel") for t in saved):
            raise ConfigError(
                f"the objective {self.name} cannot train {backbone.config.model_type}: its "
                "checkpoints have no classifier of two segments. Choose a family such as bert, "
                "albert or roformer."
            )
        names = ("token_ids", "segment_ids", "document_ids", "masked_positions", "document_starts")
        model = named_model(self.check_vocabulary(backbone), names)
        segments, tokens = model.outputs
        return keras.Model(model.input, {"tokens": tokens, "segments": segments})

    @property
    def loss(self) -> Any:
        names = ("tokens", "segments")
        return {name: SparseCategoricalCrossentropy(from_logits=True) for name in names}

    @property
    def metrics(self) -> Any:
        return {name: [SparseCategoricalAccuracy()] for name in ("tokens", "segments")}


@register_objective
class NextSentence(SentenceOrder):
    """Masked LM, and tell whether the second segment follows the first or is of another document.

    As `SentenceOrder`, but half of the second segments (label 1) are replaced by the second segment
    of another document of the batch, cut to the same length.

    Source: Devlin et al., 2019 (arXiv:1810.04805), section 3.1.
    """

    name: ClassVar[str] = "next-sentence"

    def _change(self, first, second, changed, divided, rng):
        known = np.flatnonzero(divided)
        if len(known) < 2:
            return first, second, np.zeros_like(changed)
        # Each of these documents takes from the one that is some places behind it in their circle.
        other = np.arange(len(divided))
        steps = rng.integers(1, len(known), len(known))
        other[known] = known[(np.arange(len(known)) + steps) % len(known)]
        start = np.where(changed, second.start[other], second.start)
        length = np.where(changed, np.minimum(second.length, second.length[other]), second.length)
        return first, TextRanges(start, length), changed
