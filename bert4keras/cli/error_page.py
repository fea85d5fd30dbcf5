"""Page of the answers of a task that are wrong, in colours."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..tasks import Task
    from ..tasks.report import Report, WrongAnswer

_AROUND = 200  # characters of a passage that are shown before and behind its answers
_Row = tuple[str, str]  # a name, and HTML


def error_page(
    task: Task, report: Report, samples: Sequence[Any], answers: Sequence[Any], labels: Sequence
) -> str:
    """Return an HTML page of the wrong answers of a report.

    Args:
        task: the task.
        report: its report, with as many wrong answers as are shown.
        samples, answers, labels: of the whole file.
    """
    from ..display.texts import page_to_html

    parts = _ROWS_OF.get(type(task).__name__, _tagged)
    names = list(getattr(task, "labels", ()))

    def block(number: int, one: WrongAnswer) -> tuple[str, Iterator[_Row]]:
        heading = f"{number}. sample {one.place + 1}, confidence {one.confidence:.3f}"
        found = samples[one.place], answers[one.place], labels[one.place]
        return heading, parts(*found, names)

    blocks = [block(number, one) for number, one in enumerate(report.wrong, 1)]
    main, score = next(iter(report.scores.items()))
    return page_to_html(f"{type(task).__name__}: {len(blocks)} errors, {main} {score:.4f}", blocks)


def _uncoloured(text: str) -> str:
    from ..display import entities_to_html

    return entities_to_html(text, ())


def _coloured(text: str, spans: Iterable[Sequence[Any]], names: Sequence[str]) -> str:
    from ..display import entities_to_html

    kept = [(start, end, label or "word") for start, end, label in spans if start < end]
    return entities_to_html(text, kept, names)


def _classified(sample: Any, answer: Any, label: Any, names: Sequence[str]) -> Iterator[_Row]:
    texts = [sample] if isinstance(sample, str) else sample
    for text in texts:
        yield "text", _uncoloured(text)
    yield "label", _as_mark(label, names)
    yield "answer", _as_mark(answer.label, names) + _uncoloured(f" {answer}")


def _as_mark(label: Any, names: Sequence[str]) -> str:
    """Return labels in their colours."""
    if isinstance(label, float):
        return _uncoloured(f"{label:.4f}")
    several = label if isinstance(label, (list, tuple)) else [label]
    marks = (_coloured(str(one), [(0, len(str(one)), str(one))], names) for one in several)
    return " ".join(marks) or _uncoloured("(none)")


def _tagged(sample: Any, answer: Any, label: Any, names: Sequence[str]) -> Iterator[_Row]:
    text = sample if isinstance(sample, str) else sample.text
    wanted = {tuple(entity) for entity in label}
    found = {entity.span: entity.score for entity in answer}
    yield "gold", _coloured(text, wanted, names)
    yield "predicted", _coloured(text, found, names)
    for name, spans in (("spurious", found.keys() - wanted), ("missed", wanted - found.keys())):
        for start, end, kind in sorted(spans):
            part = (0, end - start, kind)
            score = f" {found[start, end, kind]:.3f}" if name == "spurious" else ""
            yield name, _coloured(text[start:end], [part], names) + _uncoloured(score)


def _answered(sample: Any, answer: Any, label: Any, names: Sequence[str]) -> Iterator[_Row]:
    from ..tasks.reading.labels import answer_texts, as_answers, as_question

    question = as_question(sample)
    yield "question", _uncoloured(question.text)
    yield "gold", _uncoloured(" | ".join(answer_texts(label)) or "(no answer)")
    yield "predicted", _uncoloured(f"{answer.text or '(no answer)'} {answer.score:.3f}")
    gold = [one for one in as_answers(label, question) if one.start >= 0]
    for number, passage in enumerate(question.passages):
        spans = {(one.start, one.end, "gold") for one in gold if one.passage == number}
        if answer.text and answer.passage == number:
            spans.add((answer.start, answer.end, "predicted"))
        if spans or number == 0:
            yield "passage", _cut(passage, spans)


def _cut(passage: str, spans: set[tuple[int, int, str]]) -> str:
    """Colour spans, and leave out what is far from all of them."""
    begin = max(0, min((start for start, _, _ in spans), default=0) - _AROUND)
    end = min(len(passage), max((end for _, end, _ in spans), default=_AROUND) + _AROUND)
    moved = [(start - begin, stop - begin, name) for start, stop, name in spans]
    shown = _coloured(passage[begin:end], moved, ("gold", "predicted"))
    return _uncoloured("… " * (begin > 0)) + shown + _uncoloured(" …" * (end < len(passage)))


def _related(sample: Any, answer: Any, label: Any, names: Sequence[str]) -> Iterator[_Row]:
    text = sample if isinstance(sample, str) else sample.text
    placed = any(not isinstance(triple[0], str) for triple in label)
    found = {one.places() if placed else one.strings(): one for one in answer}
    wanted = {tuple(triple) for triple in label}
    ends = {(e.start, e.end, n) for r in answer for e, n in ((r.subject, "S"), (r.object, "O"))}
    yield "text", _coloured(text, ends, ("S", "O"))
    for triple in sorted(map(str, found.keys() & wanted)):
        yield "right", _uncoloured(triple)
    for triple in found.keys() - wanted:
        yield "spurious", _uncoloured(str(found[triple]))
    for triple in sorted(map(str, wanted - found.keys())):
        yield "missed", _uncoloured(triple)


_ROWS_OF: dict[str, Callable[[Any, Any, Any, Sequence[str]], Iterator[_Row]]] = {
    "TextClassifier": _classified,
    "ExtractiveQA": _answered,
    "RelationExtractor": _related,
}
