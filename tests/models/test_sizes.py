"""Sizes are known before a model is built, and compared with the checkpoint and the memory."""

from __future__ import annotations

import time

import pytest

from bert4keras.checkpoints import CheckpointError
from bert4keras.config import ConfigError
from bert4keras.models import FAMILIES, build_transformer_model
from bert4keras.models.sizes import count_weights, weight_specs
from helpers import families, tiny

pytestmark = pytest.mark.spread

CLASSES = sorted({f.transformer: name for name, f in reversed(list(FAMILIES.items()))}.values())


@pytest.mark.parametrize("family", CLASSES)
def test_planned_weights_are_those_of_the_model(family):
    cls = FAMILIES[family].transformer.config_class
    changes = {"embedding_size": 6 if "albert" in family else None, "pad_token_id": 0}
    config = cls.from_dict({**tiny.SIZES, **changes})
    model = build_transformer_model(config, model=family, with_mlm=False, prefix="P-")
    shapes = {v.path: tuple(v.shape) for v in model.weights}
    planned = weight_specs(model.transformer)
    assert len(planned) > 3
    for weight in planned:
        found = [s for path, s in shapes.items() if path.endswith(f"P-{weight.path}")]
        assert found == [weight.shape], weight
    count = model.count_params()
    # Norms and biases are not counted; constants of NEZHA, which are no weights, are.
    assert 0.5 * count < count_weights(model.transformer) < 1.5 * count


HUGE = {
    "num_hidden_layers": 10**9,
    "hidden_size": 10**7,
    "vocab_size": 10**10,
    "max_position": 10**11,
    "intermediate_size": 10**10,
}


def refused_at_once(error, message, *args, **options):
    start = time.monotonic()
    with pytest.raises(error, match=message):
        build_transformer_model(*args, **options)
    assert time.monotonic() - start < 5


@pytest.mark.parametrize("key", HUGE)
@pytest.mark.parametrize("name", ["albert", "t5", "gpt2", "deberta-v2", "modernbert", "roberta"])
def test_sizes_that_are_not_the_checkpoints(name, key):
    if name in ("t5", "modernbert") and key == "max_position":
        pytest.skip("has no table of positions")
    options = {key: HUGE[key]}
    if (name, key) == ("albert", "num_hidden_layers"):  # one block for all depths
        refused_at_once(ConfigError, "at most 1000", families.FAMILIES / name, **options)
    else:
        refused_at_once(CheckpointError, "does not fit", families.FAMILIES / name, **options)


@pytest.mark.parametrize("key", HUGE)
@pytest.mark.parametrize("family", ["bert", "albert", "t5", "gau_alpha", "nezha"])
def test_sizes_that_no_machine_has(family, key):
    if key == "max_position" and family in ("t5", "gau_alpha", "nezha"):
        pytest.skip("has no table of positions")
    sizes = {**tiny.SIZES, key: 10 * HUGE[key]}
    message = "at most 1000" if key == "num_hidden_layers" else f"(?s)of memory here.*`{key}` 10000"
    refused_at_once(ConfigError, f"{message}.*without this check", sizes, model=family)


@pytest.mark.parametrize(
    ("family", "options"),
    [
        ("bert", {"layer_norm_cond": 10**12}),
        ("bert", {"segment_vocab_size": 10**12}),
        ("deberta-v2", {"conv_kernel_size": 10**12 + 1}),
        ("deberta-v2", {"max_relative_positions": 10**12}),
        ("deberta-v2", {"position_buckets": 10**12, "max_relative_positions": 10**13}),
        ("ernie", {"task_type_vocab_size": 10**12}),
        ("nezha", {"max_relative_position": 10**12}),
        ("t5", {"num_decoder_layers": 10**12}),
        ("t5", {"relative_attention_num_buckets": 10**12}),
        ("t5", {"relative_attention_max_distance": 10**12}),
    ],
)
def test_sizes_of_options(family, options):
    refused_at_once(
        ConfigError,
        "of memory here|at most|from 4 to|not above",
        {**tiny.SIZES, **options},
        model=family,
    )


def test_more_blocks_than_the_checkpoint(fixtures):
    message = r"it has 3 blocks, and the config asks for 4 \(`num_hidden_layers`\).*Transformer-\*-"
    with pytest.raises(CheckpointError, match=message):
        build_transformer_model(fixtures / "bert_gelu", num_hidden_layers=4)
    for pattern in ("Transformer-3-*", "bert.encoder.layer.3.*"):
        model = build_transformer_model(fixtures / "bert_gelu", num_hidden_layers=4, ignore=pattern)
        assert len(model.hidden_states) == 5
    model = build_transformer_model(fixtures / "bert_gelu", num_hidden_layers=1)
    assert model.load_report.unused
