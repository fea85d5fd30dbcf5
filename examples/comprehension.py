"""What the extractive examples of reading comprehension share: formats, a baseline, scores.

Rows are those of `reading`; a question with several passages has a row for each, with its id.
"""

from __future__ import annotations

import argparse
import ast
import csv
import itertools
import math
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import common
import reading
from reading import Row

from bert4keras.data import read_json_rows, read_text
from bert4keras.tasks.reading import (
    cmrc2018,
    cmrc_f1,
    no_answer_threshold,
    squad,
    squad_f1,
    webqa,
    webqa_f1,
)
from bert4keras.tasks.words import words

WRONG_FORMAT = (AttributeError, IndexError, KeyError, TypeError, ValueError)
STOPS = re.compile(r"[^。！？!?\n]*?(?:[。！？\n]+|[.!?]+(?=\s)|[!?]+|$)")


def read(path: Path, limit: int | None = None) -> list[Row]:
    """The questions of a file: SQuAD or CMRC 2018, SubjQA (`*.csv`), WebQA or SogouQA; also `*.xz`.

    Raises:
        SystemExit: no such file, or one of another format; names the file and the place.
    """
    if ".csv" in path.suffixes:
        return read_subjqa(path, limit)
    if (lines := _webqa_items(path)) is not None:
        return read_webqa(path, lines, limit)
    return reading.read(path, limit)


def read_subjqa(path: Path, limit: int | None = None) -> list[Row]:
    """SubjQA: what several people answered to one question about one review makes one row.

    Reviews end in ANSWERNOTFOUND, which is taken off, and so is that answer.
    """
    found: dict[tuple[str, str], dict] = {}
    with common.opened(path) as lines:
        reader = csv.DictReader(lines, strict=True)
        try:
            for item in reader:
                context = item["review"].removesuffix("ANSWERNOTFOUND")
                start, end = ast.literal_eval(item["human_ans_indices"])
                answers = found.setdefault((item["question"], context), {})
                if 0 <= start < end <= len(context):
                    answers[context[start:end], start] = None
        except csv.Error as error:
            sys.exit(f"{path} cannot be read: {error}")
        except (*WRONG_FORMAT, SyntaxError, MemoryError, RecursionError) as error:
            sys.exit(f"{path}, line {reader.line_num}: not the format of SubjQA: {error!r}")
    rows = []
    for (question, context), answers in found.items():
        texts, starts = zip(*answers, strict=True) if answers else ((), ())
        rows.append(Row(str(len(rows)), question, context, texts, starts))
    return rows[:limit] or sys.exit(f"{path} has no question.")


def read_webqa(path: Path, items: list, limit: int | None = None) -> list[Row]:
    """WebQA and SogouQA: a question with several passages, in each of which every occurrence of
    an answer counts.

    Args:
        items: {"id", "question", "passages": [{"passage", "answer"}]}, or with the names of WebQA
            itself: {"q_key", "question_tokens", "evidences": [{"evidence_tokens",
            "golden_answers"}]}.
    """
    rows = []
    for number, item in enumerate(items[:limit], 1):
        try:
            if "passages" in item:
                name, question, found = item["id"], item["question"], item["passages"]
                pairs = [(x["passage"], [x["answer"]] if x["answer"] else []) for x in found]
            else:
                name, question = item["q_key"], "".join(item["question_tokens"])
                pairs = [
                    ("".join(x["evidence_tokens"]), ["".join(a) for a in x["golden_answers"]])
                    for x in item["evidences"]
                ]
            for passage, answers in pairs:
                answers = [answer for answer in dict.fromkeys(answers) if answer != "no_answer"]
                # Each with its places, or with none at all.
                marked = [(a, i) for a in answers for i in (reading.places(a, passage) or [-1])]
                texts, starts = zip(*marked, strict=True) if marked else ((), ())
                rows.append(Row(str(name), question, passage, texts, starts))
        except WRONG_FORMAT as error:
            sys.exit(f"{path}, question {number}: not the format of WebQA or SogouQA: {error!r}")
    return rows or sys.exit(f"{path} has no question.")


def splits(options: argparse.Namespace) -> list[list[Row]]:
    """Rows of `--train`, `--valid` and `--test`, see `common.splits`; no passage is divided."""

    def grouped(rows: list[Row]) -> list[list[Row]]:
        # Rows of one passage, or of one question, stand one after another.
        groups: list[list[Row]] = []
        for row in rows:
            last = groups[-1][-1] if groups else None
            if last and (row.context == last.context or row.id == last.id):
                groups[-1].append(row)
            else:
                groups.append([row])
        return groups

    return common.splits(options, read, group=grouped)


class SentenceBaseline:
    """The sentence of a passage that is most like the question: cosine of tf-idf vectors.

    The terms are words, Chinese characters and pairs of them.

    Args:
        rows: of whose passages the document frequencies are taken, each sentence a document.
    """

    def __init__(self, rows: Sequence[Row]):
        documents = [s for text in {row.context for row in rows} for s in sentences(text)]
        frequency = Counter(term for text in documents for term in set(_terms(text)))
        self._idf = {term: math.log(len(documents) / n) for term, n in frequency.items()}
        self._rarest = math.log(len(documents) + 1)

    def answer(self, rows: Sequence[Row]) -> list[tuple[str, float]]:
        """For each question the sentence, without the mark at its end, and its cosine."""
        found = []
        for group in questions(rows):
            asked = self._vector(group[0].question)
            parts = [part for row in group for part in sentences(row.context)]
            marked = [(self._cosine(asked, self._vector(part)), part) for part in parts]
            cosine, text = max(marked, key=lambda pair: pair[0], default=(0.0, ""))
            found.append((text.rstrip("。！？.!? "), cosine))
        return found

    def _vector(self, text: str) -> dict[str, float]:
        counts = Counter(_terms(text))
        return {term: n * self._idf.get(term, self._rarest) for term, n in counts.items()}

    @staticmethod
    def _cosine(a: dict[str, float], b: dict[str, float]) -> float:
        product = sum(weight * b.get(term, 0.0) for term, weight in a.items())
        length = math.hypot(*a.values()) * math.hypot(*b.values())
        return product / length if length else 0.0


def sentences(text: str) -> list[str]:
    """A text cut behind its stops."""
    return [part.strip() for part in STOPS.findall(text) if part.strip()]


def chinese(rows: Sequence[Row]) -> bool:
    """Whether the questions are, most of them."""
    return 2 * sum(bool(re.search("[\u4e00-\u9fff]", row.question)) for row in rows) > len(rows)


def questions(rows: Sequence[Row]) -> list[list[Row]]:
    """The passages of each question: rows of one id that stand one after another."""
    return [list(group) for _, group in itertools.groupby(rows, lambda row: row.id)]


def metric(rows: Sequence[Row]) -> tuple[Callable, Callable]:
    """What scores all answers, and the F1 of one.

    That of WebQA for questions with several passages, of CMRC 2018 for Chinese, of SQuAD else.
    """
    if len(questions(rows)) < len(rows):
        return webqa, webqa_f1
    return (cmrc2018, cmrc_f1) if chinese(rows) else (squad, squad_f1)


Found = Sequence[tuple[str, float]]  # for each question an answer and how sure it is


def choose_threshold(found: Found, rows: Sequence[Row]) -> float:
    """How sure an answer must be to be given; -inf if every question has one."""
    wanted = _answers(rows)
    if all(wanted):
        return -math.inf
    texts, margins = zip(*found, strict=True)
    return no_answer_threshold(margins, texts, wanted, metric(rows)[1])[0]


def scores(found: Found, rows: Sequence[Row], threshold: float | None = None) -> dict[str, float]:
    """F1, EM and what else the metric has, with a threshold, or with the best one for these."""
    threshold = choose_threshold(found, rows) if threshold is None else threshold
    texts = [text if margin > threshold else "" for text, margin in found]
    result = metric(rows)[0](texts, _answers(rows))
    return {"f1": result.pop("f1"), **result}


def report(
    name: str,
    answer: Callable[[Sequence[Row]], Found],
    valid: Sequence[Row],
    test: Sequence[Row],
) -> list[str]:
    """Print the scores of a reader on the test rows, with the threshold that the valid rows choose.

    Returns:
        Its answers.
    """
    threshold, found = choose_threshold(answer(valid), valid), answer(test)
    figures = scores(found, test, threshold).items()
    print(f"test: {name}: {', '.join(f'{key} {value:.4f}' for key, value in figures)}", flush=True)
    return [text if margin > threshold else "" for text, margin in found]


def _answers(rows: Sequence[Row]) -> list[list[str]]:
    """The true answers to each question, from all of its passages."""
    return [
        list(dict.fromkeys(answer for row in group for answer in row.answers))
        for group in questions(rows)
    ]


def _terms(text: str) -> Iterator[str]:
    tokens = words(text.lower())
    yield from tokens
    yield from (a + b for a, b in itertools.pairwise(tokens))


def _webqa_items(path: Path) -> list | None:
    """The questions of WebQA or SogouQA: a list of objects, or an object a line; else None."""
    with common.exits():
        if re.match(r'\s*(\[|\{\s*"(q_key|id|question))', read_text(path)):
            return [row for _, row in read_json_rows(path)]
    return None
