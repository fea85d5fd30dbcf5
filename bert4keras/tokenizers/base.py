"""What every tokenizer shares: vocabulary, special tokens, pairs, offsets and truncation."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence

from .core import TokenizerCore
from .errors import TokenizerError
from .ids import TokenIds
from .spans import Span, check_texts, paused_gc
from .template import SpecialTokensTemplate
from .vocabulary import is_chinese_or_english

_SPECIALS = ("pad", "unk", "mask", "start", "end")


class TokenizerBase(TokenizerCore):
    """Everything but the cutting of a text, which a subclass does in `_tokenize_texts`.

    "[SEP]", "</s>" or "<mask>" written in a text is ordinary text; special tokens are given as
    tokens (`encode` takes a list) or ids, or found in texts with `special=True`. Added tokens
    besides them are always found.

    Args:
        vocab: dict token -> id.
        token_start, token_end, token_pad, token_unk, token_mask: names of the special tokens;
            None for one that does not exist.
        pattern: where start (S) and end (E) tokens stand around a pair of texts (*):
            "S*E*E" is BERT's [CLS] a [SEP] b [SEP], "S*EE*E" RoBERTa's, "*E*E" T5's, "**" none.
        segments: segment ids of the first and of the second text. Models that have only one
            segment (RoBERTa, XLM-R) or none (T5, GPT-2) get (0, 0).
        pre_tokenize: function text -> list of consecutive words of it (blanks may be left
            out), e.g. a Chinese word segmenter. Each is cut up by itself; with WordPiece, a
            word in the vocabulary is one token (WoBERT).
        token_translate: dict token -> token, applied to what was cut; undone by `decode`.

    Attributes:
        vocab: dict token -> id.
        token_pad, token_unk, token_mask, token_start, token_end: the special tokens.
        token_pad_id, token_unk_id, ...: their ids; asking for one which the vocabulary lacks
            raises ValueError (`pad_token_id`, `unk_token_id`, ... are None then). The names of
            old scripts (`_token_end_id`, `_vocab_size`, `_token_dict`) work too.
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
        self._control = {getattr(self, f"token_{name}") for name in _SPECIALS} - {None}
        self._ends = self.vocab.get(token_start), self.vocab.get(token_end)
        self._templates: dict[str, SpecialTokensTemplate] = {}
        self._template(pattern)
        self._always: set[str] = set()  # tokens that surgery must not take away
        # The files that it was made from, and the arguments that they stand for.
        self._files: tuple[dict[str, bytes], dict] | None = None

    def __getattr__(self, name: str):
        known = self.__dict__
        plain = name.removeprefix("_")
        special = plain.removeprefix("token_").removesuffix("_id")
        if plain == f"token_{special}_id" and special in _SPECIALS and "vocab" in known:
            token = known[f"token_{special}"]
            if token not in known["vocab"]:
                raise ValueError(
                    f"The vocabulary has no {token or f'{special} token'}, so it has no {plain}."
                )
            return known["vocab"][token]
        if name in ("_token_dict", "_vocab_size") and "vocab" in known:
            return known["vocab"] if name == "_token_dict" else self.vocab_size
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")

    @property
    def pad_token_id(self) -> int | None:
        """Id of the padding token, as `DataGenerator(pad_value=)` needs it; None: there is none."""
        return self.vocab.get(self.token_pad)

    @property
    def unk_token_id(self) -> int | None:
        """Id of the unknown token; None: there is none."""
        return self.vocab.get(self.token_unk)

    @property
    def cls_token_id(self) -> int | None:
        """Id of the token at the start of a text; None: there is none."""
        return self.vocab.get(self.token_start)

    @property
    def sep_token_id(self) -> int | None:
        """Id of the token at the end of a text; None: there is none."""
        return self.vocab.get(self.token_end)

    @property
    def mask_token_id(self) -> int | None:
        """Id of the mask token; None: there is none."""
        return self.vocab.get(self.token_mask)

    @staticmethod
    def from_pretrained(directory: str | os.PathLike, **options) -> TokenizerBase:
        """Make the tokenizer of a checkpoint directory, of the class that its files call for.

        Args:
            directory: a directory, or `hf://org/name[@revision]`, which holds tokenizer.json,
                vocab.txt, vocab.json with merges.txt, or a SentencePiece model (spiece.model,
                sentencepiece.bpe.model, spm.model). Case
                handling, special tokens and the frame of pairs are read from these,
                tokenizer_config.json, special_tokens_map.json and config.json.
            options: override what was read; see the class. `family` ("roberta", "t5", ...)
                names the frame and the special tokens where the files do not tell them.

        Returns:
            A `Tokenizer` (WordPiece), `SubwordTokenizer` or `SpTokenizer`.

        Raises:
            TokenizerNotFoundError: a FileNotFoundError: there is none of these files.
            TokenizerError: a ValueError: the files are broken, contradict each other, or describe
                a tokenizer that is not supported.
        """
        from .pretrained import load_tokenizer

        return load_tokenizer(directory, **options)

    def save(self, directory: str | os.PathLike) -> None:
        """Write the files from which `from_pretrained` makes the same tokenizer.

        A tokenizer that `from_pretrained` made without options leaves its files byte for byte;
        any other one is described in Hugging Face's tokenizer.json and tokenizer_config.json (or
        a SentencePiece model and the latter). A function `pre_tokenize` is noted: loading asks
        for it. Tokenizer files of another kind in the directory are removed.

        Args:
            directory: made if absent; each file is replaced atomically.

        Raises:
            TokenizerError: the tokenizer cannot be written.
        """
        from .saving import save_tokenizer

        save_tokenizer(self, directory)

    @property
    def vocab_size(self) -> int:
        """Rows that an embedding needs: the largest id + 1."""
        return max(self._tokens) + 1

    def token_to_id(self, token: str) -> int:
        """The id of a token; that of the unknown token if the vocabulary does not have it."""
        i = self.vocab.get(token, self._unk_id)
        if i is None:
            raise ValueError(f"{token!r} is not in the vocabulary, which has no unknown token.")
        return i

    def id_to_token(self, i: int) -> str:
        """The token of an id."""
        try:
            return self._tokens[int(i)]
        except KeyError:
            raise ValueError(
                f"There is no token with id {i}: the vocabulary has {self.vocab_size} ids."
            ) from None

    def tokens_to_ids(self, tokens: Iterable[str]) -> list[int]:
        """The ids of tokens."""
        return [self.token_to_id(token) for token in tokens]

    def ids_to_tokens(self, ids: Iterable[int]) -> list[str]:
        """The tokens of ids."""
        return [self.id_to_token(i) for i in ids]

    def select_tokens(self, keep: Callable[[str], bool] = is_chinese_or_english) -> list[int]:
        """Ids of the special tokens and of the tokens that are worth keeping.

        For a small model of one or two languages out of a multilingual one: the list belongs
        into `from_pretrained(directory, keep_tokens=...)` and
        `build_transformer_model(..., keep_tokens=...)`.

        Args:
            keep: function token (without the mark "▁" of a blank) -> whether it is kept; by
                default pieces of Chinese characters, ASCII and punctuation alone.
        """
        always = {getattr(self, f"token_{name}") for name in _SPECIALS} | self._always
        return [
            i
            for i, token in sorted(self._tokens.items())
            if token in always or keep(token.removeprefix("▁"))
        ]

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
        """Ids of a text or of a pair of texts.

        Args:
            first, second: text, or a list of tokens used as it is (with its special tokens).
            maxlen: total number of ids allowed; items are taken away from the longer text.
            pattern: as in the class, for this call: "S*ES*E" is [CLS] a [SEP] [CLS] b [SEP].
            truncate_from: "right", "left", or the index at which items are taken away.
            truncate: what is done about a text that is longer than `maxlen`. None: it is cut, with
                a `TruncationWarning` once per tokenizer; True: cut in silence; False: ValueError.
            special: whether special tokens written in a text ("[MASK]") become special tokens,
                as in Hugging Face's tokenizers, instead of plain text.

        Returns:
            (token_ids, segment_ids), lists of int of equal length; `token_ids.pad_token_id` tells
            `DataGenerator` how to pad them.
        """
        template = self._template(pattern)
        if first is None:
            raise TypeError("A text must be str or a list of tokens, got NoneType.")
        first = self._part_ids(first, template, special)
        second = None if second is None else self._part_ids(second, template, special)
        size = template.size(first, second)
        joined = template.join(first, second, self._ends, maxlen, truncate_from)
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
        """`encode` for many texts at once, on all cores.

        Args:
            firsts, seconds: lists of texts, of equal length.
            maxlen, pattern, truncate_from, truncate, special: as in `encode`.
            return_offsets: also return where each token stands in its own text.

        Returns:
            (token_ids, segment_ids): lists with one list of int per text or pair. With
            `return_offsets` a third list of (start, end) pairs, in characters of the token's
            own text (the segment id tells which, where segment ids differ); (0, 0) for special
            tokens.
        """
        template = self._template(pattern)
        firsts = check_texts(firsts)
        seconds = None if seconds is None else check_texts(seconds)
        if seconds is not None and len(seconds) != len(firsts):
            raise ValueError(f"{len(firsts)} first texts, but {len(seconds)} second texts.")
        with paused_gc():
            encodings = self._tokenize(firsts, return_offsets, special)
            other: list = [None] * len(encodings)
            if seconds is not None:
                other = self._tokenize(seconds, return_offsets, special)
            columns, sizes = [], []
            # Ids, then offsets: framed and cut in the same way.
            for k, ends in enumerate((self._ends, ((0, 0), (0, 0)))[: 1 + return_offsets]):
                columns.append([])
                for a, b in zip(encodings, other, strict=True):
                    a = template.wrap(a[k], *ends)
                    b = None if b is None else template.wrap(b[k], *ends)
                    sizes.append(template.size(a, b))
                    columns[k].append(template.join(a, b, ends, maxlen, truncate_from))
            self._warn_once.truncated(sizes[: len(encodings)], maxlen, truncate)
            numbered = [self._numbered(*joined) for joined in columns[0]]
            result = [ids for ids, _ in numbered], [segments for _, segments in numbered]
            return (*result, [spans for spans, _ in columns[1]]) if return_offsets else result

    def tokenize(
        self,
        text: str,
        maxlen: int | None = None,
        truncate: bool | None = None,
        special: bool = False,
    ) -> list[str]:
        """Tokens of a text, special tokens of the frame included; arguments as in `encode`.

        What the vocabulary cannot make comes back as it is written (lower-cased by an uncased
        tokenizer); its id is that of the unknown token.
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
        """Where each token of `tokenize` with the same arguments stands in the text.

        Returns:
            (start, end) pairs in characters; (0, 0) for special tokens.
        """
        spans = list(self._tokenize_one(text, special)[1])
        return self._one(spans, (0, 0), (0, 0), maxlen, truncate)

    def rematch(self, text: str, tokens: Sequence[str], special: bool = False) -> list[list[int]]:
        """The characters of the text that each token stands for.

        Args:
            text: the original text.
            tokens: `tokenize(text)`, whole or truncated on the right, special tokens optional.
            special: as it was given to `tokenize`.

        Returns:
            A list of character indices per token; empty for special tokens.
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
        """Readable text of ids; special and unused tokens are left out.

        Args:
            ids: token ids.
            tokens: use these tokens instead, e.g. from `tokenize`, which keeps unknown words.
        """
        tokens = self.ids_to_tokens(ids) if tokens is None else tokens
        special = {getattr(self, f"token_{name}") for name in _SPECIALS}
        return self._join(
            [
                self._translate_back.get(token, token)
                for token in tokens
                if token not in special and not re.fullmatch(r"\[unused\d+\]", token)
            ]
        )

    def _join(self, tokens: list[str]) -> str:
        """Text of tokens, none of which is special."""
        raise NotImplementedError

    def _template(self, pattern: str | None) -> SpecialTokensTemplate:
        pattern = self.pattern if pattern is None else pattern
        if pattern not in self._templates:
            has = (self.token_start is not None, self.token_end is not None)
            self._templates[pattern] = SpecialTokensTemplate.parse(pattern, *has)
        return self._templates[pattern]

    def _one(self, items: list, start, end, maxlen: int | None, truncate: bool | None) -> list:
        template = self._template(None)
        items = template.wrap(items, start, end)
        size = len(items)
        joined = template.join(items, None, (start, end), maxlen)[0]
        self._warn_once.truncated([size], maxlen, truncate)
        return joined

    def _numbered(self, ids: list[int], size: int) -> tuple[list[int], list[int]]:
        first, second = self.segments
        segments = [first] * size + [second] * (len(ids) - size)
        return TokenIds(ids, self.vocab.get(self.token_pad)), segments

    def _part_ids(
        self, part: str | Sequence[str], template: SpecialTokensTemplate, special: bool
    ) -> list[int]:
        if isinstance(part, str):
            return template.wrap(self._tokenize([part], False, special)[0][0], *self._ends)
        if not isinstance(part, (list, tuple)) or not all(isinstance(t, str) for t in part):
            raise TypeError(f"A text must be str or a list of tokens, got {type(part).__name__}.")
        return self.tokens_to_ids(part)
