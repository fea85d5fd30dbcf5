"""A vocabulary from a corpus, and new tokens for a checkpoint's tokenizer."""

from __future__ import annotations

import numpy as np
import pytest

from bert4keras import Tokenizer, build_transformer_model
from bert4keras.pretraining.vocabulary import train_wordpiece, with_new_tokens

pytestmark = pytest.mark.spread


def test_vocabulary_from_texts():
    tokenizer = train_wordpiece(["Hello hello hello", "你好 hello"] * 2, 60)
    assert tokenizer.tokenize("HELLO 你") == ["[CLS]", "hello", "你", "[SEP]"]
    assert tokenizer.token_pad_id == 0
    assert tokenizer.mask_token_id is not None
    assert "A" in train_wordpiece(["Aa"] * 4, 60, do_lower_case=False).vocab
    assert "A" not in train_wordpiece(["Aa"] * 4, 60).vocab
    with pytest.raises(ValueError, match=r"no character occurs twice in the 1 text\(s\)"):
        train_wordpiece(["abc"], 60)


@pytest.mark.parametrize("name", ["tokenizers/roberta_json", "bert_gelu"])
def test_new_tokens(name, tmp_path):
    directory = f"tests/fixtures/{name}"
    if name == "bert_gelu":  # has no vocabulary
        tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *map(chr, range(97, 123))]
        Tokenizer([*tokens, *(f"##{c}" for c in tokens[5:])]).save(tmp_path / "t")
        directory = tmp_path / "t"
    old = Tokenizer.from_pretrained(directory)
    tokenizer, parts = with_new_tokens(directory, ["covid", "covid ", "[MASK]", "<mask>"][:3])
    fresh = [token for token in ("covid", "[MASK]") if token not in old.vocab]
    assert tokenizer.vocab_size == old.vocab_size + len(fresh)
    assert parts[0] == old.encode("covid", pattern="**")[0]
    assert tokenizer.encode("a covid", pattern="**")[0][-1] == tokenizer.token_to_id("covid")
    tokenizer.save(tmp_path / "new")
    again = Tokenizer.from_pretrained(tmp_path / "new")
    assert again.encode("a covid") == tokenizer.encode("a covid")


def test_vectors_of_new_tokens_are_means():
    model = build_transformer_model("tests/fixtures/bert_gelu")
    more = build_transformer_model("tests/fixtures/bert_gelu", compound_tokens=[[5, 6]])
    before, after = (m.get_layer("Embedding-Token").get_weights()[0] for m in (model, more))
    np.testing.assert_allclose(after[-1], (before[5] + before[6]) / 2, atol=1e-6)


def test_errors(tmp_path):
    with pytest.raises(ValueError, match="tokens cannot be added to a SentencePiece model"):
        with_new_tokens("tests/fixtures/tokenizers/xlm_roberta", ["covid"])
    with pytest.raises(ValueError, match="a new token is empty"):
        with_new_tokens("tests/fixtures/tokenizers/roberta_json", [" "])
