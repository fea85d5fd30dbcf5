"""Tokenizer classes of transformers, by the names that files give them.

Those of the registered model families are described in `TokenizerDefaults`; the others, whose
tokenizers are read here although their models are not built, are listed in this module.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..registry import TOKENIZERS
from .defaults import TokenizerDefaults
from .errors import TokenizerError

if TYPE_CHECKING:
    from .directory import TokenizerFiles

# Classes that leave everything to the files; the second kind leaves it to tokenizer.json.
_GENERIC = ("PreTrainedTokenizer", "AutoTokenizer")
_GENERIC_FAST = ("PreTrainedTokenizerFast", "TokenizersBackend")
# Classes that read a vocab.txt exactly as BERT's tokenizer does.
_BERT_LIKE = set("MobileBert ConvBert SqueezeBert Lxmert LayoutLM Retribert Realm".split())
_BERT_LIKE |= set("DPRQuestionEncoder DPRContextEncoder DPRReader".split())
# Classes that do nothing beyond their tokenizer.json.
_RUST = _BERT_LIKE | set(
    "Bart Barthez BigBird Blenderbot Bloom Camembert CLIP CodeGen Cohere Deberta FNet Funnel Gemma "
    "GPTNeoX Herbert LED Llama Longformer MBart MBart50 MPNet MVP Nllb Pegasus Qwen2 Reformer "
    "RemBert SeamlessM4T Splinter UMT5 XGLM XLNet".split()
)
# Classes that split a text into words with another program before using their files.
_WORD_SPLITTERS = {
    "BertJapanese": "MeCab, Sudachi or Juman++",
    "Cpm": "jieba",
    "CpmAnt": "jieba",
    "Phobert": "a Vietnamese word segmenter",
    "Flaubert": "the Moses tokenizer",
    "XLM": "the Moses tokenizer",
}
# Model types whose tokenizer has a vocab.txt that is not read as BERT's.
_OTHER_TYPES = {
    "cpmant": "CpmAntTokenizer",
    "esm": "EsmTokenizer",
    "funnel": "FunnelTokenizer",
    "mpnet": "MPNetTokenizer",
    "prophetnet": "ProphetNetTokenizer",
    "splinter": "SplinterTokenizer",
    "tapas": "TapasTokenizer",
}


def _normalized(name: str) -> str:
    """ "DebertaV2TokenizerFast" and "deberta-v2" -> "debertav2"."""
    return re.sub("[^a-z0-9]|tokenizer(fast)?$", "", name.lower())


def _candidates(name: str) -> Iterator[str]:
    """Families to look at: that of the same name first, so that no other is imported for it."""
    yield from (f for f in TOKENIZERS.names() if _normalized(f) == name and f in TOKENIZERS)
    yield from TOKENIZERS


def _find(name: str) -> tuple[str, TokenizerDefaults] | None:
    """The family, with its defaults, of a model type or a class of transformers."""
    wanted = _normalized(name)
    for family in _candidates(wanted):
        known = TOKENIZERS[family]
        if wanted in map(_normalized, (family, known.class_name, *known.aliases)):
            return family, known
    return None


def _defaults_of_class(name: str) -> TokenizerDefaults | None:
    """The defaults of the family with exactly this class."""
    found = _find(name)
    return found[1] if found and found[1].class_name == name else None


def find_family(name: str) -> str | None:
    """Return the family whose special tokens are known, of a model type or a tokenizer class.

    Args:
        name: `"deberta-v2"`, `"DebertaV2TokenizerFast"`, ...
    """
    found = _find(name)
    return found[0] if found and found[1].options else None


def find_family_of_file(name: str) -> str | None:
    """Return the one family whose SentencePiece model has this file name, or None."""
    return next((family for family, known in TOKENIZERS.items() if known.model_file == name), None)


def known_families() -> list[str]:
    """Return the names of the families whose special tokens are known."""
    return [family for family, known in TOKENIZERS.items() if known.options]


def is_generic_class(name: str | None, fast: bool = False) -> bool:
    """Return whether a class leaves everything to the files, with `fast` to tokenizer.json."""
    return name in _GENERIC_FAST or (not fast and name in (None, *_GENERIC))


def check_class(files: TokenizerFiles, has_pre_tokenize: bool) -> None:
    """Raise TokenizerError if the class of a tokenizer does more than is implemented here.

    Args:
        files: the files of the tokenizer.
        has_pre_tokenize: the caller passes `pre_tokenize`.
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
        name, where = _class_of_type(files.model_type or ""), files.path("config.json")
    if name is None:
        return
    stem = re.sub("Tokenizer(Fast)?$", "", name)
    ours = None if stem in _RUST else _defaults_of_class(f"{stem}Tokenizer")
    if ours and ours.word_splitter:
        if has_pre_tokenize:
            return
        raise TokenizerError(
            f"{where}: {name} splits a text into words first, by {ours.word_splitter}. Pass the "
            f"words: from_pretrained(directory, pre_tokenize=lambda text: {ours.word_splitter}); "
            "pre_tokenize=None is for a vocabulary of characters."
        )
    if stem in _WORD_SPLITTERS:
        raise TokenizerError(
            f"{where}: {name} splits a text into words by {_WORD_SPLITTERS[stem]} first, which is "
            "not supported. Tokenize with it, and pass the list of tokens to encode of "
            "Tokenizer('path/to/vocab.txt')."
        )
    if files.has("tokenizer.json"):
        known = stem in _RUST or ours is not None or name.endswith("Fast")
    elif files.has("vocab.txt"):
        known = stem in _BERT_LIKE or (ours is not None and ours.bert_vocab)
    else:
        known = find_family(name) is not None
    if not known:
        raise TokenizerError(
            f"{where}: tokenizer_class is {name!r}, which is not known here. If it does nothing "
            "beyond its files, from_pretrained(directory, family=...) reads them: family='bert', "
            f"or one of {', '.join(known_families())}."
        )


def _class_of_type(model_type: str) -> str | None:
    """The class of a model type, if it does more than to read a vocab.txt as BERT's does."""
    if model_type in _OTHER_TYPES:
        return _OTHER_TYPES[model_type]
    known = TOKENIZERS.get(model_type)
    return known.class_name if known and known.word_splitter else None
