"""Texts to entities: every head, training, windows, words, saving, and what cannot be."""

from __future__ import annotations

import json
import math
import warnings

import keras
import numpy as np
import pytest

from bert4keras import tasks
from bert4keras.models import build_transformer_model
from bert4keras.tasks import Entity, TaskError
from bert4keras.tasks.tagging import (
    ConditionalRandomField,
    TaggedText,
    Tagger,
    WordSegmenter,
    decode_tags,
    encode_tags,
)
from bert4keras.tasks.tagging.heads import TAGGER_HEADS
from bert4keras.tasks.tagging.span_answers import best_window
from bert4keras.tokenizers import Tokenizer
from bert4keras.training import FGM, RegularizedModel

pytestmark = pytest.mark.spread

LABELS = ["地名", "X"]
ROWS = [
    ("我爱北京", [(2, 4, "地名")]),
    ("北京爱我", [(0, 2, "地名"), (3, 4, "X")]),
    ("good film", [(5, 9, "X")]),
    ("bad", []),
]
QUIET = {"dropout": 0.0, "dropout_rate": 0.0}


@pytest.fixture(scope="module")
def checkpoint(fixtures):
    return fixtures / "bert_gelu"


@pytest.fixture(scope="module")
def tagger(checkpoint):
    return Tagger.build(checkpoint, LABELS, maxlen=16, **QUIET)


@pytest.fixture(scope="module")
def pointer(checkpoint):
    return Tagger.build(checkpoint, LABELS, "global-pointer", nested=True, maxlen=16, **QUIET)


def spans(answer):
    return [tuple(entity.span) for entity in answer]


def small(cls, rows, *options, **named):
    """A task on a small encoder that learns in a few steps."""
    sizes = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    texts = [text for text, _ in rows]
    bert, tokenizer = tasks.from_scratch(texts, **sizes, maxlen=64, min_count=1, dropout_rate=0.0)
    return cls.build(bert, *options, tokenizer=tokenizer, dropout=0.0, **named)


def trained(task, rows, epochs=20, rate=1e-2):
    task.model.compile(keras.optimizers.Adam(rate), task.loss)
    task.model.fit(task.batches(rows, 4, shuffle=True), epochs=epochs, verbose=0)
    return task


EVERYWHERE = ("crf", "bi-memm", "global-pointer")


@pytest.mark.parametrize(
    "head",
    [
        head if head in EVERYWHERE else pytest.param(head, marks=pytest.mark.spread)
        for head in TAGGER_HEADS
    ],
)
def test_learns_saves_and_answers_the_same(tmp_path, head):
    scheme = "BIOES" if head == "crf" else None
    task = trained(small(Tagger, ROWS, LABELS, head, scheme), ROWS)
    assert task.head == head
    scores = task.evaluate(ROWS)
    assert list(scores)[:4] == ["f1", "precision", "recall", "macro_f1"]
    assert scores["f1"] == 1.0
    answers = task.predict([text for text, _ in ROWS])
    assert [spans(answer) for answer in answers] == [entities for _, entities in ROWS]
    for (text, _), answer in zip(ROWS, answers, strict=True):
        for entity in answer:
            assert entity.text == text[entity.start : entity.end]
            assert 0.3 < entity.score <= 1

    task.save(tmp_path / "saved")
    again = tasks.load(tmp_path / "saved")
    assert (type(again), again.head) == (Tagger, head)
    assert again.get_config() == task.get_config()
    for text, _ in ROWS:
        assert spans(again(text)) == spans(task(text))
        for one, other in zip(again(text), task(text), strict=True):
            assert math.isclose(one.score, other.score, rel_tol=1e-4)


@pytest.mark.spread
def test_answers_read_well():
    entity = Entity(0, 3, "PER", "王小明", 0.98765)
    assert repr(entity) == "Entity(start=0, end=3, label='PER', text='王小明', score=0.9877)"
    assert str(entity) == "王小明 [PER] 0.99"
    assert str(Entity(0, 1, "", "我", 1.0)) == "我 1.00"


def noisy(task, seed=0):
    """The task with a head of large random weights, so that it finds entities everywhere."""
    rng = np.random.default_rng(seed)
    for weight in task.model.trainable_weights:
        weight.assign(weight + rng.normal(size=weight.shape, scale=0.5).astype("float32"))
    return task


@pytest.mark.parametrize("head", ["softmax", "crf", "global-pointer"])
def test_alone_and_in_a_batch(checkpoint, head):
    task = noisy(Tagger.build(checkpoint, LABELS, head, maxlen=16, **QUIET))
    if head == "global-pointer":
        task.layer.bias.assign([6.0, 6.0])
    texts = ["bad", "very good film story play act run", "", "我爱北京 北京", "good " * 30]
    together = task.predict(texts, batch_size=3)
    for text, answer in zip(texts, together, strict=True):
        assert spans(answer) == spans(task(text))
        np.testing.assert_allclose(
            [e.score for e in answer], [e.score for e in task(text)], atol=1e-5
        )
    assert list(task.stream(iter(texts), batch_size=2)) == task.predict(texts, 2)
    # Negative control: there are entities, and not the same everywhere.
    assert len({str(answer) for answer in together}) >= 3


class Gold:
    """In place of a model: scores of tags, or of pairs, by the ids of the tokens.

    北 begins an entity of "X" and 京 continues it.
    """

    def __init__(self, tokenizer, pairs=False):
        self.first, self.inner = map(tokenizer.token_to_id, "北京")
        self.pairs = pairs

    def predict_on_batch(self, inputs):
        ids = np.asarray(inputs[0])
        if not self.pairs:
            return 9.0 * np.eye(3)[np.where(ids == self.first, 1, 2 * (ids == self.inner))]
        scores = np.full((len(ids), 1, *ids.shape[1:] * 2), -9.0)
        for row, values in enumerate(ids.tolist()):
            for first, value in enumerate(values):
                last = first
                while value == self.first and values[last + 1 : last + 2] == [self.inner]:
                    last += 1
                if value == self.first:
                    scores[row, 0, first, last] = 9
        return scores

    def __getattr__(self, name):
        return getattr(self.model, name)


def with_gold(checkpoint, head, monkeypatch, maxlen=12):
    task = Tagger.build(checkpoint, ["X"], head, maxlen=maxlen, **QUIET)
    gold = Gold(task.tokenizer, head == "global-pointer")
    gold.model = task.model
    monkeypatch.setattr(task, "model", gold)
    return task


@pytest.mark.parametrize("head", ["softmax", "crf", "global-pointer"])
def test_nothing_of_a_long_text_is_lost(checkpoint, head, monkeypatch):
    """Blanks, emoji, entities on the borders of windows: the places are right."""
    task = with_gold(checkpoint, head, monkeypatch)
    text = "北京京 我 " + "我\u3000爱" * 7 + "北京京京\U0001f600" + "，" * 20 + "京北北京"
    places = [(0, 3), (27, 31), (53, 54), (54, 56)]
    if head == "softmax":
        places.insert(2, (52, 53))  # a single I tag is read as an entity
    assert spans(task(text)) == [(*place, "X") for place in places]
    assert [e.text for e in task(text)][:2] == ["北京京", "北京京京"]
    assert max(len(row[0]) for row in task.encode(text).rows) == 12
    assert task.predict(["", "我", "北"])[::2] == [[], task("北")]
    # Negative control: a tagger that read the first window only would find the first one only.
    assert places[1][0] > 12


@pytest.mark.spread
def test_windows_tell_every_entity_whole_once(checkpoint):
    task = Tagger.build(checkpoint, ["X"], "softmax", maxlen=12, **QUIET)
    text = "我" * 8 + "北京京" + "我" * 7 + "北京" + "我" * 9
    gold = [(8, 11, "X"), (18, 20, "X")]
    rows = task.training_rows([(text, gold)])
    assert [window for _, _, window in rows] == list(range(len(rows)))
    whole, cut = set(), 0
    for encoded, label, window in rows:
        labels = task.encode_label(label, encoded, window)
        assert len(labels) == len(encoded.rows[window][0]) <= 12
        assert labels[0] == labels[-1] == -1  # the special tokens have no tag
        inner = [task.tags[i] if i >= 0 else "O" for i in labels[1:-1]]
        start = encoded.extra.windows[window][0]
        found = decode_tags(inner, "BIO", strict=True)
        assert found == decode_tags(inner)  # no rest of an entity
        whole |= {(start + a, start + b, name) for a, b, name in found}
        cut += (labels[1:-1] == -1).sum()
    assert whole == set(gold)
    assert cut > 0


def test_pairs_of_a_window(pointer):
    text = "我" * 10 + "北京" + "我" * 10
    gold = [(10, 12, "X"), (10, 11, "地名"), (0, 14, "X")]
    rows = pointer.training_rows([(text, gold)])
    found = set()
    for encoded, label, window in rows:
        pairs = pointer.encode_label(label, encoded, window)
        assert pairs.shape[::2] == (2, 2)
        start = encoded.extra.windows[window][0] - 1
        for head, row in enumerate(pairs):
            found |= {(a + start, b + start + 1, LABELS[head]) for a, b in row.tolist() if a >= 0}
    assert found == set(gold)


@pytest.mark.spread
def test_the_best_window_of_a_pair():
    windows = [(0, 10), (5, 15), (10, 20)]
    assert [best_window(windows, *p) for p in [(0, 0), (4, 6), (8, 9), (8, 11), (14, 14)]] == [
        0,
        0,
        1,
        1,
        2,
    ]


def test_nested_and_flat():
    rows = [("我爱北京", [(0, 4, "X"), (2, 4, "地名")]), ("good", [])]
    nested = trained(small(Tagger, rows, LABELS, "global-pointer", nested=True), rows)
    assert spans(nested("我爱北京")) == rows[0][1]
    flat = Tagger(nested.tokenizer, nested.model, LABELS)
    (best,) = flat("我爱北京")
    assert best == max(nested("我爱北京"), key=lambda entity: entity.score)
    strict = Tagger(nested.tokenizer, nested.model, LABELS, threshold=1 - 1e-12)
    assert strict("我爱北京") == []
    assert strict.get_config()["threshold"] == 1 - 1e-12


def test_the_first_token_of_a_word_is_tagged(checkpoint):
    task = Tagger.build(checkpoint, ["P"], "softmax", **QUIET)
    row = TaggedText("acting on", [(0, 6, "P")], [(0, 6), (7, 9)])
    ((encoded, label, _),) = task.training_rows([row])
    ids = encoded.rows[0][0]
    assert task.tokenizer.ids_to_tokens(ids) == ["[CLS]", "act", "##ing", "o", "##n", "[SEP]"]
    assert task.encode_label(label, encoded).tolist() == [-1, 1, -1, 0, -1, -1]
    plain = row._replace(words=None)
    encoded = task.encode(plain)
    assert task.encode_label(plain.entities, encoded).tolist() == [-1, 1, 2, 0, 0, -1]
    # With units="word" words are found in any text, and answers are whole words.
    words = Tagger(task.tokenizer, task.model, ["P"], units="word")
    encoded = words.encode("acting on")
    assert words.encode_label([(0, 6, "P")], encoded).tolist() == [-1, 1, -1, 0, -1, -1]
    found = noisy(words)("acting on acting, on film acting")
    assert found
    assert all(e.text.strip(",") in ("acting", "on", "film", ",") or " " in e.text for e in found)
    pointer = Tagger.build(checkpoint, ["P"], "global-pointer", **QUIET)
    ((encoded, label, _),) = pointer.training_rows([row])
    assert pointer.encode_label(label, encoded).tolist() == [[[1, 1]]]


def test_a_model_of_ones_own(checkpoint):
    bert = build_transformer_model(checkpoint, dropout_rate=0.0)
    x = keras.layers.Dense(8, activation="tanh")(bert.output)
    crf = ConditionalRandomField(lr_multiplier=10)
    model = keras.Model(bert.input, crf(keras.layers.Dense(5)(x)))
    task = Tagger(Tokenizer.from_pretrained(checkpoint), model, labels=LABELS, scheme="BIO")
    assert task.head == "crf"
    task.model.compile("sgd", task.loss)
    assert np.isfinite(task.model.evaluate(task.batches(ROWS, 4), verbose=0))
    assert len(task.predict([text for text, _ in ROWS])) == 4


def test_regularized():
    task = small(Tagger, ROWS, LABELS)
    model = RegularizedModel(task.model, [FGM()])
    model.compile(keras.optimizers.Adam(1e-2), task.loss)
    model.fit(task.batches(ROWS, 4, shuffle=True), epochs=20, verbose=0)
    assert task.evaluate(ROWS)["f1"] == 1.0


def test_words_of_a_text(tmp_path):
    rows = [
        ("我爱北京", [(0, 1, ""), (1, 2, ""), (2, 4, "")]),
        ("北京爱我", [(0, 2, ""), (2, 3, ""), (3, 4, "")]),
    ]
    task = trained(small(WordSegmenter, rows), rows)
    assert task.words("我爱北京") == ["我", "爱", "北京"]
    assert task.evaluate(rows) == {"f1": 1.0, "precision": 1.0, "recall": 1.0, "macro_f1": 1.0}
    # A character without a token is a word, a blank is none; nothing is lost.
    text = "我 爱\x07北京"
    assert "\x07" in task.words(text)
    assert "".join(task.words(text)) == text.replace(" ", "")
    assert task.words("") == task.words(" \n") == []
    task.save(tmp_path / "words")
    again = tasks.load(tmp_path / "words")
    assert type(again) is WordSegmenter
    assert again.words("北京爱我") == ["北京", "爱", "我"]


@pytest.mark.spread
def test_words_with_types():
    rows = [("我爱北京", [(0, 1, "r"), (1, 2, "v"), (2, 4, "n")])]
    task = trained(small(WordSegmenter, rows, ["r", "v", "n"], scheme="BIO"), rows)
    assert spans(task("我爱北京")) == rows[0][1]


@pytest.mark.spread
def test_what_the_labels_cannot_tell(checkpoint):
    task = Tagger.build(checkpoint, ["P"], "softmax", maxlen=12, **QUIET)
    rows = [
        ("acting", [(0, 4, "P")]),
        ("我爱北京", [(0, 4, "P"), (2, 4, "P")]),
        ("good film", [(0, 5, "P")]),
        ("我" * 20, [(0, 15, "P")]),
        ("good", [(0, 4, "P")]),
    ]
    report = task.check(rows)
    assert (report.total, [lost.reason for _, _, lost in report.dropped]) == (
        6,
        ["inside a token", "overlap", "no token", "longer than a window"],
    )
    message = (
        r"4 of 6 entities cannot be told exactly \(1 inside a token, 1 overlap, 1 no token, 1 "
        r"longer than a window\). The first: 'acti' \(P\) at 0 to 4 in sample 0: inside a token"
    )
    with pytest.warns(UserWarning, match=message):
        task.batches(rows)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert str(task.check(rows[-1:])) == "0 of 1 entities cannot be told exactly"
        task.batches(rows[-1:])
    plain = Tagger(task.tokenizer, task.model, ["P"], "IO", ["O", "I-P", "O"])
    (lost,) = plain.check([("北京", [(0, 1, "P"), (1, 2, "P")])]).dropped
    assert lost[2].reason == "touches another"


@pytest.mark.parametrize("sample", ["text", "ab", ("text", None), ("text", [], [])])
def test_samples_without_entities(tagger, sample):
    for use in (tagger.batches, tagger.check, tagger.evaluate):
        with pytest.raises(TaskError, match=r"sample 1 is no TaggedText and no pair \(text, \["):
            use([ROWS[0], sample])


@pytest.mark.parametrize(
    ("entities", "message"),
    [
        ([(0, 5, "X")], r"sample 1: the entity \(0, 5, 'X'\) does not lie within its text of 3"),
        ([(-1, 2, "X")], "does not lie within"),
        ([(2, 2, "X")], "does not lie within"),
        ([(0, 2, "Z")], "has an unknown label; the labels are 地名, X"),
        ([(0, 2)], r"\(0, 2\) is not an entity; use \(start, end, label\)"),
        ([("0", 2, "X")], "is not an entity"),
    ],
)
def test_samples_that_do_not_fit(tagger, entities, message):
    rows = [ROWS[0], ("bad", entities)]
    with pytest.raises(TaskError, match=message):
        tagger.batches(rows)
    if "unknown" in message:  # counts as not found
        assert tagger.evaluate(rows)["recall"] < 1
    else:
        with pytest.raises(TaskError, match=message):
            tagger.evaluate(rows)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"labels": ["a"]},
            r"for the 3 tags \['O', 'B-a', 'I-a'\] and the head crf .* \(B, T, 3\)",
        ),
        ({"labels": ["a", "a"]}, "contain a duplicate"),
        ({"labels": []}, r"labels=\[\] must be a list"),
        ({"labels": "PER"}, "labels='PER' must be a list"),
        ({"scheme": "BILOU"}, "scheme='BILOU' must be one of IOB1, BIO, BIOES, BMES, IO"),
        ({"units": "char"}, "units='char' must be one of token, word"),
        ({"nested": True}, "nested=True needs a head that scores spans"),
        ({"threshold": 0.5}, "threshold needs a head that scores spans"),
        (
            {"tags": ["O", "B-Z", "I-Z", "B-X", "I-X"]},
            "contain B-Z, I-Z, which the scheme BIO does",
        ),
        ({"maxlen": 41}, "more than the 40 positions"),
    ],
)
def test_options_that_do_not_fit(tagger, change, message):
    with pytest.raises(TaskError, match=message):
        Tagger(tagger.tokenizer, tagger.model, **{"labels": LABELS, **change})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": ["a"]}, r"for 1 labels and the head global-pointer it must be \(B, 1, T, T\)"),
        ({"scheme": "BIO"}, "global-pointer scores spans; it takes neither scheme nor tags"),
        ({"threshold": 1.0}, "threshold=1.0 must lie between 0 and 1"),
    ],
)
def test_options_that_do_not_fit_a_pointer(pointer, change, message):
    with pytest.raises(TaskError, match=message):
        Tagger(pointer.tokenizer, pointer.model, **{"labels": LABELS, **change})


def test_heads_that_cannot_be(checkpoint, tagger):
    with pytest.raises(TaskError, match="head='crfs' must be one of softmax, crf"):
        Tagger.build(checkpoint, LABELS, "crfs")
    with pytest.raises(TaskError, match="scores spans; it takes neither"):
        WordSegmenter.build(checkpoint, head="global-pointer")
    twice = keras.Model(tagger.model.input, ConditionalRandomField()(tagger.model.output))
    with pytest.raises(TaskError, match="the model has 2 heads"):
        Tagger(tagger.tokenizer, twice, LABELS)
    several = keras.Model(tagger.model.input, [tagger.model.output] * 2)
    with pytest.raises(TaskError, match="output has shape None"):
        Tagger(tagger.tokenizer, several, LABELS)


def test_texts_of_every_kind(tagger, pointer):
    for task in (tagger, pointer):
        for text in ("", "   ", "\ud800 good", "\U0001f600", "good\x00film"):
            assert isinstance(task(text), list)
        with pytest.raises(TypeError, match="text"):
            task(7)
        assert task.predict([]) == []


@pytest.mark.parametrize("head", ["crf", "global-pointer"])
def test_a_very_long_text(checkpoint, head, monkeypatch):
    task = with_gold(checkpoint, head, monkeypatch, maxlen=40)
    text = "我爱北京京" * 20_000
    found = task(text)
    assert len(found) == 20_000
    assert spans(found)[-1] == (99_997, 100_000, "X")


def hub(tmp_path, fixtures, names):
    """A fine-tuned checkpoint with these names of classes."""
    directory = tmp_path / "hub"
    directory.mkdir()
    for path in (fixtures / "task_heads" / "BertForTokenClassification").iterdir():
        (directory / path.name).write_bytes(path.read_bytes())
    lines = (fixtures / "bert_gelu" / "vocab.txt").read_text().split("\n")[:40]
    (directory / "vocab.txt").write_text("\n".join(lines) + "\n")
    config = json.loads((directory / "config.json").read_text())
    config["id2label"] = {str(i): name for i, name in enumerate(names)}
    config["label2id"] = {name: i for i, name in enumerate(names)}
    (directory / "config.json").write_text(json.dumps(config))
    return directory


@pytest.mark.filterwarnings("ignore:.*unknown to the vocabulary")
@pytest.mark.parametrize(
    ("names", "scheme", "labels"),
    [
        (["I-PER", "O", "B-PER"], "BIO", ["PER"]),
        (["negative", "neutral", "positive"], "IO", ["negative", "neutral", "positive"]),
        (["O", "I-LOC", "I-PER"], "IO", ["LOC", "PER"]),
    ],
)
def test_a_class_of_transformers(tmp_path, fixtures, names, scheme, labels):
    directory = hub(tmp_path, fixtures, names)
    task = tasks.load(directory)
    assert (type(task), task.head, task.scheme) == (Tagger, "softmax", scheme)
    assert (task.labels, task.units) == (labels, "word")
    text = "我爱北京 我爱北京"
    ids = task.tokenizer.encode(text)[0]
    logits = task.model.predict_on_batch([np.array([ids]), np.zeros((1, len(ids)), "int32")])
    best = np.asarray(logits)[0, 1:-1].argmax(-1)
    wanted = decode_tags([task.tags[i] for i in best])
    units = [n for n, char in enumerate(text) if char != " "]
    assert spans(task(text)) == [(units[a], units[b - 1] + 1, label) for a, b, label in wanted]
    task.save(tmp_path / "task")
    tasks.load(tmp_path / "task").save_huggingface(tmp_path / "back")
    again = tasks.load(tmp_path / "back")
    assert again.tags == task.tags
    assert again(text) == task(text)
    # The tags in their own order survive saving as a task too.
    task.save(tmp_path / "saved")
    assert tasks.load(tmp_path / "saved").get_config() == task.get_config()


def test_a_head_that_transformers_has_not(tagger, tmp_path):
    with pytest.raises(TaskError, match='no class for the head "crf"'):
        tagger.save_huggingface(tmp_path)


@pytest.mark.spread
def test_classes_that_name_no_entity(tmp_path, fixtures):
    directory = hub(tmp_path, fixtures, ["O"])
    from bert4keras.tasks.tagging.huggingface import read_tags

    with pytest.raises(TaskError, match=r"none of the classes \['O'\] names an entity"):
        read_tags(["O"])
    assert read_tags(["B-X", "O", "I-X", "L-X", "U-X"])[1:] == (
        "BIOES",
        ["B-X", "O", "I-X", "E-X", "S-X"],
    )
    assert directory.exists()


@pytest.mark.spread
def test_plain_tags():
    assert encode_tags([(0, 2, "X"), (3, 4, "Y")], 4, "IO") == ["I-X", "I-X", "O", "I-Y"]
