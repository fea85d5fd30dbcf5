"""What a tokenizer says once: texts were cut, or are unknown to the vocabulary."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

from .errors import TruncationWarning, UnknownTokensWarning
from .spans import Span

_PACKAGE = str(Path(__file__).parents[1])
_SHARE = 0.5  # of the letters and digits of a text
_FEW = 4  # unknown words or characters that may be chance


class WarnOnce:
    """The warnings of a tokenizer, each given once."""

    def __init__(self) -> None:
        self._given: set[type[Warning]] = set()

    def truncated(self, lengths: Sequence[int], maxlen: int | None, truncate: bool | None) -> None:
        """Say that texts are cut.

        Args:
            lengths: of the texts or pairs, in tokens.
            maxlen: tokens that one may have; None: any number.
            truncate: True: nothing is said; False: ValueError; None: a warning.
        """
        if maxlen is None or truncate:
            return
        longest = max(lengths, default=0)
        if longest <= maxlen:
            return
        if truncate is None and TruncationWarning in self._given:
            return
        count = sum(length > maxlen for length in lengths)
        what = f"{count} of {len(lengths)} texts have" if len(lengths) > 1 else "A text has"
        longest = f"{longest} tokens" if len(lengths) == 1 else f"up to {longest} tokens"
        if truncate is not None:
            raise ValueError(
                f"{what} {longest}, more than maxlen={maxlen}, and truncate=False forbids to cut. "
                "Raise maxlen, or cut the text into several."
            )
        self._given.add(TruncationWarning)
        warnings.warn(
            f"{what} {longest} and {'is' if len(lengths) == 1 else 'are'} cut to maxlen={maxlen}: "
            "the model does not see the rest. If this is intended, pass truncate=True; "
            "truncate=False raises instead. (Said once for each tokenizer.)",
            TruncationWarning,
            stacklevel=_caller_level(),
        )

    def unknown(self, text: str, ids: Sequence[int], spans: Sequence[Span], unk_id: int) -> None:
        """Say that most of a text is unknown, if it is.

        Args:
            text: the text.
            ids, spans: of its tokens.
            unk_id: the id of the unknown token.
        """
        lost = [text[a:b] for i, (a, b) in zip(ids, spans, strict=True) if i == unk_id]
        letters = [sum(map(str.isalnum, piece)) for piece in lost]
        total = sum(map(str.isalnum, text))
        units = sum(map(_count_words, lost))
        if units < _FEW or sum(letters) <= _SHARE * total:
            return
        self._given.add(UnknownTokensWarning)
        examples = list(dict.fromkeys(piece.strip()[:12] for piece in lost if piece.strip()))[:5]
        warnings.warn(
            f"{sum(letters) / total:.0%} of the letters of a text are unknown to the vocabulary, "
            f"for example {', '.join(map(repr, examples))}: the model sees "
            "the unknown token in their place. Does the vocabulary belong to the language of the "
            "text, and do_lower_case to the vocabulary? Another checkpoint, e.g. a multilingual "
            "one, may know them. (Said once for each tokenizer.)",
            UnknownTokensWarning,
            stacklevel=_caller_level(),
        )

    def may_be_unknown(self, ids: Sequence[int], unk_id: int | None) -> bool:
        """Whether `unknown` may have something to say, at the cost of counting."""
        if unk_id is None or UnknownTokensWarning in self._given:
            return False
        # SentencePiece has one unknown token for a run of unknown characters, often behind a "▁".
        return 4 * ids.count(unk_id) >= len(ids) > 0


def _count_words(piece: str) -> int:
    """One, or the letters of scripts in which no blanks part the words, from Thai on."""
    letters = [char for char in piece if char.isalnum()]
    return max(min(len(letters), 1), sum(ord(char) >= 0x0E00 for char in letters))


def _caller_level() -> int:
    """The `stacklevel` for `warnings.warn` of the nearest caller outside of the package."""
    frame, level = sys._getframe(1), 1
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame, level = frame.f_back, level + 1
    return level
