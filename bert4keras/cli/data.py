"""Labelled files for the commands: which reader reads which task's samples.

    kind = kind_named("tagger")                           # or kind_of(task)
    samples = kind.read("train.json", Reading())          # as `task.evaluate` takes them
    kind.texts(samples), kind.labels(samples)

A command gets its `Reading` from the decorator `reading_options`.
"""

from __future__ import annotations

import dataclasses
import difflib
import itertools
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .errors import Failure

if TYPE_CHECKING:
    from ..tasks import Task

PROBLEM_CHOICES = ("single_label", "multi_label", "regression")
SCHEME_CHOICES = ("BIO", "BIOES", "BILOU", "BMES", "BMEWO", "IOB1")


@dataclasses.dataclass(frozen=True)
class Reading:
    """Options for reading a labelled file; None leaves the choice to the reader.

    Attributes:
        text_columns: numbers from 0, or names, of the columns (or JSON keys) of the texts.
        label_column: number or name of the column of the label, score or target.
        header: whether the first row of a table is its header.
        encoding: of the file, UTF-8 if None.
        scheme: scheme of the tags in columns.
        problem: one of `PROBLEM_CHOICES`, for a text classifier.
        pair: a sample of a text classifier has two texts.
    """

    text_columns: tuple[int | str, ...] = ()
    label_column: int | str | None = None
    header: bool | None = None
    encoding: str | None = None
    scheme: str | None = None
    problem: str = "single_label"
    pair: bool = False

    @property
    def columns(self) -> tuple[int | str, ...] | None:
        """Columns of the texts and then the label; None if none is named."""
        if not self.text_columns and self.label_column is None:
            return None
        if not self.text_columns or self.label_column is None:
            raise Failure("name the columns of text and label: --text-column C --label-column C.")
        return (*self.text_columns, self.label_column)

    def for_task(self, task: Task) -> Reading:
        """Return these options with what a task fixes: the problem of a classifier."""
        problem = getattr(task, "problem", self.problem)
        return dataclasses.replace(self, problem=problem)


def reading_options(command: Callable) -> Callable:
    """Add the options of `Reading` to a command, which gets them as its argument `reading`."""

    def collect(*args: Any, **options: Any) -> Any:
        names = [field.name for field in dataclasses.fields(Reading)]
        given = {name: options.pop(name) for name in names if name in options}
        given["text_columns"] = tuple(map(column_of, given["text_columns"]))
        given["label_column"] = column_of(given["label_column"])
        given["pair"] = given["pair"] or len(given["text_columns"]) > 1
        return command(*args, reading=Reading(**given), **options)

    collect.__doc__ = command.__doc__
    collect.__click_params__ = getattr(command, "__click_params__", [])  # type: ignore[attr-defined]
    for option in reversed(_READING_OPTIONS):
        collect = option(collect)
    return collect


_READING_OPTIONS = (
    click.option(
        "--text-column",
        "text_columns",
        multiple=True,
        metavar="COLUMN",
        help="Column of the text: number from 0, name in the header, or JSON key. Twice for pairs.",
    ),
    click.option(
        "--label-column", metavar="COLUMN", help="Column of the label, score or target text."
    ),
    click.option(
        "--header/--no-header",
        default=None,
        help="The first row of a table is its header. Default: if it has usual names.",
    ),
    click.option("--encoding", help="Encoding of the files, such as GB18030. Default: UTF-8."),
    click.option(
        "--scheme",
        type=click.Choice(SCHEME_CHOICES),
        help="Scheme of the tags in columns. Default: found; for a new tagger BIO.",
    ),
    click.option(
        "--problem",
        type=click.Choice(PROBLEM_CHOICES),
        default="single_label",
        show_default=True,
        help="Kind of label of a text classifier.",
    ),
    click.option("--pair", is_flag=True, help="A sample of a text classifier has two texts."),
)


def column_of(value: str | None) -> int | str | None:
    """Return a column as an option names it: a number, a name, or None."""
    return int(value) if value is not None and value.isdecimal() else value


@dataclasses.dataclass(frozen=True)
class Kind:
    """A task of the command line and the files that it is trained and scored on.

    Attributes:
        name: name on the command line.
        task: name of the class in `bert4keras.tasks`.
        files: the files that are read, in a few words.
        read: function (path, reading) -> samples that `evaluate` of the task takes.
        texts_of: function sample -> its texts.
        labels_of: function sample -> names of its labels; None if labels are no names.
        refusal: reason why it is not trained on a file, and the way out; "" if it is.
        monitor, mode: score that chooses the best epoch; "" for the first that `evaluate` returns.
    """

    name: str
    task: str
    files: str
    read: Callable[[str | Path, Reading], list[Any]]
    texts_of: Callable[[Any], Iterable[str]]
    labels_of: Callable[[Any], Iterable[str]] | None = None
    refusal: str = ""
    monitor: str = ""
    mode: str = "max"

    def texts(self, samples: Sequence[Any]) -> list[str]:
        """Return all texts of samples, in their order."""
        return list(itertools.chain.from_iterable(map(self.texts_of, samples)))

    def labels(self, samples: Sequence[Any]) -> list[str]:
        """Return the names of the labels of samples, sorted, each once."""
        if self.labels_of is None:
            return []
        return sorted({label for sample in samples for label in self.labels_of(sample)})

    @property
    def cls(self) -> Any:
        """Class of the task."""
        from .. import tasks

        return getattr(tasks, self.task)


def _read_classified(path: str | Path, how: Reading) -> list[Any]:
    from ..tasks.classification import read_labelled_texts

    return read_labelled_texts(path, how.problem, how.pair, how.columns, how.header, how.encoding)


def _class_names(sample: Any) -> Iterable[str]:
    label = sample.label
    return (label,) if isinstance(label, str) else label if isinstance(label, tuple) else ()


def _read_tagged(path: str | Path, how: Reading) -> list[Any]:
    from ..tasks.tagging import read_conllu, read_entities

    if _suffix(path) == ".conllu":
        return read_conllu(path, "UPOS", how.encoding)
    return read_entities(path, how.scheme, how.encoding)


def _read_words(path: str | Path, how: Reading) -> list[Any]:
    from ..tasks.tagging import read_conllu, read_segmented

    if _suffix(path) == ".conllu":
        return read_conllu(path, None, how.encoding)
    return read_segmented(path, how.encoding)


def _read_questions(path: str | Path, how: Reading) -> list[Any]:
    from ..tasks.reading import read_questions

    return read_questions(path, how.encoding)


def _read_relations(path: str | Path, how: Reading) -> list[Any]:
    from ..tasks.relations import read_relations

    return read_relations(path, how.encoding)


def _read_table_questions(path: str | Path, how: Reading) -> list[Any]:
    from ..tasks.sql import read_table_questions

    return read_table_questions(path, encoding=how.encoding)


def _read_scored(path: str | Path, how: Reading) -> list[Any]:
    from ..tasks.similarity import read_scored_pairs

    columns = _numbered(how)
    if columns is not None and len(columns) != 3:
        raise Failure("a pair has two texts: give --text-column twice, and --label-column.")
    return read_scored_pairs(path, columns, how.encoding)


def _read_targets(path: str | Path, how: Reading) -> list[Any]:
    from ..tasks.generation import read_text_pairs

    columns = how.columns
    if columns is None:
        return read_text_pairs(path, encoding=how.encoding)
    if all(isinstance(column, str) for column in columns):
        return read_text_pairs(path, keys=(str(columns[0]), str(columns[1])), encoding=how.encoding)
    return read_text_pairs(path, columns=_numbered(how), encoding=how.encoding)


def _read_plain_texts(path: str | Path, how: Reading) -> list[Any]:
    from ..tasks.generation import read_texts

    return read_texts(path, how.encoding)


def _numbered(how: Reading) -> Any:
    if any(isinstance(column, str) for column in how.columns or ()):
        raise Failure("this task's columns are named by numbers from 0, not by names.")
    return how.columns


def _suffix(path: str | Path) -> str:
    name = os.fspath(path).lower().removesuffix(".gz").removesuffix(".xz")
    return os.path.splitext(name)[1]


def _one_or_more(texts: str | Iterable[str]) -> Iterable[str]:
    return (texts,) if isinstance(texts, str) else texts


def _table_texts(sample: Any) -> Iterable[str]:
    cells = itertools.chain(sample.table.header, *sample.table.rows)
    return [sample.question, *map(str, cells)]


_PAIRS_FILE = "two texts and a number: *.tsv, *.csv or JSON lines"
TASK_KINDS = {
    kind.name: kind
    for kind in (
        Kind(
            "text-classifier",
            "TextClassifier",
            "text and label: *.tsv, *.csv or JSON lines",
            _read_classified,
            lambda sample: _one_or_more(sample.text),
            _class_names,
        ),
        Kind(
            "tagger",
            "Tagger",
            "text with entities: JSON lines, columns (CoNLL) or *.conllu",
            _read_tagged,
            lambda sample: (sample.text,),
            lambda sample: [label for _, _, label in sample.entities],
        ),
        Kind(
            "word-segmenter",
            "WordSegmenter",
            "words between blanks, one text a line, or *.conllu",
            _read_words,
            lambda sample: (sample.text,),
        ),
        Kind(
            "extractive-qa",
            "ExtractiveQA",
            "questions with passages: JSON of SQuAD, CMRC, WebQA, or JSON lines",
            _read_questions,
            lambda sample: (sample[0].text, *sample[0].passages),
        ),
        Kind(
            "relations",
            "RelationExtractor",
            "text with triples: JSON lines of DuIE or WebNLG",
            _read_relations,
            lambda sample: (sample.text,),
            lambda sample: [predicate for _, predicate, _ in sample.triples],
        ),
        Kind(
            "table-qa",
            "TableQA",
            "questions with SQL, and their tables beside them: WikiSQL or TableQA",
            _read_table_questions,
            _table_texts,
        ),
        Kind(
            "sentence-encoder",
            "SentenceEncoder",
            _PAIRS_FILE,
            _read_scored,
            lambda sample: _one_or_more(
                getattr(sample, "texts", sample)
            ),  # without scores: texts only
        ),
        Kind("reranker", "Reranker", _PAIRS_FILE, _read_scored, lambda sample: sample.texts),
        Kind(
            "generator",
            "Generator",
            "text and target: *.tsv, *.csv or JSON lines",
            _read_targets,
            lambda sample: sample,
        ),
        Kind(
            "language-model",
            "Generator",
            "texts, one a line",
            _read_plain_texts,
            _one_or_more,
            monitor="perplexity",
            mode="min",
        ),
        Kind("fill-mask", "FillMask", "texts, one a line", _read_plain_texts, _one_or_more),
        Kind(
            "novelty", "NoveltyDetector", "known texts, one a line", _read_plain_texts, _one_or_more
        ),
        Kind(
            "entity-linker",
            "EntityLinker",
            "linked texts and a knowledge base",
            _read_plain_texts,
            _one_or_more,
            refusal="it needs a knowledge base beside its texts: examples/task_entity_linking.py",
        ),
        Kind(
            "sentence-parser",
            "SentenceParser",
            "texts, one a line",
            _read_plain_texts,
            _one_or_more,
            refusal="it has a language model of its own, no encoder: examples/task_on_lstm.py",
        ),
        Kind(
            "sentence-autoencoder",
            "SentenceAutoencoder",
            "texts, one a line",
            _read_plain_texts,
            _one_or_more,
            refusal="its latent needs settings of its own: examples/task_sentence_vae.py",
        ),
    )
}


def kind_named(name: str) -> Kind:
    """Return a kind by its name on the command line.

    Raises:
        Failure: there is none; names the nearest.
    """
    if name in TASK_KINDS:
        return TASK_KINDS[name]
    near = difflib.get_close_matches(name.lower().replace("_", "-"), TASK_KINDS, 1)
    hint = f"Did you mean {near[0]}? " if near else ""
    raise Failure(f"there is no task {name!r}. {hint}Tasks: {', '.join(TASK_KINDS)}.")


def kind_of(task: Task) -> Kind:
    """Return the kind of a loaded task.

    Raises:
        Failure: no file is read for tasks of this class.
    """
    name = type(task).__name__
    if name == "Generator" and getattr(task, "kind", "") == "lm":
        return TASK_KINDS["language-model"]
    for kind in TASK_KINDS.values():
        if kind.task == name:
            return kind
    raise Failure(f"no labelled files are read for a {name}; call its evaluate() in Python.")
