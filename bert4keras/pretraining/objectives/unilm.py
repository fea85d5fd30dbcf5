"""UniLM: one model is trained as a bidirectional, a left-to-right and a seq2seq language model."""

from __future__ import annotations

from typing import Any, ClassVar

import keras
import numpy as np

from ...data.masking import IGNORED
from ...masks import Packed, Permutation
from ...models import build_transformer_model
from ...models.model_config import ConfigSource
from ...tokenizers.base import TokenizerBase
from ..rows import TokenRows
from .base import Arrays, named_model, predictions, register_objective
from .masked_lm import MaskedLM
from .segments import (
    TextRanges,
    document_numbers,
    find_documents,
    join_segments,
    sentence_end_ids,
    split_places,
)

_BOTH_WAYS, _LEFT_TO_RIGHT, _SEQ2SEQ = range(3)
_PREDICTIONS = ("masked", "next")


@register_objective
class UniLMMixture(MaskedLM):
    """Train each document as one of three language models, drawn at random for every document.

    - bidirectional: every token sees the whole document;
    - left to right: a token sees itself and those before it;
    - seq2seq: the document is divided, at the end of a sentence if there is one inside. The token
      there becomes [SEP], the text before it is segment 0 and sees itself, the text behind it is
      segment 1 and sees segment 0 and its own past.

    Documents that are too short to divide are bidirectional. The ranks of the mask `Permutation`,
    an input of the model, say which tokens are visible. The trained model has the weights of a BERT
    and works under the masks `"encoder"`, `"lm"` and `"unilm"`.

    Args:
        tokenizer: with [MASK] and [SEP].
        predict: `"masked"`: hidden tokens are predicted in all three, as in the article.
            `"next"`: a left-to-right document and a target predict the next token instead, as
            models with `application="lm"` or `"unilm"` do, which can then write text at once.
        shares: probabilities of the three, in the order above.
        **options: of `MaskedLM`: `rate`, `unit`, `mean_span`.

    Raises:
        ValueError: an argument out of its range, or a token that the vocabulary lacks.

    Source: Dong et al., UniLM, 2019 (arXiv:1905.03197).
    """

    name: ClassVar[str] = "unilm"

    def __init__(
        self,
        tokenizer: TokenizerBase,
        predict: str = "masked",
        shares: tuple[float, float, float] = (1 / 3, 1 / 3, 1 / 3),
        **options: Any,
    ):
        super().__init__(tokenizer, **options)
        if predict not in _PREDICTIONS:
            raise ValueError(f"predict must be one of {', '.join(_PREDICTIONS)}, not {predict!r}.")
        if len(shares) != 3 or min(shares) < 0 or abs(sum(shares) - 1) > 1e-6:
            raise ValueError(f"shares must be three probabilities with the sum 1, not {shares}.")
        self.predict, self.shares = predict, np.array(shares, "float64")
        self.sep_id = self.required_id(tokenizer, "sep_token_id", "[SEP] between two segments")
        self.sentence_ends = sentence_end_ids(tokenizer.vocab)

    def corrupt(
        self, rows: TokenRows, rng: np.random.Generator
    ) -> tuple[Arrays, Arrays | np.ndarray]:
        documents = find_documents(rows)
        kind = rng.choice(3, len(documents.start), p=self.shares / self.shares.sum())
        place, _ = split_places(rows, documents, self.sentence_ends, rng)
        kind = np.where((kind == _SEQ2SEQ) & (place < 0), _BOTH_WAYS, kind)
        source = TextRanges(documents.first, place - documents.first)
        target = TextRanges(place + 1, documents.last - place - 1)
        divided, specials = kind == _SEQ2SEQ, (self.sep_id, self.pad_id)
        rows, segments = join_segments(rows, documents, source, target, divided, *specials)
        kinds = np.append(kind, _BOTH_WAYS)[document_numbers(documents, rows.token_ids.size)]
        kinds = kinds.reshape(rows.token_ids.shape)
        ordered = (kinds == _LEFT_TO_RIGHT) | ((kinds == _SEQ2SEQ) & (segments == 1))
        rank = np.where(ordered, 1 + np.arange(ordered.shape[1]), 0).astype("int32")
        if self.predict == "masked":
            inputs, targets = self.mask_rows(rows, rng)
        else:
            inputs, targets = self._next_tokens(rows, kinds, ordered, rng)
        return {**inputs, "segment_ids": segments, "rank": rank}, targets

    def _next_tokens(
        self, rows: TokenRows, kinds: np.ndarray, ordered: np.ndarray, rng: np.random.Generator
    ) -> tuple[Arrays, np.ndarray]:
        """Mask only bidirectional documents; where tokens are ordered, predict the next one.

        Args:
            rows: the rows, divided already.
            kinds: int (B, L), kind of the document of each token.
            ordered: bool (B, L), True for tokens that see no later one.
            rng: source of randomness.
        """
        masked = rows._replace(word_ids=np.where(kinds == _BOTH_WAYS, rows.word_ids, -1))
        inputs, targets = self.mask_rows(masked, rng)
        wanted = np.full_like(rows.token_ids, IGNORED)
        row, column = np.nonzero(targets >= 0)
        wanted[row, inputs["masked_positions"][row, column]] = targets[row, column]
        # The token before the first of a target, [SEP], is of the source and predicts it too.
        follows = rows.document_ids[:, 1:] == rows.document_ids[:, :-1]
        follows &= ordered[:, 1:] & (rows.document_ids[:, 1:] > 0)
        wanted[:, :-1] = np.where(follows, rows.token_ids[:, 1:], wanted[:, :-1])
        length = wanted.shape[1]
        positions, targets, _ = predictions(wanted, wanted >= 0, length)
        return {**inputs, "masked_positions": positions}, targets

    def build(self, checkpoint: ConfigSource, **options: Any) -> keras.Model:
        options = {"application": Permutation() & Packed(), "with_mlm": "linear", **options}
        backbone = build_transformer_model(checkpoint, masked_positions=True, **options)
        names = ("token_ids", "segment_ids", "document_ids", "rank", "masked_positions")
        return named_model(self.check_vocabulary(backbone), names)
