"""Word segmentation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras

from ...tokenizers.base import TokenizerBase
from ..base import Encoded, register_task
from .entity import Entity, TaggedText
from .task import Tagger


@register_task
class WordSegmenter(Tagger):
    """Word segmenter: a `Tagger` without the tag "O", because every character is part of a word.

    Answers are entities: the words, with labels if the model also predicts types of words, such as
    parts of speech. Blanks are in no word. A character for which the tokenizer has no token is a
    word.

    Args:
        tokenizer, model, tags, units, maxlen, encoder_config: of `Tagger`.
        scheme: of `Tagger`; "BMES" if None.
        labels: types of words; [""] for none.

    Example:
        >>> task = WordSegmenter.build("bert")
        >>> task.model.compile("adam", task.loss)
        >>> task.model.fit(task.batches(read_segmented("pku_training.utf8")))
        >>> task.words("我爱北京")
        ['我', '爱', '北京']
    """

    architecture = None
    outside = False

    def __init__(
        self,
        tokenizer: TokenizerBase,
        model: keras.Model,
        labels: Sequence[str] = ("",),
        scheme: str | None = None,
        tags: Sequence[str] | None = None,
        units: str = "token",
        maxlen: int | None = None,
        encoder_config: Mapping[str, Any] | None = None,
    ):
        super().__init__(
            tokenizer,
            model,
            labels,
            scheme or "BMES",
            tags,
            units,
            maxlen=maxlen,
            encoder_config=encoder_config,
        )

    @classmethod
    def build(  # type: ignore[override]  # labels are optional: there is one, words
        cls,
        checkpoint: Any,
        labels: Sequence[str] = ("",),
        head: str = "crf",
        scheme: str = "BMES",
        units: str = "token",
        maxlen: int | None = None,
        tokenizer: TokenizerBase | None = None,
        dropout: float = 0.1,
        head_options: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> WordSegmenter:
        """Put a new head on a pretrained encoder; arguments and `options` as for `Tagger.build`."""
        tokenizer, model, config = cls._new_model(
            checkpoint, labels, head, scheme, dropout, tokenizer, head_options, options
        )
        return cls(
            tokenizer, model, labels, scheme, units=units, maxlen=maxlen, encoder_config=config
        )

    def words(self, text: str | TaggedText) -> list[str]:
        """Return the words of a text."""
        return [word.text for word in self(text)]

    def decode(self, outputs: Sequence[Any], encoded: Encoded) -> list[Entity]:
        text, found, place = encoded.extra.text, [], 0
        for word in [*super().decode(outputs, encoded), None]:
            end = len(text) if word is None else word.start
            found += [
                Entity(k, k + 1, "", text[k], 1.0)
                for k in range(place, end)
                if not text[k].isspace()
            ]
            if word is not None:
                found.append(word)
                place = word.end
        return found
