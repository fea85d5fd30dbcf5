"""The small checkpoint that is part of the package: its files and what it has learned."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest

from bert4keras import Tokenizer
from bert4keras.checkpoints import CheckpointError, fetch, open_checkpoint, presets
from bert4keras.models import build_transformer_model
from bert4keras.snippets import sequence_padding
from bert4keras.tasks import FillMask

NAME = "bert-mini-zh-en"
DATASETS = Path(__file__).parents[2] / "examples" / "datasets"  # nothing that it was trained on

pytestmark = pytest.mark.spread


def test_it_is_there_without_a_cache(tmp_path):
    directory = fetch(NAME, cache=tmp_path)
    assert directory == presets.cached(NAME, tmp_path) == fetch(NAME)
    assert not any(tmp_path.iterdir())
    with pytest.raises(CheckpointError, match="is part of this package"):
        fetch(NAME, source="hub")


def test_the_file_is_small_and_whole():
    directory = fetch(NAME)
    assert (directory / "model.safetensors").stat().st_size < 16e6
    with open_checkpoint(directory) as reader:
        assert all(np.isfinite(np.asarray(reader.read(name))).all() for name in reader.names)
    bert = build_transformer_model(NAME, with_mlm=True)
    assert not bert.load_report.missing
    config = bert.config
    assert (config.num_hidden_layers, config.hidden_size, config.vocab_size) == (4, 256, 17000)
    assert config.pad_token_id == Tokenizer.from_pretrained(NAME).pad_token_id


def test_the_card_names_the_licence():
    card = (fetch(NAME) / "README.md").read_text(encoding="utf-8")
    assert card.startswith("---\n")
    for text in ("license: cc-by-sa-4.0", "creativecommons.org/licenses/by-sa/4.0", "CMRC 2018"):
        assert text in card


FOLDS = 5


def surprises(task: FillMask, texts: list[str]) -> np.ndarray:
    """Mean of -log p of the tokens of each text, of which a fifth at a time is masked."""
    tokenizer = task.tokenizer
    rows = [np.array(tokenizer.encode(text, maxlen=48)[0]) for text in texts]
    ids = sequence_padding(rows, value=tokenizer.pad_token_id)
    inside = np.arange(ids.shape[1]) < np.array([[len(row) - 1] for row in rows])
    inside[:, 0] = False
    found = np.full(ids.shape, np.nan)
    for fold in range(FOLDS):
        hidden = inside & (np.arange(ids.shape[1]) % FOLDS == fold)
        given = np.where(hidden, tokenizer.mask_token_id, ids)
        scores = task.model.predict([given, 0 * given], verbose=0)[hidden]
        logp = keras.ops.convert_to_numpy(keras.ops.log_softmax(scores))
        found[hidden] = -logp[np.arange(len(logp)), ids[hidden]]
    return np.nanmean(found, axis=1)


def mixed(texts: list[str], units: Callable[[str], list[str]], join: str) -> list[str]:
    """The texts with their words or characters in another order."""
    rng = np.random.default_rng(1)
    return [join.join(rng.permutation(units(text))) for text in texts]


def test_it_has_learned_two_languages():
    """Most texts surprise less than their words in another order; to mixed weights they do not."""
    texts = {
        name: (DATASETS / f"corpus_{name}.txt").read_text(encoding="utf-8").splitlines()[:60]
        for name in ("zh", "en")
    }
    others = {"zh": mixed(texts["zh"], list, ""), "en": mixed(texts["en"], str.split, " ")}
    task = FillMask.build(NAME)
    shares, means = zip(*(judge(task, texts[name], others[name]) for name in texts), strict=True)
    assert min(shares) > 0.7
    assert max(means) < np.log(17000) - 2
    rng = np.random.default_rng(0)
    for weight in task.model.weights:
        values = rng.permutation(keras.ops.convert_to_numpy(weight).ravel())
        weight.assign(values.reshape(weight.shape))
    shares, means = zip(*(judge(task, texts[name], others[name]) for name in texts), strict=True)
    assert max(shares) < 0.7
    assert min(means) > np.log(17000) - 0.5


def judge(task: FillMask, texts: list[str], others: list[str]) -> tuple[float, float]:
    """Share of the texts that surprise less than the others, and their mean surprise in nats."""
    first, second = surprises(task, texts), surprises(task, others)
    return float((first < second).mean()), float(first.mean())
