"""Texts that a model writes: training, answers, streaming, limits, saving."""

from __future__ import annotations

import math

import keras
import numpy as np
import pytest

from bert4keras import tasks
from bert4keras.generation import (
    BeamSearch,
    Constrained,
    Greedy,
    MinLength,
    NoRepeatNGram,
    Sample,
    Trie,
)
from bert4keras.models import build_transformer_model
from bert4keras.tasks import Generator, Prompt, TaskError
from bert4keras.tokenizers import Tokenizer
from bert4keras.training import FGM, RegularizedModel

pytestmark = pytest.mark.spread

PAIRS = [("very good film", "good"), ("not good", "bad"), ("我爱北京", "北京"), ("bad", "not")]
DRY = {"dropout_rate": 0.0, "attention_dropout_rate": 0.0}


def gpt2(fixtures, **settings) -> Generator:
    tokenizer = Tokenizer.from_pretrained(fixtures / "tokenizers" / "gpt2_json")
    sizes = {"n_embd": 16, "n_layer": 1, "n_head": 2, "n_positions": 64}
    config = {"model_type": "gpt2", "vocab_size": tokenizer.vocab_size, **sizes}
    model = build_transformer_model(config, with_mlm="linear", initializer_range=0.3, **DRY)
    return Generator(tokenizer, model, **{"max_new_tokens": 12, **settings})


def t5(fixtures, **settings) -> Generator:
    tokenizer = Tokenizer.from_pretrained(fixtures / "tokenizers" / "t5_json")
    sizes = {"d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 1, "num_heads": 2}
    config = {"vocab_size": tokenizer.vocab_size, **sizes, "eos_token_id": 1}
    model = build_transformer_model(config, model="t5.1.1", with_mlm="linear", **DRY)
    return Generator(tokenizer, model, **{"max_new_tokens": 10, **settings})


@pytest.fixture(scope="module")
def unilm(fixtures):
    return Generator.build(fixtures / "bert_gelu", max_new_tokens=6, options=DRY)


@pytest.fixture(scope="module")
def lm(fixtures):
    return Generator.build(fixtures / "bert_gelu", application="lm", max_new_tokens=6, options=DRY)


@pytest.fixture(scope="module")
def writers(fixtures, unilm, lm):
    return {"unilm": unilm, "lm": lm, "gpt2": gpt2(fixtures), "t5": t5(fixtures)}


def test_learns_saves_and_answers_the_same(fixtures, tmp_path):
    task = Generator.build(fixtures / "bert_gelu", max_new_tokens=6, options=DRY)
    task.model.compile(keras.optimizers.Adam(3e-3), task.loss)
    task.model.fit(task.batches(PAIRS, 4, shuffle=True), epochs=80, verbose=0)
    scores = task.evaluate(PAIRS)
    assert next(iter(scores)) == "rouge_l"
    assert scores["exact_match"] == 1.0
    task.strategy, task.processors = BeamSearch(2), [NoRepeatNGram(4)]
    answers = task.predict([source for source, _ in PAIRS], batch_size=3)
    assert [str(answer) for answer in answers] == [target for _, target in PAIRS]
    assert {answer.finish_reason for answer in answers} == {"stop"}
    task.save(tmp_path / "saved")
    again = tasks.load(tmp_path / "saved")
    assert again.get_config() == task.get_config()
    assert again.strategy == BeamSearch(2)
    for source, answer in zip([source for source, _ in PAIRS], answers, strict=True):
        found = again(source)
        assert found.text == answer.text
        assert math.isclose(found.score, answer.score, rel_tol=1e-4)


def test_scores_are_probabilities_of_the_tokens(writers):
    """Those of greedy and beam search, against the model that reads the finished text."""
    for name in ("unilm", "t5"):
        for strategy in (Greedy(), BeamSearch(3, length_penalty=0.5)):
            answer = writers[name]("very good", strategy=strategy, max_new_tokens=5)
            mean = answer.log_probability / answer.tokens
            assert answer.score == pytest.approx(math.exp(mean))
            assert 0 < answer.score <= 1
    task = writers["unilm"]
    answer = task("very good", strategy=BeamSearch(3, length_penalty=0.5), max_new_tokens=4)
    prompt = task.encode("very good").rows[0][0]
    ids, total = list(prompt), 0.0
    wanted = task._prompts.target(answer.text, 6)[: answer.tokens]
    if task.tokenizer.decode(wanted) == answer.text:  # the text has the tokens that were written
        for token in wanted:
            segments = [0] * len(prompt) + [1] * (len(ids) - len(prompt))
            scores = task.model.predict_on_batch([np.array([ids]), np.array([segments])])
            row = np.array(keras.ops.convert_to_numpy(scores))[0, -1].astype("float64")
            row[list(task._banned.token_ids)] = -np.inf
            total += row[token] - np.logaddexp.reduce(row)
            ids.append(token)
        assert answer.log_probability == pytest.approx(total, abs=1e-4)


def test_together_as_alone(writers):
    prompts = ["bad", "very good film the story", "not good", "我爱北京"]
    for task in writers.values():
        together = task.predict(prompts, batch_size=3)
        for prompt, answer in zip(prompts, together, strict=True):
            assert task(prompt).text == answer.text
        assert list(task.stream(iter(prompts), batch_size=1)) == [task(p) for p in prompts]


def test_pieces_are_the_text(writers):
    for name, task in writers.items():
        how = {"strategy": Sample(temperature=2.0), "max_new_tokens": 9}
        pieces = list(task.stream_text("good film", **how))
        assert "".join(pieces) == task("good film", **how).text, name
        assert all(pieces)
    with pytest.raises(TaskError, match="several answers until the end"):
        next(task.stream_text("a", strategy=BeamSearch(2)))


def test_several_answers(unilm):
    found = unilm("not good", strategy=BeamSearch(2), n=3)
    assert len({answer.text for answer in found}) == 3
    means = [answer.log_probability / answer.tokens for answer in found]
    assert means == sorted(means, reverse=True)
    drawn = [unilm("bad", strategy=Sample(), n=4, seed=seed) for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]
    assert unilm("bad", n=1) == [unilm("bad")]
    with pytest.raises(TaskError, match="Greedy has no n and no seed"):
        unilm("bad", n=2, seed=1)


def test_a_language_model_continues(fixtures):
    task = gpt2(fixtures, start_token=True, max_new_tokens=24)
    text = "hello wörld 你好 again"
    task.model.compile(keras.optimizers.Adam(1e-2), task.loss)
    task.model.fit(task.batches([text] * 4, 4, shuffle=True), epochs=120, verbose=0)
    answer = task("hello")
    assert "hello" + answer.text == text
    assert answer.finish_reason == "stop"
    assert task("").text == text
    assert task.evaluate([text])["perplexity"] < 1.2 < task.evaluate(["again"])["perplexity"]


def test_perplexity_is_that_of_all_tokens(lm):
    """By hand, window by window: each token but the first is a label once."""
    text = "the story is not bad " * 12
    ids = lm.tokenizer.encode(text)[0]
    assert len(ids) > lm.maxlen
    found = np.concatenate(lm.log_probabilities([text]))
    assert len(found) == len(ids) - 1
    wanted = []
    for start in range(0, len(ids) - 1, lm.maxlen):
        row = ids[start : start + lm.maxlen + 1]
        inputs = [np.array([row[:-1]]), np.zeros((1, len(row) - 1), "int32")]
        scores = keras.ops.convert_to_numpy(lm.model.predict_on_batch(inputs))[0].astype("float64")
        scores = scores - np.logaddexp.reduce(scores, axis=-1, keepdims=True)
        wanted += [scores[k, token] for k, token in enumerate(row[1:])]
    np.testing.assert_allclose(found, wanted, atol=1e-4)
    assert lm.evaluate([text])["perplexity"] == pytest.approx(np.exp(-np.mean(wanted)), rel=1e-4)


def test_rows_of_training(unilm, fixtures):
    (inputs, labels) = unilm.batches([(("good", "bad"), "film")], 1)[0]
    source = unilm.tokenizer.encode("good", "bad")[0]
    film, end = unilm.tokenizer.encode("film")[0][1:]
    assert inputs[0].tolist() == [[*source, film]]
    assert inputs[1].tolist() == [[0] * len(source) + [1]]
    assert labels.tolist() == [[-1] * (len(source) - 1) + [film, end]]
    task = t5(fixtures)
    (inputs, labels) = task.batches([("hello", "world")], 1)[0]
    wanted = task.tokenizer.encode("world")[0]
    assert inputs[1].tolist() == [[0, *wanted[:-1]]]
    assert labels.tolist() == [wanted]


def test_too_long_a_prompt(unilm, fixtures):
    long = "good film " * 40
    for sample in (long, (long, "bad")):
        with pytest.raises(TaskError, match=r"has \d+ tokens, and there is room for 34"):
            unilm(sample)
    with pytest.raises(TaskError, match=r"the target .* tokens, and there is room for 7"):
        unilm.batches([("bad", long)])
    for side, end in (("left", "bad film"), ("right", "very good")):
        task = Generator(unilm.tokenizer, unilm.model, max_new_tokens=6, truncate=side)
        ids = task.encode("very " + long + "bad film").rows[0][0]
        assert len(ids) == 34
        part = task.tokenizer.decode(ids)
        assert part.endswith(end) if side == "left" else part.startswith(end)
        (_inputs, labels) = task.batches([("bad", long)], 1)[0]
        assert labels[0][-1] != task.tokenizer.token_end_id  # what is cut does not end
    with pytest.raises(TaskError, match="max_new_tokens=40 leaves no room for a prompt"):
        unilm("bad", max_new_tokens=40)


@pytest.mark.filterwarnings("ignore::bert4keras.tokenizers.UnknownTokensWarning")
def test_odd_texts(unilm, lm):
    for text in ("", "   ", "😀", "\ud800", "a\x00b"):
        for task in (unilm, lm):
            assert isinstance(task(text).text, str)
            "".join(task.stream_text(text))
    with pytest.raises(TaskError, match="room for"):
        unilm("长" * 100_000)


def test_conditions(fixtures, tmp_path):
    settings = {"conditions": ["bad", "good"], "max_new_tokens": 5}
    path = fixtures / "bert_gelu"
    task = Generator.build(path, application="lm", options=DRY, **settings)
    rows = [Prompt("very good film", condition="good"), Prompt("not good", condition="bad")]
    task.model.compile(keras.optimizers.Adam(1e-3), task.loss)
    task.model.fit(task.batches(rows * 2, 4, shuffle=True), epochs=80, verbose=0)
    found = task([Prompt("", condition="bad"), Prompt("", condition="good")])
    assert [answer.text for answer in found] == ["not good", "very good film"]
    task.save(tmp_path / "saved")
    assert tasks.load(tmp_path / "saved")(Prompt("", condition="bad")).text == "not good"
    for sample in ("", Prompt("", condition="other")):
        with pytest.raises(TaskError, match="is none of bad, good"):
            task(sample)
    with pytest.raises(TaskError, match="writes as 'lm' under conditions"):
        task.save_huggingface(tmp_path / "other")
    with pytest.raises(TaskError, match="there are 0 conditions, and the model's norms take 2"):
        Generator(task.tokenizer, task.model)


def test_regularized_and_small_vocabularies(fixtures):
    texts = [text for pair in PAIRS for text in pair]
    task = Generator.build(fixtures / "bert_gelu", texts=texts, max_new_tokens=6, options=DRY)
    whole = Tokenizer.from_pretrained(fixtures / "bert_gelu")
    assert task.tokenizer.vocab_size < whole.vocab_size
    model = RegularizedModel(task.model, [FGM(epsilon=0.5)])
    model.compile(keras.optimizers.Adam(3e-3), task.loss)
    before = task.log_probabilities(PAIRS)[0].sum()
    model.fit(task.batches(PAIRS, 4, shuffle=True), epochs=5, verbose=0)
    assert task.log_probabilities(PAIRS)[0].sum() > before


def test_processors_of_a_call(unilm):
    tokenizer = unilm.tokenizer
    ids = [tokenizer.encode(text)[0][1:-1] for text in ("good film", "bad")]
    end = tokenizer.token_end_id
    allowed = {unilm(text, processors=[Constrained(Trie.of(ids), end)]).text for text in ("a", "")}
    assert allowed <= {"good film", "bad"}
    assert unilm("bad", processors=[MinLength(4, end)]).tokens >= 5
    with pytest.raises(TaskError, match="a trie for each prompt"):
        unilm(["a", "b"], processors=[Constrained([Trie.of(ids), Trie.of(ids)], end)])


def test_bad_settings(unilm, fixtures):
    model, tokenizer = unilm.model, unilm.tokenizer
    for settings, message in (
        ({"truncate": "middle"}, "truncate='middle' must be one of error, left, right"),
        ({"strategy": "greedy"}, "'greedy' is none of Greedy, Sample, BeamSearch"),
        ({"strategy": {"name": "Sample", "topk": 3}}, "Sample: .*unexpected keyword"),
        ({"processors": [Constrained(Trie.of([[1]]), 2)]}, "given with the call"),
        ({"max_new_tokens": -1}, "max_new_tokens=-1 must be at least 1"),
        ({"max_new_tokens": 0}, "max_new_tokens=0 must be at least 1"),
        ({"max_new_tokens": 40}, "leaves no room"),
    ):
        with pytest.raises(TaskError, match=message):
            Generator(tokenizer, model, **settings)
    encoder = build_transformer_model(fixtures / "bert_gelu")
    with pytest.raises(TaskError, match="no language-model head"):
        Generator(tokenizer, encoder)
    with pytest.raises(TaskError, match="is no Backbone"):
        Generator(tokenizer, keras.Model(model.inputs, model.output))
    both = build_transformer_model(fixtures / "bert_gelu", with_mlm="linear", application="encoder")
    with pytest.raises(TaskError, match="does not write from left to right"):
        Generator(tokenizer, both)
    with pytest.raises(TaskError, match="with a Backbone give its tokenizer"):
        Generator.build(model)


@pytest.mark.parametrize(
    ("sample", "message"),
    [
        ("text", "a training sample is a pair"),
        (("a", 3), "a target is a text"),
        ((1, "a"), "prompt"),
    ],
)
def test_bad_samples(unilm, sample, message):
    with pytest.raises(TaskError, match=message):
        unilm.batches([sample])


def test_bad_calls(unilm):
    with pytest.raises(TaskError, match=r"a prompt is a text, a pair \(text, text\) or a Prompt"):
        unilm(3)
    with pytest.raises(TaskError, match="got no samples"):
        unilm.evaluate([])


def test_checkpoints_of_transformers(fixtures, tmp_path):
    """Written, read as a checkpoint of the hub, the same answers."""
    for number, task in enumerate((gpt2(fixtures), t5(fixtures))):
        directory = tmp_path / str(number)
        task.save_huggingface(directory)
        again = tasks.load(directory)
        assert isinstance(again, Generator)
        assert again.kind == task.kind
        assert again("hello", max_new_tokens=6).text == task("hello", max_new_tokens=6).text
    unilm = Generator.build(fixtures / "bert_gelu", max_new_tokens=6)
    with pytest.raises(TaskError, match="has no class for a bert that writes as 'unilm'"):
        unilm.save_huggingface(tmp_path / "unilm")
