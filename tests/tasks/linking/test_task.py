"""Names to entities by an encoder: ranking by hand, windows, NIL, saving, families, errors."""

from __future__ import annotations

import dataclasses
import json
import math
import subprocess
import sys

import keras
import numpy as np
import pytest

from bert4keras import tasks
from bert4keras.data import pack_candidates
from bert4keras.models import build_transformer_model
from bert4keras.tasks import EntityLinker, TaskError
from bert4keras.tasks.linking import (
    CandidateRanking,
    Document,
    KnowledgeBase,
    KnowledgeBaseEntity,
    LinkedMention,
    Mention,
)
from bert4keras.tokenizers import Tokenizer
from bert4keras.training import FGM, RegularizedModel
from helpers import family_models
from helpers.fresh_process import its_turn

pytestmark = pytest.mark.spread

BASE = KnowledgeBase(
    [
        KnowledgeBaseEntity("1", "film", ("film", "story"), (("is", "very good"),)),
        KnowledgeBaseEntity("2", "story", ("film", "story"), (("is", "bad"),)),
        KnowledgeBaseEntity("3", "北京", ("北京",), description="大"),
    ]
)
SAMPLES = [
    ("the film was very good", [(4, 8, "1")]),
    ("the film was bad", [(4, 8, "2")]),
    ("我爱北京", [(2, 4, "3")]),
    ("walk to the film", [(12, 16, None)]),
    ("run", []),
]
TEXTS = [text for text, _ in SAMPLES]


@pytest.fixture(scope="module")
def checkpoint(fixtures):
    return fixtures / "bert_gelu"


@pytest.fixture(scope="module")
def linker(checkpoint):
    return EntityLinker.build(
        checkpoint, BASE, description=10, maxlen=30, dropout=0.0, dropout_rate=0.0
    )


def test_learns_saves_and_answers_the_same(checkpoint, tmp_path):
    task = EntityLinker.build(
        checkpoint, BASE, description=10, maxlen=30, dropout=0.0, dropout_rate=0.0
    )
    task.model.compile(keras.optimizers.Adam(3e-3), task.loss)
    task.model.fit(task.batches(SAMPLES, 4, shuffle=True), epochs=25, verbose=0)
    assert task.evaluate(SAMPLES) == {"f1": 1.0, "precision": 1.0, "recall": 1.0}
    answers = task.predict(TEXTS)
    found = [[(m.start, m.end, m.entity) for m in row] for row in answers]
    assert found == [links for _, links in SAMPLES]
    for row in answers:
        for mention in row:
            nothing = 1 - sum(mention.candidates.values())
            assert 0 <= nothing <= 1
            best = max(mention.candidates.values())
            assert mention.score == pytest.approx(best if mention.entity else nothing, abs=1e-6)
    task.save(tmp_path / "saved")
    assert sorted(path.name for path in (tmp_path / "saved").iterdir())[:2] == [
        "README.md",
        "knowledge_base.jsonl",
    ]
    again = tasks.load(tmp_path / "saved")
    assert list(again.knowledge_base) == list(BASE)
    assert again.get_config() == task.get_config()
    if its_turn():
        code = (
            "import sys, json\nfrom bert4keras import tasks\n"
            "found = tasks.load(sys.argv[1]).predict(json.loads(sys.argv[2]))\n"
            "print(json.dumps([[[m.entity, m.score] for m in row] for row in found]))"
        )
        command = [sys.executable, "-c", code, str(tmp_path / "saved"), json.dumps(TEXTS)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        others = json.loads(done.stdout.splitlines()[-1])
    else:
        others = [[[m.entity, m.score] for m in row] for row in again.predict(TEXTS)]
    for row, other in zip(answers, others, strict=True):
        assert [m.entity for m in row] == [entity for entity, _ in other]
        np.testing.assert_allclose([m.score for m in row], [p for _, p in other], atol=1e-5)


def test_scores_by_hand(linker):
    """The row of a text and its candidates, built here token by token."""
    tokenizer, text = linker.tokenizer, "the film was very good"
    ids = {t: i for i, t in enumerate(tokenizer.ids_to_tokens(range(tokenizer.vocab_size)))}
    cls, sep = ids["[CLS]"], ids["[SEP]"]
    words = [ids[word] for word in text.split()]
    context = [cls, ids["film"], sep, sep, *words, sep]
    entities = [tokenizer.encode(e.text, maxlen=10)[0] for e in (BASE["1"], BASE["2"])]
    assert entities[0][-1] == sep
    row = pack_candidates(context, [[cls, sep], *entities])
    features = np.array([[0, 0], [0, 1], [0, 0]], "float32")  # the name of the first is "film"
    inputs = [*(np.array([part]) for part in (*row[:3], row.starts)), features[None]]
    scores = keras.ops.convert_to_numpy(linker.model.predict_on_batch(inputs))[0].astype("float64")
    shares = np.exp(scores) / np.exp(scores).sum()
    (answer,) = linker(text)
    assert (answer.start, answer.end, answer.text) == (4, 8, "film")
    assert answer.candidates == {
        "1": pytest.approx(shares[1], abs=1e-6),
        "2": pytest.approx(shares[2], abs=1e-6),
    }
    assert list(answer.candidates.values()) == sorted(answer.candidates.values(), reverse=True)


def test_alone_and_in_a_batch(linker):
    texts = [*TEXTS, "film " * 30]
    together = linker.predict(texts, batch_size=3)
    for text, answers in zip(texts, together, strict=True):
        for one, other in zip(answers, linker(text), strict=True):
            assert one.entity == other.entity
            assert one.score == pytest.approx(other.score, abs=1e-6)
    assert list(linker.stream(iter(texts), batch_size=3)) == together


def test_candidates_in_several_rows_count_as_in_one(linker, monkeypatch):
    base = KnowledgeBase(
        [KnowledgeBaseEntity(str(k), "film " * (1 + k), ("film",)) for k in range(8)]
    )
    task = EntityLinker(linker.tokenizer, linker.model, base, description=10, maxlen=30)
    text = "the film was bad"
    assert len(task.encode(text).rows) == 1
    (wanted,) = task(text)
    monkeypatch.setattr("bert4keras.tasks.linking.task.ROW", 24)
    assert len(task.encode(text).rows) > 2
    (found,) = task(text)
    assert found.entity == wanted.entity
    for entity, chance in wanted.candidates.items():
        assert found.candidates[entity] == pytest.approx(chance, abs=1e-6)


def test_a_name_in_a_long_text_is_read_with_what_is_around_it(linker):
    text = "good " * 3000 + "film " + "bad " * 3000
    encoded = linker.encode(text)
    (ranking,) = encoded.extra
    tokens = linker.tokenizer.ids_to_tokens(ranking.context)
    assert len(tokens) <= linker.maxlen - linker.description
    place = tokens.index("film", 3)
    assert tokens[place - 3 : place + 4] == ["good"] * 3 + ["film"] + ["bad"] * 3
    assert abs(tokens.count("good") - tokens.count("bad")) <= 1
    # At an end of the text the other side has more room; nothing else of the row changes.
    (ranking,) = linker.encode("film " + "bad " * 3000).extra
    assert linker.tokenizer.ids_to_tokens(ranking.context).count("bad") > 10
    found = linker("very bad " * 11_000 + "北京")
    assert [(m.start, m.end) for m in found] == [(99_000, 99_002)]


def test_the_topic_and_given_mentions(linker):
    (plain,) = linker(Document("film"))
    (about,) = linker(Document("film", topic="very good"))
    assert plain.score != about.score
    # Given mentions need not be names of the base; priors are counted.
    mentions = (Mention(0, 3, ("3", "1")), Mention(4, 8))
    found = linker(Document("the film", mentions=mentions))
    assert [(m.text, sorted(m.candidates)) for m in found] == [
        ("the", ["1", "3"]),
        ("film", ["1", "2"]),
    ]
    sure = Document("the film", mentions=(Mention(0, 3, ("3", "1"), (0.0, -30.0)),))
    assert linker(sure)[0].candidates["3"] > 1e6 * linker(sure)[0].candidates["1"]
    (nothing,) = linker(Document("the film", mentions=(Mention(0, 3),)))
    assert nothing == LinkedMention(0, 3, "the", None, 1.0, {})


def test_thresholds(linker):
    class Fixed(EntityLinker):
        """Scores that are known."""

        def decode(self, outputs, encoded):
            return super().decode([np.log([1.0, 3, 2]) for _ in outputs], encoded)

    task = Fixed(linker.tokenizer, linker.model, BASE, description=10, maxlen=30)
    (answer,) = task("film")
    assert (answer.entity, answer.score) == ("1", pytest.approx(1 / 2))
    assert str(answer) == "film [0:4] -> 1 0.500 (1 0.500, 2 0.333)"
    task.threshold = 0.6
    (answer,) = task("film")
    assert (answer.entity, answer.score) == (None, pytest.approx(1 / 6))
    without = Fixed(linker.tokenizer, linker.model, BASE, nil=False, description=10, maxlen=30)
    assert without("film")[0].candidates == {"1": pytest.approx(1 / 4), "2": pytest.approx(3 / 4)}
    samples = [("film", [(0, 4, "1")]), ("bad", [])]
    assert task.tune_threshold(samples) == 0.0
    assert task.tune_threshold([("film", [(0, 4, None)]), ("bad", [])]) in (0.0, 0.55)
    assert task.metrics([[answer]], [[(0, 4, "1")]]) == {"f1": 0.0, "precision": 0, "recall": 0}


def test_metrics_by_hand(linker):
    """NIL is no entity: neither found nor missed; what is found too much costs precision."""

    def link(start, entity):
        return LinkedMention(start, start + 1, "x", entity, 1.0)

    gold = [[(0, 1, "1"), (1, 2, "2"), (2, 3, None)], []]
    answers = [[link(0, "1"), link(2, None), link(3, "3")], []]
    assert linker.metrics(answers, gold) == {"f1": 0.5, "precision": 0.5, "recall": 0.5}
    assert linker.metrics([[], []], gold)["f1"] == 0


def test_training_rows(linker):
    """NIL, the right one and some wrong ones; drawn anew in each epoch."""
    base = KnowledgeBase(
        [KnowledgeBaseEntity(str(k), f"film {k % 3}", ("film",)) for k in range(9)]
    )
    options = {"description": 10, "maxlen": 30, "negatives": 2}
    task = EntityLinker(linker.tokenizer, linker.model, base, **options)
    batches = task.batches([("film", [(0, 4, "8")])], 1)
    sizes = {tuple(np.shape(batches[0][0][3])) for _ in range(3)}
    assert sizes == {(1, 4)}  # NIL, the right one, two wrong ones
    assert batches[0][1].tolist() == [1]
    texts = {batches[0][0][0].tobytes() for _ in range(30)}
    assert len(texts) > 1
    ((_, label),) = [task.batches([("film", [])], 1)[0]]
    assert label.tolist() == [0]
    with pytest.raises(TaskError, match="no mention of the samples has two candidates"):
        task.batches([("run", [])])


@pytest.mark.parametrize(
    ("sample", "message"),
    [
        (("film", [(0, 5, "1")]), r"the link \(0, 5, '1'\) is outside its text 'film'"),
        (
            ("film", [(0, 4, "9")]),
            "link of 'film' to '9': the knowledge base has no .* Use None",
        ),
        ((7, []), "reads a text or a Document, not 7"),
        ((Document("film", mentions=(Mention(2, 5),)), []), r"a mention at \[2, 5\) is outside"),
        ((Document("film", mentions=(Mention(0, 4, ("9",)),)), []), "the candidate '9' of 'film'"),
        (
            (Document("film", mentions=(Mention(0, 4, ("1",), (0.1, 0.2)),)), []),
            "2 priors for 1 candidates",
        ),
    ],
)
def test_bad_samples(linker, sample, message):
    with pytest.raises(TaskError, match=message):
        linker.batches([sample])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"knowledge_base": "kb.jsonl"}, "knowledge_base must be a KnowledgeBase, not 'kb.jsonl'"),
        ({"threshold": 1.5}, r"threshold=1\.5 must be a probability"),
        ({"description": 2}, "description=2 must be at least 3"),
        ({"description": 25}, "leave 8 of maxlen=30 tokens"),
        ({"negatives": 0}, "negatives=0 must be at least 1"),
        ({"maxlen": 41}, "more than the 40 positions"),
    ],
)
def test_options_that_do_not_fit(linker, change, message):
    options = {"knowledge_base": BASE, "description": 10, "maxlen": 30, **change}
    with pytest.raises(TaskError, match=message):
        EntityLinker(linker.tokenizer, linker.model, **options)


def test_models_that_do_not_fit(checkpoint, linker):
    bert = build_transformer_model(checkpoint)
    with pytest.raises(TaskError, match=r"must have one output, scores of the candidates \(B, K\)"):
        EntityLinker(linker.tokenizer, keras.Model(bert.inputs, bert.output), BASE)
    pooled = keras.Model(bert.inputs, keras.layers.GlobalAveragePooling1D()(bert.output))
    with pytest.raises(TaskError, match="needs Input-Candidate and Candidate-Starts"):
        EntityLinker(linker.tokenizer, pooled, BASE)


def test_a_model_of_ones_own_and_adversarial_training(checkpoint):
    """A head without features; FGM around the model."""
    bert = build_transformer_model(checkpoint, application="shared_prefix")
    starts = keras.Input((None,), dtype="int32", name="Candidate-Starts")
    model = keras.Model([*bert.inputs, starts], CandidateRanking(4)([bert.output, starts]))
    tokenizer = Tokenizer.from_pretrained(checkpoint)
    task = EntityLinker(tokenizer, model, BASE, description=10, maxlen=30)
    trained = RegularizedModel(task.model, [FGM()])
    trained.compile("adam", task.loss)
    trained.fit(task.batches(SAMPLES, 4), verbose=0)
    assert task("film")[0].score > 0


def test_odd_texts(linker):
    assert linker("") == linker("   ") == []
    assert linker.predict([]) == []
    (answer,) = linker("\ud800 film 😀")
    assert (answer.start, answer.end, answer.text) == (2, 6, "film")
    assert math.isfinite(answer.score)


def test_a_base_that_cannot_be_saved(linker, tmp_path):
    base = KnowledgeBase([KnowledgeBaseEntity("1", "\ud800", ("film",))])
    task = EntityLinker(linker.tokenizer, linker.model, base, description=10, maxlen=30)
    with pytest.raises(TaskError, match="has half of a surrogate pair near"):
        task.save(tmp_path / "saved")
    assert not list(tmp_path.iterdir())


def test_a_saved_base_that_is_damaged(linker, tmp_path):
    linker.save(tmp_path / "saved")
    path = tmp_path / "saved" / "knowledge_base.jsonl"
    path.write_text(path.read_text(encoding="utf-8") + "{", encoding="utf-8")
    with pytest.raises(TaskError, match=r"knowledge_base\.jsonl, line 4: no JSON"):
        tasks.load(tmp_path / "saved")
    path.unlink()
    with pytest.raises(TaskError, match=r"knowledge_base\.jsonl cannot be read: .*No such file"):
        tasks.load(tmp_path / "saved")


@pytest.mark.spread
@pytest.mark.parametrize("family", ["roberta", "distilbert", "deberta-v2", "modernbert", "gpt2"])
def test_families(family, checkpoint):
    """One input or two, padding id 1, relative positions, a decoder: each links and learns."""
    tokenizer = Tokenizer.from_pretrained(checkpoint)
    sizes = {"vocab_size": tokenizer.vocab_size, "max_position": 40, "pad_token_id": 0}
    if family == "roberta":
        tokens = ["<s>", "<pad>", "</s>", "<unk>", "the", "film", "was", "bad", "story"]
        names = {"token_start": "<s>", "token_pad": "<pad>", "token_end": "</s>"}
        tokenizer = Tokenizer(tokens, token_unk="<unk>", token_mask=None, **names)
        sizes |= {"vocab_size": len(tokens), "pad_token_id": 1}
    bert = family_models.build(family, "shared_prefix", sizes)
    task = EntityLinker.build(
        bert, BASE, tokenizer=tokenizer, description=8, maxlen=24, dropout=0.0
    )
    task.model.compile("adam", task.loss)
    samples = [("the film was bad", [(4, 8, "2")]), ("story", [(0, 5, "1")])]
    task.model.fit(task.batches(samples, 2), epochs=2, verbose=0)
    together = task.predict([text for text, _ in samples])
    for (text, _), answers in zip(samples, together, strict=True):
        assert answers[0].score == pytest.approx(task(text)[0].score, abs=1e-5)
    assert dataclasses.asdict(together[0][0])["text"] == "film"
