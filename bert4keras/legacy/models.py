"""The model classes of 0.11, each a form of a family's `Transformer` that scripts may subclass."""

from __future__ import annotations

from typing import Any

from ..models.transformer import Transformer
from ..registry import get_family
from .builder import OldBuilder, old_form

# The name of the class in 0.11 -> that of the family.
_FAMILY_OF = {
    "ALBERT": "albert",
    "ALBERT_Unshared": "albert_unshared",
    "BERT": "bert",
    "ELECTRA": "electra",
    "GAU_alpha": "gau_alpha",
    "GPT": "gpt",
    "GPT2": "gpt2",
    "GPT2_ML": "gpt2_ml",
    "NEZHA": "nezha",
    "RoFormer": "roformer",
    "RoFormerV2": "roformer_v2",
    "T5": "t5",
    "T5_Decoder": "t5_decoder",
    "T5_Encoder": "t5_encoder",
}


class LM_Mask:
    """Mixin, `class Mine(LM_Mask, BERT)`: attention from left to right."""

    native_application = "lm"


class UniLM_Mask:
    """Mixin, `class Mine(UniLM_Mask, BERT)`: segment 0 both ways, segment 1 from left to right."""

    native_application = "unilm"


def extend_with_language_model(BaseModel: type[Transformer]) -> type[OldBuilder]:
    """Return a class with the mask of `application="lm"`, and so with its head."""
    return type("LanguageModel", (LM_Mask, old_form(BaseModel)), {})


def extend_with_unified_language_model(BaseModel: type[Transformer]) -> type[OldBuilder]:
    """Return a class with the mask of `application="unilm"`, and so with its head."""
    return type("UnifiedLanguageModel", (UniLM_Mask, old_form(BaseModel)), {})


def __getattr__(name: str) -> Any:
    if name in _FAMILY_OF:
        return old_form(get_family(_FAMILY_OF[name]).transformer)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
