"""Sequence labelling in the examples: files, data sets, long texts, and the scripts end to end."""

from __future__ import annotations

import argparse
import importlib
import json
import lzma
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
TINY = EXAMPLES.parent / "tests" / "fixtures" / "bert_gelu"
SIZES = {"train": 800, "valid": 100, "test": 150}
ENTITIES, WORDS = (EXAMPLES / "datasets" / name for name in ("entities", "segmentation"))


@pytest.fixture
def entities(monkeypatch):
    """The module that the examples share."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    return importlib.import_module("entities")


@pytest.mark.parametrize(("directory", "suffix"), [(ENTITIES, "json"), (WORDS, "txt")])
def test_the_files_are_what_the_script_makes(directory, suffix, tmp_path):
    command = [sys.executable, str(directory / "generate.py"), str(tmp_path)]
    subprocess.run(command, check=True, timeout=60)
    texts = []
    for split, size in SIZES.items():
        made = (tmp_path / f"{split}.{suffix}").read_bytes()
        assert made == (directory / f"{split}.{suffix}").read_bytes()
        texts += made.decode("utf-8").splitlines()
        assert len(made.splitlines()) == size
    assert len(set(texts)) == len(texts)


def test_half_of_the_names_are_new(entities):
    """And what is marked is a name, not something around it."""
    rows = {split: entities.read(ENTITIES / f"{split}.json") for split in SIZES}
    names = {
        split: [r.text[e.start : e.end] for r in some for e in r.entities]
        for split, some in rows.items()
    }
    for split in ("valid", "test"):
        new = sum(name not in names["train"] for name in names[split]) / len(names[split])
        assert 0.4 < new < 0.75
    assert all(set(name).isdisjoint("，。、：的") for some in names.values() for name in some)
    assert {e.label for r in rows["test"] for e in r.entities} == {"人名", "地名", "机构"}


COLUMNS = """-DOCSTART- -X- O O

U.N. NNP I-NP I-ORG
official NN I-NP O
Ekeus NNP I-NP I-PER

Paris NNP I-NP I-LOC
London NNP I-NP B-LOC
"""
CLUENER = {"text": "他去北京大学", "label": {"organization": {"北京大学": [[2, 5]]}}}
SHIPPED = {"text": "他去北京大学", "entities": [[2, 6, "organization"]]}
CHARACTERS = (
    "他\tO\n去\tO\n北\tB-organization\n京\tM-organization\n大\tM-organization\n学\tE-organization"
)


@pytest.mark.parametrize("suffix", ["", ".xz"])
@pytest.mark.parametrize(
    "content", [json.dumps(CLUENER), json.dumps(SHIPPED, ensure_ascii=False), CHARACTERS]
)
def test_formats_of_the_same_sentence(entities, tmp_path, content, suffix):
    path = tmp_path / f"train.json{suffix}"
    content = content.encode("utf-8")
    path.write_bytes(lzma.compress(content) if suffix else content)
    (row,) = entities.read(path)
    assert row == ("他去北京大学", [(2, 6, "organization")], None)


def test_words_of_conll(entities, tmp_path):
    (tmp_path / "eng").write_text(COLUMNS, encoding="utf-8")
    first, second = entities.read(tmp_path / "eng")
    assert first.text == "U.N. official Ekeus"
    assert [first.text[a:b] for a, b in first.words] == ["U.N.", "official", "Ekeus"]
    assert first.entities == [(0, 4, "ORG"), (14, 19, "PER")]
    assert second.entities == [(0, 5, "LOC"), (6, 12, "LOC")]
    assert entities.read(tmp_path / "eng", limit=1) == [first]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("他 O\n去 X\n", "line 2: 'X' is not a tag"),
        ("他 O\nB-X\n", "line 2: expected a token and its tag"),
        ('{"text": "他"}', "line 1: .* is no such row: 'label'"),
        ('\n{"text": "他", "entities": [[0, 2, "P"]]}', "line 2: .*is not within the text"),
        ('{"text": "他", "entities": [[0', "line 1"),
        ("\n\n", "has no sentence"),
        ("", "has no sentence"),
    ],
)
def test_a_bad_file_is_named(entities, tmp_path, content, message):
    (tmp_path / "bad").write_text(content, encoding="utf-8")
    with pytest.raises(SystemExit, match=rf"bad.*{message}"):
        entities.read(tmp_path / "bad")


def test_words_of_a_segmented_file(entities, tmp_path):
    segmentation = importlib.import_module("task_cws_crf")
    (tmp_path / "pku").write_text("我  爱  北京\n\n好\n", encoding="utf-8")
    rows = segmentation.read(tmp_path / "pku")
    assert [row.text for row in rows] == ["我爱北京", "好"]
    assert segmentation.words_of(rows[0].text, rows[0].entities) == ["我", "爱", "北京"]
    found = [entities.LabelledSpan(1, 2, ""), entities.LabelledSpan(3, 4, "")]
    assert segmentation.words_of("我爱北京人", found) == ["我", "爱", "北", "京", "人"]


class Gold:
    """Scores of the tags by the character: 张 begins a person, 三 is in one."""

    def __init__(self, tokenizer):
        self.tags = {tokenizer.token_to_id("张"): 1, tokenizer.token_to_id("三"): 2}
        self.longest = 0

    def predict_on_batch(self, inputs):
        ids = np.asarray(inputs[0])
        self.longest = max(self.longest, ids.shape[1])
        return np.eye(3)[np.vectorize(lambda i: self.tags.get(i, 0))(ids)]


def long_sentence(entities):
    text = "张三三 说：" + "他　说" * 7 + "张三三三Ａ" + "，" * 20 + "三张三"
    places = [(0, 3), (27, 31), (52, 53), (53, 55)]
    return entities.Sentence(text, [entities.LabelledSpan(*place, "P") for place in places])


def make_tagger(entities, maxlen=12):
    sentence = long_sentence(entities)
    options = argparse.Namespace(model=None, maxlen=maxlen)
    _, tokenizer = entities.encoder(options, [sentence] * 2, hidden_size=8)
    tagger = entities.Tagger(tokenizer, ["O", "B-P", "I-P"], "BIO", maxlen, 2)
    tagger.model, tagger.decode = Gold(tokenizer), lambda scores, mask: scores.argmax(-1)
    return tagger, sentence


def test_nothing_of_a_long_text_is_lost(entities):
    """Characters that are no tokens, windows, full-width letters: the places are right."""
    tagger, sentence = make_tagger(entities)
    rows = [entities.Sentence("", []), sentence, entities.Sentence("张", [])]
    assert tagger.predict(rows) == [[], sentence.entities, [(0, 1, "P")]]
    assert tagger.model.longest <= 12
    # A tagger that read the first window alone would find the first one alone.
    assert sentence.entities[1].start > 12


def test_samples_tell_every_entity_whole_once(entities):
    tagger, sentence = make_tagger(entities)
    samples = tagger.samples([sentence])
    assert len(samples) > 5
    begun, cut = 0, 0
    for (ids, segments), labels in samples:
        assert len(ids) == len(segments) == len(labels) <= 12
        assert labels[0] == labels[-1] == -1  # the special tokens have no tag
        inner = [tagger.tags[label] for label in labels if label >= 0]
        assert inner[0] != "I-P"
        begun, cut = begun + inner.count("B-P"), cut + labels[1:-1].count(-1)
    assert begun >= len(sentence.entities)
    assert cut > 0
    short = entities.Sentence("张三说", [entities.LabelledSpan(0, 2, "P")])
    assert tagger.samples([short])[0][1] == [-1, 1, 2, 0, -1]


def test_the_first_token_of_a_word_is_tagged(entities):
    from bert4keras.tokenizers import Tokenizer

    tokenizer = Tokenizer.from_pretrained(TINY)
    tagger = entities.Tagger(tokenizer, ["O", "B-P", "I-P"], "BIO", 16, 2)
    row = entities.Sentence("acting on", [entities.LabelledSpan(0, 6, "P")], [(0, 6), (7, 9)])
    ((ids, _), labels) = tagger.samples([row])[0]
    assert tokenizer.ids_to_tokens(ids) == ["[CLS]", "act", "##ing", "o", "##n", "[SEP]"]
    assert labels == [-1, 1, -1, 0, -1, -1]
    ((_, _), labels) = tagger.samples([row._replace(words=None)])[0]
    assert labels == [-1, 1, 2, 0, 0, -1]
    assert entities.round_trip(tagger, [row]) == "1 of 1 sentences, 1 of 1 entities come back"
    inside = entities.Sentence("acting", [entities.LabelledSpan(0, 4, "P")])
    assert entities.round_trip(tagger, [inside, row]) == (
        "1 of 2 sentences, 1 of 2 entities come back; inside a token: 1, e.g. ('acti', 'P')"
    )


def test_longest_match(entities):
    e = entities.LabelledSpan
    train = [entities.Sentence("北京大学在北京", [e(0, 4, "O"), e(5, 7, "L")])]
    test = [entities.Sentence("北京的北京大学", [])]
    assert entities.longest_match(train, test) == [[(0, 2, "L"), (3, 7, "O")]]
    words = entities.Sentence("Li Lille", [], [(0, 2), (3, 8)])
    train = [entities.Sentence("Li", [e(0, 2, "P")], [(0, 2)])]
    assert entities.longest_match(train, [words]) == [[(0, 2, "P")]]


FEW = [
    "--limit",
    "24",
    "--eval-limit",
    "24",
    "--epochs",
    "1",
    "--maxlen",
    "24",
    "--batch-size",
    "8",
]


@pytest.mark.script
@pytest.mark.parametrize(
    ("script", "arguments", "expected"),
    [
        ("task_ner_crf.py", ["--check"], "test: 24 of 24 sentences, "),
        ("task_ner_memm.py", ["--head", "bi-memm", "--decode", "local"], "| bi-memm | 0."),
        ("task_cws_crf.py", ["--bigrams", "100"], "words that are new"),
    ],
)
def test_runs(script, arguments, expected):
    command = [sys.executable, str(EXAMPLES / script), *FEW, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    assert expected in done.stdout


@pytest.mark.script
def test_english_columns_with_a_pretrained_model(tmp_path):
    (tmp_path / "eng").write_text(COLUMNS * 8, encoding="utf-8")
    command = [sys.executable, str(EXAMPLES / "task_ner_crf.py"), "--train", tmp_path / "eng"]
    command += ["--model", TINY, "--epochs", "1", "--maxlen", "16", "--scheme", "BIOES"]
    command += ["--picture", tmp_path / "transitions.png"]
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    assert ": precision" in done.stdout
    assert (tmp_path / "transitions.png").read_bytes().startswith(b"\x89PNG")
