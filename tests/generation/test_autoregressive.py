"""Decoding over the user's own `predict`, against every output that there is."""

from __future__ import annotations

import numpy as np
import pytest

from bert4keras import snippets
from bert4keras.generation import AutoRegressiveDecoder
from helpers import toy_language as toy
from helpers.toy_language import END, STEPS, TOKENS, Toy, decoder

pytestmark = pytest.mark.spread

WIDE = TOKENS**STEPS  # beams for every output at once
PROMPTS = [(1, 2), (0,), (3, 3, 0), (2,), (1, 1)]


def greedy(prompt, seed=0):
    output = []
    while len(output) < STEPS and output[-1:] != [END]:
        output.append(int(toy.probas((*prompt, *output), seed).argmax()))
    return output


def test_the_old_path_gives_the_class():
    assert snippets.AutoRegressiveDecoder is AutoRegressiveDecoder


@pytest.mark.parametrize("length_penalty", [0.0, 0.7, 1.0, -0.5])
@pytest.mark.parametrize(
    "options", [{}, {"minlen": 3}, {"min_ends": 2}, {"minlen": 4, "min_ends": 2}, {"maxlen": 1}]
)
def test_a_wide_beam_finds_the_best_there_is(options, length_penalty):
    lengths = {k: v for k, v in options.items() if k != "min_ends"}
    for prompt in PROMPTS[:2]:
        expected = toy.best(prompt, length_penalty, **options)[:6]
        found = Toy(**lengths).beam_search(
            [prompt],
            WIDE,
            min_ends=options.get("min_ends", 1),
            length_penalty=length_penalty,
            n_best=6,
            return_scores=True,
        )
        found = [(tuple(ids), score) for ids, score in found]
        assert [ids for ids, _ in found] == [ids for ids, _ in expected[: len(found)]]
        assert len(found) == min(6, len(expected))
        np.testing.assert_allclose([s for _, s in found], [s for _, s in expected])


def test_a_beam_of_one_is_greedy_and_misses_the_best():
    missed = 0
    for seed in range(20):
        found = Toy(seed=seed).beam_search([(1,)], topk=1).tolist()
        assert found == greedy((1,), seed)
        probabilities = lambda history, seed=seed: toy.probas(history, seed)  # noqa: E731
        missed += tuple(found) != toy.best((1,), next_probas=probabilities)[0][0]
    assert 5 < missed < 20


def test_scores_are_the_log_probabilities_of_what_was_found():
    known = dict(toy.outputs((2,)))
    for ids, score in Toy().beam_search([(2,)], topk=3, n_best=3, return_scores=True):
        assert score == pytest.approx(known[tuple(ids)])


def test_what_ended_is_kept_while_others_grow():
    # "1 END" has 0.40; "0 0 END" had 0.36 after two tokens but ends at 0.18. A search that
    # drops what ended without being the best at that moment finds only the latter.
    table = {
        (): [0.52, 0.48, 0, 0, 0],
        (0,): [0.9, 0, 0.1, 0, 0],
        (1,): [0, 0, 0.1, 0, 0.9],
        (0, 0): [0.3, 0.3, 0, 0, 0.4],
    }

    def predict(self, inputs, output_ids, states):
        return np.array([table.get(tuple(ids), [0, 0, 0, 0, 1]) for ids in output_ids.tolist()])

    first, second = decoder(predict).beam_search([], topk=2, n_best=2, return_scores=True)
    assert first[0].tolist() == [1, END]
    assert first[1] == pytest.approx(np.log(0.48 * 0.9))
    assert second[0].tolist() == [0, 0, END]


def test_the_beam_does_not_shrink():
    model = Toy(maxlen=4)
    model.beam_search([(0,)], topk=3, n_best=3, length_penalty=1.0)
    assert model.calls == [1, 3, 3, 3]


@pytest.mark.parametrize("topk", [1, 3, WIDE])
@pytest.mark.parametrize("options", [{}, {"length_penalty": 1.0, "n_best": 1}])
def test_a_batch_gives_what_single_samples_give(topk, options):
    def as_lists(outputs):
        return [[ids.tolist() for ids in np.atleast_2d(o)] for o in outputs]

    single = [Toy().beam_search([p], topk, **options) for p in PROMPTS]
    model = Toy()
    assert as_lists(model.beam_search_batch([[p] for p in PROMPTS], topk, **options)) == as_lists(
        single
    )
    assert model.calls[0] == 2  # the two prompts of two tokens shared a call
    assert Toy().beam_search_batch([], topk) == []


def ragged_predict(self, inputs, output_ids, states):
    assert isinstance(inputs[0], list)
    assert len(inputs[0]) == len(output_ids)
    ids, lengths = self.join(inputs[0], output_ids, padding=-1, multiple_of=4)
    assert ids.shape[1] % 4 == 0
    histories = [tuple(row[:n].tolist()) for row, n in zip(ids, lengths, strict=True)]
    assert all(-1 not in history for history in histories)
    return np.array([toy.probas(history) for history in histories])


def test_ragged_samples_share_every_call():
    model = decoder(ragged_predict, ragged=True)
    found = model.beam_search_batch([[p] for p in PROMPTS], 3)
    expected = [Toy().beam_search([p], 3) for p in PROMPTS]
    assert [f.tolist() for f in found] == [e.tolist() for e in expected]
    drawn = model.random_sample_batch([[p] for p in PROMPTS], 4, seed=5)
    apart = Toy().random_sample_batch([[p] for p in PROMPTS], 4, seed=5)
    assert [[x.tolist() for x in d] for d in drawn] == [[x.tolist() for x in a] for a in apart]


@pytest.mark.parametrize("start_id", [None, 3])
@pytest.mark.parametrize("search", ["beam", "sample"])
def test_outputs_begin_with_the_start_token_and_keep_their_limits(start_id, search):
    for minlen, maxlen in [(1, 5), (3, 5), (2, 2), (1, 1)]:
        model = Toy(start_id, maxlen=maxlen, minlen=minlen)
        if search == "beam":
            outputs = model.beam_search([(1,)], topk=8, n_best=8)
        else:
            outputs = model.random_sample([(1,)], n=50)
        for ids in map(list, outputs):
            assert (ids[0] == 3) if start_id else True
            ids = ids[1:] if start_id else ids
            assert minlen <= len(ids) <= maxlen
            assert END not in ids[:-1]
            assert len(ids) == maxlen or ids[-1] == END


@pytest.mark.parametrize("length_penalty", [0.0, 1.0])
def test_the_start_token_is_read_but_does_not_count(length_penalty):
    found = Toy(start_id=3).beam_search(
        [(1,)], WIDE, length_penalty=length_penalty, n_best=20, return_scores=True
    )
    expected = toy.best((1, 3), length_penalty)[:20]
    assert [tuple(ids) for ids, _ in found] == [(3, *output) for output, _ in expected]
    np.testing.assert_allclose([s for _, s in found], [s for _, s in expected])


def test_each_row_counts_its_own_ends():
    for seed in range(20):
        for ids in Toy(seed=seed).beam_search([(1,)], topk=3, min_ends=2, n_best=3):
            ids = ids.tolist()
            assert ids.count(END) <= 2
            assert len(ids) == STEPS or (ids[-1] == END and ids.count(END) == 2)


def test_a_search_goes_on_while_length_may_pay():
    # Ending at once scores log 0.9 = -0.11; the other way log 0.1 / 5 ** 3 = -0.02 after 5 tokens,
    # but log 0.1 / 2 ** 3 = -0.29 after 2.
    def predict(self, inputs, output_ids, states):
        scores = np.tile(np.eye(5)[0], (len(output_ids), 1))
        return scores if output_ids.shape[1] else np.array([[0.1, 0, 0, 0, 0.9]])

    model = decoder(predict)
    assert model.beam_search([], topk=2, length_penalty=3.0).tolist() == [0] * STEPS
    assert model.beam_search([], topk=2).tolist() == [END]


def test_without_an_end_token_the_limit_ends():
    assert len(Toy(end_id=None).beam_search([(1,)], topk=2)) == STEPS
    assert {len(ids) for ids in Toy(end_id=None).random_sample([(1,)], 5)} == {STEPS}


@pytest.mark.parametrize("search", ["beam", "sample"])
def test_states_follow_their_rows(search):
    import keras

    def predict(self, inputs, output_ids, states):
        rows = len(output_ids)
        prompts = inputs[0][:, 0]
        if output_ids.shape[1]:  # every state is what belongs to the row, whatever its kind
            for seen in (states["seen"], keras.ops.convert_to_numpy(states["tensor"])):
                assert np.array_equal(seen[:, :-1], output_ids[:, :-1])
            assert np.array_equal(states["nested"][0], prompts)
            assert states["nested"][1] == 7
            assert np.array_equal(states["fixed"], np.arange(99))
        assert states["step"] == output_ids.shape[1]
        # Before it is chosen the next token is unknown: -1 keeps its place.
        seen = np.concatenate([output_ids, np.full((rows, 1), -1)], axis=1)
        states = {
            "seen": seen,
            "tensor": keras.ops.convert_to_tensor(seen.astype("int32")),
            "nested": (prompts.copy(), 7),
            "fixed": np.arange(99),
            "step": states["step"] + 1,
        }
        return np.array(
            [toy.probas((p, *ids)) for p, ids in zip(prompts, output_ids.tolist(), strict=True)]
        ), states

    model = decoder(predict, use_states=True)
    batch = [[np.array([p])] for p in (0, 1, 2)]
    if search == "beam":
        found = model.beam_search_batch(batch, 6, states={"step": 0})
        assert [f.tolist() for f in found] == [
            Toy().beam_search(sample, 6).tolist() for sample in batch
        ]
    else:
        model.random_sample_batch(batch, 6, states={"step": 0})


def test_given_states_are_shared_out_among_samples():
    def predict(self, inputs, output_ids, states):
        assert np.array_equal(states[:, 0], inputs[0][:, 0])
        return np.array([toy.probas(tuple(ids)) for ids in output_ids.tolist()]), states

    batch = [[np.full(length, i)] for i, length in enumerate([1, 2, 1])]
    model = decoder(predict, use_states=True)
    model.beam_search_batch(batch, 2, states=np.arange(3)[:, None])
    model.random_sample_batch(batch, 2, states=np.arange(3)[:, None])


def test_what_predict_writes_into_its_inputs_stays():
    def predict(self, inputs, output_ids, states):
        assert (inputs[0][:, 0] == states).all()
        inputs[0][:, 0] = states + 1
        return np.array([toy.probas(tuple(ids)) for ids in output_ids.tolist()]), states + 1

    decoder(predict, use_states=True).beam_search([[0, 5]], topk=3, states=0)


def frequencies(outputs):
    values, counts = np.unique([str(list(map(int, ids))) for ids in outputs], return_counts=True)
    return dict(zip(values, counts / len(outputs), strict=True))


def distance(found, expected):
    """Total variation between two distributions over outputs."""
    keys = {*found, *expected}
    return sum(abs(found.get(k, 0) - expected.get(k, 0)) for k in keys) / 2


def filtered(topk=None, topp=None, temperature=1.0):
    """Next-token distribution by the plainest possible loops."""

    def next_probas(history):
        p = toy.probas(history) ** (1 / temperature)
        order = sorted(range(TOKENS), key=lambda token: -p[token])[:topk]
        total = sum(p[token] for token in order)
        kept, reached = [], 0.0
        for token in order:
            if topp is None or reached < topp:
                kept.append(token)
                reached += p[token] / total
        return np.array([p[t] if t in kept else 0.0 for t in range(TOKENS)]) / sum(p[kept])

    return next_probas


@pytest.mark.parametrize(
    "options",
    [{}, {"topk": 2}, {"topp": 0.6}, {"topk": 3, "topp": 0.8}, {"temperature": 0.5}, {"topk": 99}],
)
def test_outputs_are_drawn_as_often_as_they_are_probable(options):
    n = 8000
    expected = {
        str(list(o)): np.exp(total) for o, total in toy.outputs((1,), filtered(**options), maxlen=3)
    }
    found = frequencies(Toy(maxlen=3).random_sample([(1,)], n, seed=1, **options))
    assert set(found) <= set(expected)  # nothing that was cut off
    # The mean distance is below sqrt(outcomes / n) / 2; other options are further away.
    assert distance(found, expected) < np.sqrt(len(expected) / n)
    other = {str(list(o)): np.exp(t) for o, t in toy.outputs((1,), filtered(2, 0.3), maxlen=3)}
    assert distance(found, other) > 0.2


def test_a_seed_repeats_and_numpys_own_state_does_too():
    def draw(**options):
        return [ids.tolist() for ids in Toy().random_sample([(1,)], 20, **options)]

    assert draw(seed=3) == draw(seed=3) != draw(seed=4)
    assert draw() != draw()
    np.random.seed(1)
    first = draw()
    np.random.seed(1)
    assert draw() == first
    batch = Toy().random_sample_batch([[(1,)], [(1,)]], 20, seed=3)
    assert [ids.tolist() for ids in batch[0]] == draw(seed=3)
    assert [ids.tolist() for ids in batch[1]] != draw(seed=3)


def test_topp_from_1_on_cuts_nothing():
    draws = [Toy().random_sample([(1,)], 50, topp=topp, seed=3) for topp in (None, 1, 5)]
    plain, one, five = [[ids.tolist() for ids in draw] for draw in draws]
    assert plain == one == five


def test_several_models_vote():
    def predict(self, inputs, output_ids, states):
        return np.mean(
            [[toy.probas(tuple(ids), seed) for ids in output_ids.tolist()] for seed in (1, 2, 3)], 0
        )

    mean = lambda h: np.mean([toy.probas(h, seed) for seed in (1, 2, 3)], 0)  # noqa: E731
    expected = [output for output, _ in toy.best((), next_probas=mean)[:5]]
    found = decoder(predict).beam_search([], WIDE, n_best=5)
    assert [tuple(ids) for ids in found] == expected
    for seed in (1, 2, 3):
        alone = Toy(seed=seed).beam_search([()], WIDE, n_best=5)
        assert [tuple(ids) for ids in alone] != expected


TITLES = [(0, 1, END), (0, 2, 2, END), (3, END)]


def from_a_list(self, inputs, output_ids, states):
    """Zero for whatever would lead to none of the titles."""
    scores = np.zeros((len(output_ids), TOKENS))
    for row, ids in enumerate(map(tuple, output_ids.tolist())):
        for title in TITLES:
            if title[: len(ids)] == ids and len(title) > len(ids):
                scores[row, title[len(ids)]] = toy.probas(ids)[title[len(ids)]]
    return scores


def test_nothing_forbidden_is_ever_found():
    model = decoder(from_a_list)
    ranked = sorted(TITLES, key=lambda title: -dict(toy.outputs(()))[title])
    assert [tuple(ids) for ids in model.beam_search([], topk=9, n_best=9)] == ranked
    assert {tuple(ids) for ids in model.random_sample([], 100)} == set(TITLES)


@pytest.mark.parametrize("rtype", ["probas", "logits"])
def test_probabilities_and_logits_mean_the_same(rtype):
    def predict(self, inputs, output_ids, states):
        p = np.array([toy.probas(tuple(ids)) for ids in output_ids.tolist()])
        return p if rtype == "probas" else np.log(p) + 1000.0

    model = decoder(predict, default_rtype=rtype)
    for temperature in (1, 2.5):
        expected = toy.probas((1,)) ** (1 / temperature)
        arguments = ([], np.array([[1]]), None, temperature)
        scores, states = model.predict(*arguments, rtype="probas")
        assert states is None
        np.testing.assert_allclose(scores[0], expected / expected.sum(), rtol=1e-9)
        scores, _ = model.predict(*arguments, rtype="logits")
        np.testing.assert_allclose(scores[0], np.log(expected / expected.sum()), rtol=1e-9)
