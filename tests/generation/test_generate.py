"""Generation with a cache gives, token for token, what recomputing everything gives."""

from __future__ import annotations

import itertools

import keras
import numpy as np
import pytest

from bert4keras.generation import (
    BannedTokens,
    BeamSearch,
    Constrained,
    Greedy,
    NoRepeatNGram,
    RepetitionPenalty,
    Sample,
    Trie,
    generate,
    stream,
)
from bert4keras.generation.loop import Search
from bert4keras.masks import LM, Packed
from bert4keras.models import build_transformer_model
from helpers import tiny
from helpers.family_models import SINGLE, call
from helpers.family_models import build as build_family

V = tiny.SIZES["vocab_size"]
LONG = {"max_position": 100}
PROMPTS = [[3, 4, 5], [7, 8, 9, 10, 11], [2]]
STEPS = 6
# A padding id in the answer would hide it from a model that is run without a cache.
NO_PADDING = [BannedTokens((0, 1))]


@pytest.fixture(scope="module")
def lm():
    return tiny.build({**LONG, "num_hidden_layers": 1}, application="lm")


def logits(model, ids: list[int], start: int, every: bool = False) -> np.ndarray:
    """Log-probabilities of the next token, by running the whole model on everything so far.

    Args:
        every: of the token after each of them, (S, V), not after the last, (V,).
    """
    new = [0] * start + [1] * (len(ids) - start)
    segments = "segment_ids" in model.transformer.mask.input_names
    known = {
        "Input-Token": ids,
        "Input-Segment": new if segments else [0] * len(ids),
        "Input-Prefix": [1 - n for n in new],
        "Input-Rank": np.cumsum(new),
    }
    x = [np.array([known[x.name]], "int32") for x in model.inputs]
    y = call(model, x)[0, slice(None) if every else -1].astype("float64")
    return y if model.transformer.pretraining_heads.with_mlm == "linear" else np.log(y)


def uncached(model, prompt: list[int], steps: int = STEPS, end_id: int | None = None) -> list[int]:
    ids = list(prompt)
    for _ in range(steps):
        scores = logits(model, ids, len(prompt))
        scores[[0, 1]] = -np.inf
        ids.append(int(scores.argmax()))
        if ids[-1] == end_id:
            break
    return ids[len(prompt) :]


def whole(model, prompts: list[list[int]], answers: list[list[int]]) -> list[list[int]]:
    """The best token after each part of an answer: what `uncached` finds if it agrees with them.

    Masks hide what follows a token (tests/models/test_family_options.py), so that one run of the
    whole model on prompts with their answers gives the scores of all steps.
    """
    width = max(len(p + a) for p, a in zip(prompts, answers, strict=True))
    best = []
    for prompt, answer in zip(prompts, answers, strict=True):
        ids = prompt + answer[:-1] + [2] * (width - len(prompt + answer) + 1)
        scores = logits(model, ids, len(prompt), every=True)
        scores[:, :2] = -np.inf
        best.append(scores[len(prompt) - 1 :][: len(answer)].argmax(-1).tolist())
    return best


def padded(rows: list[list[int]], side: str) -> np.ndarray:
    width = max(map(len, rows))
    pads = [[0] * (width - len(row)) for row in rows]
    return np.array([p + r if side == "left" else r + p for p, r in zip(pads, rows, strict=True)])


@pytest.mark.spread
@pytest.mark.parametrize("application", ["lm", "unilm", "prefix", "permutation"])
def test_every_mask(application):
    model = tiny.build(LONG, application=application, with_mlm="linear")
    found = generate(model, PROMPTS, STEPS, processors=NO_PADDING)
    assert found.best == whole(model, PROMPTS, found.best)
    assert found.best[0] == uncached(model, PROMPTS[0])
    # Negative controls: another answer; an answer of another application.
    wrong = [[ids[0] % (V - 2) + 2, *ids[1:]] for ids in found.best]
    assert whole(model, PROMPTS, wrong) != wrong
    other = tiny.build(
        LONG, application="lm" if application != "lm" else "unilm", with_mlm="linear"
    )
    other.set_weights(model.get_weights())
    assert np.abs(logits(other, PROMPTS[0], 3) - logits(model, PROMPTS[0], 3)).max() > 1e-3


@pytest.mark.spread
@pytest.mark.parametrize("family", SINGLE)
def test_every_family(family):
    # Compiling takes the time. Two blocks with a cache each: above, and where they share weights.
    config = {**LONG, "dropout_rate": 0.1, "num_hidden_layers": 1 + (family == "albert")}
    model = build_family(family, "lm", config, with_mlm="linear")
    found = generate(model, PROMPTS, STEPS, processors=NO_PADDING)
    assert found.best == whole(model, PROMPTS, found.best)


@pytest.mark.spread
@pytest.mark.parametrize("family", ["t5", "t5.1.1"])
def test_encoder_decoder(family):
    sizes = {**tiny.SIZES, "model_type": family, "initializer_range": 0.3}
    model = build_transformer_model(sizes, model=family, with_mlm="linear")
    found = generate(model, PROMPTS, STEPS, processors=NO_PADDING).best
    for prompt, answer in zip(PROMPTS, found, strict=True):
        wrong = [answer[0] % (V - 2) + 2, *answer[1:]]
        for ids in (answer, wrong):  # all steps at once, as in `whole`
            x = [np.array([prompt], "int32"), np.array([[0, *ids[:-1]]], "int32")]
            scores = call(model, x)[0]
            scores[:, :2] = -np.inf
            assert (scores.argmax(-1).tolist() == ids) is (ids is answer)


@pytest.mark.parametrize("strategy", [Greedy(), Sample(seed=3, top_k=5), BeamSearch(3)])
def test_padding_of_prompts_makes_no_difference(lm, strategy):
    found = generate(lm, PROMPTS, STEPS, 6, strategy)
    for side in ("left", "right"):
        again = generate(lm, padded(PROMPTS, side), STEPS, 6, strategy)
        assert again.token_ids == found.token_ids
        np.testing.assert_allclose(again.scores, found.scores, rtol=1e-5)


def test_an_answer_ends_where_it_says(lm):
    free = generate(lm, PROMPTS, STEPS).best
    end = free[0][2]
    found = generate(lm, PROMPTS, STEPS, end)
    for ids, all_ids in zip(found.best, free, strict=True):
        cut = all_ids.index(end) if end in all_ids else STEPS
        assert ids == all_ids[:cut]
    if free[0].count(end) > 1:
        second = [i for i, token in enumerate(free[0]) if token == end][1]
        assert generate(lm, PROMPTS, STEPS, end, min_ends=2).best[0] == free[0][:second]


def test_token_zero_is_a_token():
    model = tiny.build(LONG, application="lm", with_mlm="linear")
    bias = model.get_layer("MLM-Bias").bias
    bias.assign(100.0 * (np.arange(V) == 0))
    assert generate(model, PROMPTS, STEPS).best == [[0] * STEPS] * 3
    # What it wrote is seen: the score of the second 0 depends on the first.
    bias.assign(np.zeros(V))
    forced = [generate(model, [[3, 4, i]], 1).scores[0][0] for i in (0, 2)]
    assert abs(forced[0] - forced[1]) > 1e-4


def exhaustive(model, prompt, steps, end, penalty, vocabulary):
    """Every answer of at most `steps` tokens with its score, the best first."""
    found, beginnings = [], [((), 0.0)]
    for step in range(1, steps + 1):
        longer = []
        for ids, score in beginnings:
            y = logits(model, [*prompt, *ids], len(prompt))
            y = y - np.log(np.exp(y).sum())
            for token in range(vocabulary):
                item = ((*ids, token), score + y[token])
                (found if token == end or step == steps else longer).append(item)
        beginnings = longer
    ranked = [(list(ids), score / len(ids) ** penalty) for ids, score in found]
    return sorted(ranked, key=lambda item: -item[1])


@pytest.mark.spread
@pytest.mark.parametrize("penalty", [0.0, 1.0])
def test_a_wide_beam_is_an_exhaustive_search(penalty):
    sizes = {"vocab_size": 5, "pad_token_id": -1, "num_hidden_layers": 1, **LONG}
    model = tiny.build(sizes, application="lm", with_mlm="linear")
    steps, end = 4, 3
    expected = exhaustive(model, [1, 2], steps, end, penalty, 5)[:4]
    found = generate(model, [[1, 2]], steps, end, BeamSearch(300, penalty, n=4))
    answers = [ids[:-1] if ids[-1] == end else ids for ids, _ in expected]
    assert found.token_ids[0] == answers
    np.testing.assert_allclose(found.scores[0], [score for _, score in expected], rtol=1e-4)
    one = generate(model, [[1, 2]], steps, end, BeamSearch(1, penalty)).best
    assert one == generate(model, [[1, 2]], steps, end).best  # one beam is greedy


def test_beams_of_a_batch_do_not_meet(lm):
    together = generate(lm, PROMPTS, STEPS, 6, BeamSearch(4, n=2))
    for i, prompt in enumerate(PROMPTS):
        alone = generate(lm, [prompt], STEPS, 6, BeamSearch(4, n=2))
        assert alone.token_ids[0] == together.token_ids[i]


def test_sampling_follows_the_distribution(lm):
    y = logits(lm, PROMPTS[0], 3)
    p = np.exp(y / 0.7) / np.exp(y / 0.7).sum()
    draws = generate(lm, [PROMPTS[0]], 1, strategy=Sample(0.7, n=2000, seed=1)).token_ids[0]
    counts = np.bincount([ids[0] for ids in draws], minlength=V) / 2000
    assert np.abs(counts - p).max() < 4 * np.sqrt(0.25 / 2000)
    assert np.abs(counts - np.exp(y)).max() > np.abs(counts - p).max()


@pytest.mark.spread
def test_top_k_and_top_p(lm):
    y = logits(lm, PROMPTS[0], 3)
    order = np.argsort(-y)
    p = np.exp(y)[order]
    few = set(order[: int((np.cumsum(p) - p < 0.6).sum())].tolist())
    for options, allowed in (({"top_k": 3}, set(order[:3].tolist())), ({"top_p": 0.6}, few)):
        draws = generate(lm, [PROMPTS[0]], 1, strategy=Sample(n=300, **options)).token_ids[0]
        assert {ids[0] for ids in draws} == allowed
    assert (
        generate(lm, PROMPTS, STEPS, strategy=Sample(top_k=1)).best
        == generate(lm, PROMPTS, STEPS).best
    )


@pytest.mark.spread
def test_seeds(lm):
    first, same, other = (
        generate(lm, PROMPTS, STEPS, strategy=Sample(n=3, seed=s)).token_ids for s in (1, 1, 2)
    )
    assert first == same
    assert first != other
    assert len({tuple(ids) for ids in first[0]}) > 1


def test_a_stream_is_the_same_token_by_token(lm):
    whole = generate(lm, PROMPTS, STEPS, 6).best
    rows = list(itertools.zip_longest(*stream(lm, PROMPTS, STEPS, 6)))
    written = [[i for i in row if i is not None and i != 6] for row in rows]
    assert written == whole
    with pytest.raises(ValueError, match="cannot be streamed"):
        next(stream(lm, PROMPTS, strategy=BeamSearch(2)))


@pytest.mark.spread
def test_repetition(lm):
    free = generate(lm, PROMPTS, 12).best
    assert any(len(set(ids)) < len(ids) for ids in free)
    found = generate(lm, PROMPTS, 12, processors=[NoRepeatNGram(1)]).best
    for prompt, ids in zip(PROMPTS, found, strict=True):
        assert len(set(prompt + ids)) == len(prompt + ids)
    bigrams = generate(lm, PROMPTS, 12, processors=[NoRepeatNGram(2)]).best
    for prompt, ids in zip(PROMPTS, bigrams, strict=True):
        pairs = list(itertools.pairwise(prompt + ids))
        assert len(set(pairs)) == len(pairs)
    copied = generate(lm, PROMPTS, 12, processors=[NoRepeatNGram(1, prompt=False)]).best
    for ids in copied:
        assert len(set(ids)) == len(ids)
    assert any(set(prompt) & set(ids) for prompt, ids in zip(PROMPTS, copied, strict=True))
    harsh = generate(lm, PROMPTS, 8, processors=[RepetitionPenalty(1e6)])
    assert harsh.best != [ids[:8] for ids in free]


@pytest.mark.spread
def test_answers_from_a_list(lm):
    titles = [[3, 4], [3, 4, 5], [7, 8, 9], [2]]
    found = generate(
        lm, PROMPTS, 8, 6, BeamSearch(4, n=4), processors=[Constrained(Trie.of(titles), 6)]
    )
    for group, scores in zip(found.token_ids, found.scores, strict=True):
        assert sorted(group) == sorted(titles)
        assert min(scores) > -1e6
    greedy = generate(lm, PROMPTS, 8, 6, processors=[Constrained(Trie.of(titles), 6)]).best
    assert all(ids in titles for ids in greedy)
    own = [Trie.of([[9, 9]]), Trie.of([[8]]), Trie.of([[7, 2, 7]])]
    found = generate(lm, PROMPTS, 8, 6, BeamSearch(2), processors=[Constrained(own, 6)]).best
    assert found == [[9, 9], [8], [7, 2, 7]]


@pytest.mark.spread
def test_spans_of_a_passage(lm):
    passage = [2, 3, 4, 2, 3, 5, 7, 7, 7, 8]
    spans = {tuple(passage[i:j]) for i in range(10) for j in range(i + 1, 11)}
    trie = Trie.of_spans(passage)
    assert len(trie) <= 2 * len(passage)
    constrained = [Constrained(trie, 6)]
    found = generate(lm, PROMPTS, 12, 6, Sample(n=50), processors=constrained).token_ids
    assert all(tuple(ids) in spans for group in found for ids in group)
    assert len({tuple(ids) for group in found for ids in group}) > 10


def test_other_lengths_compile_nothing_again(lm, monkeypatch):
    if keras.backend.backend() == "torch":
        pytest.skip("torch compiles nothing")
    calls = []
    once = Search._next
    monkeypatch.setattr(Search, "_next", lambda *a: calls.append(1) or once(*a))
    options = {"strategy": Sample(seed=99), "end_id": 6}
    generate(lm, [[2, 3]] * 2, 5, **options)
    traced = len(calls)
    assert traced
    for prompt, steps in (([4] * 9, 7), ([5] * 30, 20), ([6], 1)):
        generate(lm, [prompt] * 2, steps, **options)
    assert len(calls) == traced
    generate(lm, [[4] * 33] * 2, 5, **options)  # another bucket
    assert len(calls) > traced


@pytest.mark.spread
@pytest.mark.parametrize(("positions", "prompt"), [(16, 1), (40, 34)])
def test_a_model_of_few_positions(positions, prompt):
    sizes = {"max_position": positions, "num_hidden_layers": 1}
    model = tiny.build(sizes, application="lm", with_mlm="linear")
    ids = [2 + i % 7 for i in range(prompt)]
    found = generate(model, [ids, ids[:1]], 4, processors=NO_PADDING).best
    assert found == [uncached(model, row, 4) for row in (ids, ids[:1])]


def test_new_weights_are_used(lm):
    model = tiny.build(LONG, application="lm")
    before = generate(model, PROMPTS, STEPS).scores
    kernel = model.get_layer("MLM-Dense").kernel
    kernel.assign(2 * keras.ops.convert_to_numpy(kernel))
    assert generate(model, PROMPTS, STEPS).scores != before


@pytest.mark.spread
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"prompts": []}, "there is no prompt"),
        ({"prompts": [[3], []]}, "prompt 1 is empty"),
        ({"prompts": [[3, V]]}, f"token id {V} of prompt 0 is outside the model's vocabulary"),
        ({"prompts": np.zeros((2, 3))}, "integers of shape"),
        ({"prompts": [[3] * 90], "max_new_tokens": 20}, "more than the model's 100 positions"),
        ({"prompts": [[3]], "max_new_tokens": 0}, "must be at least 1"),
        ({"prompts": [[3, 4]], "segment_ids": [[0]]}, "one id for each token"),
    ],
)
def test_wrong_input(lm, options, message):
    with pytest.raises(ValueError, match=message):
        generate(lm, **options)


@pytest.mark.spread
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Sample(0), "temperature must be positive"),
        (lambda: Sample(top_k=0), "top_k must be at least 1"),
        (lambda: Sample(top_p=1.5), r"top_p must lie in \(0, 1\]"),
        (lambda: Sample(n=0), "n must be at least 1"),
        (lambda: BeamSearch(0), "beams and n must be at least 1"),
        (lambda: RepetitionPenalty(0), "penalty must be positive"),
        (lambda: NoRepeatNGram(0), "size must be at least 1"),
        (lambda: Trie.of([]), "at least one sequence"),
        (lambda: Trie.of([[]]), "empty sequence"),
        (lambda: Trie.of_spans([]), "empty passage"),
        (lambda: Constrained([], 6), "needs a trie"),
    ],
)
def test_wrong_options(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.spread
def test_a_model_without_a_head():
    with pytest.raises(ValueError, match="language-model head"):
        generate(tiny.build(), PROMPTS)


@pytest.mark.spread
@pytest.mark.parametrize("wrong", [{}, {"document_ids": np.ones((3, 5))}])
def test_the_shape_of_a_mask_input_is_told(wrong):
    model = tiny.build(LONG, application=LM() & Packed(), with_mlm=True)
    with pytest.raises(ValueError, match=r"document_ids.*shape .*: right-aligned prompts, then"):
        generate(model, PROMPTS, STEPS, inputs=wrong)


@pytest.mark.spread
def test_an_input_that_is_missing():
    model = tiny.build({**LONG, "layer_norm_cond": 3}, application="lm")
    with pytest.raises(ValueError, match="also needs the inputs condition"):
        generate(model, PROMPTS)
    for weight in model.weights:
        if "gamma_dense" in weight.path:
            weight.assign(np.full(weight.shape, 0.5))
    scores = [
        generate(model, PROMPTS, STEPS, inputs={"condition": np.full((3, 3), c, "float32")}).scores
        for c in (0.0, 1.0)
    ]
    assert scores[0] != scores[1]
