"""What every tokenizer shares: vocabulary, special tokens, pairs, offsets and truncation."""

from __future__ import annotations

import contextlib
import gc
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from bert4keras.tokenizers.frame import Frame
from bert4keras.tokenizers.ids import TokenIds
from bert4keras.tokenizers.texts import Span, check_texts, find_words
from bert4keras.tokenizers.vocabulary import is_chinese_or_english

_SPECIALS = ("pad", "unk", "mask", "start", "end")


class TokenizerBase:
    """Everything but the cutting of a text, which a subclass does in `_cut_texts`.

    "[SEP]", "</s>" or "<mask>" written in a text is ordinary text; special tokens are given as
    tokens (`encode` takes a list) or ids.

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
            raises ValueError. The names of old scripts (`_token_end_id`, `_vocab_size`,
            `_token_dict`) work too.
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
        self.vocab = dict(vocab)
        self.token_pad, self.token_unk, self.token_mask = token_pad, token_unk, token_mask
        self.token_start, self.token_end = token_start, token_end
        self.pattern, self.segments = pattern, tuple(segments)
        self._tokens = {i: token for token, i in self.vocab.items()}
        if len(self._tokens) != len(self.vocab):
            raise ValueError("Two tokens of the vocabulary have the same id.")
        required = [t for t in (token_unk, token_start, token_end) if t is not None]
        absent = [token for token in required if token not in self.vocab]
        if absent:
            raise ValueError(
                f"The vocabulary lacks {', '.join(absent)}. Is it a vocabulary of another model? "
                "Other names are given as token_unk=, token_start=, token_end= (None: no such "
                "token)."
            )
        self._unk_id = self.vocab.get(token_unk)
        self._ends = self.vocab.get(token_start), self.vocab.get(token_end)
        self._frames: dict[str, Frame] = {}
        self._frame(pattern)
        self._always: set[str] = set()  # tokens that surgery must not take away
        self._pre_tokenize = pre_tokenize
        self._translate = dict(token_translate or {})
        self._translate_back = {new: old for old, new in self._translate.items()}
        absent = [token for token in self._translate.values() if token not in self.vocab]
        if absent:
            raise ValueError(f"token_translate leads to tokens not in the vocabulary: {absent}.")
        self._last: tuple[str | None, tuple] = (None, ([], []))

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
            FileNotFoundError: there is none of these files.
            ValueError: the files describe a kind of tokenizer that is not supported.
        """
        from bert4keras.tokenizers.pretrained import load_tokenizer

        return load_tokenizer(directory, **options)

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
    ) -> tuple[list[int], list[int]]:
        """Ids of a text or of a pair of texts.

        Args:
            first, second: text, or a list of tokens used as it is (with its special tokens).
            maxlen: total number of ids allowed; items are taken away from the longer text.
            pattern: as in the class, for this call: "S*ES*E" is [CLS] a [SEP] [CLS] b [SEP].
            truncate_from: "right", "left", or the index at which items are taken away.

        Returns:
            (token_ids, segment_ids), lists of int of equal length; `token_ids.pad_token_id` tells
            `DataGenerator` how to pad them.
        """
        frame = self._frame(pattern)
        if first is None:
            raise TypeError("A text must be str or a list of tokens, got NoneType.")
        first = self._part_ids(first, frame)
        second = None if second is None else self._part_ids(second, frame)
        return self._numbered(*frame.join(first, second, self._ends, maxlen, truncate_from))

    def encode_batch(
        self,
        firsts: Sequence[str],
        seconds: Sequence[str] | None = None,
        maxlen: int | None = None,
        pattern: str | None = None,
        truncate_from: str | int = "right",
        return_offsets: bool = False,
    ) -> tuple[list, ...]:
        """`encode` for many texts at once, on all cores.

        Args:
            firsts, seconds: lists of texts, of equal length.
            maxlen, pattern, truncate_from: as in `encode`.
            return_offsets: also return where each token stands in its own text.

        Returns:
            (token_ids, segment_ids): lists with one list of int per text or pair. With
            `return_offsets` a third list of (start, end) pairs, in characters of the token's
            own text (the segment id tells which, where segment ids differ); (0, 0) for special
            tokens.
        """
        frame = self._frame(pattern)
        firsts = check_texts(firsts)
        seconds = None if seconds is None else check_texts(seconds)
        if seconds is not None and len(seconds) != len(firsts):
            raise ValueError(f"{len(firsts)} first texts, but {len(seconds)} second texts.")
        with _paused_gc():
            cut = self._cut(firsts, return_offsets)
            other = [None] * len(cut) if seconds is None else self._cut(seconds, return_offsets)
            columns = []
            # Ids, then offsets: framed and cut in the same way.
            for k, ends in enumerate((self._ends, ((0, 0), (0, 0)))[: 1 + return_offsets]):
                columns.append([])
                for a, b in zip(cut, other, strict=True):
                    a = frame.wrap(a[k], *ends)
                    b = None if b is None else frame.wrap(b[k], *ends)
                    columns[k].append(frame.join(a, b, ends, maxlen, truncate_from))
            numbered = [self._numbered(*joined) for joined in columns[0]]
            result = [ids for ids, _ in numbered], [segments for _, segments in numbered]
            return (*result, [spans for spans, _ in columns[1]]) if return_offsets else result

    def tokenize(self, text: str, maxlen: int | None = None) -> list[str]:
        """Tokens of a text, special tokens of the frame included.

        What the vocabulary cannot make comes back as it is written (lower-cased by an uncased
        tokenizer); its id is that of the unknown token.
        """
        ids, spans = self._cut_one(text)
        tokens = [self._token(i, text, span) for i, span in zip(ids, spans, strict=True)]
        return self._one(tokens, self.token_start, self.token_end, maxlen)

    def offsets(self, text: str, maxlen: int | None = None) -> list[Span]:
        """Where each token of `tokenize(text, maxlen)` stands in the text.

        Returns:
            (start, end) pairs in characters; (0, 0) for special tokens.
        """
        return self._one(list(self._cut_one(text)[1]), (0, 0), (0, 0), maxlen)

    def rematch(self, text: str, tokens: Sequence[str]) -> list[list[int]]:
        """The characters of the text that each token stands for.

        Args:
            text: the original text.
            tokens: `tokenize(text)`, whole or truncated on the right, special tokens optional.

        Returns:
            A list of character indices per token; empty for special tokens.
        """
        frame = self._frame(None)
        head = frame.head and bool(tokens) and tokens[0] == self.token_start
        tail = frame.tail and len(tokens) > head and tokens[-1] == self.token_end
        inner = list(tokens[head : len(tokens) - tail])
        ids, spans = self._cut_one(text)
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

    def _cut_texts(self, texts: list[str], offsets: bool) -> list[tuple[list[int], list[Span]]]:
        """(ids, offsets) of each text, without special tokens; offsets empty unless asked for."""
        raise NotImplementedError

    def _join(self, tokens: list[str]) -> str:
        """Text of tokens, none of which is special."""
        raise NotImplementedError

    def _word_id(self, word: str) -> int | None:
        """The id of a word of `pre_tokenize` that is a token as a whole."""
        return None

    def _surface(self, text: str) -> str:
        """How an unknown piece of a text is shown as a token."""
        return text

    def _frame(self, pattern: str | None) -> Frame:
        pattern = self.pattern if pattern is None else pattern
        if pattern not in self._frames:
            has = (self.token_start is not None, self.token_end is not None)
            self._frames[pattern] = Frame.parse(pattern, *has)
        return self._frames[pattern]

    def _one(self, items: list, start, end, maxlen: int | None) -> list:
        frame = self._frame(None)
        return frame.join(frame.wrap(items, start, end), None, (start, end), maxlen)[0]

    def _numbered(self, ids: list[int], size: int) -> tuple[list[int], list[int]]:
        first, second = self.segments
        segments = [first] * size + [second] * (len(ids) - size)
        return TokenIds(ids, self.vocab.get(self.token_pad)), segments

    def _part_ids(self, part: str | Sequence[str], frame: Frame) -> list[int]:
        if isinstance(part, str):
            return frame.wrap(self._cut([part], offsets=False)[0][0], *self._ends)
        if not isinstance(part, (list, tuple)) or not all(isinstance(t, str) for t in part):
            raise TypeError(f"A text must be str or a list of tokens, got {type(part).__name__}.")
        return self.tokens_to_ids(part)

    def _cut_one(self, text: str) -> tuple[list[int], list[Span]]:
        """As `_cut`; remembers the last text, since tokenize is usually followed by rematch."""
        if self._last[0] != text or not isinstance(text, str):
            self._last = text, self._cut(check_texts([text]), offsets=True)[0]
        return self._last[1]

    def _cut(self, texts: list[str], offsets: bool) -> list[tuple[list[int], list[Span]]]:
        """`_cut_texts` with `pre_tokenize` before it and `token_translate` behind it."""
        if self._pre_tokenize is not None:
            cut = self._cut_by_words(texts)
        else:
            cut = self._cut_texts(texts, offsets or bool(self._translate))
        if self._translate:
            for text, (ids, spans) in zip(texts, cut, strict=True):
                for k, i in enumerate(ids):
                    token = self._token(i, text, spans[k])
                    if token in self._translate:
                        ids[k] = self.vocab[self._translate[token]]
        return cut

    def _cut_by_words(self, texts: list[str]) -> list[tuple[list[int], list[Span]]]:
        """The words of `pre_tokenize` that are in the vocabulary, and the pieces of the rest."""
        words = [
            (n, place, word)
            for n, text in enumerate(texts)
            for place, word in find_words(self._pre_tokenize, text)
        ]
        known = [self._word_id(word) for _, _, word in words]
        rest = [word for (_, _, word), i in zip(words, known, strict=True) if i is None]
        pieces = iter(self._cut_texts(rest, offsets=True))
        cut: list[tuple[list[int], list[Span]]] = [([], []) for _ in texts]
        for (n, (start, end), _), i in zip(words, known, strict=True):
            ids, spans = ([i], [(0, end - start)]) if i is not None else next(pieces)
            cut[n][0].extend(ids)
            cut[n][1].extend((start + a, start + b) for a, b in spans)
        return cut

    def _token(self, i: int, text: str, span: Span) -> str:
        if i != self._unk_id:
            return self._tokens[i]
        surface = self._surface(text[span[0] : span[1]])
        # Cut in the same way as the text was, an unknown piece must stay an unknown one.
        return self.token_unk if not surface or surface in self.vocab else surface


@contextlib.contextmanager
def _paused_gc() -> Iterator[None]:
    """No search for cycles while millions of small lists are made: it takes half of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
