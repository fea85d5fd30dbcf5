"""The one description of a Transformer: a frozen dataclass read from any known json layout."""

from __future__ import annotations

import dataclasses
import json
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

# Google and Hugging Face keys, and the ancestor's, that mean one of our fields; a family's config
# class may add its own (`aliases`).
ALIASES = {
    "max_position_embeddings": "max_position",
    "type_vocab_size": "segment_vocab_size",
    "hidden_dropout_prob": "dropout_rate",
    "attention_probs_dropout_prob": "attention_dropout_rate",
    "layer_norm_eps": "norm_epsilon",
}

# The same function under other names. "gelu" alone is the exact (erf) form.
ACTIVATIONS = {
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu_fast": "gelu_tanh",
    "gelu_python": "gelu",
    "gelu_erf": "gelu",
    "swish": "silu",
}

# Keys found in the wild which do not change what the model computes: kept, not worth a remark.
INERT_KEYS = frozenset(
    """_name_or_path architectures attn_implementation _attn_implementation auto_map bos_token_id
    classifier_dropout cross_attention_hidden_size directionality dtype eos_token_id
    finetuning_task gradient_checkpointing id2label label2id language model_max_length name
    num_labels output_attentions output_hidden_states output_past pooler_fc_size
    pooler_num_attention_heads pooler_num_fc_layers pooler_size_per_head pooler_type
    position_embedding_type problem_type return_dict sep_token_id cls_token_id torch_dtype
    transformers_version use_cache is_decoder is_encoder_decoder add_cross_attention
    tie_word_embeddings pruned_heads chunk_size_feed_forward""".split()
)

# Values of otherwise inert keys that would ask for another model than the one we build; a family's
# config class may lift or add some (`refused`).
REFUSED_VALUES = {
    "position_embedding_type": lambda value: value not in (None, "absolute"),
    "add_cross_attention": bool,
    "is_encoder_decoder": bool,
    "pruned_heads": bool,
}


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

    vocab_size: int = None
    hidden_size: int = None
    num_hidden_layers: int = None
    num_attention_heads: int = None
    intermediate_size: int = None
    hidden_act: str = "gelu"
    max_position: int = 512
    segment_vocab_size: int = 2
    embedding_size: int | None = None
    attention_head_size: int | None = None
    attention_key_size: int | None = None
    dropout_rate: float = 0.1
    attention_dropout_rate: float = 0.1
    initializer_range: float = 0.02
    norm_epsilon: float = 1e-12
    pad_token_id: int | None = 0
    residual_attention_scores: bool = False
    hierarchical_position: float | bool | None = None
    shared_segment_embeddings: bool = False
    custom_position_ids: bool = False
    layer_norm_cond: int | None = None
    layer_norm_cond_hidden_size: int | None = None
    layer_norm_cond_hidden_act: str = "linear"
    remat: bool = False
    model_type: str = "bert"
    extra: Mapping[str, Any] = dataclasses.field(default_factory=dict, compare=False)

    # What a family's json calls our fields, which of its keys are inert, and which of their values
    # ask for something else: on top of the tables above. And the fields that no other program
    # knows, written to a json only where they are used.
    aliases: ClassVar[Mapping[str, str]] = {}
    inert: ClassVar[frozenset[str]] = frozenset()
    refused: ClassVar[Mapping[str, Callable[[Any], bool]]] = {}
    saved_as: ClassVar[str | None] = None  # `model_type` for other programs, where it differs
    own_options: ClassVar[frozenset[str]] = frozenset(
        """residual_attention_scores hierarchical_position shared_segment_embeddings
        custom_position_ids layer_norm_cond layer_norm_cond_hidden_size layer_norm_cond_hidden_act
        remat""".split()
    )

    def __post_init__(self):
        set_field = object.__setattr__  # the dataclass is frozen only once it is complete
        sizes = ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads")
        for key in (*sizes, "intermediate_size", "max_position"):
            value = getattr(self, key)
            if value is None:
                raise ConfigError(
                    f"config has no `{key}`. Add it to the json, or pass "
                    f"`{key}=...` to build_transformer_model."
                )
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ConfigError(f"config `{key}` must be a positive integer, not {value!r}.")
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
        if self.hierarchical_position is True:
            set_field(self, "hierarchical_position", 0.4)
        for key in ("dropout_rate", "attention_dropout_rate"):
            rate = getattr(self, key)
            if not 0 <= rate < 1:
                raise ConfigError(f"config `{key}` must lie in [0, 1), not {rate!r}.")

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
            values: the parsed json. Unknown keys go to `extra` and are named once in a warning.
            **overrides: fields (either spelling) which win over `values`; None is ignored.

        Returns:
            A checked `TransformerConfig`.

        Raises:
            ConfigError: an override that is no field, or values that do not fit together.
        """
        known, aliases = set(cls.fields()), cls.all_aliases()
        fields, extra = {}, dict(values.get("extra") or {})
        for key, value in values.items():
            name = aliases.get(key, key)
            if name in known:
                if value is not None:
                    fields[name] = value
            elif key != "extra":
                extra[key] = value
        for key, value in overrides.items():
            name = aliases.get(key, key)
            if name not in known:
                raise ConfigError(
                    f"unknown option `{key}`. Known config fields: {', '.join(sorted(known))}."
                )
            if value is not None:
                fields[name] = value
        for key, refused in {**REFUSED_VALUES, **cls.refused}.items():
            if key in extra and refused(extra[key]):
                raise ConfigError(f"config `{key}={extra[key]!r}` asks for a model not built here.")
        unknown = sorted(set(extra) - INERT_KEYS - cls.inert)
        if unknown and "extra" not in values:
            warnings.warn(f"config keys kept but not used: {', '.join(unknown)}", stacklevel=2)
        return cls(**fields, extra=extra)

    @classmethod
    def from_file(cls, path: str | Path, **overrides: Any) -> TransformerConfig:
        """Read a json file; see `from_dict`.

        Raises:
            FileNotFoundError: no such file.
            ConfigError: the file is not a json object, or its values do not fit.
        """
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
            f.name: f.default for f in dataclasses.fields(self) if f.name in self.own_options
        }
        values = {key: value for key, value in self.to_dict().items() if key != "extra"}
        values = {
            key: value
            for key, value in values.items()
            if value is not None and not (key in options and value == options[key])
        }
        theirs = {ours: key for key, ours in self.all_aliases().items()}
        out = {theirs.get(key, key): value for key, value in values.items()}
        if self.hidden_act == "gelu_tanh":
            out[theirs.get("hidden_act", "hidden_act")] = "gelu_new"
        out["model_type"] = self.saved_as or self.model_type
        return {**self.extra, **out}


def read_json(path: str | Path) -> dict[str, Any]:
    """Read a json object from a file.

    Raises:
        FileNotFoundError: no such file.
        ConfigError: not UTF-8 json, or not an object.
    """
    try:
        values = json.loads(Path(path).read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not a json file: {error}") from error
    if not isinstance(values, dict):
        raise ConfigError(f"{path} holds a json {type(values).__name__}, not an object of keys.")
    return values
