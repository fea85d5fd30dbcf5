from __future__ import annotations

import pytest

from bert4keras.tasks import TextClassifier, from_scratch, load

TEXTS = ["王明在北京，2023年。", "abc王北年。Ab", "在，23abc明京"]


def test_characters_become_the_vocabulary(tmp_path):
    bert, tokenizer = from_scratch(TEXTS, hidden_size=16, maxlen=64, num_attention_heads=2)
    # Inside of words, digits and letters are pieces; what occurs once is unknown.
    ids, _ = tokenizer.encode("王明 2AB0x")
    pieces = tokenizer.ids_to_tokens(ids)
    assert pieces == ["[CLS]", "王", "明", "[UNK]", "[SEP]"]
    assert tokenizer.tokenize("23ab") == ["[CLS]", "2", "##3", "##a", "##b", "[SEP]"]
    assert bert.config.vocab_size == tokenizer.vocab_size
    task = TextClassifier.build(bert, tokenizer=tokenizer, labels=["a", "b"])
    task.save(tmp_path / "task")
    assert load(tmp_path / "task")(TEXTS[0]).scores == pytest.approx(task(TEXTS[0]).scores)


def test_too_few_characters():
    with pytest.raises(ValueError, match="no character of the texts occurs 2 times"):
        from_scratch(["abc"])
