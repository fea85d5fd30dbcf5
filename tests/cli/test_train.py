"""`bert4keras train`: every task on a small file, what it writes, wrong input."""

from __future__ import annotations

import importlib.util
import json

import pytest

from bert4keras import tasks
from bert4keras.cli.data import PROBLEM_CHOICES, SCHEME_CHOICES, TASK_KINDS, Reading, kind_named
from bert4keras.tasks.tagging import read_entities
from helpers.command_line import head, run, run_json, tiny_options

# The files are their own beginnings, so validation has characters that training has not.
pytestmark = [
    pytest.mark.spread,
    pytest.mark.filterwarnings("ignore::bert4keras.tokenizers.UnknownTokensWarning"),
]

PARTS = ("train", "valid", "test")
ONE_TEXT = ["--text-column", 0, "--label-column", 1]
SHORT = ["--epochs", 1, "--maxlen", 64]
TARGETS = ["--option", "max_new_tokens=16", "--option", "truncate=right"]
# Task -> the beginnings of its files in examples/datasets, and further options.
FILES = {
    "text-classifier": ("reviews/train.tsv", "reviews/valid.tsv", []),
    "tagger": ("entities/train.json", "entities/valid.json", ["--head", "global-pointer"]),
    "word-segmenter": ("segmentation/train.txt", "segmentation/valid.txt", []),
    "relations": ("relations/train.json", "relations/valid.json", ["--option", "head_size=8"]),
    "sentence-encoder": (
        "sentence_pairs/train.tsv",
        "sentence_pairs/valid.tsv",
        ["--pooling", "cls"],
    ),
    "reranker": ("sentence_pairs/train.tsv", "sentence_pairs/valid.tsv", []),
    "generator": (
        "titles/train.tsv",
        "titles/valid.tsv",
        ["--text-column", 1, "--label-column", 0, *TARGETS],
    ),
    "language-model": ("corpus_zh.txt", "reviews_zh/test.tsv", []),
    "fill-mask": ("corpus_en.txt", "reviews/valid.tsv", []),
}


@pytest.mark.parametrize("task", FILES)
def test_every_task(tmp_path, task):
    train, valid, options = FILES[task]
    files = ["--train", head(train, tmp_path, 12), "--valid", head(valid, tmp_path, 6)]
    found = run_json(
        "train", task, *files, *tiny_options(), *SHORT, *options, "--output", tmp_path / "out"
    )
    assert found["best_epoch"] == 1
    loaded = tasks.load(tmp_path / "out")
    assert type(loaded).__name__ == kind_named(task).task
    columns = {"text_columns": (1,), "label_column": 0} if task == "generator" else {}
    samples = kind_named(task).read(files[3], Reading(**columns))
    assert loaded.evaluate(samples) == pytest.approx(found["valid"], abs=1e-4)


@pytest.mark.parametrize("objective", ["simcse", "pairs"])
def test_sentence_encoder_without_scores(tmp_path, objective):
    pairs = [
        f"{a}\t{b}" for a, b in zip("red green blue warm".split(), "a b c d".split(), strict=True)
    ]
    (tmp_path / "train.tsv").write_text("\n".join(pairs * 3), encoding="utf-8")
    given = ["--train", tmp_path / "train.tsv", "--output", tmp_path / "out"]
    given += ["--objective", objective, *tiny_options(), *SHORT]
    assert "--valid is needed: scored pairs" in run("train", "sentence-encoder", *given).stderr
    given += ["--valid", head("sentence_pairs/valid.tsv", tmp_path, 6)]
    assert "spearman" in run_json("train", "sentence-encoder", *given)["valid"]


def test_questions_and_tables(tmp_path):
    """Formats that are no lines: the files are written by hand."""
    said = [{"text": "1889", "answer_start": 12}]
    asked = [{"question": "When?", "id": str(i), "answers": said} for i in range(8)]
    article = {"paragraphs": [{"context": "It stood in 1889.", "qas": asked}]}
    squad = tmp_path / "squad.json"
    squad.write_text(json.dumps({"data": [article]}), encoding="utf-8")
    files = ["--train", squad, "--valid", squad, *tiny_options(), *SHORT]
    found = run_json("train", "extractive-qa", *files, "--output", tmp_path / "qa")
    assert {"f1", "em"} <= set(found["valid"])

    tables = {"id": "1", "header": ["film", "year"], "rows": [["A", 1], ["B", 2]]}
    sql = {"sel": 1, "agg": 0, "conds": [[0, 0, "A"]]}
    asked = {"table_id": "1", "question": "year of film A", "sql": sql}
    (tmp_path / "q.tables.jsonl").write_text(json.dumps(tables), encoding="utf-8")
    (tmp_path / "q.jsonl").write_text("\n".join([json.dumps(asked)] * 4), encoding="utf-8")
    files = ["--train", tmp_path / "q.jsonl", "--valid", tmp_path / "q.jsonl", *SHORT]
    found = run_json("train", "table-qa", *files, *tiny_options(), "--output", tmp_path / "sql")
    assert "logical_form" in found["valid"]


def test_novelty(tmp_path):
    train = head("reviews/train.tsv", tmp_path, 60)
    found = run_json(
        "train", "novelty", "--train", train, *tiny_options(), "--output", tmp_path / "out"
    )
    detector = tasks.load(tmp_path / "out")
    assert detector.threshold == pytest.approx(found["threshold"])


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A tagger, trained with options from a file; the result on stdout, stderr, the directory."""
    place = tmp_path_factory.mktemp("train")
    names = [head(f"entities/{part}.json", place, 16) for part in PARTS]
    config = place / "options.toml"
    lines = [f"{part} = {str(path)!r}" for part, path in zip(PARTS, names, strict=True)]
    lines += ["epochs = 5", "learning_rate = 0.01", "from-scratch = true", "[option]"]
    lines += ["hidden_size = 16", "num_hidden_layers = 2", "num_attention_heads = 2"]
    config.write_text("\n".join(lines), encoding="utf-8")
    arguments = ["--config", config, "--epochs", 2, "--frozen", 1, "--output", place / "ner"]
    done = run("train", "tagger", *arguments)
    assert done.exit_code == 0, done.output
    return done, place / "ner", arguments, names


def test_the_directory_and_its_report(trained):
    done, directory, _, names = trained
    report = json.loads((directory / "training.json").read_text(encoding="utf-8"))
    assert report["options"]["epochs"] == 2  # the command line wins over the file
    assert report["options"]["learning_rate"] == 0.01
    assert report["options"]["clip"] == 1.0
    assert [row["epoch"] for row in report["epochs"]] == [1, 2]
    best = max(report["epochs"], key=lambda row: row["f1"])
    assert report["best_epoch"] == best["epoch"]
    task = tasks.load(directory)
    for part, path in zip(PARTS[1:], names[1:], strict=True):
        assert task.evaluate(read_entities(path)) == pytest.approx(report[part], abs=1e-4)
    card = (directory / "README.md").read_text(encoding="utf-8")
    assert f"| f1 | {report['valid']['f1']:.4f} | {report['test']['f1']:.4f} |" in card
    assert (directory / "learning_curve.png").read_bytes().startswith(b"\x89PNG")
    assert "epoch 2/2  loss " in done.stderr
    assert "layers frozen" in done.stderr
    assert done.stdout.splitlines()[-1] == f"saved {directory}"
    assert not directory.with_name("ner.training").exists()


def test_frozen_blocks_do_not_move(trained):
    _, directory, _, _ = trained
    frozen = {layer.name for layer in tasks.load(directory).model.layers if not layer.trainable}
    assert {"Embedding-Token", "Transformer-0-FeedForward"} <= frozen
    assert "Transformer-1-FeedForward" not in frozen


def test_gradients_are_clipped(tmp_path):
    """Gradients far below Adam's epsilon change nothing, as a rate of nearly 0 does."""
    files = ["--train", head("reviews/train.tsv", tmp_path, 12)]
    files += ["--valid", head("reviews/valid.tsv", tmp_path, 6), "--weight-decay", 0]
    weights = {}
    for name, options in {
        "clipped": ["--clip", 1e-15],
        "slow": ["--learning-rate", 1e-30],
        "default": [],
        "none": ["--clip", 0],
    }.items():
        given = [*files, *tiny_options(), *SHORT, *options, "--output", tmp_path / name]
        run_json("train", "text-classifier", *given)
        weights[name] = tasks.load(tmp_path / name).model.get_weights()
    difference = {
        name: max(abs(a - b).max() for a, b in zip(weights[name], weights["slow"], strict=True))
        for name in weights
    }
    assert difference["clipped"] < 1e-7
    assert difference["default"] > 1e-4
    assert difference["none"] > 1e-4


def test_a_finished_training_is_not_repeated(trained):
    done, directory, arguments, _ = trained
    before = (directory / "model.keras").read_bytes()
    again = run("train", "tagger", *arguments, "--resume")
    assert (again.exit_code, again.stdout) == (0, done.stdout)
    assert "is complete" in again.stderr
    other = run("train", "tagger", *arguments, "--resume", "--seed", 3)
    assert other.exit_code == 1
    assert "is of a training with seed=1, not 3" in other.stderr
    fresh = run("train", "tagger", *arguments)
    assert "exists; give another --output, or --force" in fresh.stderr
    assert (directory / "model.keras").read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["taggr"], 1, "there is no task 'taggr'. Did you mean tagger?"),
        (["entity-linker"], 2, "is not trained on a file: it needs a knowledge base"),
        (["tagger", "--model", "x", "--from-scratch"], 2, "either --model or --from-scratch"),
        (["tagger"], 2, "either --model or --from-scratch"),
        (["tagger", "--model", "no/where"], 1, "no/where is no directory"),
        (["tagger", "--from-scratch", "--option", "x"], 1, "expected NAME=VALUE"),
        (["tagger", "--from-scratch", "--option", "hed=crf"], 1, "did you mean head?"),
        (["tagger", "--from-scratch", "--head", "tree"], 1, "head='tree' must be one of"),
        (["tagger", "--from-scratch", "--epochs", "0"], 2, "Invalid value for '--epochs'"),
        (["text-classifier", "--from-scratch"], 1, "cannot be read"),
        (["text-classifier", "--from-scratch", "--text-column", 0], 1, "--label-column C"),
        (["reranker", "--from-scratch", *ONE_TEXT], 1, "give --text-column twice"),
        (["tagger", "--from-scratch", "--frozen", 9], 1, "the model has 1 blocks"),
    ],
)
def test_wrong_input(tmp_path, arguments, status, message):
    path = head("entities/train.json", tmp_path, 12)
    if arguments[0] == "text-classifier":
        path = tmp_path / "absent.tsv"
    if "--frozen" in arguments:
        arguments = [*arguments, *tiny_options()]
    done = run("train", *arguments, "--train", path, "--output", tmp_path / "out")
    assert done.exit_code == status
    assert message in done.stderr
    assert len([x for x in done.stderr.splitlines() if x.startswith("error: ")]) == 1
    assert not (tmp_path / "out").exists()


def test_one_label_is_refused(tmp_path):
    (tmp_path / "a.tsv").write_text("good\tyes\nbad\tyes\n" * 6, encoding="utf-8")
    done = run(
        "train", "text-classifier", "--train", tmp_path / "a.tsv", *tiny_options(), *SHORT,
        "--output", tmp_path / "out",
    )  # fmt: skip
    assert "the training file has 1 label(s), yes; at least 2" in done.stderr


def test_columns_that_are_not_found(tmp_path):
    train = head("entities/train.json", tmp_path, 4)
    done = run("train", "text-classifier", "--train", train, *tiny_options(), "--output", "out")
    assert done.exit_code == 1
    assert "line 1: no text and label among ['entities', 'text']; name them: --tex" in done.stderr


def test_other_files_are_never_replaced(tmp_path):
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    train = head("entities/train.json", tmp_path, 12)
    given = ["--train", train, "--from-scratch", "--output", tmp_path]
    done = run("train", "tagger", *given, "--force")
    assert "holds no task" in done.stderr
    assert (tmp_path / "notes.txt").read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epoch = 3", "epoch is no option of train; did you mean epochs?"),
        ("colour = 3", "colour is no option of train; options: "),
        ("epochs = ", "is no TOML"),
        ("epochs = [1]", "epochs is a list; epochs takes one value"),
        ("[seed]\na = 1", "seed is a table"),
        ("epochs = 'many'", "'many' is not a valid integer"),
        (None, "No such file"),
    ],
)
def test_wrong_config(tmp_path, text, message):
    path = tmp_path / "a.toml"
    if text is not None:
        path.write_text(text, encoding="utf-8")
    done = run("train", "tagger", "--config", path, "--train", "x", "--output", "y")
    assert done.exit_code in (1, 2)
    assert message in done.stderr


def test_tasks_are_listed_in_the_help():
    done = run("train", "--help")
    words = done.stdout.replace(",", " ").replace(".", " ").split()
    for name, kind in TASK_KINDS.items():
        assert (name in words) == (not kind.refusal)


def test_every_task_of_the_library_is_known():
    named = {kind.task for kind in TASK_KINDS.values()}
    assert named == set(tasks.TASKS) - {"CCKS2019Linker"}


def test_tensorboard_that_is_not_installed(tmp_path, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "tensorboard" else find(name)
    )
    given = ["--train", head("entities/train.json", tmp_path, 12), *tiny_options()]
    given += ["--output", tmp_path / "out", "--tensorboard", tmp_path / "events"]
    done = run("train", "tagger", *given)
    assert "--tensorboard needs tensorboard: pip install" in done.stderr


def test_tensorboard_reads_the_events(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    given = ["--train", head("entities/train.json", tmp_path, 12), *tiny_options(), *SHORT]
    given += ["--output", tmp_path / "out", "--tensorboard", tmp_path / "events"]
    assert run("train", "tagger", *given, "--epochs", 2).exit_code == 0
    events = EventAccumulator(str(tmp_path / "events" / "train"))
    events.Reload()
    assert "epoch_loss" in events.Tags()["tensors"]
    assert [event.step for event in events.Tensors("epoch_loss")] == [0, 1]


def test_choices_are_those_of_the_library():
    """They are written out because the library imports Keras, which the help must not."""
    from bert4keras.tasks.classification.readers import PROBLEMS
    from bert4keras.tasks.tagging.tag_spelling import FILE_SCHEMES

    assert set(PROBLEM_CHOICES) == set(PROBLEMS)
    assert set(SCHEME_CHOICES) == set(FILE_SCHEMES)
