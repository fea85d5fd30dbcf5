"""Warnings that a tokenizer gives once: truncated texts, unknown texts."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

from .errors import TruncationWarning, UnknownTokensWarning
from .spans import Span

_PACKAGE = str(Path(__file__).parents[1])
_SHARE = 0.5  # of unknown letters and digits in a text, from which on it warns
_MIN_WORDS = 4  # fewer unknown words or characters may be chance


class WarnOnce:
    """Warnings of one tokenizer, each given once."""

    def __init__(self) -> None:
        self._given: set[type[Warning]] = set()

    def truncated(self, lengths: Sequence[int], maxlen: int | None, truncate: bool | None) -> None:
        """Warn that texts are truncated.

        Args:
            lengths: lengths of the texts or pairs before truncation, in tokens.
            maxlen: largest length allowed; None allows any.
            truncate: True: no warning; None: warn; False: raise ValueError.
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
        size = f"{longest} tokens" if len(lengths) == 1 else f"up to {longest} tokens"
        if truncate is not None:
            raise ValueError(
                f"{what} {size}, more than maxlen={maxlen}, and truncate=False forbids to cut. "
                "Raise maxlen, or split the text into several."
            )
        self._given.add(TruncationWarning)
        warnings.warn(
            f"{what} {size} and {'is' if len(lengths) == 1 else 'are'} cut to maxlen={maxlen}: "
            "the model does not see the rest. If this is intended, pass truncate=True; "
            "truncate=False raises instead. (Said once for each tokenizer.)",
            TruncationWarning,
            stacklevel=_caller_level(),
        )

    def unknown(self, text: str, ids: Sequence[int], spans: Sequence[Span], unk_id: int) -> None:
        """Warn if most letters of a text are unknown to the vocabulary.

        Args:
            text: the text.
            ids, spans: ids and spans of its tokens.
            unk_id: id of the unknown token.
        """
        unknown = [text[a:b] for i, (a, b) in zip(ids, spans, strict=True) if i == unk_id]
        letters = [sum(map(str.isalnum, piece)) for piece in unknown]
        total = sum(map(str.isalnum, text))
        words = sum(map(_count_words, unknown))
        if words < _MIN_WORDS or sum(letters) <= _SHARE * total:
            return
        self._given.add(UnknownTokensWarning)
        examples = list(dict.fromkeys(piece.strip()[:12] for piece in unknown if piece.strip()))[:5]
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
        """Return whether a text may need the warning of `unknown`; a quick test that counts ids."""
        if unk_id is None or UnknownTokensWarning in self._given:
            return False
        # SentencePiece has one unknown token for a run of unknown characters, often behind a "▁".
        return 4 * ids.count(unk_id) >= len(ids) > 0


def _count_words(piece: str) -> int:
    """Count 1 for a word; in scripts without blanks between words (from Thai on), each letter."""
    letters = [char for char in piece if char.isalnum()]
    return max(min(len(letters), 1), sum(ord(char) >= 0x0E00 for char in letters))


def _caller_level() -> int:
    """Return the `stacklevel` of the nearest caller outside the package."""
    frame, level = sys._getframe(1), 1
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame, level = frame.f_back, level + 1
    return level
