"""The linker without an encoder: training, its tokens, windows, word vectors, saving, errors."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from bert4keras import tasks
from bert4keras.tasks import CCKS2019Linker, TaskError
from bert4keras.tasks.linking import (
    Document,
    KnowledgeBase,
    KnowledgeBaseEntity,
    Link,
    LinkedText,
    Mention,
    build_ccks2019,
)
from bert4keras.tasks.linking.words import (
    WordFinder,
    frequent_tokens,
    shared_tokens,
    token_spans,
)
from bert4keras.tokenizers import Tokenizer

pytestmark = pytest.mark.spread

BASE = KnowledgeBase(
    [
        KnowledgeBaseEntity("1", "北京", ("北京",), (("类型", "城市"),)),
        KnowledgeBaseEntity("2", "《北京》", ("北京",), (("类型", "歌曲"),)),
        KnowledgeBaseEntity("3", "Today", ("Today",), (("kind", "film"),)),
    ]
)
SAMPLES = [
    LinkedText("他在北京住", (Link(2, 4, "1"),)),
    LinkedText("她唱北京歌曲", (Link(2, 4, "2"),)),
    LinkedText("Today 他在北京住", (Link(8, 10, "1"),)),
    LinkedText("a film: Today", (Link(8, 13, "3"),)),
    LinkedText("没有名字", ()),
    LinkedText("", ()),
]
VECTORS = (["住", "唱", "歌曲"], np.eye(3, dtype="float32"))


def build(**options) -> CCKS2019Linker:
    return CCKS2019Linker.build(SAMPLES, BASE, units=8, min_count=1, dropout=0.0, **options)


@pytest.mark.parametrize("vectors", [None, VECTORS])
def test_learns_saves_and_answers_the_same(vectors, tmp_path):
    task = build(word_vectors=vectors)
    task.model.compile(keras.optimizers.Adam(0.02), task.loss)
    task.model.fit(task.batches(SAMPLES * 4, 8, shuffle=True), epochs=30, verbose=0)
    assert task.evaluate(SAMPLES) == {"f1": 1.0, "precision": 1.0, "recall": 1.0}
    answers = task.predict([sample.text for sample in SAMPLES])
    assert [m.text for m in answers[2]] == ["北京"]  # a name that is no mention has no answer
    assert answers[4] == answers[5] == []
    (first,) = answers[0]
    assert (first.text, first.entity) == ("北京", "1")
    assert first.score == first.candidates["1"] > 0.5 > first.candidates["2"]
    for sample, row in zip(SAMPLES, answers, strict=True):  # the same without a batch
        for one, other in zip(row, task(sample.text), strict=True):
            assert one.score == pytest.approx(other.score, abs=1e-5)
    task.threshold = 1.1  # nothing is that probable
    (unsure,) = task("他在北京住")
    assert (unsure.entity, unsure.score) == (None, pytest.approx(1 - first.score, abs=1e-5))
    assert task.tune_threshold(SAMPLES) < 1
    task.save(tmp_path / "saved")
    again = tasks.load(tmp_path / "saved")
    assert again.get_config() == task.get_config()
    for one, other in zip(again("他在北京住"), task("他在北京住"), strict=True):
        assert one.entity == other.entity
        assert one.score == pytest.approx(other.score, abs=1e-5)


def test_a_name_in_a_long_text_is_read_with_what_is_around_it():
    task = build(maxlen=20)
    text = "住" * 50_000 + "北京" + "歌" * 50_000
    (context,) = task.contexts(task.read_document(text))
    assert context.tokens == ["住"] * 9 + ["北", "京"] + ["歌"] * 9
    assert context.place.tolist() == [9, 10]
    assert context.inputs["Text-Names"].tolist()[8:12] == [[0, 0], [1, 0], [0, 1], [0, 0]]
    (context,) = task.contexts(task.read_document("北京" + "歌" * 50))
    assert context.tokens == ["北", "京"] + ["歌"] * 18
    assert isinstance(task(text), list)


def test_inputs_by_hand():
    task = build(word_vectors=VECTORS, description=4)
    encoded = task.encode("Xy 唱北京 xy")
    assert len(encoded.rows) == 2  # one for each entity of that name
    given = dict(zip(task.encoder.inputs, encoded.rows[0], strict=True))
    vocab = task.tokenizer.vocab
    tokens = ["[CAPITALIZED]", "唱", "[UNK]", "[UNK]", "[UNK]"]
    assert "北" in vocab  # from the descriptions
    tokens[2:4] = ["北", "京"]
    assert given["Text-Token"].tolist() == [vocab[token] for token in tokens]
    assert given["Text-Word"].tolist() == [0, 2, 0, 0, 0]
    assert given["Mention"].tolist() == [2, 3]
    assert given["Description-Token"].tolist() == [vocab[c] for c in "北京;类"]
    assert given["Text-Features"].tolist() == [[0, 0], [0, 0], [1, 1], [1, 0], [0, 0]]


def test_bad_samples_and_options():
    task = build()
    with pytest.raises(TaskError, match="no link at a name"):
        task.batches([("没有", [])])
    with pytest.raises(TaskError, match="no such entity"):
        task.batches([("北京", [(0, 2, "9")])])
    with pytest.raises(TaskError, match="description=0 must be at least 1"):
        build(description=0)
    with pytest.raises(TaskError, match="words are required by a model with word vectors"):
        CCKS2019Linker(task.tokenizer, task.model, BASE, words=["a"])
    other = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    with pytest.raises(TaskError, match="build it with build_ccks2019"):
        CCKS2019Linker(task.tokenizer, other, BASE)
    with pytest.raises(ValueError, match="tokenizer that belongs to the model"):
        CCKS2019Linker(task.tokenizer, build_ccks2019(3, 2, units=8), BASE)
    plain = Tokenizer(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"])
    with pytest.raises(TaskError, match=r"vocabulary lacks \[CAPITALIZED\] or"):
        CCKS2019Linker(plain, task.model, BASE)


def test_saved_words_that_are_damaged(tmp_path):
    build(word_vectors=VECTORS).save(tmp_path / "saved")
    (tmp_path / "saved" / "words.json").write_text("[1]")
    with pytest.raises(TaskError, match=r"words\.json must contain a list of strings"):
        tasks.load(tmp_path / "saved")


def test_given_mentions_without_candidates():
    assert build()(Document("没有名字", mentions=(Mention(0, 2),))) == []


def test_tokens():
    text = "他在北京 R2D2, Café"
    found = [text[a:b] for a, b in token_spans(text)]
    assert found == ["他", "在", "北", "京", "R2D2", ",", "Café"]
    assert token_spans(" ") == []
    shared = shared_tokens("a red car . a car".split(), "the red car".split())
    assert shared.T.tolist() == [[0, 1, 1, 0, 0, 1], [0, 1, 0, 0, 0, 0]]
    assert shared_tokens([], ["a"]).shape == (0, 2)
    assert not shared_tokens(["a"], []).any()


def test_frequent_tokens_are_those_outside_of_names():
    base = KnowledgeBase([KnowledgeBaseEntity("1", "Bath town", ("Bath",))])
    samples = [LinkedText(text, ()) for text in ("in Bath ate", "in Bath now")]
    assert frequent_tokens(samples, base, 2) == ["in"]
    assert frequent_tokens(samples, base, 1) == ["Bath", "ate", "in", "now", "town"]


def test_words_by_the_longest_match():
    words = WordFinder(["北京", "北京大学", "rock", "ROCK"])
    found = words.numbers("北京大学北京 Rock rocks").tolist()
    assert found == [2] * 4 + [1] * 2 + [0] + [3] * 4 + [0] * 6
