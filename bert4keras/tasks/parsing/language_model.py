"""Recurrent language models: embedding, recurrent layers, scores by the transposed embedding."""

from __future__ import annotations

from collections.abc import Sequence

import keras

from ...export import ExportedModel
from ...layers.embeddings import TokenEmbedding
from ...layers.masking import PaddingMask
from ...layers.on_lstm import ONLSTM, syntax_distances
from ...masks.base import input_layer_name


def recurrent_language_model(
    vocab_size: int,
    recurrent_layers: Sequence[keras.layers.RNN],
    embedding_size: int = 128,
    dropout: float = 0.2,
    pad_token_id: int = 0,
) -> keras.Model:
    """Build a language model: the output at a token scores the token after it.

    Args:
        vocab_size: number V of token ids.
        recurrent_layers: from the first to the last, whose output must have `embedding_size`
            units: the output matrix is the transposed embedding.
        embedding_size: size of the token vectors.
        dropout: rate on the token vectors and on the output of each layer.
        pad_token_id: token id of padding.

    Returns:
        A model from token ids, int (B, T), to logits (B, T, V).
    """
    token_ids = keras.Input((None,), dtype="int32", name=input_layer_name("token_ids"))
    embedding = TokenEmbedding(vocab_size, embedding_size, name="Embedding-Token")
    x = PaddingMask(pad_token_id, name="Padding-Mask")([embedding(token_ids), token_ids])
    x = keras.layers.Dropout(dropout, name="Embedding-Dropout")(x)
    for number, layer in enumerate(recurrent_layers):
        x = keras.tree.flatten(layer(x))[0]
        x = keras.layers.Dropout(dropout, name=f"Recurrent-{number}-Dropout")(x)
    return keras.Model(token_ids, embedding(x, reverse=True))


def on_lstm_language_model(
    vocab_size: int,
    hidden_size: int = 128,
    levels: int = 16,
    num_layers: int = 3,
    dropout: float = 0.2,
    recurrent_dropconnect: float = 0.25,
    pad_token_id: int = 0,
) -> keras.Model:
    """Build the language model of ON-LSTM; `distances_model` reads its syntax distances.

    Args:
        vocab_size, dropout, pad_token_id: of `recurrent_language_model`.
        hidden_size: units of each layer, and size of the token vectors.
        levels: of `ONLSTM`; `hidden_size` must be a multiple of it.
        num_layers: number of layers.
        recurrent_dropconnect: of `ONLSTM`.
    """
    layers = [
        ONLSTM(
            hidden_size,
            levels,
            recurrent_dropconnect,
            return_levels=True,
            return_sequences=True,
            name=f"Recurrent-{number}",
        )
        for number in range(num_layers)
    ]
    return recurrent_language_model(vocab_size, layers, hidden_size, dropout, pad_token_id)


def distances_model(model: keras.Model) -> keras.Model:
    """Return a model with the same inputs and weights whose output are syntax distances.

    Args:
        model: a functional model with L layers `ONLSTM(..., return_levels=True)`.

    Returns:
        A model with the output (B, T, L), one column per layer from the first on.

    Raises:
        ValueError: there is no such layer.
    """
    if isinstance(model, ExportedModel):  # which is that model
        return model
    layers = [x for x in model.layers if isinstance(x, ONLSTM) and x.return_levels]
    if not layers:
        raise ValueError(
            f"model {model.name!r} has no layer ONLSTM(..., return_levels=True), from which the "
            "syntax distances are read. Build it by on_lstm_language_model."
        )
    columns = [syntax_distances(layer.output[1]) for layer in layers]
    return keras.Model(model.input, keras.ops.stack(columns, axis=-1))
