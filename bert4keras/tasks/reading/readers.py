"""Readers of question answering: SQuAD, CMRC 2018, DRCD, WebQA, SogouQA, SubjQA, JSON lines.

Each reader returns pairs (`Question`, answers), the samples of `ExtractiveQA.batches` and
`evaluate`. If an answer is not at its place in the file, its nearest occurrence is used; if it
occurs nowhere, it keeps its text and gets the place -1. A warning reports the numbers of both.
"""

from __future__ import annotations

import ast
import os
import re
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from ...data import DataFileError, parse_json_text, read_json_rows, read_table, read_text
from .samples import Answer, Question, places

_GoldQuestion = tuple[Question, tuple[Answer, ...]]
_WRONG_FORMAT = (AttributeError, IndexError, KeyError, TypeError, ValueError)


def read_questions(path: str | os.PathLike, encoding: str | None = None) -> list[_GoldQuestion]:
    """Read the questions of a file in any format of this module.

    Args:
        path: the file.
        encoding: UTF-8 if None.

    Raises:
        DataFileError: the file does not exist or has another format; the message names file and
            place.
    """
    if ".csv" in Path(path).suffixes:
        return read_subjqa(path, encoding)
    text = read_text(path, encoding)
    if not re.match(r'\s*(\[|\{\s*"[^"]*"\s*:)', text):
        raise DataFileError.at(path, None, "it is neither JSON nor a table (*.csv)")
    first = re.match(r'[\[{\s]*"([^"]*)"', text)
    if first and first[1] in ("data", "version") and text.lstrip().startswith("{"):
        return read_squad(path, encoding)
    rows = [row for _, row in read_json_rows(path, encoding)]
    if rows and ("evidences" in rows[0] or _has_answered_passages(rows[0])):
        return read_webqa(path, encoding)
    return read_json_questions(path, encoding)


def read_squad(path: str | os.PathLike, encoding: str | None = None) -> list[_GoldQuestion]:
    """Read SQuAD 1.1 or 2.0, CMRC 2018 or DRCD: `{"data": [{"paragraphs": [...]}]}`.

    Args, Raises: as of `read_questions`.
    """
    content = parse_json_text(read_text(path, encoding), path)
    found, where = [], "the whole"
    try:
        for i, article in enumerate(content["data"]):
            where = f"data[{i}]"
            for j, paragraph in enumerate(article["paragraphs"]):
                where = f"data[{i}].paragraphs[{j}]"
                for k, asked in enumerate(paragraph["qas"]):
                    where = f"data[{i}].paragraphs[{j}].qas[{k}]"
                    context = _text(paragraph["context"])
                    said = [
                        (_text(answer["text"]), _integer(answer["answer_start"]))
                        for answer in asked["answers"]
                    ]
                    question = Question(_text(asked["question"]), (context,), str(asked["id"]))
                    found.append((question, said))
    except _WRONG_FORMAT as error:
        raise DataFileError(
            f"{path}, {where}: not the format of SQuAD or CMRC 2018: {_reason(error)}"
        ) from None
    return _with_places(path, found)


def read_webqa(path: str | os.PathLike, encoding: str | None = None) -> list[_GoldQuestion]:
    """Read WebQA or SogouQA: several passages per question; all occurrences of an answer count.

    Objects, one per line or in an array, are `{"id", "question", "passages": [{"passage",
    "answer"}]}`, or WebQA's own: `{"q_key", "question_tokens", "evidences":
    [{"evidence_tokens", "golden_answers"}]}`.

    Args, Raises: as of `read_questions`.
    """
    found = []
    for where, item in read_json_rows(path, encoding):
        try:
            if "passages" in item:
                name, question = item["id"], _text(item["question"])
                parts = [
                    (_text(x["passage"]), [x["answer"]] if x["answer"] else [])
                    for x in item["passages"]
                ]
            else:
                name, question = item["q_key"], "".join(item["question_tokens"])
                parts = [
                    ("".join(x["evidence_tokens"]), ["".join(a) for a in x["golden_answers"]])
                    for x in item["evidences"]
                ]
            passages, answers = zip(*parts, strict=True)
            asked = Question(question, passages, str(name))
            found.append((asked, tuple(_every_place(passages, answers))))
        except _WRONG_FORMAT as error:
            raise DataFileError(
                f"{where}: not the format of WebQA or SogouQA: {_reason(error)}"
            ) from None
    return _some(path, found)


def read_subjqa(path: str | os.PathLike, encoding: str | None = None) -> list[_GoldQuestion]:
    """Read SubjQA (`*.csv`): answers of several people to a question about a review.

    Reviews end in ANSWERNOTFOUND; this suffix and the answers that point to it are removed.

    Args, Raises: as of `read_questions`.
    """
    table = read_table(path, encoding)
    names = table[0][1] if table else []
    found: dict[Question, dict[Answer, None]] = {}
    for line, cells in table[1:]:
        try:
            row = dict(zip(names, cells, strict=True))
            review = row["review"].removesuffix("ANSWERNOTFOUND")
            start, end = ast.literal_eval(row["human_ans_indices"])
            answers = found.setdefault(Question(row["question"], (review,)), {})
            if 0 <= start < end <= len(review):
                answers[Answer(review[start:end], start, end)] = None
        except (*_WRONG_FORMAT, SyntaxError, MemoryError, RecursionError) as error:
            raise DataFileError.at(
                path, line, f"not the format of SubjQA: {_reason(error)}"
            ) from None
    return _some(path, [(question, tuple(answers)) for question, answers in found.items()])


def read_json_questions(
    path: str | os.PathLike, encoding: str | None = None
) -> list[_GoldQuestion]:
    """Read objects with a question, its passages and its answers, one per line or in an array.

    `{"question": "...", "passage": "...", "answers": ["...", {"text": "...", "start": 7}]}`.
    Several passages are `"passages": ["...", ...]`, and an answer may name one, `"passage": 1`. A
    text without `start` means all of its occurrences. Without "answers" there is no answer. "id",
    "context" for "passage", and "answer" for "answers" are accepted too.

    Args, Raises: as of `read_questions`.
    """
    found = []
    for where, item in read_json_rows(path, encoding):
        try:
            given = item.get("passages") or [item["passage" if "passage" in item else "context"]]
            passages = tuple(_text(passage) for passage in given)
            question = Question(_text(item["question"]), passages, str(item.get("id", "")))
            answers = item.get("answers", item.get("answer")) or []
            answers = [answers] if isinstance(answers, (str, dict)) else answers
            found.append((question, tuple(_own_answers(answers, passages))))
        except _WRONG_FORMAT as error:
            raise DataFileError(
                f"{where}: not a question with its passage and answers: {_reason(error)}"
            ) from None
    return _some(path, found)


def nearest(passage: str, text: str, start: int) -> int:
    """Return the index of the occurrence of a text nearest to `start`; -1 if there is none."""
    size = len(passage)
    start = min(max(start, 0), size)
    before = passage.rfind(text, 0, min(start + len(text), size)) if text else -1
    after = passage.find(text, start) if text else -1
    found = [place for place in (before, after) if place >= 0]
    return min(found, key=lambda place: abs(place - start), default=-1)


def _with_places(
    path: str | os.PathLike, found: list[tuple[Question, list[tuple[str, Any]]]]
) -> list[_GoldQuestion]:
    """Build samples from questions and their answers, given as text and place; see the module."""
    samples, moved, missing = [], 0, 0
    for question, said in found:
        answers: dict[Answer, None] = {}
        for text, start in said:
            start += len(text) - len(text.lstrip())
            answer = _answer_near(question.passages, text.strip(), start, 0)
            moved += answer.start not in (start, -1)
            missing += answer.start < 0
            answers[answer] = None
        samples.append((question, tuple(answers)))
    if moved or missing:
        warnings.warn(
            f"{path}: {moved} answers are not at the place given in the file, and {missing} do not "
            "occur in their passage.",
            stacklevel=3,
        )
    return _some(path, samples)


def _answer_near(passages: tuple[str, ...], text: str, start: int, number: int) -> Answer:
    place = nearest(passages[number], text, start)
    return Answer(text, place, place + len(text) if place >= 0 else -1, passage=number)


def _own_answers(answers: Iterable[Any], passages: tuple[str, ...]) -> Iterator[Answer]:
    for answer in answers:
        if isinstance(answer, dict) and "start" in answer:
            number = answer.get("passage", 0)
            start = _integer(answer["start"])
            yield _answer_near(passages, _text(answer["text"]), start, _integer(number))
        else:
            text = _text(answer["text"] if isinstance(answer, dict) else answer)
            found = list(_every_place(passages, [[text]] * len(passages)))
            known = [x for x in found if x.start >= 0]
            yield from known or found[:1]


def _every_place(passages: Iterable[str], answers: Iterable[list[str]]) -> Iterator[Answer]:
    """Yield the answers at all of their occurrences, or once with the place -1."""
    for number, (passage, texts) in enumerate(zip(passages, answers, strict=True)):
        for text in dict.fromkeys(_text(text) for text in texts):
            if text == "no_answer":
                continue
            for start in places(text, passage) or [-1]:
                yield Answer(text, start, start + len(text) if start >= 0 else -1, passage=number)


def _has_answered_passages(row: dict[str, Any]) -> bool:
    passages = row.get("passages")
    return isinstance(passages, list) and all(isinstance(part, dict) for part in passages)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r:.60} is not a string.")
    return value


def _integer(value: Any) -> int:
    if type(value) is not int:
        raise TypeError(f"{value!r:.60} is not an integer.")
    return value


def _reason(error: Exception) -> str:
    return f"no {error}" if isinstance(error, KeyError) else str(error) or repr(error)


def _some(path: str | os.PathLike, samples: list[_GoldQuestion]) -> list[_GoldQuestion]:
    if not samples:
        raise DataFileError.at(path, None, "it has no questions")
    return samples
