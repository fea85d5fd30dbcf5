"""`bert4keras predict`: answers to the texts of a file, in their order."""

from __future__ import annotations

import collections
import contextlib
import itertools
import os
import sys
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING, Any

import click

from .answer_lines import format_of, header_of, line_of, open_output
from .common import ModelCommand, emit, note
from .data import column_of
from .errors import Failure
from .records import TEXT_FORMATS, Record, Source

if TYPE_CHECKING:
    from ..tasks import Task

_BATCHES = 16  # that are read and written together
_NOTED = 10  # errors that are shown one by one


@click.command("predict", cls=ModelCommand)
@click.argument("directory")
@click.argument("file")
@click.option("--output", "-o", default="-", help="File of the answers. Default: standard output.")
@click.option(
    "--input-format", type=click.Choice(TEXT_FORMATS), help="Default: by the file's name."
)
@click.option(
    "--output-format", type=click.Choice(TEXT_FORMATS), help="Default: by its name, or jsonl."
)
@click.option(
    "--text-column",
    "columns",
    multiple=True,
    metavar="COLUMN",
    help="Column of the text: number from 0, name in the header, or JSON key. Twice for pairs.",
)
@click.option("--header/--no-header", default=None, help="The first row of a table is its header.")
@click.option("--encoding", default="utf-8", show_default=True, help="Encoding of the input.")
@click.option("--batch-size", type=click.IntRange(1), default=64, show_default=True)
@click.option("--resume", is_flag=True, help="Go on where the output ends.")
@click.option("--overwrite", is_flag=True, help="Replace an output that exists.")
@click.option(
    "--on-error",
    type=click.Choice(["skip", "stop"]),
    default="skip",
    show_default=True,
    help="At a text that cannot be answered: write its error, or stop.",
)
def command(
    directory: str,
    file: str,
    output: str,
    input_format: str | None,
    output_format: str | None,
    columns: tuple[str, ...],
    header: bool | None,
    encoding: str,
    batch_size: int,
    resume: bool,
    overwrite: bool,
    on_error: str,
) -> None:
    """Answer the texts of FILE, or of standard input if it is -.

    DIRECTORY is a saved task, a fine-tuned checkpoint or hf://ORGANISATION/NAME. FILE has a text a
    line, JSON lines, CSV or TSV, possibly packed as *.gz or *.xz. Each text has one line in the
    output, in the order of the input.
    """
    if output == "-" and resume:
        raise click.UsageError("--resume needs --output FILE.")
    if resume and overwrite:
        raise click.UsageError("--resume and --overwrite exclude each other.")
    if file != "-" and not os.path.exists(file):
        raise Failure(f"{file}: no such file.")
    if output != "-" and file != "-" and os.path.realpath(output) == os.path.realpath(file):
        raise Failure(f"{output} is the input itself; name another output.")
    source = Source(file, input_format, tuple(map(column_of, columns)), header, encoding)
    form = output_format or format_of(output)
    from ..tasks import load

    task = load(directory)
    with _output(output, form, resume, overwrite) as (stream, done, line):
        run = _Run(task, source, form, batch_size, on_error)
        for text in run.lines(done, line):
            stream.write(text.encode())
            stream.flush()
    run.report(output)


@contextlib.contextmanager
def _output(
    path: str, form: str, resume: bool, overwrite: bool
) -> Iterator[tuple[IO[bytes], int, int]]:
    if path == "-":
        stream = sys.stdout.buffer
        stream.write(header_of(form).encode())
        yield stream, 0, 0
        return
    stream, done, line = open_output(path, form, resume, overwrite)
    with stream:
        yield stream, done, line


class _Run:
    """Answers to the records of a source, and the count of those that failed."""

    def __init__(self, task: Task, source: Source, form: str, batch_size: int, on_error: str):
        self.task, self.source, self.form = task, source, form
        self.batch_size, self.on_error = batch_size, on_error
        self.done = self.failed = self.kept = 0

    def lines(self, done: int, line: int) -> Iterator[str]:
        """Yield the lines of each group of records behind the first `done`.

        A group that is complete in part is answered as a whole, since an answer's last digits
        depend on the other texts of its batch. So the output is the same as without a break.

        Args:
            done: number of complete lines in the output.
            line: number of the input's line that the last of them answers; 0 if not known.
        """
        self.kept = done
        size = _BATCHES * self.batch_size
        skip = done % size
        records = self.source.records(self.task)
        passed = collections.deque(itertools.islice(records, done - skip), maxlen=1)
        before = passed[-1] if passed else None
        group = list(itertools.islice(records, size))
        if skip:
            before = group[skip - 1] if skip <= len(group) else None
        if done and (before is None or line not in (0, before.line)):
            raise Failure(
                f"the output has {done} answers, the last to line {line}, which does not fit "
                f"{self.source.path}: it is of another input. Name another file, or --overwrite."
            )
        with _progress(self.source, done) as bar:
            while group:
                lines = self._answered(group, skip)
                yield "".join(lines)
                bar.update(len(lines))
                group, skip = list(itertools.islice(records, size)), 0

    def _answered(self, group: list[Record], skip: int) -> list[str]:
        from ..tasks.isolation import predict_each

        samples = [record.sample for record in group if not record.error]
        found = iter(predict_each(self.task, samples, self.batch_size))
        answers = [ValueError(r.error) if r.error else next(found) for r in group]
        lines = []
        for record, answer in zip(group[skip:], answers[skip:], strict=True):
            try:
                line = line_of(self.form, record, answer)
            except ValueError as error:  # a number that JSON does not have
                answer = error
                line = line_of(self.form, record, error)
            if isinstance(answer, Exception):
                self._fail(record, answer, all(isinstance(x, Exception) for x in answers))
            lines.append(line)
        self.done += len(lines)
        return lines

    def _fail(self, record: Record, error: Exception, all_fail: bool) -> None:
        reason = " ".join(str(error).split())
        if self.on_error == "stop":
            raise Failure(f"{self.source.path}, line {record.line}: {reason}")
        if all_fail and not (self.done or self.kept):
            raise Failure(
                f"{self.source.path}: no text at its beginning can be answered. Line "
                f"{record.line}: {reason}"
            )
        self.failed += 1
        if self.failed <= _NOTED:
            note(f"{self.source.path}, line {record.line}: {reason}")
        elif self.failed == _NOTED + 1:
            note("further errors are in the output only")

    def report(self, output: str) -> None:
        """Say what was done: on stderr if the answers are on stdout."""
        text = f"{self.done} answers" + (f" after {self.kept} of before" if self.kept else "")
        text += f", {self.failed} of them errors" if self.failed else ""
        if output == "-":
            if self.failed or not self.done:
                note(text)
            return
        values: dict[str, Any] = {"output": output, "answers": self.done, "errors": self.failed}
        emit({**values, "kept": self.kept}, f"{text}: {output}")


def _progress(source: Source, done: int) -> Any:
    """Return a progress bar on stderr, which shows itself only on a terminal."""
    from tqdm import tqdm

    total = None
    if sys.stderr.isatty() and source.path != "-" and not source.path.endswith((".gz", ".xz")):
        with open(source.path, "rb") as file:
            total = sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 22), b""))
    return tqdm(total=total, initial=done, unit="text", disable=None, leave=False)
