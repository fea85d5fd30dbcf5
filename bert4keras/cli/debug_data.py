"""`bert4keras debug-data`: checks of labelled files before training."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .bad_rows import MAX_BAD_ROWS, read_good_rows
from .common import ModelCommand, emit
from .data import Kind, Reading, kind_named, reading_options
from .errors import Failure
from .evaluate import aligned

if TYPE_CHECKING:
    from ..data.encodings import FileEncoding
    from ..tasks.data_checks import Finding
    from ..tokenizers.base import TokenizerBase

_LISTED_LABELS = 20  # that are listed of each file
# What becomes of samples that are longer than the model takes, by the kind of task.
_TOO_LONG = {
    "generator": "training on them fails unless truncate is set",
    "language-model": "are cut into several rows",
    "sentence-encoder": "are truncated in training",
    "table-qa": "training on them fails",
}


@dataclasses.dataclass(frozen=True)
class _Model:
    """Tokenizer and limit of a model; None without --model."""

    tokenizer: TokenizerBase
    maxlen: int


@click.command("debug-data", cls=ModelCommand)
@click.argument("task")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--model", metavar="NAME|DIR|hf://...", help="Its tokenizer counts the tokens.")
@click.option("--maxlen", type=click.IntRange(8), help="Default: of the model, at most 512.")
@click.option("--strict", is_flag=True, help="Exit with 1 if there are errors.")
@reading_options
def command(
    task: str,
    files: tuple[Path, ...],
    model: str | None,
    maxlen: int | None,
    strict: bool,
    reading: Reading,
) -> None:
    """Check the labelled FILES of a task before training; the first is for training.

    Counted are samples, labels, duplicates, texts that files share, contradictory labels, strange
    characters and, with --model, tokens, and the labels that the model cannot express. The last
    part lists what may harm, the worst first.

    Example: bert4keras debug-data tagger train.json test.json --model bert-base-chinese
    """
    kind = kind_named(task)
    names = _file_names(files)
    opened = _open_model(model, maxlen) if model else None
    findings: list[Finding] = []
    samples: dict[str, list[Any]] = {}
    for name, path in zip(names, files, strict=True):
        found, encoding = _check_encoding(name, path, reading.encoding)
        findings += found
        how = dataclasses.replace(reading, encoding=reading.encoding or encoding)
        read, found = _read_or_report(kind, name, path, how)
        findings += found
        if read:
            samples[name] = read
    summary, found = _summaries(kind, samples, opened)
    findings += found
    for name, some in samples.items():
        findings += _expressible(kind, name, some, opened)
    from ..tasks.data_checks import by_importance

    findings = by_importance(findings)
    values = {"task": kind.name, "files": summary, "findings": list(map(_plain_finding, findings))}
    emit(values, _summary_text(summary, findings))
    if strict and any(one.level == "error" for one in findings):
        click.get_current_context().exit(1)


def _file_names(files: Sequence[Path]) -> list[str]:
    """Return a different short name for each file."""
    short = [path.name for path in files]
    names = short if len(set(short)) == len(short) else list(map(str, files))
    if len(set(names)) < len(names):
        raise Failure(f"a file is given twice: {Counter(names).most_common(1)[0][0]}.")
    return names


def _open_model(name: str, maxlen: int | None) -> _Model:
    from ..tasks.pretrained import locate
    from ..tokenizers import Tokenizer
    from .description import describe_model

    facts = describe_model(name)
    longest = facts["options"].get("maxlen") or facts["sizes"].get("positions") or 512
    return _Model(Tokenizer.from_pretrained(locate(name)), maxlen or min(longest, 512))


def _check_encoding(name: str, path: Path, given: str | None) -> tuple[list[Finding], str | None]:
    """Return the findings about a file's encoding, and the encoding if it is not UTF-8."""
    from ..data.encodings import inspect_encoding
    from ..tasks.data_checks import Finding

    found = inspect_encoding(path)
    findings = []
    if found.bad_lines and given is None:
        lines = ", ".join(map(str, found.bad_lines))
        what = f"{name} is not UTF-8 (lines {lines}): "
        if found.encoding:
            what += f"it is {found.encoding.upper()}; give --encoding {found.encoding}"
        else:
            what += "correct these lines"
        places = tuple((name, line) for line in found.bad_lines)
        findings.append(Finding("error", "encoding", what, len(places), 1.0, places))
    return [*findings, *_of_characters(name, found)], found.encoding if found.bad_lines else None


def _of_characters(name: str, found: FileEncoding) -> list[Finding]:
    """Return the findings about strange characters and the byte order mark of a file."""
    from ..tasks.data_checks import Finding

    findings = []
    for kind, count in found.characters.items():
        line = found.first_lines[kind]
        what = f"{count} {kind} in {name}, the first in line {line}"
        level = "warning" if kind in ("control characters", "replacement characters") else "note"
        findings.append(Finding(level, kind, what, count, places=((name, line),)))
    if found.has_mark:
        what = f"{name} begins with a byte order mark; it is skipped"
        findings.append(Finding("note", "byte order mark", what, 1))
    return findings


def _read_or_report(
    kind: Kind, name: str, path: Path, how: Reading
) -> tuple[list[Any], list[Finding]]:
    """Read a file; each row that cannot be read is a finding."""
    from ..tasks.data_checks import Finding

    samples, errors = read_good_rows(kind, path, how)
    share = 1 / (len(samples) + len(errors)) if samples else 1.0
    findings = [
        Finding("error", "cannot be read", str(error), 1, share, ((name, error.line or 0),))
        for error in errors
    ]
    if len(errors) == MAX_BAD_ROWS and not samples:
        what = f"after {MAX_BAD_ROWS} rows of {name} that cannot be read, no others are looked for"
        findings.append(Finding("note", "cannot be read", what, 1))
    return samples, findings


def _summaries(
    kind: Kind, samples: dict[str, list[Any]], model: _Model | None
) -> tuple[dict[str, Any], list[Finding]]:
    """Return figures of each file, and the findings about texts, labels and lengths."""
    from ..tasks import data_checks as checks

    texts = {name: [list(_own_texts(kind, one)) for one in some] for name, some in samples.items()}
    keys = {name: [checks.text_key(parts) for parts in some] for name, some in texts.items()}
    labels = {
        name: [_comparable_label(kind, one) for one in some] for name, some in samples.items()
    }
    counts = {
        name: Counter(x for one in some for x in (kind.labels_of(one) if kind.labels_of else ()))
        for name, some in samples.items()
    }
    findings = checks.check_empty(texts) + checks.check_repetitions(keys, labels)
    if any(counts.values()):
        findings += checks.check_labels(counts, kind.name == "text-classifier")
    lengths: dict[str, Any] = {}
    if model is not None:
        counted = {
            name: checks.token_lengths(model.tokenizer, some) for name, some in texts.items()
        }
        how = _TOO_LONG.get(kind.name, "are read in windows")
        findings += checks.check_lengths(counted, model.maxlen, how)
        lengths = {name: _percentiles(some, model.maxlen) for name, some in counted.items()}
    summary = {}
    for name, some in samples.items():
        summary[name] = {
            "samples": len(some),
            "distinct_texts": len(set(keys[name])),
            "labels": dict(counts[name].most_common()),
            **({"tokens": lengths[name]} if lengths else {}),
        }
    return summary, findings


def _percentiles(lengths: Any, maxlen: int) -> dict[str, float]:
    import numpy as np

    from ..tasks.data_checks import PERCENTILES

    values = np.percentile(lengths, PERCENTILES).tolist()
    named = {f"p{k}": value for k, value in zip(PERCENTILES, values, strict=True)}
    return {**named, "maxlen": maxlen, "share_longer": float((lengths > maxlen).mean())}


def _own_texts(kind: Kind, sample: Any) -> Sequence[str]:
    """Return the texts that a model reads; not the target of a generator."""
    if kind.name == "table-qa":
        return (sample.question, " ".join(map(str, sample.table.header)))
    texts = list(kind.texts_of(sample))
    return texts[:1] if kind.name == "generator" else texts


def _comparable_label(kind: Kind, sample: Any) -> Hashable:
    """Return a label in a form that can be compared; texts to write are never contradictory."""
    compared: dict[str, Callable[[Any], Hashable]] = {
        "text-classifier": lambda one: (
            frozenset(map(str, one.label)) if isinstance(one.label, tuple) else one.label
        ),
        "tagger": lambda one: frozenset(map(tuple, one.entities)),
        "word-segmenter": lambda one: frozenset(map(tuple, one.entities)),
        "relations": lambda one: frozenset(map(tuple, one.triples)),
        "table-qa": lambda one: one.sql.logical_form(),
        "sentence-encoder": lambda one: one.score,
        "reranker": lambda one: one.score,
    }
    return compared.get(kind.name, lambda one: None)(sample)


def _expressible(
    kind: Kind, name: str, samples: Sequence[Any], model: _Model | None
) -> list[Finding]:
    """Return the labels of a file that the task cannot express."""
    from ..tasks import data_checks as checks

    if kind.name in ("tagger", "word-segmenter"):
        limits = () if model is None else (model.maxlen,)
        tokenizer = None if model is None else model.tokenizer
        return checks.check_tagged(name, samples, tokenizer, *limits)
    if kind.name == "extractive-qa":
        return checks.check_answers(name, samples)
    if kind.name == "relations":
        return checks.check_triples(name, samples)
    if kind.name == "reranker":
        return checks.check_grades(name, [sample.score for sample in samples])
    if kind.name == "table-qa" and model is not None:
        return checks.check_queries(name, samples, model.tokenizer, model.maxlen)
    return []


def _plain_finding(one: Finding) -> dict[str, Any]:
    places = [{"file": name, "sample": number} for name, number in one.places]
    return {**dataclasses.asdict(one), "places": places}


def _summary_text(summary: dict[str, Any], findings: Sequence[Finding]) -> str:
    rows: list[Sequence[str]] = [("file", "samples", "distinct", "labels")]
    for name, one in summary.items():
        figures = (one["samples"], one["distinct_texts"], len(one["labels"]))
        rows.append((name, *map(str, figures)))
    parts = [aligned(rows)] if summary else []
    labels = dict.fromkeys(x for one in summary.values() for x in one["labels"])
    if labels:
        table = [("label", *summary)]
        for label in list(labels)[:_LISTED_LABELS]:
            table.append((label, *(str(one["labels"].get(label, 0)) for one in summary.values())))
        more = len(labels) - _LISTED_LABELS
        parts.append(aligned(table) + (f"\n... and {more} labels more" if more > 0 else ""))
    if any("tokens" in one for one in summary.values()):
        names = list(next(iter(summary.values()))["tokens"])
        table = [("tokens", *names)]
        for name, one in summary.items():
            table.append((name, *(f"{one['tokens'][x]:.4g}" for x in names)))
        parts.append(aligned(table))
    lines = []
    for one in findings:
        share = f" ({one.share:.1%})" if one.share else ""
        where = ", ".join(f"{name}:{number}" for name, number in one.places if number)
        lines.append(f"{one.level}: {one.message}{share}" + (f" [{where}]" if where else ""))
    parts.append("\n".join(lines) or "nothing was found that may harm")
    return "\n\n".join(parts)
