"""Sentence encoders: vectors, comparison, search, training, saving."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from bert4keras import tasks
from bert4keras.layers import FirstToken
from bert4keras.models import build_transformer_model
from bert4keras.tasks import Neighbour, SentenceEncoder, TaskError
from bert4keras.tasks.similarity import ScoredPair, TextIndex, VectorIndex, sentence_encoder
from bert4keras.tasks.windows import text_windows
from bert4keras.tokenizers import Tokenizer, TruncationWarning
from helpers import family_models

pytestmark = pytest.mark.spread

PROMPTS = {"query": "a good ", "passage": "the film "}
TEXTS = ["very good film", "not good", "我爱北京", "bad", "the story is not very bad"]
PAIRS = [
    (("very good film", "good film"), 1.0),
    (("bad", "我爱北京"), 0.0),
    (("not good", "bad"), 0.5),
    ScoredPair(("run", "it is a play"), 0.0),
]


@pytest.fixture(scope="module")
def checkpoint(fixtures):
    return fixtures / "bert_gelu"


@pytest.fixture(scope="module")
def encoder(checkpoint):
    return SentenceEncoder.build(checkpoint, "mean", normalize=True, prompts=PROMPTS, maxlen=24)


def test_shapes_and_order(encoder):
    vectors = encoder.predict(TEXTS, batch_size=2)
    assert (vectors.shape, vectors.dtype) == ((5, 32), np.float32)
    for text, vector in zip(TEXTS, vectors, strict=True):
        np.testing.assert_allclose(encoder(text), vector, atol=1e-6)
    np.testing.assert_allclose(list(encoder.stream(iter(TEXTS), 2)), vectors, atol=1e-6)
    assert encoder([]).shape == (0, 32)
    # Negative control: the texts have different vectors.
    assert np.abs(vectors[0] - vectors[1:]).max(axis=1).min() > 1e-3


def test_prompts(encoder, checkpoint):
    prompted = encoder("film", prompt="query")
    np.testing.assert_allclose(prompted, encoder("a good film"), atol=1e-6)
    assert np.abs(prompted - encoder("film")).max() > 1e-3
    (streamed,) = encoder.stream(["film"], prompt="query")
    np.testing.assert_allclose(streamed, prompted, atol=1e-6)
    by_default = encoder.with_options(default_prompt="query")
    np.testing.assert_allclose(by_default("film"), prompted, atol=1e-6)
    with pytest.raises(TaskError, match="no prompt 'document'; known: 'query', 'passage'"):
        encoder("film", prompt="document")


def test_a_long_text_is_read_whole(encoder):
    text = "good film " * 30 + "bad"
    windows = text_windows(encoder.tokenizer, text, maxlen=encoder.maxlen)
    assert len(windows) > 2
    # By hand: the windows' vectors, weighted by their tokens, of length 1 again.
    rows = [
        encoder.encoder.batch([encoder.encoder.select(w.token_ids, w.segment_ids)]) for w in windows
    ]
    vectors = [keras.ops.convert_to_numpy(encoder.model(row))[0] for row in rows]
    mean = np.average(vectors, axis=0, weights=[w.end - w.begin for w in windows])
    np.testing.assert_allclose(encoder(text), mean / np.linalg.norm(mean), atol=1e-5)
    # The end counts, unless the text is cut.
    other, cut = "good film " * 31, encoder.with_options(long_texts="truncate")
    assert np.abs(encoder(text) - encoder(other)).max() > 1e-4
    np.testing.assert_allclose(cut(text), cut(other), atol=1e-6)
    np.testing.assert_allclose(cut(text), vectors[0], atol=1e-6)


def test_each_window_has_the_prompt(encoder):
    text = "it was not a good film " * 10
    encoded = encoder.encode(tasks.similarity.encoder.Prompted(text, PROMPTS["query"]))
    prompt, _ = encoder.tokenizer.encode("a good")
    assert len(encoded.rows) > 2
    assert all(row[0][:3] == prompt[:3] and len(row[0]) <= 24 for row in encoded.rows)
    assert all(row[0][-1] == encoder.tokenizer.token_end_id for row in encoded.rows)
    inner, _ = encoder.tokenizer.encode(text)
    assert encoded.rows[0][0][3:-1] == inner[1:21]
    assert encoded.rows[-1][0][3:-1] == inner[-21:-1]
    long = encoder.with_options(prompts={"query": "very " * 20})
    with pytest.raises(TaskError, match="leaves no room for a text in 24 tokens"):
        long(text, prompt="query")


@pytest.mark.parametrize("name", ["cosine", "dot", "euclidean", "manhattan"])
def test_similarity(checkpoint, name):
    encoder = SentenceEncoder.build(checkpoint, "cls", similarity=name)
    a, b = encoder("good"), encoder(TEXTS)
    expected = {
        "cosine": [a @ x / np.linalg.norm(a) / np.linalg.norm(x) for x in b],
        "dot": b @ a,
        "euclidean": [-np.linalg.norm(a - x) for x in b],
        "manhattan": [-np.abs(a - x).sum() for x in b],
    }
    found = encoder.similarity("good", TEXTS)
    assert (found.shape, found.dtype) == ((1, 5), np.float32)
    np.testing.assert_allclose(found[0], expected[name], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(encoder.similarity(a, b), found, rtol=1e-5)
    assert np.ptp(found) > 1e-3


def test_search(encoder, tmp_path):
    index = encoder.index(TEXTS)
    found = index.search("very good film", k=2)
    # Texts have the prompt "passage", queries "query".
    scores = encoder("very good film", prompt="query") @ encoder(TEXTS, prompt="passage").T
    order = np.argsort(-scores)[:2].tolist()
    assert [one.position for one in found] == order
    assert [one.text for one in found] == [TEXTS[i] for i in order]
    np.testing.assert_allclose([one.score for one in found], scores[order], atol=1e-5)
    assert isinstance(found[0], Neighbour)
    assert str(found[0]) == f"{found[0].score:.4f}  {found[0].text}"
    assert [one[0] for one in index.search(["very good film"], k=1)] == found[:1]
    assert index.search([]) == []
    assert (len(index), repr(index)) == (5, "TextIndex(5 texts, cosine)")

    index.save(tmp_path / "index.npz")
    again = TextIndex.load(tmp_path / "index.npz", encoder, prompt="query")
    assert again.search("very good film", k=2) == found
    with pytest.raises(ValueError, match="vectors without their texts"):
        TextIndex(encoder, VectorIndex(np.ones((2, 32))))
    with pytest.raises(TaskError, match="at least one text"):
        encoder.index([])
    with pytest.raises(TaskError, match="searches by cosine or dot, not euclidean"):
        encoder.with_options(similarity="euclidean").index(TEXTS)


@pytest.mark.parametrize("objective", ["cosent", "simcse", "pairs", "triples"])
def test_training_moves_the_encoder(checkpoint, objective):
    rate = 0.1 if objective == "simcse" else 0.0
    options = {"dropout_rate": rate, "attention_dropout_rate": rate}
    encoder = SentenceEncoder.build(checkpoint, prompts=PROMPTS, **options)
    samples = {
        "cosent": PAIRS,
        "simcse": TEXTS,
        "pairs": [("very good", "good film"), ("bad", "not good"), ("run", "walk")],
        "triples": [("very good", "good", "bad"), ("bad", "not good", "film")],
    }[objective]
    model = encoder.training_model(objective)
    model.compile(keras.optimizers.Adam(2e-3), encoder.loss if objective == "cosent" else None)
    before = encoder("good")
    data = encoder.batches(samples, 8, shuffle=True, prompts=("query", "passage"))
    losses = model.fit(data, epochs=12, verbose=0).history["loss"]
    assert np.abs(encoder("good") - before).max() > 1e-3
    if objective != "simcse":  # whose dropout makes the loss noisy
        assert losses[-1] < losses[0] / 2


def test_evaluate(encoder):
    found = encoder.evaluate(PAIRS)
    cosines = [float(encoder(a) @ encoder(b)) for (a, b), _ in PAIRS]
    gold = [score for _, score in PAIRS]
    assert found["pearson"] == pytest.approx(np.corrcoef(cosines, gold)[0, 1], abs=1e-5)
    assert list(found) == ["spearman", "pearson"]
    assert encoder.evaluate([(("a", "a"), 0), (("b", "b"), 1)])["spearman"] <= 1
    assert encoder.evaluate([(("a", "a"), 1), (("a", "b"), 1)]) == {"spearman": 0, "pearson": 0}


def test_learns_saves_and_answers_the_same(checkpoint, tmp_path):
    encoder = SentenceEncoder.build(
        checkpoint, ["cls", "mean"], [(6, "tanh")], True, PROMPTS, "query", dropout_rate=0.0
    )
    model = encoder.training_model()
    model.compile(keras.optimizers.Adam(3e-3), encoder.loss)
    model.fit(encoder.batches(PAIRS, 4, shuffle=True), epochs=30, verbose=0)
    assert encoder.evaluate(PAIRS)["spearman"] > 0.9
    encoder.save(tmp_path / "saved")
    again = tasks.load(tmp_path / "saved")
    assert isinstance(again, SentenceEncoder)
    assert again.get_config() == encoder.get_config()
    np.testing.assert_allclose(again(TEXTS), encoder(TEXTS), atol=1e-6)
    card = (tmp_path / "saved" / "README.md").read_text()
    assert "prompts" in card
    assert "encoder_config" not in card + repr(encoder)


@pytest.mark.parametrize("family", ["distilbert", "roberta"])
def test_other_families(family):
    """One input and no segments; a padding id that is not 0."""
    vocabulary = ["[CLS]", "[PAD]", "[SEP]", "[UNK]", "a", "b", "c"]
    tokenizer = Tokenizer(vocabulary)
    config = {"vocab_size": len(vocabulary), "pad_token_id": 1}
    bert = family_models.build(family, config=config, dropout_rate=0.0)
    encoder = SentenceEncoder.build(bert, tokenizer=tokenizer)
    assert encoder.encoder.pad_token_id == 1
    together = encoder(["a", "a b c a b c"])
    np.testing.assert_allclose(together[0], encoder("a"), atol=1e-5)
    model = encoder.training_model("cosent")
    model.compile("adam", encoder.loss)
    model.fit(encoder.batches([(("a", "a b c a b"), 1), (("b", "c"), 0)], 2), verbose=0)


def test_a_model_of_ones_own(checkpoint):
    bert = build_transformer_model(checkpoint)
    model = keras.Model(bert.inputs, FirstToken()(bert.output))
    task = SentenceEncoder(Tokenizer.from_pretrained(checkpoint), model, maxlen=16)
    assert task("good").shape == (32,)
    with pytest.raises(TaskError, match="config of the encoder is not known"):
        task.save_huggingface("nowhere")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"similarity": "jaccard"}, "similarity='jaccard' must be one of cosine, dot"),
        ({"long_texts": "cut"}, "long_texts='cut' must be 'mean' or 'truncate'"),
        ({"default_prompt": "x"}, "there is no prompt 'x'; known: 'query', 'passage'"),
        ({"maxlen": 41}, "more than the 40 positions"),
    ],
)
def test_options_that_do_not_fit(encoder, change, message):
    with pytest.raises(TaskError, match=message):
        encoder.with_options(**change)


def test_models_that_do_not_fit(encoder, checkpoint):
    bert = build_transformer_model(checkpoint)
    with pytest.raises(TaskError, match=r"must be vectors \(B, D\), not"):
        SentenceEncoder(encoder.tokenizer, bert)
    with pytest.raises(TaskError, match="objective='mlm' must be one of cosent, simcse"):
        encoder.training_model("mlm")
    broken = SentenceEncoder(encoder.tokenizer, sentence_encoder(bert))
    bert.weights[0].assign(bert.weights[0] * np.nan)
    with pytest.raises(TaskError, match="the vector of 'good' is not finite"):
        broken("good")


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        ([("good", "bad", 1)], r"a scored pair is \(\(first, second\), number\)"),
        ([(("good", "bad"), "high")], "a scored pair is"),
        ([(("good", "bad"), float("nan"))], "a scored pair is"),
        ([7], "a sample is a text, a tuple of texts"),
        (["good", ("good", "bad")], "another number of texts than others"),
        ([("a", "b"), (("a", "b"), 1)], "or no score"),
    ],
)
def test_samples_that_do_not_fit(encoder, samples, message):
    with pytest.raises(TaskError, match=message):
        encoder.batches(samples)


def test_odd_texts(encoder):
    with pytest.raises(TaskError, match="got 0 samples"):
        encoder.evaluate([])
    with pytest.raises(TypeError, match="a text is encoded, not int"):
        encoder(7)
    for text in ("", "   ", "\ud800 good", "😀", "good" * 2500):
        assert np.isfinite(encoder(text)).all()
    with pytest.warns(TruncationWarning, match="1 texts are longer than the model reads"):
        encoder.batches(["good " * 100, "bad"])
