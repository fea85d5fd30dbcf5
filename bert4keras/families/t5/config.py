"""The configuration of T5 1.0, T5.1.1 and mT5, read from the keys of each release."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

from ..._json import short_repr
from ..._schema import ACTIVATION_ALIASES, Activation, Count, Only, Positive, Size, problem
from ...config import ConfigError, TransformerConfig

GATED = "gated-"
_MOST_BUCKETS, _FARTHEST = 256, 8192  # published: 32, 128; more would take minutes to compute


@dataclasses.dataclass(frozen=True)
class T5Config(TransformerConfig):
    """T5's keys, and the defaults of version 1.0.

    Attributes:
        gated: feed-forward layers have a gate (T5.1.1).
        tie_word_embeddings: the output layer is the token embedding (T5 1.0).
        scale_decoder_outputs: divide scores by the root of `hidden_size`; None: only if tied.
        num_decoder_layers: number of blocks of the decoder; None: `num_hidden_layers`.
        relative_attention_num_buckets: number of buckets of distances.
        relative_attention_max_distance: longer distances share the last bucket.
        cross_position_bias: add the decoder's position bias to its cross-attention too. No
            published T5 does, but earlier versions of bert4keras did by default.
    """

    hidden_act: Activation = "relu"
    segment_vocab_size: Count = 0
    norm_epsilon: Positive = 1e-6
    gated: bool = False
    tie_word_embeddings: bool = True
    scale_decoder_outputs: bool | None = None
    num_decoder_layers: Size | None = None
    relative_attention_num_buckets: Size = 32
    relative_attention_max_distance: Size = 128
    cross_position_bias: bool = False
    model_type: str = "t5"

    aliases: ClassVar[dict] = {
        "d_model": "hidden_size",
        "d_kv": "attention_head_size",
        "d_ff": "intermediate_size",
        "num_layers": "num_hidden_layers",
        "num_heads": "num_attention_heads",
        "n_positions": "max_position",
        "layer_norm_epsilon": "norm_epsilon",
        "dropout_rate": "dropout_rate",  # so that exports write this name
    }
    ignored_keys: ClassVar[frozenset] = frozenset(
        {"initializer_factor", "dense_act_fn", "is_gated_act"}  # the last two: see `activation`
    )
    unsupported: ClassVar[dict] = {
        "is_encoder_decoder": Only(True, False),  # `model_type` says which part is built
        "is_decoder": Only(False),
        "is_gated_act": Only(True, False),
        "use_bias": Only(False),
        "norm_bias": Only(False),
    }
    private_fields: ClassVar[frozenset] = TransformerConfig.private_fields | {"cross_position_bias"}

    def __post_init__(self):
        if isinstance(self.hidden_act, (list, tuple)):  # ["gelu", "linear"] in bert4keras 0.11
            self.check("hidden_act", list(self.hidden_act))
            object.__setattr__(self, "gated", True)
            object.__setattr__(self, "hidden_act", _activation(f"{GATED}{self.hidden_act[0]}"))
        super().__post_init__()
        buckets, farthest = (
            self.relative_attention_num_buckets,
            self.relative_attention_max_distance,
        )
        if buckets % 2 or not 4 <= buckets <= _MOST_BUCKETS:
            raise ConfigError(
                "config `relative_attention_num_buckets` must be an even number from 4 to "
                f"{_MOST_BUCKETS}, not {buckets}."
            )
        if not buckets // 2 < farthest <= _FARTHEST:
            raise ConfigError(
                f"config `relative_attention_max_distance` must be above {buckets // 2}, half of "
                f"`relative_attention_num_buckets`, and at most {_FARTHEST}, not {farthest}."
            )
        if self.hierarchical_position is not None:
            raise ConfigError("hierarchical_position: T5 has no table of positions to extend.")
        if self.embedding_size != self.hidden_size:
            raise ConfigError(
                f"config `embedding_size` {self.embedding_size}: T5's embeddings are as wide as "
                f"the model, {self.hidden_size}."
            )

    @property
    def exported_model_type(self) -> str:
        """`model_type` in exports: other programs have one for all versions and parts."""
        return "mt5" if self.model_type.startswith("mt5") else "t5"

    @classmethod
    def from_dict(cls, values, **overrides):
        if "extra" in values:  # written by `to_dict`
            return super().from_dict(values, **overrides)
        values = cls.normalized(values)
        projection = values.pop("feed_forward_proj", None)
        if projection is not None:
            values |= cls.activation(projection, values)
        for key, name in (("is_gated_act", "gated"), ("dense_act_fn", "hidden_act")):
            if values.get(key) is not None:
                values.setdefault(name, values[key])
        if values.get("dropout_rate") is not None:  # these files have one rate for everything
            values.setdefault("attention_dropout_rate", values["dropout_rate"])
        return super().from_dict(values, **overrides)

    @classmethod
    def check(cls, key, value, field=None):
        """Check a value as in every config; a list of two activations means gated layers."""
        pair = (field or key) == "hidden_act" and isinstance(value, (list, tuple))
        if not pair:
            super().check(key, value, field)
        elif len(value) != 2 or problem(Activation, value[0]) or value[1] not in (None, "linear"):
            raise ConfigError(
                f"config `{key}` must be an activation, or a list of one and 'linear', not "
                f"{short_repr(value)}."
            )

    @classmethod
    def activation(cls, projection: Any, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return our fields for `feed_forward_proj`.

        Raises:
            ConfigError: it contradicts `is_gated_act` or `dense_act_fn`.
        """
        cls.check("feed_forward_proj", projection, "model_type")
        act, gated = _activation(projection), projection.startswith(GATED)
        cls.check("feed_forward_proj", act, "hidden_act")
        stated = {"is_gated_act": gated, "dense_act_fn": ACTIVATION_ALIASES.get(act, act)}
        for key, value in stated.items():
            other = values.get(key)
            other = ACTIVATION_ALIASES.get(other, other) if isinstance(other, str) else other
            if other is not None and other != value:
                raise ConfigError(
                    f"config `feed_forward_proj={short_repr(projection)}` means "
                    f"`{key}={short_repr(value)}`, but the config has {short_repr(values[key])}. "
                    "Delete the wrong one."
                )
        return {"gated": gated, "hidden_act": act}

    @classmethod
    def normalized(cls, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return config values without keys that transformers writes but ignores."""
        values = dict(values)
        for key in ("scale_decoder_outputs", "tie_word_embeddings"):
            if values.get(key) is not None:
                cls.check(key, values[key])
        # transformers 5 writes `tie_word_embeddings: true` for untied heads too (T5.1.1). It marks
        # them with the other key.
        if values.pop("scale_decoder_outputs", None) is False:
            values["tie_word_embeddings"] = False
        return values

    def to_json_dict(self):
        values = super().to_json_dict()
        for key in ("hidden_act", "gated", "dense_act_fn", "is_gated_act"):
            values.pop(key, None)
        known = ("gelu", "gelu_python") if self.gated else ("gelu_new", "gelu")
        names = dict(zip(("gelu_tanh", "gelu"), known, strict=True))
        act = names.get(self.hidden_act, self.hidden_act)
        values["d_kv"] = self.attention_head_size  # transformers would take 64
        return {**values, "feed_forward_proj": GATED + act if self.gated else act}


def _activation(projection: str) -> str:
    """Our name of the activation in `feed_forward_proj`; "gated-gelu" is the tanh form."""
    act = projection.removeprefix(GATED)
    return "gelu_tanh" if projection == f"{GATED}gelu" else act


@dataclasses.dataclass(frozen=True)
class T511Config(T5Config):
    """Defaults of T5.1.1 and mT5. They are never tied, whatever the json of an mT5 says."""

    hidden_act: str = "gelu_tanh"
    gated: bool = True
    tie_word_embeddings: bool = False
    model_type: str = "t5.1.1"

    @classmethod
    def normalized(cls, values):
        return {**super().normalized(values), "tie_word_embeddings": False}
