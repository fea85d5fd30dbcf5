"""Causal, permutation and UniLM objectives: who sees whom, the loss, training, and checkpoints."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from bert4keras import Tokenizer, build_transformer_model
from bert4keras.config import ConfigError
from bert4keras.masks import LM
from bert4keras.pretraining import CausalLM, PermutationLM, UniLMMixture
from helpers.packed_rows import (
    CONFIG,
    END,
    MASK,
    SEP,
    SPECIAL,
    TOKENIZER,
    cross_entropy,
    make_rows,
    outputs,
)

LENGTH = 24
MODELS = [
    (CausalLM, "bert", {}),
    (CausalLM, "gpt2", {}),
    (PermutationLM, "bert", {"rate": 0.4}),
    (PermutationLM, "roformer", {"rate": 0.4}),
    (UniLMMixture, "bert", {"rate": 0.3}),
    (UniLMMixture, "roberta", {"rate": 0.3, "predict": "next"}),
]


def seen(objective, inputs) -> np.ndarray:
    """Return bool (M, L): on which tokens each prediction of the first row may depend."""
    document, index = inputs["document_ids"][0], np.arange(LENGTH)
    rank = inputs["rank"][0] if "rank" in inputs else index
    at = inputs.get("masked_positions", index[None])[0]
    strict = isinstance(objective, PermutationLM)  # the query stream does not see its own token
    order = rank[None] < rank[at][:, None] if strict else rank[None] <= rank[at][:, None]
    return order & (document[None] == document[at][:, None]) & (document[at] > 0)[:, None]


@pytest.mark.parametrize(("objective", "family", "options"), MODELS)
def test_visibility_loss_and_training(objective, family, options):
    objective = objective(TOKENIZER, **options)
    rows = make_rows(8, LENGTH, (6, 10), letters=3)
    inputs, targets = objective.corrupt(rows, np.random.default_rng(2))
    model = objective.build(CONFIG, model=family)
    # Row j is the first row with another token at j: what moves there depends on token j.
    first = {name: np.repeat(x[:1], LENGTH + 1, axis=0) for name, x in inputs.items()}
    index = np.arange(LENGTH)
    changed = first["token_ids"] != 0
    first["token_ids"][index, index] = np.where(changed[index, index], 5 + index % 20, 0)
    first["token_ids"][index, index] += first["token_ids"][index, index] == inputs["token_ids"][0]
    found = outputs(model, first)
    moved = np.abs(found[:-1] - found[-1:]).max(axis=-1).T > 1e-6
    counted = targets[0] >= 0
    real = rows.document_ids[0] > 0
    expected = seen(objective, inputs)
    assert counted.sum() > 3
    assert (moved[counted][:, real] == expected[counted][:, real]).all()
    assert not expected[counted][:, real].all()  # control: something is hidden
    model.compile(keras.optimizers.Adam(0.01), objective.loss, metrics=objective.metrics)
    loss = model.evaluate(inputs, targets, verbose=0)[0]
    assert abs(loss - cross_entropy(outputs(model, inputs), targets)) < 1e-4
    history = model.fit(inputs, targets, batch_size=4, epochs=6, verbose=0).history["loss"]
    assert history[-1] < 0.8 * history[0]


@pytest.mark.spread
def test_causal_targets_by_hand():
    rows = make_rows(3, LENGTH, (5, 9))
    inputs, targets = CausalLM(TOKENIZER).corrupt(rows, np.random.default_rng(0))
    assert (inputs["token_ids"] == rows.token_ids).all()
    for row in range(3):
        wanted = []
        for number in range(1, rows.document_ids[row].max() + 1):
            text = rows.token_ids[row][rows.document_ids[row] == number].tolist()
            assert text[-1] == SEP  # the end is learned too
            wanted += [*text[1:], -1]
        assert targets[row].tolist() == wanted + [-1] * (LENGTH - len(wanted))


@pytest.mark.spread
def test_a_causal_checkpoint_is_read_as_causal(tmp_path):
    objective = CausalLM(TOKENIZER)
    objective.save(objective.build(CONFIG), tmp_path, TOKENIZER)
    assert build_transformer_model(tmp_path).transformer.mask == LM()
    assert objective.backbone(objective.build(tmp_path)).config.vocab_size == CONFIG["vocab_size"]
    for family, message in (
        ("albert", "cannot train albert: its config has no key that says"),
        ("t5", "cannot train t5, whose decoder reads an encoder: choose the objective t5"),
    ):
        with pytest.raises(ConfigError, match=message):
            objective.build(CONFIG, model=family)


@pytest.mark.spread
def test_permutations_predict_a_share_in_random_order():
    rows, objective = make_rows(300, 60), PermutationLM(TOKENIZER, 0.25)
    inputs, targets = objective.corrupt(rows, np.random.default_rng(0))
    counted, text = targets >= 0, rows.word_ids >= 0
    assert (counted.sum(axis=1) == np.ceil(0.25 * text.sum(axis=1))).all()
    assert targets.shape == (300, 15)
    places = np.nonzero(counted)[0], inputs["masked_positions"][counted]
    assert (rows.token_ids[places] == targets[counted]).all()
    predicted = inputs["rank"] > 0
    assert predicted[places].all()
    assert not predicted[~text].any()
    again, _ = objective.corrupt(rows, np.random.default_rng(0))
    other, _ = objective.corrupt(rows, np.random.default_rng(1))
    assert (again["rank"] == inputs["rank"]).all()
    assert (other["rank"] != inputs["rank"]).any()


@pytest.mark.spread
@pytest.mark.parametrize("predict", ["masked", "next"])
def test_the_three_kinds_of_unilm(predict):
    rows, objective = make_rows(300, 60, (4, 14)), UniLMMixture(TOKENIZER, predict)
    inputs, targets = objective.corrupt(rows, np.random.default_rng(0))
    ids, segment, rank = (inputs[name] for name in ("token_ids", "segment_ids", "rank"))
    document, counts = inputs["document_ids"], np.zeros(3, int)
    wanted = np.full_like(ids, -1)
    row, column = np.nonzero(targets >= 0)
    wanted[row, inputs["masked_positions"][row, column]] = targets[row, column]
    for row in range(300):
        for number in range(1, document[row].max() + 1):
            at = np.flatnonzero(document[row] == number)
            text, ranks, parts = rows.token_ids[row, at], rank[row, at], segment[row, at]
            hidden = wanted[row, at]
            if parts.any():
                counts[2] += 1
                start = np.flatnonzero(parts)[0]
                assert ids[row, at[start - 1]] == SEP
                assert text[start - 1] == END or END not in text[3:-4]
                assert (ranks[:start] == 0).all()
                assert (np.diff(ranks[start - 1 :]) > 0).all()
                following = np.append(text[1:], -1)
                following[: start - 1] = -1
            elif ranks.any():
                counts[1] += 1
                assert (np.diff(ranks) == 1).all()
                following = np.append(text[1:], -1)
            else:
                counts[0] += 1
                continue
            if predict == "next":
                assert hidden.tolist() == following.tolist()
            else:
                assert (hidden[hidden >= 0] == text[hidden >= 0]).all()
    # Texts of fewer than 6 tokens, a fifth, cannot be divided and are bidirectional.
    assert np.abs(counts / counts.sum() - [0.4, 1 / 3, 0.27]).max() < 0.03
    assert ((ids == MASK).sum() > 0) == bool((targets >= 0).any())


@pytest.mark.spread
def test_errors():
    with pytest.raises(ValueError, match="predict must be one of masked, next, not 'x'"):
        UniLMMixture(TOKENIZER, "x")
    with pytest.raises(ValueError, match="shares must be three probabilities with the sum 1"):
        UniLMMixture(TOKENIZER, shares=(0.5, 0.5, 0.5))
    with pytest.raises(ValueError, match=r"rate must lie between 0 and 1, not 1"):
        PermutationLM(TOKENIZER, 1)
    with pytest.raises(ValueError, match=r"no \[MASK\]: use a tokenizer that has one"):
        PermutationLM(Tokenizer([*SPECIAL[:4], "a"]))
