"""Texts to triples: training, both heads, windows, families, saving, what does not fit."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from bert4keras import tasks
from bert4keras.models import build_transformer_model
from bert4keras.tasks import RelationExtractor, TaskError
from bert4keras.tasks.relations import CasRel, GPLinker, Relation, RelationEntity, Triple
from bert4keras.tokenizers import Tokenizer
from bert4keras.training import FGM, RegularizedModel
from helpers import tiny
from helpers.families import FAMILIES

pytestmark = pytest.mark.spread

HEADS = ("gplinker", "casrel")
SAMPLES = [
    ("the good film is bad", [("good", "of", "film"), ("film", "in", "bad")]),
    ("run to the story !", [("run", "in", "story")]),
    ("not the play", []),
    ("我爱北京", [("我", "of", "北京")]),
]
STILL = {"dropout_rate": 0.0, "attention_dropout_rate": 0.0}


@pytest.fixture(scope="module")
def checkpoint(fixtures):
    return fixtures / "bert_gelu"


def small(checkpoint, head, predicates=("in", "of"), **options) -> RelationExtractor:
    """An extractor on an encoder that learns a few texts fast."""
    tokenizer = Tokenizer.from_pretrained(checkpoint)
    sizes = {"vocab_size": tokenizer.vocab_size, "hidden_size": 32, "max_position": 40}
    bert = tiny.build({**sizes, **STILL})
    task = RelationExtractor.build(
        bert, predicates, head, tokenizer=tokenizer, head_size=16, **options
    )
    task.model.compile(keras.optimizers.Adam(5e-3), task.loss)
    return task


def learn(task, samples) -> RelationExtractor:
    """Train until all triples are found, at most 400 epochs."""
    batches = task.batches(samples, 16, shuffle=True)
    for _ in range(10):
        task.model.fit(batches, epochs=40, verbose=0)
        if task.evaluate(samples)["f1"] == 1:
            break
    return task


@pytest.fixture(scope="module", params=HEADS)
def trained(request, fixtures):
    """An extractor that knows the samples by heart."""
    keras.utils.set_random_seed(0)
    return learn(small(fixtures / "bert_gelu", request.param), SAMPLES)


def test_learns_by_heart(trained):
    assert trained.evaluate(SAMPLES) == {"f1": 1.0, "precision": 1.0, "recall": 1.0}
    (first, second), *_ = trained.predict([text for text, _ in SAMPLES])
    assert first.subject == RelationEntity(4, 8, "good")
    assert first.strings() == ("good", "of", "film")
    assert second.places() == Triple((9, 13), "in", (17, 20))
    assert 0.5 < first.score <= 1
    assert str(first).startswith("good -- of -> film (")
    # Labels with places, and those of another text as negative control.
    placed = [(text, trained(text)) for text, _ in SAMPLES]
    assert trained.evaluate(placed)["f1"] == 1.0
    placed[0] = (placed[0][0], [Triple((4, 8), "in", (9, 13))])
    assert trained.evaluate(placed)["f1"] < 1.0


def test_saved_and_loaded(trained, tmp_path):
    trained.save(tmp_path / "saved")
    again = tasks.load(tmp_path / "saved")
    assert isinstance(again, RelationExtractor)
    assert again.get_config() == trained.get_config()
    for text, _ in SAMPLES:
        for one, other in zip(again(text), trained(text), strict=True):
            assert one.places() == other.places()
            assert one.score == pytest.approx(other.score, abs=1e-5)


def test_one_text_or_many(trained):
    texts = ["good film", "the good film is bad not very good", "", " ", "\ud800 run 🙂 story"]
    together = trained.predict(texts, batch_size=2)
    assert list(trained.stream(iter(texts), batch_size=3)) == together
    for text, found in zip(texts, together, strict=True):
        assert [r.places() for r in trained(text)] == [r.places() for r in found]
        assert all(r.subject.text == text[r.subject.start : r.subject.end] for r in found)
    assert together[2:4] == [[], []]
    assert trained.predict([]) == []
    with pytest.raises(TypeError, match="text"):
        trained(7)


def test_against_the_heads_themselves(trained):
    """The same triples as of `decode` of the layers, with hand-made minima for scores."""
    head = next(x for x in trained.model.layers if isinstance(x, (GPLinker, CasRel)))
    for text, wanted in [*SAMPLES, ("not the good film !", None)]:
        ids, segments, offsets = trained.tokenizer.encode_batch([text], return_offsets=True)
        inputs = [np.array(ids, "int32"), np.array(segments, "int32")]
        relations = trained(text)
        if trained.head == "gplinker":
            scores = keras.ops.convert_to_numpy(trained.model.predict_on_batch(inputs))
            (found,) = head.decode(scores, offsets, trained.predicates)
            for relation in relations:
                pairs = pairs_of(relation, offsets[0], trained.predicates)
                lowest = min(scores[0][pair] for pair in pairs)
                assert relation.score == pytest.approx(1 / (1 + np.exp(-lowest)), abs=1e-5)
        else:
            vectors = keras.Model(trained.model.inputs[:2], head.input[0])
            x = keras.ops.convert_to_numpy(vectors.predict_on_batch(inputs))
            mask = np.ones(inputs[0].shape, bool)
            (found,) = head.decode(x, inputs[0], offsets, trained.predicates, 0.5, 0.5, mask=mask)
        assert [relation.places() for relation in relations] == found
        assert wanted is None or len(found) == len(wanted)


def pairs_of(relation, offsets, predicates):
    """The four pairs (head, row, column) of a triple, by hand."""
    first = {start: i for i, (start, end) in enumerate(offsets) if start < end}
    last = {end: i for i, (start, end) in enumerate(offsets) if start < end}
    s, o, p = relation.subject, relation.object, predicates.index(relation.predicate)
    return [
        (0, first[s.start], last[s.end]),
        (1, first[o.start], last[o.end]),
        (2 + p, first[s.start], first[o.start]),
        (2 + len(predicates) + p, last[s.end], last[o.end]),
    ]


@pytest.mark.parametrize("head", HEADS)
def test_a_long_text_is_read_in_windows(checkpoint, head):
    task = small(checkpoint, head, ["in"], maxlen=12)
    text = "very " * 30 + "run to story " + "not " * 20
    place = text.index("run")
    triple = Triple((place, place + 3), "in", (place + 7, place + 12))
    encoded = task.encode(text)
    windows = list(task.training_windows([triple], encoded))
    assert len(windows) == len(encoded.rows) > 5
    with pytest.warns(UserWarning, match="1 of the triples are in no window of 12 tokens"):
        task.batches([(text, [Triple((0, 4), "in", (place, place + 3))])])
    found = learn(task, [(text, [triple])])(text)
    assert [r.places() for r in found] == [triple]  # once, though several windows hold it
    # Without its last words, none of the windows has a triple.
    assert task(text[:place]) == []
    assert task("very " * 20_000) == []


@pytest.mark.parametrize("head", HEADS)
def test_batches(checkpoint, head):
    task = RelationExtractor.build(checkpoint, ["in", "of"], head, **STILL)
    batches = task.batches(SAMPLES, 4, shuffle=False)
    inputs, labels = batches[0]
    assert len(inputs) == len(task.model.inputs)
    if head == "gplinker":
        assert labels.shape[1:] == (6, 8, 2)  # pairs are padded to few sizes
        return
    # A subject is drawn anew each time, and labels are those of the subject.
    subjects = {tuple(map(tuple, batches[0][0][2].tolist())) for _ in range(20)}
    assert len(subjects) > 1
    for _ in range(20):
        (_, _, asked), labels = batches[0]
        objects = np.argwhere(labels[0, :, 2:] == 1).tolist()
        wanted = {(2, 2): [[3, 2], [3, 3]], (3, 3): [[5, 0], [5, 1]]}
        assert objects == wanted.get(tuple(asked[0].tolist()), [])


def test_a_model_of_ones_own_and_adversarial_training(checkpoint):
    bert = build_transformer_model(checkpoint, **STILL)
    scores = GPLinker(2, 8)(keras.layers.Dense(8)(bert.output))
    task = RelationExtractor(
        Tokenizer.from_pretrained(checkpoint), keras.Model(bert.inputs, scores), ["in", "of"]
    )
    regularized = RegularizedModel(task.model, [FGM()])
    regularized.compile(keras.optimizers.Adam(1e-3), task.loss)
    regularized.fit(task.batches(SAMPLES, 2, shuffle=True), verbose=0)
    assert isinstance(task("good film"), list)


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("family", ["distilbert", "roberta", "gpt2"])
def test_families(family, head):
    """One input, padding id 1, no segments, no padding id at all."""
    special = ["[CLS]", "[PAD]"] if family == "roberta" else ["[PAD]", "[CLS]"]
    tokenizer = Tokenizer([*special, "[SEP]", "[UNK]", *"abcdefgh"])
    bert = build_transformer_model(FAMILIES / family, with_mlm=False, **STILL)
    task = RelationExtractor.build(bert, ["in"], head, 1e-4, tokenizer=tokenizer, head_size=8)
    task.model.compile("adam", task.loss)
    samples = [("a b c", [("a", "in", "c")]), ("d e", []), ("g h a b c d", [("g", "in", "h a")])]
    if family == "gpt2":  # without a padding id, texts of a batch are of one length
        samples = samples[:1] * 2
    task.model.fit(task.batches(samples, 2, shuffle=True), verbose=0)
    texts = ["a b c d e f g h", "a b", "c"]
    for text, found in zip(texts, task.predict(texts), strict=True):
        alone = task(text)
        assert [r.places() for r in alone] == [r.places() for r in found]
        np.testing.assert_allclose([r.score for r in alone], [r.score for r in found], atol=1e-5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"predicates": []}, "must be at least one, without duplicates"),
        ({"predicates": ["a", "a"]}, "must be at least one, without duplicates"),
        ({"predicates": ["a"]}, r"for 1 predicates and head='gplinker' it must be \(B, 4, T, T\)"),
        ({"head": "crf"}, "head='crf' must be one of gplinker, casrel"),
        ({"head": "casrel"}, r"it must be \(B, T, 6\)"),
        ({"threshold": 1}, "threshold=1 must be between 0 and 1"),
    ],
)
def test_options_that_do_not_fit(checkpoint, change, message):
    task = RelationExtractor.build(checkpoint, ["in", "of"])
    options = {"predicates": ["in", "of"], **change}
    with pytest.raises(TaskError, match=message):
        RelationExtractor(task.tokenizer, task.model, **options)
    with pytest.raises(TaskError, match="head='crf' must be one of"):
        RelationExtractor.build(checkpoint, ["in"], "crf")


def test_casrel_without_its_layer(checkpoint):
    bert = build_transformer_model(checkpoint)
    model = keras.Model(bert.inputs, keras.layers.Dense(4)(bert.output))
    with pytest.raises(TaskError, match="needs a model with one layer CasRel and an input"):
        RelationExtractor(Tokenizer.from_pretrained(checkpoint), model, ["in"], "casrel")


def test_samples_that_do_not_fit(checkpoint):
    task = RelationExtractor.build(checkpoint, ["in", "of"], **STILL)
    with pytest.raises(TaskError, match="unknown predicate 'at'; the predicates are in, of"):
        task.batches([("good film", [("good", "at", "film")])])
    for span in ((0, 10), (3, 3), (-1, 2)):
        label = [Triple((0, 4), "in", span)]
        with pytest.raises(TaskError, match=r"is not inside its text of 9 characters"):
            task.batches([("good film", label)])
    entity = RelationEntity(5, 12, "film")
    with pytest.raises(TaskError, match=r"\(5, 12\) of the triple"):
        task.batches([("good film", [Relation(entity, "in", entity, 1.0)])])
    with pytest.warns(UserWarning, match=r"1 of the triples are not in their text .*'very'"):
        made = task.batches([("good film", [("very", "in", "film"), ("good", "of", "film")])])
    assert (made[0][1][0, :, 0, 0] >= 0).sum() == 4  # the other one is trained on
    task.model.layers[-1].entities.bias.assign([np.nan, 0])
    with pytest.raises(TaskError, match="scores are not finite"):
        task("good")
