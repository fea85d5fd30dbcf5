"""What models read where a script trains on little text: its characters, or the tokens it needs."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import keras

from bert4keras.config import TransformerConfig
from bert4keras.models import Backbone, build_transformer_model
from bert4keras.tokenizers import Tokenizer

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
SIZES = {
    "hidden_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 512,
}


def tokenizer_of(texts: Iterable[str], special: Iterable[str] = SPECIAL) -> Tokenizer:
    """The characters of texts as tokens; a word of Latin letters is spelt: w ##o ##r ##d."""
    used = sorted(set("".join(texts).lower()) - set(" \t\u3000"))
    inner = ["##" + char for char in used if char.isascii() and char.isalnum()]
    return Tokenizer([*special, *used, *inner], do_lower_case=True)


def small_bert(vocab_size: int, application: str = "unilm", model: str = "bert", **sizes):
    """A small model with random weights and the scores of all tokens.

    Args:
        model: "bert", or a family that differs from it in how it knows positions ("roformer").
        sizes: fields of `TransformerConfig`, in place of `SIZES`.
    """
    sizes = {**SIZES, "max_position": 512, "initializer_range": 0.05, **sizes}
    config = TransformerConfig(vocab_size=vocab_size, model_type=model, **sizes)
    return build_transformer_model(config, application=application, with_mlm="linear")


def begin_alike(model: Backbone) -> None:
    """Let a token attend to its like from the start, and its value come out as it went in.

    Keys get the weights of the queries, and the output layer the inverse of that of the values.
    To find what two texts share, and to copy it, takes a random start much longer to learn.

    Source: after Trockman and Kolter, Mimetic Initialization of Self-Attention Layers, 2023
    (arXiv:2305.09828).
    """
    draws = [keras.initializers.Orthogonal(seed=seed) for seed in (1, 2)]
    for layer in model.layers:
        if layer.name.endswith("MultiHeadSelfAttention"):
            query, value = (
                keras.ops.convert_to_numpy(draw(layer.query.kernel.shape)) for draw in draws
            )
            layer.query.kernel.assign(query)
            layer.key.kernel.assign(query)
            layer.value.kernel.assign(value)
            layer.output_projection.kernel.assign(value.T)


def pretrained(
    directory: Path, texts: Iterable[str], application: str = "encoder", **options
) -> tuple[Backbone, Tokenizer]:
    """A pretrained model and its tokenizer with special tokens and those of the texts alone.

    Args:
        options: of `build_transformer_model`.
    """
    tokenizer = Tokenizer.from_pretrained(directory)
    names = ("pad", "unk", "start", "end", "mask")
    special = {getattr(tokenizer, f"token_{name}") for name in names} & set(tokenizer.vocab)
    keep = set(tokenizer.tokens_to_ids(special))
    keep = sorted(keep.union(*tokenizer.encode_batch(list(texts))[0]))
    print(f"{len(keep)} of {tokenizer.vocab_size} tokens kept")
    options = {"with_mlm": "linear", "keep_tokens": keep, **options}
    model = build_transformer_model(directory, application=application, **options)
    return model, Tokenizer.from_pretrained(directory, keep_tokens=keep)
