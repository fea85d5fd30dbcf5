"""Special tokens, frames and vocabulary layouts of model families, as data.

They are only needed where a directory has a bare SentencePiece model or vocab.json with
merges.txt: a tokenizer.json says all of it itself.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from .errors import TokenizerError

if TYPE_CHECKING:
    from .directory import TokenizerFiles


def _specials(start, end, pad, unk, mask) -> dict[str, str | None]:
    names = ("token_start", "token_end", "token_pad", "token_unk", "token_mask")
    return dict(zip(names, (start, end, pad, unk, mask), strict=True))


_ROBERTA = {
    "pattern": "S*EE*E",
    "segments": (0, 0),
    **_specials("<s>", "</s>", "<pad>", "<unk>", "<mask>"),
}
_T5 = {
    "pattern": "*E*E",
    "segments": (0, 0),
    **_specials(None, "</s>", "<pad>", "<unk>", None),
}
# family -> arguments of `TokenizerBase`.
FRAMES: dict[str, dict[str, Any]] = {
    "albert": _specials("[CLS]", "[SEP]", "<pad>", "<unk>", "[MASK]"),
    "deberta-v2": _specials("[CLS]", "[SEP]", "[PAD]", "[UNK]", "[MASK]"),
    "roberta": _ROBERTA,
    "xlm-roberta": _ROBERTA,
    "t5": _T5,
    "mt5": _T5,
    "gpt2": {
        "pattern": "**",
        "segments": (0, 0),
        **_specials("<|endoftext|>", "<|endoftext|>", None, None, None),
    },
}
# family -> arguments of `SpTokenizer`.
LAYOUTS: dict[str, dict[str, Any]] = {
    "albert": {"do_lower_case": True, "strip_accents": True, "plain_quotes": True},
    "deberta-v2": {"last_tokens": ("[MASK]",)},
    "xlm-roberta": {
        "first_tokens": ("<s>", "<pad>", "</s>", "<unk>"),
        "last_tokens": ("<mask>",),
    },
    "t5": {"last_tokens": tuple(f"<extra_id_{i}>" for i in reversed(range(100)))},
    "mt5": {},
}
_ALIASES = {"debertav3": "deberta-v2", "umt5": "mt5", "bart": "roberta", "longformer": "roberta"}
_KNOWN = {re.sub("[^a-z0-9]", "", name): name for name in FRAMES} | _ALIASES


def find_family(name: str) -> str | None:
    """The family of a model_type ("deberta-v2") or of a class ("DebertaV2TokenizerFast")."""
    return _KNOWN.get(re.sub("[^a-z0-9]|tokenizer(fast)?$", "", name.lower()))


# family -> the class of transformers that stands for it in tokenizer_config.json.
CLASSES = {
    "albert": "AlbertTokenizer",
    "deberta-v2": "DebertaV2Tokenizer",
    "roberta": "RobertaTokenizer",
    "xlm-roberta": "XLMRobertaTokenizer",
    "t5": "T5Tokenizer",
    "mt5": "MT5Tokenizer",
    "gpt2": "GPT2Tokenizer",
}
# Classes that say nothing about a tokenizer; the second kind does what tokenizer.json says.
_GENERIC = ("PreTrainedTokenizer", "AutoTokenizer")
_GENERIC_FAST = ("PreTrainedTokenizerFast", "TokenizersBackend")
# What reads a vocab.txt exactly as BERT's tokenizer does.
_BERTS = set("Bert DistilBert Electra MobileBert ConvBert SqueezeBert Lxmert LayoutLM".split())
_BERTS |= set("Retribert Realm DPRQuestionEncoder DPRContextEncoder DPRReader".split())
# What does nothing that its tokenizer.json does not say.
_RUST = _BERTS | set(
    "Albert Bart Barthez BigBird Blenderbot Bloom Camembert CLIP CodeGen Cohere Deberta DebertaV2 "
    "FNet Funnel Gemma GPT2 GPTNeoX Herbert LED Llama Longformer MBart MBart50 MPNet MT5 MVP Nllb "
    "OpenAIGPT Pegasus Qwen2 Reformer RemBert Roberta SeamlessM4T Splinter T5 UMT5 XGLM XLMRoberta "
    "XLNet ModernBert".split()
)
# Classes that part a text into words by a program, before anything that the files say.
_BY_WORDS = {
    "RoFormer": "jieba",
    "BertJapanese": "MeCab, Sudachi or Juman++",
    "Cpm": "jieba",
    "CpmAnt": "jieba",
    "Phobert": "a Vietnamese word segmenter",
    "Flaubert": "the Moses tokenizer",
    "XLM": "the Moses tokenizer",
}
# Types of models whose tokenizer has a vocab.txt, but is not BERT's.
_OTHER_TYPES = {
    "roformer": "RoFormerTokenizer",
    "cpmant": "CpmAntTokenizer",
    "esm": "EsmTokenizer",
    "funnel": "FunnelTokenizer",
    "mpnet": "MPNetTokenizer",
    "prophetnet": "ProphetNetTokenizer",
    "splinter": "SplinterTokenizer",
    "tapas": "TapasTokenizer",
}


def is_generic_class(name: str | None, fast: bool = False) -> bool:
    """Whether a tokenizer_class leaves it to the files; `fast`: to tokenizer.json."""
    return name in _GENERIC_FAST or (not fast and name in (None, *_GENERIC))


def check_class(files: TokenizerFiles, has_segmenter: bool) -> None:
    """Raise TokenizerError if the class of a tokenizer does more than is done here.

    Args:
        files: the files of the tokenizer.
        has_segmenter: whether the caller passes `pre_tokenize`.
    """
    where = files.path("tokenizer_config.json")
    if "AutoTokenizer" in files.tokenizer_config.get("auto_map", {}):
        raise TokenizerError(
            f"{where}: auto_map names code of the checkpoint, which is not run. Make the tokenizer "
            "from its files: Tokenizer('vocab.txt', ...), SubwordTokenizer('tokenizer.json'), "
            "SpTokenizer('a.model', ...)."
        )
    name = files.class_name
    if is_generic_class(name):
        if name is not None and files.has("tokenizer.json"):
            return
        name, where = _OTHER_TYPES.get(files.model_type or ""), files.path("config.json")
    if name is None:
        return
    stem = re.sub("Tokenizer(Fast)?$", "", name)
    if stem == "RoFormer":
        if has_segmenter:
            return
        raise TokenizerError(
            f"{where}: {name} parts a text into words by jieba first. Pass the words: "
            "from_pretrained(directory, pre_tokenize=lambda text: jieba.cut(text, HMM=False)); "
            "pre_tokenize=None is for a vocabulary of characters."
        )
    if stem in _BY_WORDS:
        raise TokenizerError(
            f"{where}: {name} parts a text into words by {_BY_WORDS[stem]} first, which is not "
            "supported. Tokenize with it, and pass the list of tokens to encode of "
            "Tokenizer('path/to/vocab.txt')."
        )
    if files.has("tokenizer.json"):
        known = stem in _RUST or name.endswith("Fast")
    elif files.has("vocab.txt"):
        known = stem in _BERTS
    else:
        known = find_family(name) is not None
    if not known:
        raise TokenizerError(
            f"{where}: tokenizer_class is {name!r}, which is not known here. If it does nothing "
            "that its files do not say, from_pretrained(directory, family=...) reads them: "
            f"family='bert', or one of {', '.join(FRAMES)}."
        )
