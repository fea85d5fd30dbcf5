"""What the examples of reading comprehension share: reading SQuAD and CMRC 2018, scores."""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import re
import sys
from collections.abc import Sequence
from pathlib import Path

import common

from bert4keras.data import parse_json, read_text
from bert4keras.tasks.reading import cmrc2018


@dataclasses.dataclass(frozen=True)
class Row:
    """A question about a passage.

    Attributes:
        id: what the file calls it.
        question, context: texts, as they are in the file.
        answers: the answers that count as right; none if the passage has no answer.
        starts: where each of them begins in `context`, in characters; -1 if it is not there.
    """

    id: str
    question: str
    context: str
    answers: tuple[str, ...] = ()
    starts: tuple[int, ...] = ()

    @property
    def spans(self) -> list[tuple[int, int]]:
        """The characters [start, end) of each answer that stands in the passage."""
        pairs = zip(self.starts, self.answers, strict=True)
        return [(start, start + len(answer)) for start, answer in pairs if start >= 0]

    @property
    def target(self) -> str | None:
        """What a model should answer: the first answer that stands in the passage, "" if there is
        none to the question, or None if all stand elsewhere."""
        return next((self.context[a:b] for a, b in self.spans), None if self.answers else "")


def read(path: Path, limit: int | None = None) -> list[Row]:
    """The questions of a file in the format of SQuAD 1.1 and 2.0 or CMRC 2018, `*.json` or
    `*.json.xz`.

    An answer that does not stand where the file says is looked for, and the nearest place taken.
    How many were found, and how many stand nowhere, is printed.

    Args:
        limit: take only the first so many.

    Raises:
        SystemExit: no such file, or one of another format; names the file and the place.
    """
    with common.exits():
        content = parse_json(read_text(path), path)
    rows, where = [], "the whole"
    try:
        for i, article in enumerate(content["data"]):
            where = f"data[{i}]"
            for j, paragraph in enumerate(article["paragraphs"]):
                where = f"data[{i}].paragraphs[{j}]"
                for k, asked in enumerate(paragraph["qas"]):
                    where = f"data[{i}].paragraphs[{j}].qas[{k}]"
                    rows.append(_row(asked, paragraph["context"]))
    except (KeyError, TypeError) as error:
        reason = f"no {error}" if isinstance(error, KeyError) else error
        sys.exit(f"{path}, {where}: not the format of SQuAD or CMRC 2018: {reason}")
    rows = rows[:limit]
    moved, lost = sum(moved for _, moved in rows), sum(row.starts.count(-1) for row, _ in rows)
    if moved or lost:
        print(f"{path.name}: {moved} answers stand elsewhere than said, {lost} nowhere")
    return [row for row, _ in rows] or sys.exit(f"{path} has no question.")


def _row(asked: dict, context: str) -> tuple[Row, int]:
    """The row of a question, and how many of its answers stand elsewhere than said."""
    found, moved = {}, 0
    for answer in asked["answers"]:
        text, said = _text(answer["text"]), answer["answer_start"]
        if type(said) is not int:
            raise TypeError(f"answer_start is {said!r}, not a number.")
        said += len(text) - len(text.lstrip())
        start = nearest(_text(context), text.strip(), said)
        moved += start not in (said, -1)
        found[text.strip(), start] = None
    answers, starts = zip(*found, strict=True) if found else ((), ())
    return Row(str(asked["id"]), _text(asked["question"]), _text(context), answers, starts), moved


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not a text.")
    return value


def places(text: str, context: str) -> list[int]:
    """Where a text stands in a context, overlapping places too; nowhere if it is empty."""
    return [match.start() for match in re.finditer(f"(?={re.escape(text)})", context) if text]


def nearest(context: str, text: str, start: int) -> int:
    """Where a text stands in a context: at `start`, else at the place nearest to that, else -1."""
    size = len(context)
    start = min(max(start, 0), size)
    before = context.rfind(text, 0, min(start + len(text), size)) if text else -1
    after = context.find(text, start) if text else -1
    found = [place for place in (before, after) if place >= 0]
    return min(found, key=lambda place: abs(place - start), default=-1)


def mark_shared(
    segments: Sequence[int], ids: Sequence[int], asked: range, passage: range
) -> list[int]:
    """Segment ids that tell which tokens of the passage are in the question too.

    A pretrained model sees that for itself; one with random weights takes long to learn it.

    Args:
        segments, ids: of a sequence, T of each.
        asked, passage: the places of the question and of the passage.

    Returns:
        T segment ids: 2 in place of a token that both have, 3 if they have it in a run of two.
    """
    tokens = [ids[i] for i in asked]
    known, marked = {*tokens, *itertools.pairwise(tokens)}, list(segments)
    for i in passage:
        if ids[i] in known:
            pairs = {tuple(ids[i - 1 : i + 1]), tuple(ids[i : i + 2])}
            marked[i] = 3 if pairs & known else 2
    return marked


def splits(options: argparse.Namespace, answered: bool = False) -> list[list[Row]]:
    """Rows of `--train`, `--valid` and `--test`, see `common.splits`; no passage is divided.

    Args:
        answered: leave out questions whose answer does not stand in the passage.
    """

    def wanted(path: Path) -> list[Row]:
        return [row for row in read(path) if row.spans or not answered]

    return common.splits(options, wanted, group=common.by(lambda row: row.context))


def nearest_sentence(row: Row) -> str:
    """The part between commas or stops that has most pairs of characters of the question."""
    asked = set(itertools.pairwise(row.question))
    parts = re.findall(r"[^。！？!?；;，,]+", row.context) or [""]
    return max(parts, key=lambda part: len(asked & set(itertools.pairwise(part))))


def plain_answer(row: Row) -> str:
    """A baseline without a model: the longest run of that part which the question lacks."""
    runs = itertools.groupby(nearest_sentence(row), lambda char: char in row.question)
    return max(("".join(run) for known, run in runs if not known), key=len, default="")


def scores(found: Sequence[str], rows: Sequence[Row]) -> dict[str, float]:
    """Exact match and F1 as `cmrc2018` has them; "" says that there is no answer."""
    return cmrc2018(found, [row.answers for row in rows])


def report(name: str, found: Sequence[str], rows: Sequence[Row]) -> None:
    """Print the scores of one way to answer."""
    figures = (f"{key} {value:.4f}" for key, value in scores(found, rows).items())
    print(f"test: {name}: {', '.join(figures)}")
