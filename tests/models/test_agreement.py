"""Model, tokenizer and a reduced vocabulary speak of the same padding."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from bert4keras.checkpoints.errors import CheckpointError
from bert4keras.config import ConfigError
from bert4keras.models import build_transformer_model
from bert4keras.models.agreement import check_tokenizer
from helpers import tiny

pytestmark = pytest.mark.spread

SIZES = {**tiny.SIZES, "model_type": "bert"}
XLM_R = {
    "model": {"type": "Unigram", "vocab": [["<s>", 0.0], ["<pad>", 0.0], ["</s>", 0.0]]},
    "added_tokens": [{"id": 1, "content": "<pad>"}, {"id": 3, "content": "<mask>"}],
}
NAMED = {"pad_token": {"content": "<pad>"}}


def directory(path: Path, config=(), **files) -> Path:
    """A checkpoint without weights; a file's name has __ where a point is."""
    path.mkdir(exist_ok=True)
    files = {"config__json": {**SIZES, **dict(config)}, **files}
    for name, content in files.items():
        text = content if isinstance(content, str) else json.dumps(content)
        (path / name.replace("__", ".")).write_text(text, encoding="utf-8")
    return path


def check(path, pad=0, given=False, **sizes):
    check_tokenizer(path, tiny.config(pad_token_id=pad, **sizes), given)


def test_a_padding_that_the_model_would_read_is_refused(tmp_path):
    """multilingual-e5-small: config.json says 0, its tokenizer 1."""
    path = directory(tmp_path / "e5", tokenizer__json=XLM_R, special_tokens_map__json=NAMED)
    message = r"`pad_token_id` is 0, but the tokenizer.* pads with <pad> of id 1.*pad_token_id=1\)"
    with pytest.raises(ConfigError, match=message):
        build_transformer_model(path)


def test_the_way_out_works(fixtures, tmp_path):
    path = tmp_path / "e5"
    shutil.copytree(fixtures / "bert_gelu", path)
    (path / "vocab.txt").unlink(missing_ok=True)
    for name, content in (("tokenizer.json", XLM_R), ("tokenizer_config.json", NAMED)):
        text = content if isinstance(content, str) else json.dumps(content)
        (path / name).write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match="id 1"):
        build_transformer_model(path)
    assert build_transformer_model(path, pad_token_id=1).config.pad_token_id == 1


@pytest.mark.parametrize(
    "files",
    [
        {"tokenizer__json": {**XLM_R, "padding": {"pad_token": "<pad>"}}},
        {"vocab__txt": "[UNK]\n[PAD]\n"},
        {"vocab__json": {"<s>": 0, "<pad>": 1}, "tokenizer_config__json": {"pad_token": "<pad>"}},
        {
            "vocab__txt": "a\nb\n",
            "added_tokens__json": {"<pad>": 2},
            "special_tokens_map__json": NAMED,
        },
        {
            "vocab__txt": "a\nb\n",
            "tokenizer_config__json": {**NAMED, "added_tokens_decoder": {"2": NAMED["pad_token"]}},
        },
    ],
)
def test_every_kind_of_file_is_read(files, tmp_path):
    path = directory(tmp_path / "d", **files)
    with pytest.raises(ConfigError, match=r"`pad_token_id` is 0.*pad_token_id=(1|2)\)"):
        check(path)
    check(path, given=True)
    check(path, pad=None)
    with pytest.raises(ConfigError, match="more than the 1 rows"):
        check(path, pad=None, vocab_size=1)


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"tokenizer__json": XLM_R},
        {"vocab__txt": "[PAD]\n[UNK]\n"},
        {"vocab__txt": "a\nb\n"},
        {"vocab__txt": ""},
        {"tokenizer__json": "{" * 9},
        {"tokenizer__json": "[" * 100000},
        {"tokenizer__json": {"model": 3, "added_tokens": [4, {"id": "x"}], "padding": []}},
        {"tokenizer__json": {"model": {"vocab": [3, [], [4]]}}, "added_tokens__json": "[]"},
        {"vocab__json": {"a": "b"}, "tokenizer_config__json": {"added_tokens_decoder": [1]}},
    ],
)
def test_what_says_nothing_raises_nothing(files, tmp_path):
    check(directory(tmp_path / "d", **files))
    check(None)


@pytest.mark.filterwarnings("ignore:config keys kept")
def test_ids_of_tokens_move_with_the_tokens():
    ids = {"eos_token_id": [5, 6], "bos_token_id": None, "decoder_start_token_id": 9}
    config = {**SIZES, "pad_token_id": 7, **ids, "mask_token_id": -1}
    kept = build_transformer_model(config, keep_tokens=[9, 5, 7, 6]).config
    assert kept.pad_token_id == 2
    assert kept.vocab_size == 4
    found = {key: kept.extra[key] for key in (*ids, "mask_token_id")}
    assert found == {
        "eos_token_id": [1, 3],
        "bos_token_id": None,
        "decoder_start_token_id": 0,
        "mask_token_id": -1,
    }


@pytest.mark.parametrize("key", ["pad_token_id", "sep_token_id"])
def test_a_token_that_is_needed_is_not_left_out(key):
    config = {**SIZES, "pad_token_id": 0, key: 9}
    with pytest.raises(
        CheckpointError, match=rf"leaves out token 9, which is the config's `{key}`"
    ):
        build_transformer_model(config, keep_tokens=[0, 4, 5])
