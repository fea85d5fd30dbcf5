"""Options of 0.11 that have other names now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..config import ConfigError
from ..registry import get_family

# Options that the builder keeps, for `load_weights_from_checkpoint`.
_LOADING = ("keep_tokens", "compound_tokens", "ignore_invalid_weights", "autoresize_weights")
_HEADS = ("with_pool", "with_nsp", "with_mlm", "with_discriminator")
_OF_BUILD = ("layer_norm_cond", "additional_input_layers")
_DROPPED = ("name", "version", *_OF_BUILD)


def translate(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return keyword arguments of `build_transformer_model` without the names of 0.11.

    Args:
        options: keyword arguments; `final_activation` and `with_lm` mean `with_mlm`,
            `ignore_invalid_weights` a pattern of `ignore`, `sequence_length` a fixed length of the
            inputs; `version` follows from `model`.

    Raises:
        ConfigError: `attention_caches` is given.
    """
    new = dict(options)
    for name in ("final_activation", "with_lm"):
        if name in new:
            new.setdefault("with_mlm", new[name])
            del new[name]
    if new.pop("ignore_invalid_weights", False):
        new.setdefault("ignore", ("*",))
    if new.pop("attention_caches", None):
        raise ConfigError(
            "attention_caches is not part of this version: `Transformer.step` runs some rows of a "
            "text with the keys and values of earlier ones (bert4keras.generation does)."
        )
    new.pop("version", None)
    if length := new.pop("sequence_length", None):
        from .builder import old_form

        cls = old_form(get_family(new.get("model") or "bert").transformer)
        namespace = {"sequence_length": length, "form_of": cls.form_of}
        new["model"] = type(cls.__name__, (cls,), namespace)
    return new


def split_options(options: Mapping[str, Any]) -> tuple[dict, dict, dict, dict]:
    """Divide the arguments of a class of 0.11, such as `BERT(vocab_size=..., with_mlm=True)`.

    Returns:
        Values of the config, those of `PretrainingHeads`, attributes that loading needs, and other
        arguments of `Transformer`.
    """
    length = options.get("sequence_length")
    new = translate({**options, "sequence_length": None})
    new.pop("ignore", None)
    heads = {name: new.pop(name) for name in _HEADS if name in new}
    loading = {name: options[name] for name in _LOADING if name in options} | {
        "sequence_length": length
    }
    rest = {name: new.pop(name) for name in ("prefix", "layers", "application") if name in new}
    rest = {name: value for name, value in rest.items() if value is not None}
    values = {name: value for name, value in new.items() if name not in (*_LOADING, *_DROPPED)}
    kept, added = options.get("keep_tokens"), options.get("compound_tokens")
    if kept is not None:
        values["vocab_size"] = len(kept)
    values["vocab_size"] += len(added or ())
    return values, heads, loading, rest
