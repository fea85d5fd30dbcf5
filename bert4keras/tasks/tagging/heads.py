"""Heads of a tagger: names, construction, and the head of a given model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras

from ...export import ExportedModel
from ...tokenizers.base import TokenizerBase
from ..base import TaskError
from ..huggingface import build_with_head
from ..pretrained import open_encoder
from .chain_decoding import stored_head
from .crf import ConditionalRandomField
from .global_pointer import EfficientGlobalPointer, GlobalPointer
from .memm import MaximumEntropyMarkovModel
from .schemes import allowed_transitions
from .sequence_labelling import SequenceLabelling

POINTERS = {
    "global-pointer": GlobalPointer,
    "efficient-global-pointer": EfficientGlobalPointer,
}
TAGGER_HEADS = ("softmax", "crf", "memm", "bi-memm", *POINTERS)


def check_head(head: str) -> None:
    """Check the name of a head.

    Raises:
        TaskError: an unknown name; the message lists the known ones.
    """
    if head not in TAGGER_HEADS:
        raise TaskError(f"head={head!r} must be one of {', '.join(TAGGER_HEADS)}.")


def build_tagger(
    checkpoint: Any,
    head: str,
    tags: Sequence[str],
    scheme: str,
    dropout: float,
    tokenizer: TokenizerBase | None,
    head_options: Mapping[str, Any],
    options: Mapping[str, Any],
) -> tuple[TokenizerBase, keras.Model, dict[str, Any]]:
    """Build a model: pretrained encoder, dense layer of one score per tag, head.

    Args:
        checkpoint: of `open_encoder`.
        head: "softmax", "crf", "memm" or "bi-memm".
        tags: all tags, in the order of their ids.
        scheme: scheme of the tags.
        dropout: rate before the dense layer.
        tokenizer: required with a `Backbone`; otherwise replaces the checkpoint's own.
        head_options: options of the head layer.
        options: of `build_transformer_model`.

    Returns:
        (tokenizer, model, config of the encoder), as `build_with_head`.
    """
    tokenizer, model, config = build_with_head(
        checkpoint, "token", len(tags), dropout, tokenizer, options
    )
    if head == "softmax":
        return tokenizer, model, config
    # Transitions begin at 0 and need a higher learning rate: https://kexue.fm/archives/7196.
    defaults = {"lr_multiplier": 100.0, "allowed": allowed_transitions(tags, scheme)}
    if head == "crf":
        layer = ConditionalRandomField(**{**defaults, "name": "CRF", **head_options})
    else:
        defaults |= {"bidirectional": head == "bi-memm", "name": "MEMM"}
        layer = MaximumEntropyMarkovModel(**{**defaults, **head_options})
    return tokenizer, keras.Model(model.input, layer(model.output)), config


def build_pointer(
    checkpoint: Any,
    head: str,
    labels: Sequence[str],
    dropout: float,
    tokenizer: TokenizerBase | None,
    head_options: Mapping[str, Any],
    options: Mapping[str, Any],
) -> tuple[TokenizerBase, keras.Model, dict[str, Any]]:
    """Build a model: pretrained encoder and GlobalPointer; arguments as of `build_tagger`."""
    tokenizer, bert = open_encoder(checkpoint, tokenizer, options)
    layer = POINTERS[head](
        **{"heads": len(labels), "head_size": 64, "name": "Spans", **head_options}
    )
    x = keras.layers.Dropout(dropout, name="Spans-Dropout")(bert.output)
    return tokenizer, keras.Model(bert.input, layer(x)), bert.config.to_json_dict()


def find_head(model: keras.Model) -> Any:
    """Return the head layer of a model, or its stand-in; None for a softmax, which needs no layer.

    Raises:
        TaskError: the model has several heads.
    """
    if isinstance(model, ExportedModel):
        return stored_head(model.facts["head"], model.facts.get("transitions"))
    heads = [x for x in model.layers if isinstance(x, (SequenceLabelling, GlobalPointer))]
    if len(heads) > 1:
        raise TaskError(
            f"the model has {len(heads)} heads ({', '.join(x.name for x in heads)}); a tagger "
            "reads one. Make a model that ends in one of them."
        )
    return heads[0] if heads else None
