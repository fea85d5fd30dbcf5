"""The config of a model: a frozen dataclass, read from any known json layout."""

from __future__ import annotations

import contextlib
import dataclasses
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

from . import _json
from ._json import short_repr
from ._keys import IGNORED_KEYS, REASONS, UNSUPPORTED
from ._schema import (
    ACTIVATION_ALIASES,
    Activation,
    Count,
    Mixture,
    Only,
    Positive,
    Rate,
    Size,
    Spread,
    TokenId,
    field_types,
    plain,
    problem,
)

# Key of Google, Hugging Face or bert4keras 0.11 -> field; a family may add its own (`aliases`).
_ALIASES = {
    "max_position_embeddings": "max_position",
    "type_vocab_size": "segment_vocab_size",
    "hidden_dropout_prob": "dropout_rate",
    "attention_probs_dropout_prob": "attention_dropout_rate",
    "layer_norm_eps": "norm_epsilon",
}

_MAX_CONFIG_BYTES = 16 << 20  # of a config; one with a name for each of 100,000 labels has 8 MB


class ConfigError(ValueError):
    """A config that describes no model; the message names the wrong key."""


@dataclasses.dataclass(frozen=True)
class TransformerConfig:
    """Sizes and options of a Transformer encoder.

    Change a value with `dataclasses.replace(config, dropout_rate=0.3)`. That keeps sizes derived
    from other ones; to change a size use `from_dict(config.to_dict(), hidden_size=256)`.

    Attributes:
        vocab_size: rows of the token embedding, V.
        hidden_size: width of the residual stream, D.
        num_hidden_layers: number of blocks, L.
        num_attention_heads: heads per block, N.
        intermediate_size: inner width of the feed-forward layer.
        hidden_act: `"gelu"` (exact, erf), `"gelu_tanh"`, or any Keras activation name.
        max_position: number of learned positions.
        segment_vocab_size: rows of the segment embedding; 0 drops the segment input.
        embedding_size: width of the embeddings when factorised; None means `hidden_size`.
        attention_head_size: width of a head; None means `hidden_size // num_attention_heads`.
        attention_key_size: width of queries and keys; None means `attention_head_size`.
        dropout_rate: rate after embeddings and after each sub-block.
        attention_dropout_rate: rate on attention probabilities.
        initializer_range: standard deviation of the truncated normal that starts the weights.
        norm_epsilon: epsilon of every LayerNorm.
        pad_token_id: token id of padding; None means that there is none.
        residual_attention_scores: add each block's attention scores to the next one's (RealFormer,
            arXiv:2012.11747).
        hierarchical_position: compute the embedding of position `i max_position + j` as
            `a u_i + (1 - a) u_j`, from vectors u of the learned table; the number is a, True means
            0.4.
        shared_segment_embeddings: look segment ids up in the token embedding.
        custom_position_ids: take positions from an input `Input-Position`.
        layer_norm_cond: width of a vector per text, from an input `Input-Condition`, that shifts
            and scales every LayerNorm (conditional layer normalization).
        layer_norm_cond_hidden_size: width of a dense layer between the condition and the norms.
        layer_norm_cond_hidden_act: activation of that dense layer.
        remat: recompute the blocks in the backward pass instead of storing their activations.
        model_type: family name, see `bert4keras.models.register_model`.
        extra: keys of the source json that are not used, kept for the round trip.

    Raises:
        ConfigError: a size that is missing, not a positive integer, or does not fit another.
    """

    vocab_size: Size = None
    hidden_size: Size = None
    num_hidden_layers: Size = None
    num_attention_heads: Size = None
    intermediate_size: Size = None
    hidden_act: Activation = "gelu"
    max_position: Size = 512
    segment_vocab_size: Count = 2
    embedding_size: Size | None = None
    attention_head_size: Size | None = None
    attention_key_size: Size | None = None
    dropout_rate: Rate = 0.1
    attention_dropout_rate: Rate = 0.1
    initializer_range: Spread = 0.02
    norm_epsilon: Positive = 1e-12
    pad_token_id: TokenId | None = 0
    residual_attention_scores: bool = False
    hierarchical_position: Mixture | bool | None = None
    shared_segment_embeddings: bool = False
    custom_position_ids: bool = False
    layer_norm_cond: Size | None = None
    layer_norm_cond_hidden_size: Size | None = None
    layer_norm_cond_hidden_act: Activation = "linear"
    remat: bool = False
    model_type: str = "bert"
    extra: Mapping[str, Any] = dataclasses.field(default_factory=dict, compare=False)

    # Of a family's json, on top of `_ALIASES` and the tables in `_keys`: aliases of fields,
    # keys that change nothing, and values that ask for another function. `private_fields` are
    # unknown to other programs, and written to a json only where they are used.
    aliases: ClassVar[Mapping[str, str]] = {}
    ignored_keys: ClassVar[frozenset[str]] = frozenset()
    unsupported: ClassVar[Mapping[str, Callable[[Any], bool]]] = {}
    reads_is_decoder: ClassVar[bool] = True  # its `is_decoder` means a causal mask
    export_as: ClassVar[str | None] = None  # `model_type` for other programs, where it differs
    private_fields: ClassVar[frozenset[str]] = frozenset(
        """residual_attention_scores hierarchical_position shared_segment_embeddings
        custom_position_ids layer_norm_cond layer_norm_cond_hidden_size layer_norm_cond_hidden_act
        remat""".split()
    )

    def __post_init__(self):
        set_field = object.__setattr__  # the dataclass is frozen only once it is complete
        sizes = ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads")
        for key in (*sizes, "intermediate_size", "max_position"):
            if getattr(self, key) is None:
                raise ConfigError(
                    f"config has no `{key}`. Add it to the json, or pass "
                    f"`{key}=...` to build_transformer_model."
                )
        for field in dataclasses.fields(self):
            value = plain(getattr(self, field.name))
            self.check(field.name, value)
            set_field(self, field.name, value)
        set_field(self, "hidden_act", ACTIVATION_ALIASES.get(self.hidden_act, self.hidden_act))
        if self.embedding_size is None:
            set_field(self, "embedding_size", self.hidden_size)
        if self.attention_head_size is None:
            if self.hidden_size % self.num_attention_heads:
                raise ConfigError(
                    f"config `hidden_size` {self.hidden_size} is not divisible by "
                    f"`num_attention_heads` {self.num_attention_heads}. Correct one of them, "
                    "or state `attention_head_size`."
                )
            set_field(self, "attention_head_size", self.hidden_size // self.num_attention_heads)
        if self.attention_key_size is None:
            set_field(self, "attention_key_size", self.attention_head_size)
        if isinstance(self.hierarchical_position, bool):
            set_field(self, "hierarchical_position", 0.4 if self.hierarchical_position else None)
        # A family's default may lie outside a tiny vocabulary; only a stated id is checked.
        stated = self.pad_token_id != type(self).pad_token_id
        if stated and (self.pad_token_id or 0) >= self.vocab_size:
            raise ConfigError(
                f"config `pad_token_id` {self.pad_token_id} is not in the vocabulary of "
                f"{self.vocab_size} tokens (`vocab_size`). Give an id from 0 to "
                f"{self.vocab_size - 1}."
            )

    @classmethod
    def check(cls, key: str, value: object, field: str | None = None) -> None:
        """Check a value against the annotation of a field.

        Args:
            key: name of the value in messages.
            value: the value.
            field: name of the field; None means `key`.

        Raises:
            ConfigError: another type or range; names the key, the value and the allowed values.
        """
        config_class: type = cls
        wanted = problem(field_types(config_class).get(field or key, Any), value)
        if wanted:
            raise ConfigError(f"config `{key}` must be {wanted}, not {short_repr(value)}.")

    def require_even_keys(self) -> None:
        """Refuse an odd key width: rotary positions turn pairs of coordinates.

        Raises:
            ConfigError: `attention_key_size` is odd.
        """
        if self.attention_key_size % 2:
            raise ConfigError(
                f"config `attention_key_size` {self.attention_key_size} (usually `hidden_size` / "
                "`num_attention_heads`) must be even: rotary positions turn pairs of coordinates."
            )

    @property
    def exported_model_type(self) -> str:
        """`model_type` in a json for other libraries."""
        return self.export_as or self.model_type

    @property
    def causal(self) -> bool:
        """True if the json asks for a causal mask (`is_decoder`) that the family does not have."""
        return self.reads_is_decoder and bool(self.extra.get("is_decoder"))

    @classmethod
    def fields(cls) -> tuple[str, ...]:
        """Return the names of the fields that a json key may fill."""
        return tuple(f.name for f in dataclasses.fields(cls) if f.name != "extra")

    @classmethod
    def all_aliases(cls) -> dict[str, str]:
        """Return json key -> field, for the keys that have another name than their field."""
        return {**_ALIASES, **cls.aliases}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], **overrides: Any) -> TransformerConfig:
        """Build a config from Google, Hugging Face or bert4keras keys.

        Args:
            values: the parsed json. Keys that are no fields go to `extra`; unknown ones are named
                in a warning, and those that ask for another model are refused, see `_keys`.
            **overrides: fields (either spelling) that replace those in `values`; None is ignored.

        Returns:
            A checked `TransformerConfig`.

        Raises:
            ConfigError: an override that is no field, a value of another type or range, two keys
                that contradict each other, an unsupported model, or values that do not fit
                together.
        """
        cls.check_overrides(overrides)
        own = "extra" in values  # written by `to_dict`, where None is a value
        extra = values["extra"] if own else {}
        cls.check("extra", extra)
        for key in (key for key in (*values, *extra) if not isinstance(key, str)):
            raise ConfigError(f"config keys must be strings, not {short_repr(key)}.")
        fields, extra = {}, dict(extra)
        aliases, known, stated = cls.all_aliases(), set(cls.fields()), {}
        for key, value in values.items():
            name = aliases.get(key, key)
            if name not in known:
                extra.update({key: value} if key != "extra" else {})
            elif value is not None or own:
                cls.check(key, value, name)
                _require_agreement(key, value, stated.setdefault(name, (key, value)))
                fields[name] = value
        cls._check_extra(extra, warn=not own)
        fields |= {aliases.get(k, k): value for k, value in overrides.items() if value is not None}
        return cls(**fields, extra=extra)

    @classmethod
    def check_overrides(cls, overrides: Mapping[str, Any]) -> None:
        """Check the overrides of `from_dict`.

        Raises:
            ConfigError: an option that is no field, or a value of another type or range.
        """
        known, aliases = cls.fields(), cls.all_aliases()
        for key, value in overrides.items():
            if aliases.get(key, key) not in known:
                raise ConfigError(
                    f"unknown option `{key}`. Known config fields: {', '.join(sorted(known))}."
                )
            if value is not None:
                cls.check(key, value, aliases.get(key, key))

    @classmethod
    def _check_extra(cls, extra: Mapping[str, Any], warn: bool) -> None:
        """Refuse values that ask for another model, and warn of unknown keys."""
        unsupported = {**UNSUPPORTED, **cls.unsupported}
        for key, is_refused in unsupported.items():
            value = extra.get(key)
            if value is None or not is_refused(value):
                continue
            reason = REASONS.get(key, "that is another model than the one built here")
            allowed = is_refused.allowed if isinstance(is_refused, Only) else ()
            if allowed:
                reason += f"; allowed is {' or '.join(map(short_repr, allowed))}"
            raise ConfigError(f"config `{key}={short_repr(value)}` is not supported: {reason}.")
        unknown = sorted(set(extra) - IGNORED_KEYS - unsupported.keys() - cls.ignored_keys)
        if unknown and warn:
            names = [
                key if key.isprintable() and len(key) <= 80 else short_repr(key) for key in unknown
            ]
            more = f" and {len(names) - 20} more" if len(names) > 20 else ""
            text = f"config keys kept but not used: {', '.join(names[:20])}{more}"
            warnings.warn(text, stacklevel=3)

    @classmethod
    def from_file(cls, path: str | Path, **overrides: Any) -> TransformerConfig:
        """Read a json file; `overrides` as for `from_dict`.

        Raises:
            FileNotFoundError: the file does not exist.
            ConfigError: the file is not a json object, or its values do not fit; names the file.
        """
        cls.check_overrides(overrides)
        with errors_from(path):
            return cls.from_dict(read_config_json(path), **overrides)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain values, with `extra`.

        A size derived from another one is None, so that it follows an override of that one.
        """
        values = {**dataclasses.asdict(self), "extra": dict(self.extra)}
        if self.embedding_size == self.hidden_size:
            values["embedding_size"] = None
        if self.attention_head_size * self.num_attention_heads == self.hidden_size:
            values["attention_head_size"] = None
        if self.attention_key_size == self.attention_head_size:
            values["attention_key_size"] = None
        return values

    def to_json_dict(self) -> dict[str, Any]:
        """Return the config under the keys that published files of the family use.

        Sizes derived from others are left out, and so are `private_fields` with default values.
        """
        options = {
            f.name: f.default for f in dataclasses.fields(self) if f.name in self.private_fields
        }
        values = {key: value for key, value in self.to_dict().items() if key != "extra"}
        for key in ("embedding_size", "attention_key_size"):
            if getattr(type(self), key) is not None:  # None would be read as the family's default
                values[key] = getattr(self, key)
        values = {
            key: value
            for key, value in values.items()
            if value is not None and not (key in options and value == options[key])
        }
        aliases = {field: key for key, field in self.all_aliases().items()}
        out = {aliases.get(key, key): value for key, value in values.items()}
        if self.hidden_act == "gelu_tanh":
            out[aliases.get("hidden_act", "hidden_act")] = "gelu_new"
        out["model_type"] = self.exported_model_type
        return {**self.extra, **out}


def _require_agreement(key: str, value: Any, first: tuple[str, Any]) -> None:
    """Refuse two keys of one field whose values differ."""
    pair = [ACTIVATION_ALIASES.get(v, v) if isinstance(v, str) else v for v in (value, first[1])]
    if pair[0] != pair[1]:
        raise ConfigError(
            f"config `{first[0]}={short_repr(first[1])}` and `{key}={short_repr(value)}` mean the "
            "same field and differ. Delete the wrong one."
        )


@contextlib.contextmanager
def errors_from(source: str | Path | None) -> Iterator[None]:
    """Prefix the message of a `ConfigError` with the file that was read; None adds nothing."""
    try:
        yield
    except ConfigError as error:
        if source is None or str(error).startswith(str(source)):
            raise
        raise ConfigError(f"{source}: {error}") from error


def read_config_json(path: str | Path) -> dict[str, Any]:
    """Read the json object of a config file.

    Raises:
        FileNotFoundError: the file does not exist.
        ConfigError: no regular file, not UTF-8 json, nested too deep, or not an object.
    """
    return _json.read_json(path, ConfigError, limit=_MAX_CONFIG_BYTES)
