"""Tokenizers of SentencePiece model files, based on the `sentencepiece` library."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from .added import AddedToken, AddedTokenFinder
from .base import TokenizerBase
from .core import Encoding
from .errors import TokenizerError, TokenizerNotFoundError, rust_errors
from .read_file import read_file
from .required import required_pieces
from .sentencepiece_file import hide_pieces, is_bpe, keep_pieces
from .spans import Span, tidy_spans, without_surrogates
from .vocabulary import check_keep_tokens

_UNIT = re.compile("``|''|.", re.DOTALL)


class SpTokenizer(TokenizerBase):
    """Tokenizer of a SentencePiece model (spiece.model, sentencepiece.bpe.model, spm.model).

    Ids are exactly those of the `sentencepiece` library, an optional dependency. The blank before
    a word is part of its token ("▁the"), but not of the token's span; a token without a character
    of the text has an empty span.

    Args:
        sp_model_path: the model file.
        first_tokens: tokens with the ids 0, 1, ...: pieces of the model, which move there, or
            additional tokens. XLM-R's ids begin with <s> <pad> </s> <unk>.
        last_tokens: tokens whose ids follow those of the pieces, unless they are pieces. XLM-R's
            ids end with <mask>, T5's with <extra_id_99> ... <extra_id_0>. Added tokens that are
            not special, such as these sentinels, are found in texts.
        keep_tokens: ids of the tokens to keep; their order gives the new ids. Texts are tokenized
            as by a model that has only these pieces.
        added_tokens: more last tokens; also first or last tokens, as dicts with the flags of
            `AddedToken`.
        do_lower_case, strip_accents, plain_quotes: the preprocessing of ALBERT: lower-case, strip
            accents (NFKD, without combining characters), replace `` and '' by ".
        token_pad, token_unk: by default those of the model.
        options: see `TokenizerBase`.

    Reference: Kudo and Richardson, SentencePiece (arXiv:1808.06226).
    """

    def __init__(
        self,
        sp_model_path: str | os.PathLike,
        first_tokens: Sequence[str] = (),
        last_tokens: Sequence[str] = (),
        keep_tokens: Sequence[int] | None = None,
        do_lower_case: bool = False,
        strip_accents: bool = False,
        plain_quotes: bool = False,
        added_tokens: Sequence[str | Mapping[str, Any] | AddedToken] = (),
        **options,
    ):
        model, pieces = _load(Path(sp_model_path))
        self._model = model
        flags = {token.content: token for token in map(AddedToken.make, added_tokens)}
        last_tokens = list(
            dict.fromkeys([*last_tokens, *(t for t in flags if t not in first_tokens)])
        )
        unknown, pad = pieces[model.unk_id()], model.pad_id()
        options.setdefault("token_unk", unknown)
        options.setdefault("token_pad", pieces[pad] if pad >= 0 else "<pad>")
        tokens = list(dict.fromkeys([*first_tokens, *pieces, *last_tokens]))
        if keep_tokens is not None:
            tokens = [tokens[i] for i in check_keep_tokens(keep_tokens, range(len(tokens)))]
        if unknown not in tokens:
            raise TokenizerError(f"keep_tokens must keep the unknown token {unknown}.")
        super().__init__({token: i for i, token in enumerate(tokens)}, **options)
        kept = {i for i, piece in enumerate(pieces) if piece in self.vocab}
        named = {i for i, p in enumerate(pieces) if p in self._special and not model.is_unknown(i)}
        hidden = {i for i in named if not model.is_control(i)}
        if len(kept) < len(pieces) or hidden:
            with rust_errors(f"{sp_model_path} cannot be made smaller"):
                serialized = hide_pieces(model.serialized_model_proto(), hidden)
                serialized = keep_pieces(serialized, kept)
                self._model = type(model)(model_proto=serialized)
        self._ids = [self.vocab[piece] for i, piece in enumerate(pieces) if i in kept]
        self._blank_id = self.vocab.get("▁")
        added = set(tokens) - set(pieces)
        self._protected = added | {p for i, p in enumerate(pieces) if _is_technical(model, i)}
        found = sorted((added | self._special) & self.vocab.keys(), key=self.vocab.__getitem__)
        flags = {t: flags.get(t, AddedToken(t, special=True)) for t in found}
        self._all_added = all_added = [
            AddedToken(t, self.vocab[t], **token.flags) for t, token in flags.items()
        ]
        self._first_tokens = tuple(first_tokens)
        self._find_added(token for token in all_added if token.content in added)
        self._finders = {
            False: AddedTokenFinder(self._added, do_lower_case),
            True: AddedTokenFinder(all_added, do_lower_case),
        }
        self.do_lower_case = do_lower_case
        self._prepares = do_lower_case, strip_accents, plain_quotes

    def _with_required(self, ids: Iterable[int]) -> list[int]:
        kept = {self._tokens[i] for i in super()._with_required(ids)}
        model = self._model
        scores = {
            piece: model.get_score(i)
            for i, piece in enumerate(_pieces(model))
            if not _is_technical(model, i)
        }
        kept |= required_pieces(scores, is_bpe(model.serialized_model_proto()), kept)
        return sorted(self.vocab[token] for token in kept)

    def _tokenize_texts(
        self, texts: list[str], offsets: bool, special: bool = False
    ) -> list[Encoding]:
        encodings: list[Encoding] = [([], []) for _ in texts]
        stretches = []  # (index of the text, start, end, id of an added token or None)
        for n, text in enumerate(texts):
            found = self._finders[special].split(text)
            stretches.extend((n, start, end, i) for start, end, i in found)
        parts = [texts[n][start:end] for n, start, end, i in stretches if i is None]
        pieces = iter(self._tokenize_parts(parts, offsets))
        for n, start, end, i in stretches:
            if i is None:
                ids, spans = next(pieces)
            else:
                inner = texts[n][start:end]
                start += len(inner) - len(inner.lstrip())
                ids, spans = [i], [(0, len(inner.strip()))] if offsets else []
            encodings[n][0].extend(ids)
            encodings[n][1].extend((start + a, start + b) for a, b in spans)
        return encodings

    def _tokenize_parts(self, texts: list[str], offsets: bool):
        prepared = [without_surrogates(text) for text in texts]
        origins: list = [None] * len(texts)
        if any(self._prepares):
            pairs = [_prepare(text, *self._prepares) for text in prepared]
            prepared, origins = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
        if not offsets:
            with rust_errors("A text cannot be tokenized"):
                found = self._model.encode(prepared)
            return [([self._ids[i] for i in ids], []) for ids in found]
        encodings = []
        with rust_errors("A text cannot be tokenized"):
            found = self._model.encode(prepared, out_type="offset_mapping")
        for text, ready, origin, encoding in zip(texts, prepared, origins, found, strict=True):
            ids = [self._ids[i] for i in encoding["ids"]]
            spans = self._filled(ready, ids, encoding["offsets"])
            if origin is not None:
                spans = [_back(origin, a, b, len(text)) for a, b in spans]
            encodings.append((ids, tidy_spans(text, ids, spans, self._blank_id)))
        return encodings

    def _filled(self, text: str, ids: list[int], spans: list[Span]) -> list[Span]:
        """Give every token of a character that was normalized to several ("ﬁ") its span.

        The library gives it only to the last token. The spans of the other tokens are empty, or
        have only the blank before the character.
        """
        filled = []
        for i, (start, end) in zip(ids, spans, strict=True):
            token = self._tokens[i]
            word = token.lstrip("▁")
            if word and (start == end or (word != token and text[start:end].isspace())):
                end = min(end + 1, len(text))
            filled.append((start, end))
        return filled

    def _describe(self) -> tuple[dict[str, bytes], dict[str, Any]]:
        first = [token for token in self._first_tokens if token in self.vocab]
        pieces = _pieces(self._model)
        tokens = sorted(self.vocab, key=self.vocab.__getitem__)
        last = [token for token in tokens if token not in {*first, *pieces}]
        layout = {token: i for i, token in enumerate(dict.fromkeys([*first, *pieces, *last]))}
        keep = [layout[token] for token in tokens]
        lower, accents, quotes = self._prepares
        ours = {
            "class": "SpTokenizer",
            "first_tokens": first,
            "last_tokens": last,
            "keep_tokens": None if keep == list(range(len(keep))) else keep,
            "added_tokens": [token.as_json() for token in self._all_added],
            "do_lower_case": lower,
            "strip_accents": accents,
            "plain_quotes": quotes,
        }
        # Not a class of transformers: it would number the pieces differently.
        config = {"tokenizer_class": "SpTokenizer", "bert4keras": ours}
        return {"sentencepiece.model": self._model.serialized_model_proto()}, config

    def _join(self, tokens: list[str]) -> str:
        return self._model.decode_pieces(tokens)


def _load(path: Path):
    try:
        import sentencepiece
    except ImportError as error:
        raise ImportError(
            f"Reading {path} needs the sentencepiece library: pip install "
            "bert4keras[sentencepiece]. A tokenizer.json of the same model is read without it."
        ) from error
    if not path.exists():
        raise TokenizerNotFoundError(f"There is no SentencePiece model file {path}.")
    data = read_file(path)
    with rust_errors(f"{path} is not a SentencePiece model"):
        model = sentencepiece.SentencePieceProcessor()
        model.LoadFromSerializedProto(data)
        return model, _pieces(model)


def _pieces(model) -> list[str]:
    return [model.id_to_piece(i) for i in range(model.get_piece_size())]


def _is_technical(model, i: int) -> bool:
    return model.is_control(i) or model.is_unknown(i) or model.is_byte(i)


def _prepare(text: str, lower: bool, accents: bool, quotes: bool) -> tuple[str, list[Span] | None]:
    """Apply ALBERT's preprocessing, and keep track of offsets.

    Returns:
        The new text, and for each of its characters the span of the old text that it is from;
        None instead of the spans if no character has moved.
    """
    if text.isascii() and not (quotes and ("``" in text or "''" in text)):
        return (text.lower() if lower else text), None
    chars: list[str] = []
    origins: list[Span] = []
    for match in _UNIT.finditer(text) if quotes else re.finditer(".", text, re.DOTALL):
        unit = match[0] if len(match[0]) == 1 else '"'
        if accents:
            decomposed = unicodedata.normalize("NFKD", unit)
            unit = "".join(char for char in decomposed if not unicodedata.combining(char))
        for char in unit:
            chars.append(char)
            origins.extend([match.span()] * (len(char.lower()) if lower else 1))
    joined = "".join(chars)
    return joined.lower() if lower else joined, origins


def _back(origins: list[Span], start: int, end: int, size: int) -> Span:
    """Map a span of the preprocessed text to the original text."""
    if start == end:
        at = origins[start][0] if start < len(origins) else size
        return at, at
    return origins[start][0], origins[end - 1][1]
