"""Entity linking in the examples: the shipped data, the formats, the baseline, and the scripts."""

from __future__ import annotations

import argparse
import importlib
import json
import lzma
import math
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
TINY = EXAMPLES.parent / "tests" / "fixtures" / "bert_gelu"
DATA = EXAMPLES / "datasets" / "knowledge_base"
SIZES = {"train": 700, "valid": 100, "test": 200}
ENTITY = {
    "subject_id": 7,
    "subject": "《北京》",
    "alias": ["北京", "《北京》", " "],
    "data": [
        {"predicate": "摘要", "object": "很长的摘要"},
        {"predicate": "类型", "object": "歌曲"},
    ],
}
CITY = {"subject_id": "8", "subject": "北京市", "alias": ["北京", "京"], "data": []}
TEXT = {
    "text": "他在北京唱《北京》",
    "mention_data": [{"mention": "北京", "offset": "2", "kb_id": "8"}],
}
NO_NAME = {"text": "没有名字", "mention_data": []}
EMPTY = {"text": "", "mention_data": []}
CONLL = """-DOCSTART- -X- O O

SOCCER NN I-NP O
. . O O

Japan NNP I-NP I-LOC
beat VBD I-VP O
New NNP I-NP I-LOC
York NNP I-NP I-LOC

-DOCSTART- -X- O O

Oslo NNP I-NP I-LOC
"""
AIDA = [
    {
        "doc": 1,
        "split": "train",
        "mentions": [
            {
                "span": [1, 2, 4],
                "gold": "New_York",
                "cands": [["York", 8, 1, "GPE"], ["New_York", 1, 1, "GPE"]],
            },
            {"span": [1, 0, 1], "gold": None, "cands": []},
            {"span": None, "gold": "Japan", "cands": [["Japan", 1, 1, "GPE"]]},
            {"span": [1, 0, 1], "gold": "Japan", "cands": []},
        ],
    },
    {
        "doc": 3,
        "split": "testa",
        "mentions": [{"span": [0, 0, 1], "gold": "Oslo", "cands": [["Oslo", 0, 0, "GPE"]]}],
    },
]


@pytest.fixture
def linking(monkeypatch):
    """The module that the examples share."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    return importlib.import_module("linking")


def write(path: Path, *rows) -> Path:
    """A file of json objects, or of given lines, compressed if its name says so."""
    lines = [row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows]
    content = "\n".join(lines).encode("utf-8")
    path.write_bytes(lzma.compress(content) if path.suffix == ".xz" else content)
    return path


def conll(directory: Path) -> Path:
    for split, content in (("train", CONLL), ("testa", CONLL[: CONLL.index("York")])):
        (directory / f"eng.{split}").write_text(content, encoding="utf-8")
    write(directory / "eng.testb.xz", CONLL)
    return directory


def run(script: str, *arguments) -> str:
    command = [sys.executable, str(EXAMPLES / script), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_the_files_are_what_the_script_makes(tmp_path):
    subprocess.run([sys.executable, str(DATA / "generate.py"), str(tmp_path)], check=True)
    texts = []
    for name, size in {**SIZES, "kb": 184}.items():
        made = (tmp_path / f"{name}.jsonl").read_bytes()
        assert made == (DATA / f"{name}.jsonl").read_bytes()
        assert made.count(b"\n") == size
        texts += made.decode("utf-8").splitlines()
    assert len(set(texts)) == len(texts)


def test_the_shipped_data(linking):
    """New names in every split, several entities a name, some of nothing in the base."""
    base = linking.KnowledgeBase(DATA / "kb.jsonl")
    trie = linking.AliasTrie(base.names)
    gold = {split: linking.read_ccks(DATA / f"{split}.jsonl") for split in SIZES}
    names = {}
    for split, texts in gold.items():
        mentions = [(text, m) for text in texts for m in text.mentions]
        names[split] = {text.text[m.start : m.end] for text, m in mentions}
        nil = sum(m.gold == linking.NIL for _, m in mentions)
        assert 0.08 < nil / len(mentions) < 0.25
        assert {m.gold for _, m in mentions} - {linking.NIL} <= set(base.names)
        # The trie finds all of them, and more: common words.
        found = linking.with_candidates(texts, base, trie)
        places = {(t.text, m.start, m.end) for t in found for m in t.mentions}
        assert {(t.text, m.start, m.end) for t, m in mentions} <= places
        assert 1.05 < len(places) / len(mentions) < 1.6
        right = [m for t in found for m in t.mentions if m.gold != linking.NIL]
        assert all(m.gold in {c.entity for c in m.candidates} for m in right)
    assert not names["train"] & (names["valid"] | names["test"])
    assert not names["valid"] & names["test"]


def test_a_knowledge_base_of_ccks(linking, tmp_path):
    base = linking.KnowledgeBase(write(tmp_path / "kb.json.xz", ENTITY, "", CITY))
    assert base.names == {"7": ["《北京》", "北京"], "8": ["北京市", "北京", "京"]}
    # The abstract comes last: it may be cut.
    assert base.texts == {"7": "《北京》; 类型: 歌曲; 摘要: 很长的摘要", "8": "北京市"}
    assert base.candidates(("8",)) == [linking.Candidate("8", "北京市", 0.0)]


def test_texts_of_ccks_and_their_candidates(linking, tmp_path):
    base = linking.KnowledgeBase(write(tmp_path / "kb.json", ENTITY, CITY))
    texts = linking.read_ccks(write(tmp_path / "train.json", TEXT, {**TEXT, "mention_data": []}))
    assert texts[0] == ("他在北京唱《北京》", "", [(2, 4, [], "8")])
    assert texts[1].mentions == []
    assert len(linking.read_ccks(tmp_path / "train.json", limit=1)) == 1
    (first, _) = linking.with_candidates(texts, base, linking.AliasTrie(base.names))
    found = [(m.start, m.end, [c.entity for c in m.candidates], m.gold) for m in first.mentions]
    assert found == [(2, 4, ["7", "8"], "8"), (5, 9, ["7"], linking.NIL)]


def test_sentences_of_aida(linking, tmp_path):
    path = write(tmp_path / "aida.jsonl.xz", *AIDA)
    (text,) = linking.read_aida(path, conll(tmp_path), "train")
    assert text.text == "Japan beat New York"
    assert text.topic == "SOCCER ."
    (mention,) = text.mentions  # the others have no place, no gold entity or no candidate
    assert text.text[mention.start : mention.end] == "New York"
    assert mention.gold == "New_York"
    assert mention.candidates == [
        ("York", "York", pytest.approx(math.log(9 / 11))),
        ("New_York", "New York", pytest.approx(math.log(2 / 11))),
    ]


def test_the_first_sentence_has_no_topic_and_splits_are_counted_through(linking, tmp_path):
    write(tmp_path / "aida.jsonl", AIDA[0], {**AIDA[1], "doc": 2})
    (text,) = linking.read_aida(tmp_path / "aida.jsonl", conll(tmp_path), "testa")
    assert (text.text, text.topic) == ("Oslo", "")
    write(tmp_path / "aida.jsonl", {**AIDA[1], "mentions": [{**AIDA[0]["mentions"][0]}]})
    with pytest.raises(SystemExit, match="line 1: "):  # testa ends before that token
        linking.read_aida(tmp_path / "aida.jsonl", tmp_path, "testa")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("{", "line 2: no JSON"),
        ("[1]", "line 2: expected a JSON object"),
        ({**ENTITY, "data": [{"predicate": "p"}]}, "line 2: no 'object'"),
        ({"subject": "a"}, "line 2: no 'alias'"),
        ({**ENTITY, "alias": "北京"}, "line 2: .*alias"),
    ],
)
def test_a_bad_knowledge_base_is_named(linking, tmp_path, row, message):
    with pytest.raises(SystemExit, match=rf"bad\.json, {message}"):
        linking.KnowledgeBase(write(tmp_path / "bad.json", CITY, row))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["{"], "line 1: no JSON"),
        ([TEXT, {"text": "a"}], "line 2: no 'mention_data'"),
        ([TEXT, {**TEXT, "mention_data": [{"mention": "北京"}]}], "line 2: no 'offset'"),
        ([{**TEXT, "text": "北京"}], "line 1: '北京' does not stand at 2 of '北京'"),
        (
            [{"text": "a", "mention_data": [{"mention": "a", "offset": "x", "kb_id": 1}]}],
            "line 1: ",
        ),
        (
            [{"text": "abc", "mention_data": [{"mention": "c", "offset": -1, "kb_id": 1}]}],
            "line 1: 'c' does not stand at -1",
        ),
        (
            [{"text": "abc", "mention_data": [{"mention": "", "offset": 1, "kb_id": 1}]}],
            "line 1: '' does not stand at 1",
        ),
        ([], "has no text"),
        (None, "cannot be read: .*No such file"),
    ],
)
def test_a_bad_file_of_texts_is_named(linking, tmp_path, rows, message):
    path = tmp_path / "bad.json"
    if rows is not None:
        write(path, *rows)
    with pytest.raises(SystemExit, match=rf"bad\.json,? {message}"):
        linking.read_ccks(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"doc": 9}, r"line 1: there is no document 9 of 5"),
        ({"doc": 0}, r"line 1: there is no document 0 of 5"),
        ({"mentions": [{"gold": "a", "cands": []}]}, "line 1: no 'span'"),
        (
            {"mentions": [{"span": [5, 0, 1], "gold": "a", "cands": [["a", 1]]}]},
            "line 1: the document has no tokens",
        ),
        ({"split": "dev"}, "has no document of train"),
    ],
)
def test_a_bad_file_of_aida_is_named(linking, tmp_path, change, message):
    path = write(tmp_path / "bad.jsonl", {**AIDA[0], **change})
    with pytest.raises(SystemExit, match=rf"bad\.jsonl,? {message}"):
        linking.read_aida(path, conll(tmp_path), "train")


def test_bad_conll_files_are_named(linking, tmp_path):
    path = write(tmp_path / "aida.jsonl", *AIDA)
    with pytest.raises(SystemExit, match=r"has no eng\.train or eng\.train\.xz"):
        linking.read_aida(path, tmp_path, "train")
    (tmp_path / "eng.train").write_text("Oslo NNP\n", encoding="utf-8")
    with pytest.raises(SystemExit, match=r"eng\.train, line 1: .*-DOCSTART-"):
        linking.conll_documents(tmp_path, "train")
    (tmp_path / "eng.train").unlink()
    for content in (b"no xz", b"", lzma.compress(b"cut off")[:-4]):
        (tmp_path / "eng.train.xz").write_bytes(content)
        with pytest.raises(SystemExit, match=r"eng\.train\.xz cannot be read"):
            linking.conll_documents(tmp_path, "train")


def test_scores_by_hand(linking):
    """NIL is no entity: neither found nor missed; what is found too much costs precision."""
    m = lambda start, gold=linking.NIL: linking.Mention(start, start + 1, [], gold)  # noqa: E731
    gold = [linking.Text("abcd", "", [m(0, "1"), m(1, "2"), m(2)]), linking.Text("", "", [])]
    texts = [linking.Text("abcd", "", [m(0), m(2), m(3)]), linking.Text("", "", [])]
    found = linking.scores(gold, texts, ["1", linking.NIL, "3"])
    assert found == {"precision": 0.5, "recall": 0.5, "f1": 0.5}
    assert linking.scores(gold, texts, [linking.NIL] * 3)["f1"] == 0


def test_splits_and_names_that_are_words(linking, capsys):
    files = {split: DATA / f"{split}.jsonl" for split in SIZES}
    options = argparse.Namespace(aida=None, kb=DATA / "kb.jsonl", limit=None, **files)
    gold, texts = linking.load(options)
    assert [len(split) for split in texts] == list(SIZES.values())
    assert "dropped, being mostly ordinary words: last year, nobody" in capsys.readouterr().out
    found = {t.text[m.start : m.end].lower() for split in texts for t in split for m in t.mentions}
    assert not found & {"nobody", "last year"}
    assert all(m.candidates for split in texts for t in split for m in t.mentions)
    wanted = [[(m.start, m.end, m.gold) for m in t.mentions if m.gold != "NIL"] for t in gold[2]]
    best = [m.gold for t in texts[2] for m in t.mentions]
    # What could be had: all, but for the names dropped.
    assert linking.scores(gold[2], texts[2], best)["f1"] > 0.99
    assert sum(map(len, wanted)) > 200


SMALL = [
    "--model",
    TINY,
    "--epochs",
    1,
    "--limit",
    6,
    "--eval-limit",
    6,
    "--maxlen",
    8,
    "--description",
    4,
]


@pytest.mark.script
def test_ranking_runs_on_the_shipped_data():
    out = run("task_entity_linking.py", *SMALL)
    assert "test: first candidate: f1 0." in out
    assert "test: model: f1 0." in out


@pytest.mark.script
def test_ranking_runs_on_aida(tmp_path):
    """Whose mentions have priors, and always an entity."""
    rows = [{**AIDA[0], "doc": 1 + 2 * k, "split": s} for k, s in enumerate(["train", "testb"])]
    rows[1]["doc"] = 5
    rows.append({**AIDA[1], "doc": 4})
    path = write(tmp_path / "aida.jsonl", *rows)
    for split in ("train", "testa", "testb"):
        (tmp_path / f"eng.{split}").write_text(CONLL, encoding="utf-8")
    out = run("task_entity_linking.py", *SMALL, "--aida", path, "--conll", tmp_path)
    assert "test: first candidate: f1 0.0000, precision 0.0000, recall 0.0000" in out
    assert "test: model: f1 " in out


# Of several batches: of a single one Keras on TensorFlow takes the shape for that of all.
FEW = ["--units", 4, "--batch-size", 8]


@pytest.mark.script
def test_the_lstms_run_on_the_shipped_data():
    out = run("task_entity_linking_2019.py", "--epochs", 1, "--limit", 12, "--eval-limit", 12, *FEW)
    assert "test: first candidate: f1 0." in out
    assert "test: model: f1 0." in out


@pytest.mark.script
def test_the_lstms_run_on_other_files_with_word_vectors(tmp_path):
    """Chinese; a text without a name, one longer than what is read, one without a token."""
    base = write(tmp_path / "kb.json", ENTITY, CITY)
    text = write(tmp_path / "t.json", TEXT, {**TEXT, "text": TEXT["text"] * 5}, NO_NAME, EMPTY)
    vectors = write(tmp_path / "vectors.txt", "2 2", "北京 0.5 1", "唱 1 -1")
    files = [part for split in SIZES for part in (f"--{split}", text)]
    small = ["--epochs", 1, "--maxlen", 12, "--rare", 1, "--units", 4, "--batch-size", 1]
    out = run("task_entity_linking_2019.py", *small, "--kb", base, "--vectors", vectors, *files)
    assert "test: first candidate: f1 0." in out
    assert "test: model: f1 " in out


def test_tokens(linking):
    text = "他在北京 R2D2, Café"
    found = [text[a:b] for a, b in linking.tokens(text)]
    assert found == ["他", "在", "北", "京", "R2D2", ",", "Café"]
    assert linking.tokens(" ") == []
    shared = linking.shared_tokens("A red car. A car", "the RED car")
    #                               A  red car .  A  car
    assert shared.T.tolist() == [[0, 1, 1, 0, 0, 1], [0, 1, 0, 0, 0, 0]]
    assert linking.shared_tokens("", "a").shape == (0, 2)
    assert not linking.shared_tokens("a", "").any()


def test_frequent_tokens_are_those_outside_of_names(linking):
    candidate = linking.Candidate("1", "Bath town")
    mention = linking.Mention(3, 7, [candidate], "1")
    texts = [linking.Text(text, "", [mention]) for text in ("in Bath ate", "in Bath now")]
    assert linking.frequent_tokens(texts, 2) == ["in"]
    assert linking.frequent_tokens(texts, 1) == ["Bath", "ate", "in", "now", "town"]


def test_the_threshold_by_hand(linking):
    m = lambda start, gold: linking.Mention(start, start + 1, [], gold)  # noqa: E731
    texts = [linking.Text("abc", "", [m(0, "1"), m(1, linking.NIL), m(2, "3")])]
    found = [("1", 0.8), ("2", 0.42), ("3", 0.5)]
    assert linking.likely(found, 0.5) == ["1", linking.NIL, "3"]
    threshold, figures = linking.best_threshold(texts, texts, found)
    assert 0.42 < threshold <= 0.5
    assert figures["f1"] == 1


def test_word_vectors(linking, tmp_path):
    path = write(tmp_path / "v.txt.xz", "3 2", "北京 0.5 1", "北京大学 1 2", "rock 3 4", "ROCK 5 6")
    words = linking.WordVectors(path)
    assert words.vectors.tolist() == [[0, 0], [0.5, 1], [1, 2], [3, 4], [5, 6]]
    assert (
        words.numbers("北京大学北京 Rock rocks").tolist()
        == [2] * 4 + [1] * 2 + [0] + [3] * 4 + [0] * 6
    )


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["a 1 2", "b 1"], "line 2: 1 numbers for 'b'"),
        (["a 1 x"], "line 1: could not convert"),
        (["2 2", ""], "has no word"),
        (["a 1 2", "b"], "line 2: 0 numbers for 'b'"),
    ],
)
def test_bad_word_vectors_are_named(linking, tmp_path, lines, message):
    with pytest.raises(SystemExit, match=rf"bad\.txt,? {message}"):
        linking.WordVectors(write(tmp_path / "bad.txt", *lines))
