"""Base of the tokenizers: vocabulary, special tokens, pairs, offsets and truncation."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from .core import Encoding, TokenizerCore
from .errors import TokenizerError
from .ids import TokenIds
from .spans import Span, check_texts, paused_gc
from .special_tokens import SpecialTokens
from .template import SpecialTokensTemplate
from .vocabulary import UNUSED, is_chinese_or_english

_T = TypeVar("_T")


class TokenizerBase(TokenizerCore, SpecialTokens):
    """Base class of the tokenizers; a subclass splits texts into tokens in `_tokenize_texts`.

    "[SEP]", "</s>" or "<mask>" written in a text is ordinary text. To use special tokens, give
    `encode` a list of tokens, or `special=True`, which finds them in texts. Other added tokens are
    always found.

    Args:
        vocab: dict token -> id.
        token_start, token_end, token_pad, token_unk, token_mask: names of the special tokens;
            None for one that does not exist. Without start and end token, the unknown token may
            be absent from the vocabulary.
        pattern: template of a pair of texts (*) with start (S) and end (E) tokens: "S*E*E" is
            BERT's [CLS] a [SEP] b [SEP], "S*EE*E" RoBERTa's, "*E*E" T5's, "**" adds no token.
        segments: segment ids of the first and of the second text. Models that have only one
            segment (RoBERTa, XLM-R) or none (T5, GPT-2) get (0, 0).
        pre_tokenize: function text -> list of its consecutive words (blanks may be left out),
            e.g. a Chinese word segmenter. Each word is tokenized separately; with WordPiece, a
            word in the vocabulary is one token (WoBERT).
        token_translate: dict token -> token that replaces it; `decode` reverses it.

    Attributes:
        vocab: dict token -> id.
        token_pad, token_unk, token_mask, token_start, token_end: the special tokens.
        token_pad_id, pad_token_id, ...: their ids, see `SpecialTokens`.
    """

    def __init__(
        self,
        vocab: Mapping[str, int],
        token_start: str | None = "[CLS]",
        token_end: str | None = "[SEP]",
        token_pad: str | None = "[PAD]",
        token_unk: str | None = "[UNK]",
        token_mask: str | None = "[MASK]",
        pattern: str = "S*E*E",
        segments: tuple[int, int] = (0, 1),
        pre_tokenize: Callable[[str], Iterable[str]] | None = None,
        token_translate: Mapping[str, str] | None = None,
    ):
        if token_start is None and token_end is None and token_unk not in vocab:
            token_unk = None  # a vocabulary without special tokens, such as one of characters
        super().__init__(vocab, token_unk, pre_tokenize, token_translate)
        self.token_pad, self.token_mask = token_pad, token_mask
        self.token_start, self.token_end = token_start, token_end
        self.pattern, self.segments = pattern, tuple(segments)
        required = [t for t in (token_unk, token_start, token_end) if t is not None]
        absent = [token for token in required if token not in self.vocab]
        if absent:
            raise TokenizerError(
                f"The vocabulary lacks {', '.join(absent)}. Is it a vocabulary of another model? "
                "Other names are given as token_unk=, token_start=, token_end= (None: no such "
                "token)."
            )
        self._special = self.special_tokens
        self._ends = self._optional_id(token_start), self._optional_id(token_end)
        self._templates: dict[str, SpecialTokensTemplate] = {}
        self._template(pattern)
        self._protected: set[str] = set()  # tokens that `select_tokens` always keeps
        # Content of the files that it was loaded from, and the arguments that they describe.
        self._files: tuple[dict[str, bytes], dict[str, Any]] | None = None

    @staticmethod
    def from_pretrained(directory: str | os.PathLike, **options) -> TokenizerBase:
        """Load the tokenizer of a checkpoint directory.

        Args:
            directory: a directory, `hf://org/name[@revision]`, or a name of `checkpoints.PRESETS`,
                which holds tokenizer.json, vocab.txt, vocab.json with merges.txt, or a
                SentencePiece model (spiece.model, sentencepiece.bpe.model, spm.model). Case
                handling, special tokens and the template of pairs are read from these,
                tokenizer_config.json, special_tokens_map.json and config.json.
            options: arguments of the class that replace those of the files. `family` ("roberta",
                "t5", ...) gives template and special tokens that the files do not.

        Returns:
            A `Tokenizer` (WordPiece), `SubwordTokenizer` or `SpTokenizer`.

        Raises:
            TokenizerNotFoundError: none of these files exists; a FileNotFoundError.
            TokenizerError: the files are broken, contradict each other, or describe a tokenizer
                that is not supported; a ValueError.
        """
        from .pretrained import load_tokenizer

        return load_tokenizer(directory, **options)

    def save(self, directory: str | os.PathLike) -> None:
        """Write files from which `from_pretrained` loads the same tokenizer.

        If `from_pretrained` made it without options, its files are copied byte for byte. Any
        other tokenizer is written as Hugging Face's tokenizer.json (or a SentencePiece model) and
        tokenizer_config.json. A function `pre_tokenize` cannot be written; loading requires it as
        an argument. Other tokenizer files in the directory are removed.

        Args:
            directory: created if absent; each file is replaced atomically.

        Raises:
            TokenizerError: the tokenizer cannot be written.
        """
        from .saving import save_tokenizer

        save_tokenizer(self, directory)

    @property
    def vocab_size(self) -> int:
        """Number of rows that an embedding needs: the largest id + 1."""
        return max(self._tokens) + 1

    def token_to_id(self, token: str) -> int:
        """Return the id of a token; of one outside the vocabulary, the unknown token's id."""
        i = self.vocab.get(token, self._unk_id)
        if i is None:
            raise ValueError(f"{token!r} is not in the vocabulary, which has no unknown token.")
        return i

    def id_to_token(self, i: int) -> str:
        """Return the token of an id."""
        try:
            return self._tokens[int(i)]
        except KeyError:
            raise ValueError(
                f"There is no token with id {i}: the vocabulary has {self.vocab_size} ids."
            ) from None

    def tokens_to_ids(self, tokens: Iterable[str]) -> list[int]:
        """Return the ids of tokens."""
        return [self.token_to_id(token) for token in tokens]

    def ids_to_tokens(self, ids: Iterable[int]) -> list[str]:
        """Return the tokens of ids."""
        return [self.id_to_token(i) for i in ids]

    def select_tokens(self, keep: Callable[[str], bool] = is_chinese_or_english) -> list[int]:
        """Select the ids to keep when a vocabulary is reduced; special tokens are always kept.

        It makes a small model for one or two languages from a multilingual one. Give the list to
        `from_pretrained(directory, keep_tokens=...)` and to
        `build_transformer_model(..., keep_tokens=...)`: row n of the new embedding is row
        `keep_tokens[n]` of the old one, and n is the new id of that token.

        Args:
            keep: function token (without the blank mark "▁") -> bool; by default, tokens that
                consist only of Chinese characters, ASCII and punctuation are kept.

        Returns:
            Old ids, increasing.
        """
        chosen = (i for i, token in self._tokens.items() if keep(token.removeprefix("▁")))
        return self._with_required(chosen)

    def _with_required(self, ids: Iterable[int]) -> list[int]:
        """Return ids, and those without which these tokens cannot be made; increasing."""
        always = self.special_tokens | self._protected
        always |= {token for pair in self._translate.items() for token in pair}
        return sorted({*ids, *(self.vocab[token] for token in always & self.vocab.keys())})

    def encode(
        self,
        first: str | Sequence[str],
        second: str | Sequence[str] | None = None,
        maxlen: int | None = None,
        pattern: str | None = None,
        truncate_from: str | int = "right",
        truncate: bool | None = None,
        special: bool = False,
    ) -> tuple[list[int], list[int]]:
        """Encode a text or a pair of texts.

        Args:
            first, second: text, or a list of tokens that is used unchanged (with its special
                tokens).
            maxlen: largest total number of ids. Tokens are removed from the longer text, one at a
                time, until the pair fits; see `truncate_sequences`.
            pattern: as in the class, for this call: "S*ES*E" is `[CLS] a [SEP] [CLS] b [SEP]`.
            truncate_from: "right", "left", or the index at which tokens are removed.
            truncate: None: truncate, with a `TruncationWarning` once per tokenizer; True: truncate
                without a warning; False: raise ValueError if the text is longer than `maxlen`.
            special: True: special tokens written in a text ("[MASK]") become special tokens, as
                in Hugging Face's tokenizers; False: they are plain text.

        Returns:
            (token_ids, segment_ids), lists of int of equal length; `DataGenerator` pads them with
            `token_ids.pad_token_id`.
        """
        template = self._template(pattern)
        if first is None:
            raise TypeError("A text must be str or a list of tokens, got NoneType.")
        ids = self._part_ids(first, template, special)
        other = None if second is None else self._part_ids(second, template, special)
        size = template.size(ids, other)
        joined = template.join(ids, other, self._ends, maxlen, truncate_from)
        self._warn_once.truncated([size], maxlen, truncate)
        return self._numbered(*joined)

    def encode_batch(
        self,
        firsts: Sequence[str],
        seconds: Sequence[str] | None = None,
        maxlen: int | None = None,
        pattern: str | None = None,
        truncate_from: str | int = "right",
        return_offsets: bool = False,
        truncate: bool | None = None,
        special: bool = False,
    ) -> tuple[list, ...]:
        """Encode many texts or pairs at once, on all cores.

        Args:
            firsts, seconds: lists of texts, of equal length.
            maxlen, pattern, truncate_from, truncate, special: as in `encode`.
            return_offsets: also return the character offsets of the tokens.

        Returns:
            (token_ids, segment_ids): lists with one list of int per text or pair. With
            `return_offsets` also a list of (start, end) per token: characters [start, end) of the
            text that the token is from (the segment id tells which, if segment ids differ);
            (0, 0) for special tokens.
        """
        template = self._template(pattern)
        firsts = check_texts(firsts)
        seconds = None if seconds is None else check_texts(seconds)
        if seconds is not None and len(seconds) != len(firsts):
            raise ValueError(f"{len(firsts)} first texts, but {len(seconds)} second texts.")
        with paused_gc():
            encodings = self._tokenize(firsts, return_offsets, special)
            others: Sequence[Encoding | None] = [None] * len(encodings)
            if seconds is not None:
                others = self._tokenize(seconds, return_offsets, special)
            sizes: list[int] = []

            # Offsets pass through the same template and truncation as the ids.
            def joined(column: int, ends: tuple[Any, Any]) -> list[tuple[list, int]]:
                results = []
                for encoding, other in zip(encodings, others, strict=True):
                    first = template.wrap(encoding[column], *ends)
                    second = None if other is None else template.wrap(other[column], *ends)
                    sizes.append(template.size(first, second))
                    results.append(template.join(first, second, ends, maxlen, truncate_from))
                return results

            numbered = [self._numbered(*ids) for ids in joined(0, self._ends)]
            result = [ids for ids, _ in numbered], [segments for _, segments in numbered]
            self._warn_once.truncated(sizes, maxlen, truncate)
            if not return_offsets:
                return result
            return (*result, [spans for spans, _ in joined(1, ((0, 0), (0, 0)))])

    def tokenize(
        self,
        text: str,
        maxlen: int | None = None,
        truncate: bool | None = None,
        special: bool = False,
    ) -> list[str]:
        """Split a text into tokens, with start and end token; arguments as in `encode`.

        Unknown words are returned as they are written (lower-cased by an uncased tokenizer);
        their id is that of the unknown token.
        """
        ids, spans = self._tokenize_one(text, special)
        tokens = [self._token(i, text, span) for i, span in zip(ids, spans, strict=True)]
        return self._one(tokens, self.token_start, self.token_end, maxlen, truncate)

    def offsets(
        self,
        text: str,
        maxlen: int | None = None,
        truncate: bool | None = None,
        special: bool = False,
    ) -> list[Span]:
        """Return the character offsets of the tokens of `tokenize` with the same arguments.

        Returns:
            (start, end) per token; (0, 0) for special tokens.
        """
        spans = list(self._tokenize_one(text, special)[1])
        return self._one(spans, (0, 0), (0, 0), maxlen, truncate)

    def rematch(self, text: str, tokens: Sequence[str], special: bool = False) -> list[list[int]]:
        """Map tokens to characters of their text.

        Args:
            text: the original text.
            tokens: `tokenize(text)`, or its beginning; special tokens are optional.
            special: the value that `tokenize` got.

        Returns:
            A list of character indices per token; empty for special tokens.

        Raises:
            ValueError: `tokens` are not those of this text.
        """
        template = self._template(None)
        head = template.head and bool(tokens) and tokens[0] == self.token_start
        tail = template.tail and len(tokens) > head and tokens[-1] == self.token_end
        inner = list(tokens[head : len(tokens) - tail])
        ids, spans = self._tokenize_one(text, special)
        pairs = zip(ids[: len(inner)], spans, strict=False)
        own = [self._token(i, text, span) for i, span in pairs]
        if own != inner:
            differ = [pair for pair in zip(inner, own, strict=False) if pair[0] != pair[1]]
            found = (
                "token {!r} stands for {!r}".format(*differ[0])
                if differ
                else f"the text has {len(own)} tokens, {len(inner)} were given"
            )
            raise ValueError(f"These tokens are not tokenize(text) of this tokenizer: {found}.")
        characters = [list(range(start, end)) for start, end in spans[: len(inner)]]
        return [[]] * head + characters + [[]] * tail

    def decode(self, ids: Iterable[int], tokens: Sequence[str] | None = None) -> str:
        """Turn ids into readable text, without special and unused tokens.

        Args:
            ids: token ids.
            tokens: tokens to use instead of ids, e.g. from `tokenize`, which keeps unknown words.
        """
        tokens = self.ids_to_tokens(ids) if tokens is None else tokens
        special = self.special_tokens
        return self._join(
            [
                self._translate_back.get(token, token)
                for token in tokens
                if token not in special and not UNUSED.fullmatch(token)
            ]
        )

    def _describe(self) -> tuple[dict[str, bytes], dict[str, Any]]:
        """Return files for `save` by name, and the content of tokenizer_config.json."""
        raise NotImplementedError

    def _join(self, tokens: list[str]) -> str:
        """Join tokens, none of them special, into text."""
        raise NotImplementedError

    def _template(self, pattern: str | None) -> SpecialTokensTemplate:
        pattern = self.pattern if pattern is None else pattern
        if pattern not in self._templates:
            has = (self.token_start is not None, self.token_end is not None)
            self._templates[pattern] = SpecialTokensTemplate.parse(pattern, *has)
        return self._templates[pattern]

    def _one(
        self,
        items: list[_T],
        start: _T | None,
        end: _T | None,
        maxlen: int | None,
        truncate: bool | None,
    ) -> list[_T]:
        """Apply the template and truncation to the items of one text."""
        template = self._template(None)
        items = template.wrap(items, start, end)
        size = len(items)
        joined = template.join(items, None, (start, end), maxlen)[0]
        self._warn_once.truncated([size], maxlen, truncate)
        return joined

    def _numbered(self, ids: list[int], size: int) -> tuple[list[int], list[int]]:
        first, second = self.segments
        segments = [first] * size + [second] * (len(ids) - size)
        return TokenIds(ids, self.pad_token_id), segments

    def _part_ids(
        self, part: str | Sequence[str], template: SpecialTokensTemplate, special: bool
    ) -> list[int]:
        if isinstance(part, str):
            return template.wrap(self._tokenize([part], False, special)[0][0], *self._ends)
        if not isinstance(part, (list, tuple)) or not all(isinstance(t, str) for t in part):
            raise TypeError(f"A text must be str or a list of tokens, got {type(part).__name__}.")
        return self.tokens_to_ids(part)
