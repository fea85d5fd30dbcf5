"""What the tokenizers made with the Rust library share."""

from __future__ import annotations

import tokenizers as rust


def encode_all(
    tokenizer: rust.Tokenizer, texts: list[str], offsets: bool = True
) -> list[rust.Encoding]:
    """Encodings of texts without special tokens; on all cores if there are several."""
    if len(texts) == 1:
        return [tokenizer.encode(texts[0], add_special_tokens=False)]
    batch = tokenizer.encode_batch if offsets else tokenizer.encode_batch_fast
    return batch(texts, add_special_tokens=False)
