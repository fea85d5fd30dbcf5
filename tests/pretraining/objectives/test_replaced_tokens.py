"""ELECTRA: what the discriminator reads, both losses, gradients, shared weights, checkpoints."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from bert4keras import build_transformer_model
from bert4keras.pretraining import ReplacedTokens
from bert4keras.pretraining.objectives.replaced_tokens import SampledTokens
from helpers.packed_rows import CONFIG, MASK, TOKENIZER, cross_entropy, make_rows, outputs

ROWS = make_rows(8, 32, (8, 14), letters=3)


def build(family, **options):
    objective = ReplacedTokens(TOKENIZER, 0.5, rate=0.3, **options)
    return objective, objective.build(CONFIG, model=family)


@pytest.mark.spread
def test_inputs_and_targets():
    objective = ReplacedTokens(TOKENIZER, rate=0.3)
    inputs, targets = objective.corrupt(ROWS, np.random.default_rng(0))
    hidden = inputs["fills"] >= 0
    assert (inputs["token_ids"][hidden] == MASK).all()  # all of them, none is kept or random
    assert (inputs["token_ids"] == ROWS.token_ids)[~hidden].all()
    row = np.nonzero(hidden)[0]
    filled = targets["generator"][row, inputs["fills"][hidden]]
    assert (filled == ROWS.token_ids[hidden]).all()
    real = ROWS.document_ids > 0
    assert (targets["discriminator"] == np.where(real, ROWS.token_ids, -1)).all()


def test_tokens_are_drawn_from_the_scores():
    wanted = np.array([0.5, 0.3, 0.2, 0.0])
    scores = np.tile(np.log(wanted + 1e-12), (1, 4000, 1)).astype("float32")
    fills = np.arange(-1, 4000)[None].astype("int32")
    ids = np.full_like(fills, 9)
    layer = SampledTokens()
    drawn = keras.ops.convert_to_numpy(layer([ids, scores, fills]))
    assert drawn[0, 0] == 9  # not masked
    shares = np.bincount(drawn[0, 1:], minlength=4) / 4000
    assert np.abs(shares - wanted).max() < 0.03
    assert (drawn != keras.ops.convert_to_numpy(layer([ids, scores, fills]))).any()


@pytest.mark.parametrize("family", ["electra", "roberta"])
def test_losses_training_and_checkpoints(family, tmp_path):
    objective, model = build(family)
    inputs, targets = objective.corrupt(ROWS, np.random.default_rng(0))
    found = outputs(model, inputs)
    logits, judged = found["discriminator"][..., 0], found["discriminator"][..., 1].astype(int)
    hidden, real = inputs["fills"] >= 0, ROWS.document_ids > 0
    assert (judged == ROWS.token_ids)[~hidden].all()
    assert (judged != MASK)[hidden].mean() > 0.5
    replaced = judged != ROWS.token_ids
    assert 0 < replaced.sum() < hidden.sum()  # some are right by chance
    entropy = np.logaddexp(0, np.where(replaced, -logits, logits))[real].mean()
    losses = objective.loss
    loss = losses["discriminator"](targets["discriminator"], found["discriminator"])
    assert abs(float(loss) - 50 * entropy) < 1e-3
    assert abs(float(loss) - entropy) > 1  # control: the weight
    loss = losses["generator"](targets["generator"], found["generator"])
    assert abs(float(loss) - cross_entropy(found["generator"], targets["generator"])) < 1e-4
    model.compile(keras.optimizers.Adam(0.01), objective.loss, metrics=objective.metrics)
    history = model.fit(inputs, targets, batch_size=4, epochs=6, verbose=0).history["loss"]
    assert history[-1] < 0.8 * history[0]
    objective.save(model, tmp_path, TOKENIZER)
    again = objective.build(tmp_path)
    own = slice(None if family == "electra" else -4)  # RoBERTa has no such head
    for a, b in zip(again.get_weights()[own], model.get_weights()[own], strict=True):
        np.testing.assert_array_equal(a, b)
    state = np.ones((1, 4), "int32"), np.zeros((1, 4), "int32")
    names = {"discriminator": tmp_path, "generator": tmp_path / "generator"}
    for name, directory in names.items():
        head = "with_mlm" if name == "generator" else "with_pool"
        part = build_transformer_model(directory, **({head: True} if head == "with_mlm" else {}))
        inner = model.get_layer(name)
        ours = inner.get_layer("Generator-MLM-Dense" if head == "with_mlm" else "Embedding-Norm")
        theirs = part.get_layer(ours.name.removeprefix("Generator-"))
        np.testing.assert_array_equal(theirs.get_weights()[0], ours.get_weights()[0])
        table = part.get_layer("Embedding-Token").get_weights()[0]
        np.testing.assert_array_equal(
            table, model.get_layer(name).get_layer("Embedding-Token").get_weights()[0]
        )
        assert part(list(state)[: len(part.inputs)]).shape[:2] == (1, 4)


@pytest.mark.spread
@pytest.mark.filterwarnings("ignore:Gradients do not exist")
def test_generator_and_discriminator_share_embeddings_and_no_gradient():
    _, model = build("electra", weight=50.0)
    generator, discriminator = (model.get_layer(n) for n in ("generator", "discriminator"))
    for name in ("Embedding-Token", "Embedding-Segment", "Embedding-Position"):
        assert generator.get_layer(name) is discriminator.get_layer(name)
    assert generator.config.hidden_size == 4 == discriminator.config.hidden_size // 2
    assert generator.config.embedding_size == discriminator.config.embedding_size == 8
    assert build("roberta")[1].get_layer("generator").config.num_hidden_layers == 1
    wide = ReplacedTokens(TOKENIZER, 0.5).build(CONFIG, model="electra", num_attention_heads=4)
    assert wide.get_layer("generator").config.num_attention_heads == 2  # not the option itself
    # Trained only by the discriminator's loss, the generator's own weights stay.
    objective = ReplacedTokens(TOKENIZER, rate=0.3)
    inputs, targets = objective.corrupt(ROWS, np.random.default_rng(0))
    own = [w for w in generator.weights if all(w is not x for x in discriminator.weights)]
    shared = [w for w in generator.weights if any(w is x for x in discriminator.weights)]
    before = [[np.array(keras.ops.convert_to_numpy(w)) for w in part] for part in (own, shared)]
    loss = {"generator": None, "discriminator": objective.loss["discriminator"]}
    model.compile(keras.optimizers.SGD(0.1), loss=loss)
    model.fit(inputs, targets, batch_size=8, verbose=0)
    after = [[keras.ops.convert_to_numpy(w) for w in part] for part in (own, shared)]
    assert all((a == b).all() for a, b in zip(before[0], after[0], strict=True))
    assert all((a != b).any() for a, b in zip(before[1], after[1], strict=True))  # control


def test_a_resumed_training_equals_an_uninterrupted_one(tmp_path):
    """Two weights of one path would share the gradients that torch keeps from step to step."""
    _, model = build("electra")
    paths = [weight.path for weight in model.trainable_variables]
    assert len(set(paths)) == len(paths)
    objective, weights = ReplacedTokens(TOKENIZER, 0.5, rate=0.3), model.get_weights()
    data = objective.corrupt(ROWS, np.random.default_rng(0))

    def train(model, start=()):
        model.compile(keras.optimizers.SGD(0.01), loss=objective.loss)
        model.get_layer("Generator-Sample").seed_generator.state.assign([5, 7])
        model.set_weights(start or weights)
        model.fit(*data, batch_size=8, shuffle=False, verbose=0)
        return model.get_weights()

    other = build("electra")[1]
    whole, resumed = train(model, half := train(model)), train(other, half)
    for a, b in zip(whole, resumed, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)
    assert any(np.abs(a - b).max() > 1e-4 for a, b in zip(half, whole, strict=True))  # control


@pytest.mark.spread
def test_errors():
    with pytest.raises(ValueError, match=r"generator_size must lie in \(0, 1\], not 2"):
        ReplacedTokens(TOKENIZER, 2)
    with pytest.raises(ValueError, match="weight must be 0 or more, not -1"):
        ReplacedTokens(TOKENIZER, weight=-1)
