"""Units of text, of which words and terms consist: a character or a word, by its script.

A unit is one character of a script that puts no blanks between words (Chinese, Japanese, Thai,
...), or else a run of letters and digits. So the n-grams of a Chinese text are of characters, those
of an English one of words, and both may occur in one text. Blanks between two runs of letters join
them ("New York"); any other blank, and every other character, ends an n-gram: a *break*.
Characters are compared without case and width.

The text is taken apart in numpy: each character is looked up in an array of classes.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

import numpy as np

from .._folding import fold_by_character

BREAK = 0  # the code of what is no unit
_BREAK, _BLANK, _JOINER, _LETTER, _SINGLE, _UNKNOWN = range(6)
# Blocks of scripts without blanks between words: first and last code point.
_SCRIPTS = [
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Myanmar
    (0x1780, 0x17FF),  # Khmer
    (0x2E80, 0x2FDF),  # radicals
    (0x3005, 0x3007),  # ideographic iteration mark, zero
    (0x3021, 0x30FF),  # Hiragana, Katakana
    (0x31F0, 0x31FF),
    (0x3400, 0x4DBF),  # Chinese characters, here and below
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0xFF66, 0xFF9F),  # half-width Katakana
    (0x1B000, 0x1B16F),
    (0x20000, 0x3FFFF),
]
_JOINERS = "'’-‐·"  # part of a word where they are between two of its characters


class UnitVocabulary:
    """Growing list of the units that were met; a unit's code is its place, 0 is a break.

    Attributes:
        names: list of the units; the first one, "", is the break.
        is_letters: list of bools, whether a unit is a run of letters.
    """

    def __init__(self) -> None:
        self.names, self.is_letters = [""], [False]
        self._codes: dict[str, int] = {}
        self._classes = np.full(0x110000, _UNKNOWN, "uint8")
        self._folded = np.zeros(0x110000, "uint32")
        self._singles = np.zeros(0x110000, "int32")  # codes of single characters

    def encode(self, text: str, grow: bool = True) -> np.ndarray:
        """Return the codes of the units and breaks of a text: int32; see `find`.

        Args:
            text: any text.
            grow: add new units; otherwise they are breaks.
        """
        return self.find(text, grow)[0]

    def find(self, text: str, grow: bool = True) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Find the units and the breaks of a text.

        Args:
            text, grow: as for `encode`.

        Returns:
            Codes (M,), starts (M,) and ends (M,) in characters, of the units and of each character
            that is a break. Blanks between two runs of letters are not among them.
        """
        points = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "uint32")
        classes = self._classify(points)
        letter = classes == _LETTER
        starts_run = letter.copy()
        starts_run[1:] &= ~letter[:-1]
        kept = (classes != _LETTER) & (classes != _BLANK) | starts_run
        kept |= self._breaking_blanks(classes)
        starts = np.flatnonzero(kept)
        ends = starts + 1
        runs = starts_run[starts]
        if runs.any():
            ends_run = letter.copy()
            ends_run[:-1] &= ~letter[1:]
            ends[runs] = np.flatnonzero(ends_run) + 1
        codes = self._code_singles(points[starts], classes[starts], grow)
        if runs.any():
            codes[runs] = self._code_words(points, starts[runs], ends[runs], grow)
        return codes, starts, ends

    def join(self, codes: Sequence[int]) -> str:
        """Return the text of some units, with a blank between two runs of letters."""
        text, before = "", False
        for code in codes:
            letters = self.is_letters[code]
            text += " " * (before and letters) + self.names[code]
            before = letters
        return text

    def _classify(self, points: np.ndarray) -> np.ndarray:
        classes = self._classes[points]
        if (unknown := np.unique(points[classes == _UNKNOWN])).size:
            for point in unknown.tolist():
                char = fold_by_character(chr(point))
                self._classes[point], self._folded[point] = _classify_character(char), ord(char)
            classes = self._classes[points]
        joiners = np.flatnonzero(classes == _JOINER)
        inner = joiners[(joiners > 0) & (joiners < len(points) - 1)]
        inner = inner[(classes[inner - 1] == _LETTER) & (classes[inner + 1] == _LETTER)]
        classes[joiners] = _BREAK
        classes[inner] = _LETTER
        return classes

    @staticmethod
    def _breaking_blanks(classes: np.ndarray) -> np.ndarray:
        """Return which blanks are breaks: the first one of each run that is not between letters."""
        blank = classes == _BLANK
        found = np.zeros(len(classes), bool)
        if blank.any():
            bounds = np.flatnonzero(np.diff(blank, prepend=False, append=False))
            first, end = bounds[::2], bounds[1::2]
            around = np.concatenate([[_BREAK], classes, [_BREAK]])
            joining = (around[first] == _LETTER) & (around[end + 1] == _LETTER)
            found[first[~joining]] = True
        return found

    def _code_singles(self, points: np.ndarray, classes: np.ndarray, grow: bool) -> np.ndarray:
        points = np.where(classes == _SINGLE, self._folded[points], 0)
        codes = self._singles[points]
        if grow and (new := np.unique(points[(codes == 0) & (points > 0)])).size:
            self._singles[new] = np.arange(len(self.names), len(self.names) + len(new))
            self.names += map(chr, new.tolist())
            self.is_letters += [False] * len(new)
            codes = self._singles[points]
        return codes

    def _code_words(self, points, starts, ends, grow: bool) -> np.ndarray:
        folded = self._folded[points].astype("<u4")
        text = folded.tobytes().decode("utf-32-le", "surrogatepass")
        words = [text[a:b] for a, b in zip(starts.tolist(), ends.tolist(), strict=True)]
        if grow:
            new = [word for word in dict.fromkeys(words) if word not in self._codes]
            self._codes.update((word, i) for i, word in enumerate(new, len(self.names)))
            self.names += new
            self.is_letters += [True] * len(new)
        return np.array([self._codes.get(word, BREAK) for word in words], "int32")


def _classify_character(char: str) -> int:
    point = ord(char)
    if any(first <= point <= last for first, last in _SCRIPTS):
        return _SINGLE if unicodedata.category(char)[0] in "LMN" else _BREAK
    if char in _JOINERS:
        return _JOINER
    if char in "\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029":
        return _BREAK
    if char.isspace():
        return _BLANK
    return _LETTER if unicodedata.category(char)[0] in "LMN" else _BREAK
