"""The command line of every example: which rows it uses, and mistakes that end in one line.

Nothing is trained: a script is stopped once it has printed what it would train on.
"""

from __future__ import annotations

import argparse
import importlib
import io
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
EXAMPLES = ROOT / "examples"
TINY = ROOT / "tests" / "fixtures" / "bert_gelu"
# Those that share helper modules; the others are plain and leave errors to the library.
SCRIPTS = sorted(
    path.stem
    for path in EXAMPLES.glob("*.py")
    if path.stem[:5] in ("basic", "task_") and "import common" in path.read_text("utf-8")
)


class Loaded(Exception):
    """Raised in place of what a script does with its rows."""


@pytest.fixture
def run(monkeypatch, capsys):
    """Run `main` of a script; what it printed, and its exit code, message or rows."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    data_splits, common = map(importlib.import_module, ("data_splits", "common"))
    shown = data_splits.shown

    def stop(*args, **options):
        raise Loaded(shown(*args, **options))

    monkeypatch.setattr(data_splits, "shown", stop)
    monkeypatch.setattr(common, "shown", stop)

    def run(script: str, *arguments) -> tuple[str, object]:
        monkeypatch.setattr(sys, "argv", [f"{script}.py", *map(str, arguments)])
        try:
            importlib.import_module(script).main()
        except SystemExit as error:
            code = error.code
            out, err = capsys.readouterr()
            return (out + err, code) if isinstance(code, int) else (out + err + str(code), 1)
        except Loaded as loaded:
            return capsys.readouterr().out, loaded.args[0]
        pytest.fail("it ran to its end")

    return run


@pytest.fixture(scope="module")
def options_of():
    """The options of a script, by its help."""
    known = {}

    def options_of(run, script):
        if script not in known:
            known[script] = run(script, "--help")[0]
        return known[script]

    return options_of


def copied(train: Path, directory: Path) -> list:
    """Arguments for a copy of a shipped training file, and what belongs to it, as a user's own."""
    own = directory / f"mine{train.suffix}"
    shutil.copy(train, own)
    for file in train.parent.glob("train.tables.*"):
        shutil.copy(file, directory / "mine.tables.jsonl")
    if not (base := train.with_name("kb.jsonl")).exists():
        return ["--train", own]
    shutil.copy(base, directory)
    return ["--train", own, "--kb", directory / "kb.jsonl"]


@pytest.mark.parametrize("script", SCRIPTS)
def test_which_rows_are_used_is_printed(run, options_of, script, tmp_path):
    """Those shipped by default; no shipped ones with a user's; `--limit` is for training only."""
    if "--train" not in options_of(run, script):
        pytest.skip("it takes no training file")
    model = ["--model", TINY] if "--model" in options_of(run, script) else []
    out, parts = run(script, *model)
    for split, rows in zip(("train", "valid", "test"), parts, strict=True):
        (shipped,) = re.findall(rf"^{split}: {len(rows)} rows of ([^;\n]*)", out, re.M)
        assert Path(shipped).parent.parent == EXAMPLES / "datasets"
        assert Path(shipped).stem == split

    (shipped,) = re.findall(r"^train: \d+ rows of ([^;\n]*)", out, re.M)
    arguments = [*copied(Path(shipped), tmp_path), *model]
    out, (train, *others) = run(script, *arguments, "--limit", 8)
    assert len(train) == 8
    assert re.search(rf"^train: 8 of \d+ rows of {tmp_path}/mine", out, re.M)
    for split, rows in zip(("valid", "test"), others, strict=True):
        assert len(rows) > 8
        assert re.search(rf"^{split}: {len(rows)} rows held out of {tmp_path}/mine", out, re.M)
    assert "datasets" not in out
    out, (_, *others) = run(script, *arguments, "--eval-limit", 3)
    assert [len(rows) for rows in others] == [3, 3]
    assert re.search(rf"^test: 3 of \d+ rows held out of {tmp_path}/mine", out, re.M)


@pytest.mark.parametrize("script", SCRIPTS)
def test_mistakes_end_in_one_line(run, options_of, script, tmp_path):
    """Exit code 2, before anything is loaded."""
    (tmp_path / "empty.tsv").touch()
    known = options_of(run, script)
    mistakes = [
        (["--train", tmp_path / "no.tsv"], "no.tsv does not exist"),
        (["--train", tmp_path], "is a directory; a file is needed"),
        (["--test", tmp_path / "empty.tsv"], "empty.tsv is empty"),
        (["--train", "/dev/null"], "no regular file"),
        (["--model", tmp_path / "no"], "no does not exist"),
        (["--model", tmp_path / "empty.tsv"], "is a file; a directory is needed"),
        (["--limit", "-3"], "--limit must be more than 0, not -3"),
        (["--eval-limit", "0"], "--eval-limit must be more than 0, not 0"),
        (["--epochs", "-1"], "--epochs must be at least 0, not -1"),
        (["--maxlen", "2"], "--maxlen must be at least 3, not 2"),
        (["--batch-size", "0"], "--batch-size must be more than 0, not 0"),
        (["--learning-rate", "nan"], "--learning-rate must be a finite number, not nan"),
        (["--seed", str(2**32)], "--seed must be at most 4.29497e+09"),
        (["--epochs", "many"], "invalid int value: 'many'"),
        (["--output", tmp_path / "empty.tsv"], "is a file; a directory is needed"),
        (["--picture", tmp_path], "is a directory; the name of a file is needed"),
        (["--picture", tmp_path / "no" / "a.png"], "cannot be written"),
        (["--no-such-option"], "unrecognized arguments"),
    ]
    tried = [m for m in mistakes if f"{m[0][0]} " in known or m[0][0] == "--no-such-option"]
    for arguments, message in tried:
        out, code = run(script, *arguments)
        assert (code, out.count("\n")) == (2, 1), (arguments, out)
        assert out.startswith(f"{script}.py: error: ")
        assert message in out


def test_every_script_ends_mistakes_in_one_line():
    for script in SCRIPTS:
        assert "\n@common.script\ndef main() -> None:\n" in (EXAMPLES / f"{script}.py").read_text(
            encoding="utf-8"
        )


REVIEWS = "".join(f"text {i}\t{i % 2}\n" for i in range(60))


@pytest.mark.parametrize(
    ("train", "test", "message"),
    [
        ("a\t0\nb\t0\n", REVIEWS, "mine.tsv has only the label 0: there is nothing to tell apart"),
        (REVIEWS, "a\t0\nb\t7\n", "The valid rows have the label 7, which .*mine.tsv lacks"),
        (REVIEWS + "a\t3\n", REVIEWS, "3 different labels must be the numbers from 0 to 2.*is 3"),
        (REVIEWS + "a\t-1\n", REVIEWS, "classes are numbers from 0 to"),
        ("a\t0\n", None, "too few rows to hold some out for --valid: give that file"),
    ],
)
@pytest.mark.parametrize("script", ["task_sentence_classification", "task_classification_rdrop"])
def test_labels_of_which_nothing_can_be_made(run, script, train, test, message, tmp_path):
    (tmp_path / "mine.tsv").write_text(train, encoding="utf-8")
    arguments = ["--train", tmp_path / "mine.tsv", "--model", TINY]
    if test:
        (tmp_path / "own.tsv").write_text(test, encoding="utf-8")
        arguments += ["--test", tmp_path / "own.tsv", "--valid", tmp_path / "own.tsv"]
    out, code = run(script, *arguments)
    assert (code, out.count("\n")) == (1, 0)
    assert re.search(message, out), out


@pytest.mark.parametrize(
    ("script", "arguments", "message"),
    [
        ("task_entity_linking", ["--aida", __file__], "--aida and --conll need each other"),
        ("task_entity_linking", ["--train", __file__], "need the --kb that knows their entities"),
        ("task_entity_linking_2019", ["--test", __file__], "need the --kb that knows"),
        ("task_entity_linking_2019", ["--kb", __file__], "texts that it belongs to: --train"),
        (
            "task_entity_linking",
            ["--aida", __file__, "--conll", EXAMPLES, "--test", __file__],
            "--test has no effect with --aida",
        ),
        ("task_reading_comprehension", ["--model", TINY, "--width", 8], "--width has no effect"),
        ("task_classification_adversarial", ["--methods", "fgm", "--steps", 2], "without PGD"),
        ("basic_integrated_gradients", ["--text", "a", "--explain", 3], "--explain has no effect"),
        ("basic_masked_language_model", ["--model", TINY, "--epochs", 3], "--epochs has no effect"),
    ],
)
def test_options_that_would_be_ignored_are_refused(run, script, arguments, message):
    out, code = run(script, *arguments)
    assert (code, out.count("\n")) == (2, 1)
    assert message in out


@pytest.fixture
def splits(monkeypatch):
    monkeypatch.syspath_prepend(str(EXAMPLES))
    return importlib.import_module("data_splits")


def given(**options) -> argparse.Namespace:
    missing = dict.fromkeys(("valid", "test", "limit", "eval_limit"))
    return argparse.Namespace(**{**missing, **options})


def test_a_share_of_each_label_is_held_out(splits, tmp_path, capsys):
    """The same at every call; each label stays in training; sorted files are no matter."""
    rows = [(f"text {i}", i * i // 2500) for i in range(100)]  # 0: 50, 1: 20, 2: 16, 3: 14
    how = {"read": lambda path: list(rows), "labels": lambda row: row[1:]}
    options = given(train=tmp_path / "mine.tsv")
    train, valid, test = splits.splits(options, **how)
    assert sorted(train + valid + test) == sorted(rows)
    for some in (valid, test):
        counts = np.bincount([label for _, label in some], minlength=4)
        assert len(some) in (9, 10)
        assert counts[0] in (4, 5)
        assert (counts[1:] >= 1).all()
    assert splits.splits(options, **how) == [train, valid, test]
    assert "a tenth drawn at random; labels 0 (5), 1 (2)" in capsys.readouterr().out
    # A label that occurs once stays in training.
    rows += [("rare", 4)]
    assert ("rare", 4) in splits.splits(options, **how)[0]


def test_a_limit_that_leaves_one_label_is_refused(splits, tmp_path):
    """A file sorted by label, say."""
    rows = [(f"text {i}", i // 30) for i in range(60)]
    how = {"read": lambda path: list(rows), "labels": lambda row: row[1:], "check": splits.classes}
    with pytest.raises(SystemExit, match="--limit 8 leaves rows of one label"):
        splits.splits(given(train=tmp_path / "mine.tsv", limit=8), **how)


def test_files_of_other_names_beside_are_not_taken(splits, tmp_path):
    """`test.tsv` belongs to `train.tsv`, not to `mine.tsv`."""
    for name in ("train.tsv", "mine.tsv", "test.tsv", "valid.tsv"):
        (tmp_path / name).write_text(" ".join(map(str, range(30))) + f" {name}", encoding="utf-8")
    read = lambda path: path.read_text(encoding="utf-8").split()  # noqa: E731
    _, valid, test = splits.splits(given(train=tmp_path / "train.tsv"), read)
    assert (valid[-1], test[-1]) == ("valid.tsv", "test.tsv")
    assert len(splits.splits(given(train=tmp_path / "mine.tsv"), read)[2]) == 3


def test_labels_that_training_does_not_have_are_named(splits, tmp_path, capsys):
    rows = {"train": [("a", 0)], "valid": [("b", 1)], "test": [("c", 0), ("d", 1), ("e", 2)]}
    files = {split: tmp_path / split for split in rows}
    splits.splits(given(**files), lambda path: rows[path.name], labels=lambda row: row[1:])
    out = capsys.readouterr().out
    assert "labels 0 (1), 1 (1), 2 (1); 2 labels not in train: 1 (1), 2 (1)" in out
    many = [("a", i) for i in range(20)]
    splits.shown(given(), {"train": many}, {"train": "of x"}, lambda row: row[1:])
    assert capsys.readouterr().out == "train: 20 rows of x; 20 labels\n"


def test_errors_of_the_user_are_one_line_and_bugs_are_not(splits, monkeypatch):
    script = importlib.import_module("command_line").script

    def end(error):
        with pytest.raises(SystemExit) as caught:
            script(raising(error))()
        return caught.value.code

    def raising(error):
        def main():
            raise error

        return main

    assert end(ValueError("bad\nvalue \x1b[2J")).startswith(r"error: bad value \x1b[2J (TRACEB")
    assert "No such file" in end(FileNotFoundError(2, "No such file", "a.tsv"))
    assert end(MemoryError()).startswith("error: MemoryError")
    assert end(KeyboardInterrupt()) == "error: interrupted"
    assert end(SystemExit("a \x9b line")) == r"a \x9b line"
    assert end(SystemExit(3)) == 3
    for bug in (TypeError("x"), KeyError("x"), IndexError("x")):
        with pytest.raises(type(bug)):
            script(raising(bug))()
    monkeypatch.setenv("TRACEBACK", "1")
    with pytest.raises(ValueError, match="bad"):
        script(raising(ValueError("bad")))()


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_colours_and_bars_are_for_terminals(splits, monkeypatch):
    line = importlib.import_module("command_line")
    ansi = "\x1b[30;48;5;153mLi\x1b[3m/PER\x1b[0m"
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    assert (line.coloured(ansi), line.verbosity()) == ("Li/PER", 2)
    monkeypatch.setattr(sys, "stdout", Terminal())
    assert (line.coloured(ansi), line.verbosity()) == (ansi, 1)
    monkeypatch.setenv("NO_COLOR", "1")
    assert line.coloured(ansi) == "Li/PER"


def test_texts_longer_than_the_positions_are_refused(run, monkeypatch):
    common = importlib.import_module("common")
    from bert4keras.models import build_transformer_model

    sizes = {"vocab_size": 9, "hidden_size": 4, "num_hidden_layers": 1, "num_attention_heads": 1}
    sizes |= {"intermediate_size": 4, "max_position": 16}
    bert = build_transformer_model(sizes)
    assert common.check_room(bert, 16) is bert
    with pytest.raises(SystemExit, match="17 tokens are more than the model's 16 positions"):
        common.check_room(bert, 17)
    common.check_room(build_transformer_model(sizes, model="roformer"), 17)


def test_a_model_without_segment_ids_takes_the_same_batches(run):
    """RoBERTa: the examples give every model token ids and segment ids."""
    common = importlib.import_module("common")
    import keras

    from bert4keras.models import build_transformer_model

    sizes = {"vocab_size": 9, "hidden_size": 4, "num_hidden_layers": 1, "num_attention_heads": 1}
    sizes |= {"intermediate_size": 4, "max_position": 16, "initializer_range": 0.5}
    bert = build_transformer_model(sizes)
    assert common.inputs(bert) is bert.inputs
    sizes |= {"pad_token_id": 1, "segment_vocab_size": 0}
    roberta = build_transformer_model(sizes, model="roberta")
    assert len(roberta.inputs) == 1
    model = keras.Model(common.inputs(roberta), roberta.output)
    ids = np.array([[0, 5, 2, 1]], "int32")
    found = model.predict([ids, np.ones_like(ids)], verbose=0)
    np.testing.assert_array_equal(found, roberta.predict(ids, verbose=0))
