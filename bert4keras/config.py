"""The one description of a Transformer: a frozen dataclass read from any known json layout."""

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
    ACTIVATIONS,
    Activation,
    Count,
    Mixture,
    Only,
    Positive,
    Rate,
    Size,
    Spread,
    TokenId,
    annotations,
    plain,
    problem,
)

# Google and Hugging Face keys, and the ancestor's, that mean one of our fields; a family's config
# class may add its own (`aliases`).
ALIASES = {
    "max_position_embeddings": "max_position",
    "type_vocab_size": "segment_vocab_size",
    "hidden_dropout_prob": "dropout_rate",
    "attention_probs_dropout_prob": "attention_dropout_rate",
    "layer_norm_eps": "norm_epsilon",
}

MAX_BYTES = 16 << 20  # of a config; one with a name for each of 100,000 labels has 8 MB


class ConfigError(ValueError):
    """A configuration that cannot describe a model; the message names the offending key."""


@dataclasses.dataclass(frozen=True)
class TransformerConfig:
    """Sizes and options of a Transformer encoder.

    Change a value with `dataclasses.replace(config, dropout_rate=0.3)`; that keeps the sizes which
    followed from others, so for a size it is `from_dict(config.to_dict(), hidden_size=256)`.

    Attributes:
        vocab_size: rows of the token embedding, V.
        hidden_size: width of the residual stream, D.
        num_hidden_layers: number of blocks, L.
        num_attention_heads: heads per block, N.
        intermediate_size: inner width of the feed-forward part.
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
        pad_token_id: token id that counts as padding; None: no token does.
        residual_attention_scores: add each block's attention scores to the next one's (RealFormer,
            arXiv:2012.11747).
        hierarchical_position: read positions beyond `max_position` off the table as
            `a u_i + (1 - a) u_j` for position `i max_position + j`; the number is a (usually 0.4;
            True means that).
        shared_segment_embeddings: look segment ids up in the token table.
        custom_position_ids: take positions from an input `Input-Position`.
        layer_norm_cond: width of a vector per text, from an input `Input-Condition`, that shifts
            and scales every LayerNorm (conditional layer normalization).
        layer_norm_cond_hidden_size: width of a dense layer between the condition and the norms.
        layer_norm_cond_hidden_act: its activation.
        remat: compute the blocks again in the backward pass rather than keep what they hold.
        model_type: family name, see `bert4keras.models.register_model`.
        extra: keys of the source json that we do not use, kept for the round trip.

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

    # Of a family's json, on top of `ALIASES` and the tables in `_keys`: other keys of our fields,
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
        set_field(self, "hidden_act", ACTIVATIONS.get(self.hidden_act, self.hidden_act))
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
        # A family's own id is there where nothing is said of padding; in a tiny vocabulary, none.
        stated = self.pad_token_id != type(self).pad_token_id
        if stated and (self.pad_token_id or 0) >= self.vocab_size:
            raise ConfigError(
                f"config `pad_token_id` {self.pad_token_id} is no id of a vocabulary of "
                f"{self.vocab_size} tokens (`vocab_size`). Give an id from 0 to "
                f"{self.vocab_size - 1}."
            )

    @classmethod
    def check(cls, key: str, value: Any, field: str | None = None) -> None:
        """Compare a value with what the annotation of a field allows.

        Args:
            key: what messages call it.
            value: to look at.
            field: name of the field; None means `key`.

        Raises:
            ConfigError: another type or range; names the key, the value and what is allowed.
        """
        wanted = problem(annotations(cls).get(field or key, Any), value)
        if wanted:
            raise ConfigError(f"config `{key}` must be {wanted}, not {short_repr(value)}.")

    def require_even_keys(self) -> None:
        """Refuse what rotary positions, which turn pairs of coordinates, cannot turn.

        Raises:
            ConfigError: keys of an odd width.
        """
        if self.attention_key_size % 2:
            raise ConfigError(
                f"config `attention_key_size` {self.attention_key_size} (as a rule `hidden_size` / "
                "`num_attention_heads`) must be even: rotary positions turn pairs of coordinates."
            )

    @property
    def causal(self) -> bool:
        """Whether the json asks for a causal mask (`is_decoder`) where the family has none."""
        return self.reads_is_decoder and bool(self.extra.get("is_decoder"))

    @classmethod
    def fields(cls) -> tuple[str, ...]:
        """Names of the fields that a json key may fill."""
        return tuple(f.name for f in dataclasses.fields(cls) if f.name != "extra")

    @classmethod
    def all_aliases(cls) -> dict[str, str]:
        """Keys of json files that mean one of our fields."""
        return {**ALIASES, **cls.aliases}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], **overrides: Any) -> TransformerConfig:
        """Build a config from Google, Hugging Face or bert4keras keys.

        Args:
            values: the parsed json. Unknown keys go to `extra` and are named once in a warning; a
                key that is known to change the function elsewhere is refused, see `_keys`.
            **overrides: fields (either spelling) which win over `values`; None is ignored.

        Returns:
            A checked `TransformerConfig`.

        Raises:
            ConfigError: an override that is no field, a value of another type or range, two keys
                that contradict each other, a model that is not built here, or values that do not
                fit together.
        """
        cls.check_overrides(overrides)
        own = "extra" in values  # of `to_dict`, where None is meant
        extra = values["extra"] if own else {}
        cls.check("extra", extra)
        for key in (key for key in (*values, *extra) if not isinstance(key, str)):
            raise ConfigError(f"config keys must be texts, not {short_repr(key)}.")
        fields, extra = {}, dict(extra)
        aliases, known, said = cls.all_aliases(), set(cls.fields()), {}
        for key, value in values.items():
            name = aliases.get(key, key)
            if name not in known:
                extra.update({key: value} if key != "extra" else {})
            elif value is not None or own:
                cls.check(key, value, name)
                _require_agreement(key, value, said.setdefault(name, (key, value)))
                fields[name] = value
        cls._check_extra(extra, warn=not own)
        fields |= {aliases.get(k, k): value for k, value in overrides.items() if value is not None}
        return cls(**fields, extra=extra)

    @classmethod
    def check_overrides(cls, overrides: Mapping[str, Any]) -> None:
        """Check options by which a caller changes a config, as `from_dict` does.

        Raises:
            ConfigError: no field, or a value of another type or range.
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
        """Refuse what asks for another model, and name what nobody knows."""
        switches = {**UNSUPPORTED, **cls.unsupported}
        for key, refused in switches.items():
            value = extra.get(key)
            if value is None or not refused(value):
                continue
            reason = REASONS.get(key, "that is another model than the one built here")
            allowed = getattr(refused, "allowed", ()) if isinstance(refused, Only) else ()
            if allowed:
                reason += f"; allowed is {' or '.join(map(short_repr, allowed))}"
            raise ConfigError(f"config `{key}={short_repr(value)}` is not supported: {reason}.")
        unknown = sorted(set(extra) - IGNORED_KEYS - switches.keys() - cls.ignored_keys)
        if unknown and warn:
            names = [
                key if key.isprintable() and len(key) <= 80 else short_repr(key) for key in unknown
            ]
            more = f" and {len(names) - 20} more" if len(names) > 20 else ""
            text = f"config keys kept but not used: {', '.join(names[:20])}{more}"
            warnings.warn(text, stacklevel=3)

    @classmethod
    def from_file(cls, path: str | Path, **overrides: Any) -> TransformerConfig:
        """Read a json file; `overrides` as of `from_dict`.

        Raises:
            FileNotFoundError: no such file.
            ConfigError: the file is not a json object, or its values do not fit; names the file.
        """
        cls.check_overrides(overrides)
        with errors_from(path):
            return cls.from_dict(read_json(path), **overrides)

    def to_dict(self) -> dict[str, Any]:
        """The config as plain values under our own names, `extra` included.

        A size that follows from another is None, so that an override of the other carries over.
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
        """The config under the keys that the family's own files use.

        Left out are our own options where they are not used, and sizes that follow from others.
        """
        options = {
            f.name: f.default for f in dataclasses.fields(self) if f.name in self.private_fields
        }
        values = {key: value for key, value in self.to_dict().items() if key != "extra"}
        for key in ("embedding_size", "attention_key_size"):
            if getattr(type(self), key) is not None:  # None would be read as the family's own
                values[key] = getattr(self, key)
        values = {
            key: value
            for key, value in values.items()
            if value is not None and not (key in options and value == options[key])
        }
        theirs = {ours: key for key, ours in self.all_aliases().items()}
        out = {theirs.get(key, key): value for key, value in values.items()}
        if self.hidden_act == "gelu_tanh":
            out[theirs.get("hidden_act", "hidden_act")] = "gelu_new"
        out["model_type"] = self.export_as or self.model_type
        return {**self.extra, **out}


def _require_agreement(key: str, value: Any, first: tuple[str, Any]) -> None:
    """Two keys for one field must say the same."""
    pair = [ACTIVATIONS.get(v, v) if isinstance(v, str) else v for v in (value, first[1])]
    if pair[0] != pair[1]:
        raise ConfigError(
            f"config `{first[0]}={short_repr(first[1])}` and `{key}={short_repr(value)}` mean the "
            "same and differ. Delete the one that is wrong."
        )


@contextlib.contextmanager
def errors_from(source: Any) -> Iterator[None]:
    """Put the file that was read before the message of a `ConfigError`; None names nothing."""
    try:
        yield
    except ConfigError as error:
        if source is None or str(error).startswith(str(source)):
            raise
        raise ConfigError(f"{source}: {error}") from error


def read_json(path: str | Path) -> dict[str, Any]:
    """Read a json object from a file.

    Raises:
        FileNotFoundError: no such file.
        ConfigError: no regular file, not UTF-8 json, nested too deep, or not an object.
    """
    return _json.read_json(path, ConfigError, limit=MAX_BYTES)
