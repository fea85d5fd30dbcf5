"""The model of a sentence autoencoder: encoder, bottleneck, conditional decoder.

h = mean of the encoder's vectors, (B, D)
z ~ q(z | x), made of h by the bottleneck, (B, Z)
log p(x | z): a language model whose norms all have z as their condition
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import keras

from ...latent import Bottleneck
from ...latent.bottleneck import BOTTLENECKS
from ...layers import MaskedMeanPooling
from ...masks.base import input_layer_name
from ...models import Backbone, build_transformer_model
from ...tokenizers import Tokenizer, used_tokens
from ...tokenizers.base import TokenizerBase
from ..base import TaskError
from ..pretrained import locate, open_encoder
from .layers import WordDropout


def get_bottleneck(latent: str | Bottleneck) -> Bottleneck:
    """Return a bottleneck by name, with its defaults, or the given one.

    Raises:
        TaskError: an unknown name.
    """
    if isinstance(latent, Bottleneck):
        return latent
    if latent not in BOTTLENECKS:
        raise TaskError(
            f"latent={latent!r:.50} must be one of {', '.join(BOTTLENECKS)}, or a layer such as "
            "bert4keras.latent.GaussianBottleneck(size=16)."
        )
    return BOTTLENECKS[latent]()


def open_pair(
    checkpoint: str | Path | Backbone,
    size: int,
    texts: Iterable[str] | None,
    tokenizer: TokenizerBase | None,
    decoder: Backbone | None,
    options: Mapping[str, Any],
) -> tuple[TokenizerBase, Backbone, Backbone]:
    """Return tokenizer, encoder and decoder.

    Args:
        checkpoint, texts, tokenizer, decoder, options: as in `SentenceAutoencoder.build`.
        size: Z.
    """
    writing: dict[str, Any] = {"application": "lm", "with_mlm": "linear", "layer_norm_cond": size}
    if isinstance(checkpoint, Backbone):
        tokenizer, encoder = open_encoder(checkpoint, tokenizer)
        if decoder is None:
            decoder = build_transformer_model(encoder.config, **writing, name="Decoder")
        return tokenizer, encoder, decoder
    directory, options = locate(checkpoint), dict(options)
    if texts is not None:
        keep = used_tokens(
            tokenizer or Tokenizer.from_pretrained(directory), texts, characters=False
        )
        tokenizer = Tokenizer.from_pretrained(directory, keep_tokens=keep)
        options["keep_tokens"] = keep
    tokenizer, encoder = open_encoder(directory, tokenizer, options)
    if decoder is None:
        writing |= {"pad_token_id": encoder.config.pad_token_id, "ignore": ("MLM-*",)}
        decoder = build_transformer_model(directory, **{**writing, **options}, name="Decoder")
    return tokenizer, encoder, decoder


def autoencoder(
    encoder: Backbone,
    bottleneck: Bottleneck,
    decoder: Backbone,
    tokenizer: TokenizerBase,
    word_dropout: float = 0.0,
) -> keras.Model:
    """Return the model from a text's ids to the logits of its next tokens, (B, T, V).

    Raises:
        TaskError: encoder or decoder cannot be used as such.
    """
    check_decoder(decoder, bottleneck.size)
    given = {tensor.name: tensor for tensor in encoder.inputs}
    tokens = given.get(input_layer_name("token_ids"))
    if tokens is None or len(encoder.outputs) != 1 or encoder.output.shape[-1] is None:
        raise TaskError("the encoder must read token ids and return one vector for each token.")
    if encoder.config.vocab_size != decoder.config.vocab_size:
        raise TaskError(
            f"the encoder has {encoder.config.vocab_size} tokens and the decoder "
            f"{decoder.config.vocab_size}; both read the ids of one tokenizer."
        )
    special = (tokenizer.token_pad, tokenizer.token_start, tokenizer.token_end)
    kept = sorted({tokenizer.vocab[token] for token in special if token in tokenizer.vocab})
    masked = tokenizer.vocab.get(tokenizer.token_mask, tokenizer.vocab.get(tokenizer.token_unk))
    if word_dropout and masked is None:
        raise TaskError("word_dropout needs a tokenizer with a mask or an unknown token.")
    drop = WordDropout(word_dropout, masked or 0, kept, name="Word-Dropout")
    h = MaskedMeanPooling(name="Pooling")(encoder.output)
    z, _ = bottleneck(h)
    known = {"token_ids": drop(tokens), "condition": z}
    for name in decoder.input_order:
        known.setdefault(name, given.get(input_layer_name(name)))
    missing = [name for name in decoder.input_order if known[name] is None]
    if missing:
        raise TaskError(f"the decoder needs {', '.join(missing)}, which the encoder does not read.")
    return keras.Model(encoder.inputs, decoder([known[name] for name in decoder.input_order]))


def check_decoder(decoder: Backbone, size: int) -> None:
    """Raise if the decoder is no language model with a condition of this size."""
    transformer = decoder.transformer
    heads, width = transformer.pretraining_heads, decoder.config.layer_norm_cond
    fits = heads.gives_logits and len(decoder.outputs) == 1 and transformer.mask.is_causal
    if not fits or transformer.is_encoder_decoder or width != size:
        raise TaskError(
            f"the decoder must be a language model with a condition of {size} numbers (this one "
            f"takes {width or 'none'}): build_transformer_model(..., application='lm', "
            f"with_mlm='linear', layer_norm_cond={size})."
        )
