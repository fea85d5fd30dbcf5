"""Text generation: strategies, processors and constraints over any language model."""

from .constraints import Constrained, SpansOfPrompt, Trie
from .generate import Generated, generate, stream
from .infilling import infill
from .processors import (
    BannedTokens,
    ForcedPrefix,
    MinLength,
    NoRepeatNGram,
    Processor,
    RepetitionPenalty,
)
from .strategies import BeamSearch, Greedy, Sample

__all__ = [
    "AutoRegressiveDecoder",
    "BannedTokens",
    "BeamSearch",
    "Constrained",
    "ForcedPrefix",
    "Generated",
    "Greedy",
    "MinLength",
    "NoRepeatNGram",
    "Processor",
    "RepetitionPenalty",
    "Sample",
    "SpansOfPrompt",
    "Trie",
    "generate",
    "infill",
    "stream",
]


def __getattr__(name: str):
    if name == "AutoRegressiveDecoder":  # only numpy: it needs nothing of the above
        from .autoregressive import AutoRegressiveDecoder

        return AutoRegressiveDecoder
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
