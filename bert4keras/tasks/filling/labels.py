"""Labels of masks: words given as text, as ids of single tokens."""

from __future__ import annotations

from collections.abc import Sequence

from ...tokenizers.base import TokenizerBase
from ...tokenizers.spans import Span
from ..base import TaskError


def label_ids(
    tokenizer: TokenizerBase, text: str, spans: Sequence[Span], label: str | Sequence[str]
) -> list[int]:
    """Return the token id of each label.

    Args:
        tokenizer: of the model.
        text: the text with masks.
        spans: their places.
        label: a text for one mask, or one for each.

    Raises:
        TaskError: another number of labels than masks; a label that is no single token.
    """
    labels = [label] if isinstance(label, str) else list(label)
    if len(labels) != len(spans):
        raise TaskError(f"{text!r:.60} has {len(spans)} masks, and {len(labels)} labels.")
    return [
        token_id(tokenizer, word, begins_word=start == 0 or text[start - 1].isspace())
        for word, (start, _) in zip(labels, spans, strict=True)
    ]


def token_id(tokenizer: TokenizerBase, word: str, begins_word: bool) -> int:
    """Return the id of a label: a word as text, or a token as the vocabulary spells it.

    Args:
        tokenizer: of the model.
        word: the label.
        begins_word: whether a blank is before the mask, which such a token may include.

    Raises:
        TaskError: it is several tokens, or an unknown one.
    """
    readings = [f" {word}", word] if begins_word else [word]
    for reading in readings:
        if not begins_word and word in tokenizer.vocab:
            break
        ids = _inner(tokenizer, reading)
        if len(ids) == 1 and ids[0] != tokenizer.unk_token_id:
            return ids[0]
    if word in tokenizer.vocab:
        return tokenizer.vocab[word]
    tokens = tokenizer.ids_to_tokens(_inner(tokenizer, word))
    raise TaskError(
        f"the label {word!r} is no single token, but {tokens}; write as many masks as it has "
        "tokens, and a label for each."
    )


def _inner(tokenizer: TokenizerBase, text: str) -> list[int]:
    """Return ids of a text without the special tokens around it."""
    head = int(tokenizer.pattern.startswith("S") and tokenizer.token_start is not None)
    tail = int(tokenizer.pattern.endswith("E") and tokenizer.token_end is not None)
    ids = tokenizer.encode(text)[0]
    return list(ids[head : len(ids) - tail])
