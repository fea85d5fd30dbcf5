"""Reader of files with one token and its tag per line, like CoNLL, MSRA or Weibo.

Each line has the token first and the tag last; an empty line, or -DOCSTART-, ends a sentence.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from pathlib import Path

from ...data import DataFileError, read_table
from ...data.text_files import is_header
from ..alignment import locate_entities
from ..labelled_span import LabelledSpan
from .entity import TaggedText
from .schemes import decode_tags, encode_tags, find_scheme
from .tag_spelling import TagError, standard_tags

_IDEOGRAPH_RANGES = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_IDEOGRAPH = re.compile(f"[{_IDEOGRAPH_RANGES}]")
# Ideographs, their punctuation and full-width forms are written without blanks.
_UNSPACED = re.compile(f"[{_IDEOGRAPH_RANGES}\u2e80-\u303f\uff00-\uffef]")
_POSITION = re.compile(r"(.)(\d+)", re.DOTALL | re.ASCII)

_LONG_SENTENCE = 2000  # tokens; a longer sentence probably lacks the empty lines between sentences

Row = tuple[int, str, str]  # line, token, tag


def read_columns(
    path: str | Path, scheme: str | None = None, encoding: str | None = None
) -> list[TaggedText]:
    """Read a file with one token and its tag per line, like CoNLL, MSRA or Weibo.

    Columns are separated by tabs if the file has any, so that tokens may contain blanks, otherwise
    by blanks; in `*.csv` by commas. All lines have the same number of columns. Chinese and Japanese
    tokens are joined without a blank, words with one. If every token is followed by its position
    in the word, as in Weibo NER (科0 技1), the number is removed.

    Args:
        path: the file, possibly compressed.
        scheme: scheme of the tags, one of `tag_spelling.FILE_SCHEMES`; tags that break its rules
            are refused. None: find the scheme; tags that break its rules are read like CoNLL's
            script does, with a warning.
        encoding: UTF-8 if None.

    Returns:
        The sentences, with `words` if the tokens are words.

    Raises:
        DataFileError: a line that cannot be read; the message names it.
    """
    path = Path(path)
    sentences = _plain_tokens(_sentences(path, encoding), path)
    rows = [row for sentence in sentences for row in sentence]
    try:
        standard = standard_tags((tag for _, _, tag in rows), scheme)
    except TagError as error:
        line = next(line for line, _, tag in rows if tag == error.tag)
        raise DataFileError.at(path, line, error) from None
    tags = [[standard[tag] for _, _, tag in sentence] for sentence in sentences]
    decoded = [decode_tags(some) for some in tags]
    _check_rules(path, sentences, tags, decoded, scheme)
    characters = _are_characters([token for _, token, _ in rows])
    found = []
    for sentence, some in zip(sentences, decoded, strict=True):
        text, words = _join([token for _, token, _ in sentence], characters)
        entities = locate_entities(some, words)
        found.append(TaggedText(text, entities, None if characters else words))
    return found


def _sentences(path: Path, encoding: str | None) -> list[list[Row]]:
    """Return the sentences as rows of token and tag, without headers and comments."""
    table = read_table(path, encoding)
    commented = lambda cells: re.match(r"#(\s|$)", cells[0])  # noqa: E731
    tabbed = ".csv" in path.suffixes or any(len(c) > 1 for _, c in table if not commented(c))
    found: list[list[Row]] = [[]]
    width = first = last = 0
    for line, cells in table:
        if not tabbed:  # not `split()`: a token may be a Unicode blank
            cells = list(filter(None, "\t".join(cells).split(" ")))
        cells = [cell.strip(" ") or cell[:1] for cell in cells]
        if line != last + 1 and found[-1]:
            found.append([])
        last = line
        if cells[0].split(" ")[0] == "-DOCSTART-":
            found.append([])
            continue
        row = len(cells) == (width or len(cells)) > 1 and _is_tag(cells[-1])
        if not found[-1] and commented(cells) and not row:
            continue
        if not first and len(cells) > 1 and is_header(cells):
            continue
        width, first = width or len(cells), first or line
        if len(cells) < 2 or not cells[0] or not cells[-1].strip():
            raise DataFileError.at(
                path, line, f"expected a token and its tag, not {str(cells)[:80]}"
            )
        if len(cells) != width:
            kind = "separated by tabs" if tabbed else "separated by blanks"
            reason = f"{len(cells)} columns {kind}, but line {first} has {width}"
            raise DataFileError.at(path, line, f"{reason}: {str(cells)[:80]}")
        found[-1].append((line, cells[0], cells[-1]))
    sentences = [sentence for sentence in found if sentence]
    _check_shape(path, sentences)
    return sentences


def _check_shape(path: Path, sentences: list[list[Row]]) -> None:
    """Refuse row numbers in place of tokens; warn of sentences that are too long."""
    numbers = [[token for _, token, _ in sentence] for sentence in sentences]
    if any(len(row) > 2 for row in numbers) and all(
        row[0] in ("0", "1") and row == [str(n + int(row[0])) for n in range(len(row))]
        for row in numbers
    ):
        reason = "the first column has row numbers, not tokens: remove it (cut -f 2-)"
        raise DataFileError.at(path, sentences[0][0][0], reason)
    longest = max(sentences, key=len, default=[])
    if len(longest) > _LONG_SENTENCE:
        where = f"{path.name}, line {longest[0][0]}: a sentence of {len(longest)} tokens"
        warnings.warn(f"{where}; an empty line must follow each sentence", stacklevel=5)


def _is_tag(text: str) -> bool:
    try:
        return bool(standard_tags([text]))
    except TagError as error:
        return error.ambiguous


def _plain_tokens(sentences: list[list[Row]], path: Path) -> list[list[Row]]:
    """Remove the positions in words that some Chinese files write after each token.

    In such a file every token is a character and a number: 0 (or 1) at the start of a word, then
    one more for each further character. A file in which almost all, but not all, tokens look like
    this is damaged.
    """
    parts = [[_POSITION.fullmatch(token) for _, token, _ in rows] for rows in sentences]
    some = [part for row in parts for part in row]
    if not any(part and _IDEOGRAPH.match(part[1]) for part in some):
        return sentences
    base, wrong = min(int(part[2][:9]) for part in some if part), None
    for rows, row in zip(sentences, parts, strict=True):
        before = None
        for (line, _, _), part in zip(rows, row, strict=True):
            place = int(part[2][:9]) if part else None
            if place is None or (place != base and before != place - 1):
                wrong = wrong or line
            before = place
    if base in (0, 1) and not wrong:
        return [
            [(line, part[1], tag) for (line, _, tag), part in zip(rows, row, strict=True)]
            for rows, row in zip(sentences, parts, strict=True)
        ]
    numbered = sum(bool(part and _IDEOGRAPH.match(part[1])) for part in some)
    if len(some) >= 20 and numbered > 0.8 * len(some):
        reason = "other tokens are followed by their position in the word, but this one is not"
        raise DataFileError.at(path, wrong or sentences[0][0][0], reason)
    return sentences


def _check_rules(
    path: Path,
    sentences: Sequence[Sequence[Row]],
    tags: Sequence[Sequence[str]],
    entities: Sequence[Sequence[LabelledSpan]],
    scheme: str | None,
) -> None:
    """Compare the tags with those that the scheme would write for their entities.

    Warns of differences; with a given scheme the first difference is an error.
    """
    flat = [tag for some in tags for tag in [*some, "O"]]
    known = {"BILOU": "BIOES", "BMEWO": "BMES"}.get(scheme, scheme)
    tried = [known or find_scheme(flat)]
    if tried == ["IOB1"] and scheme is None:
        tried = ["BIO", "IOB1"]
    broken = {}
    for name in tried:
        written = [encode_tags(e, len(t), name) for e, t in zip(entities, tags, strict=True)]
        broken[name] = [
            (line, tag)
            for rows, one, other in zip(sentences, tags, written, strict=True)
            for (line, _, tag), a, b in zip(rows, one, other, strict=True)
            if a != b
        ]
    name = min(broken, key=lambda name: len(broken[name]))
    if broken[name]:
        line, tag = broken[name][0]
        reason = f"{tag!r} breaks the rules of {scheme or name}"
        if scheme:
            raise DataFileError.at(path, line, reason)
        warnings.warn(
            f"{path.name}: {len(broken[name])} of {len(flat)} tags, the first in line {line}: "
            f"{reason}; they are read like CoNLL's script does",
            stacklevel=3,
        )


def _are_characters(tokens: list[str]) -> bool:
    """Return whether the tokens are Chinese or Japanese characters, perhaps with Latin words."""
    sizes = [len(token) for token in tokens if _IDEOGRAPH.search(token)]
    return sum(size == 1 for size in sizes) > 0.9 * len(sizes)


def _join(tokens: list[str], characters: bool) -> tuple[str, list[tuple[int, int]]]:
    """Join tokens; return the text and (start, end) of each token in it."""
    parts, words, place = [], [], 0
    for number, token in enumerate(tokens):
        blank = number and _apart(tokens[number - 1], token, characters)
        parts.append(" " * blank + token)
        words.append((place + blank, place + blank + len(token)))
        place += blank + len(token)
    return "".join(parts), words


def _apart(left: str, right: str, characters: bool) -> bool:
    """Return whether a blank belongs between two tokens."""
    if _UNSPACED.match(left[-1]) or _UNSPACED.match(right[0]):
        return False
    if characters:  # a Latin word is one token, or one token per letter
        return len(left) + len(right) > 2 and left[-1].isalnum() and right[0].isalnum()
    return True
