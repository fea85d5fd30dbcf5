"""What every tokenizer shares: special tokens, pairs, segment ids and truncation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from bert4keras.data.padding import truncate_sequences

_SPECIALS = ("pad", "unk", "mask", "start", "end")
_PATTERNS = ("S*E*E", "S*ES*E")


class TokenizerBase:
    """The vocabulary and the frame [CLS] ... [SEP] ... [SEP] around what a subclass cuts up.

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
        token_pad: str = "[PAD]",
        token_unk: str = "[UNK]",
        token_mask: str = "[MASK]",
    ):
        self.vocab = dict(vocab)
        self.token_pad, self.token_unk, self.token_mask = token_pad, token_unk, token_mask
        self.token_start, self.token_end = token_start, token_end
        self._tokens = {i: token for token, i in self.vocab.items()}
        if len(self._tokens) != len(self.vocab):
            raise ValueError("Two tokens of the vocabulary have the same id.")
        required = [token_unk, *(t for t in (token_start, token_end) if t is not None)]
        absent = [token for token in required if token not in self.vocab]
        if absent:
            raise ValueError(
                f"The vocabulary lacks {', '.join(absent)}. Is it a BERT vocabulary? Other names "
                "are given as token_unk=, token_start=, token_end= (None: no such token)."
            )
        self._unk_id = self.vocab[token_unk]

    def __getattr__(self, name: str):
        known = self.__dict__
        plain = name.removeprefix("_")
        special = plain.removeprefix("token_").removesuffix("_id")
        if plain == f"token_{special}_id" and special in _SPECIALS:
            token = known[f"token_{special}"]
            if token not in known["vocab"]:
                raise ValueError(f"The vocabulary has no {token}, so it has no {plain}.")
            return known["vocab"][token]
        if name in ("_token_dict", "_vocab_size") and "vocab" in known:
            return known["vocab"] if name == "_token_dict" else self.vocab_size
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")

    @property
    def vocab_size(self) -> int:
        """Rows that an embedding needs: the largest id + 1."""
        return max(self._tokens) + 1

    def token_to_id(self, token: str) -> int:
        """The id of a token; that of [UNK] if the vocabulary does not have it."""
        return self.vocab.get(token, self._unk_id)

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
        return [self.vocab.get(token, self._unk_id) for token in tokens]

    def ids_to_tokens(self, ids: Iterable[int]) -> list[str]:
        """The tokens of ids."""
        return [self.id_to_token(i) for i in ids]

    def _framed(self, items: list, start, end) -> list:
        head = [] if self.token_start is None else [start]
        return [*head, *items, *([] if self.token_end is None else [end])]

    def _merge(
        self,
        first: list,
        second: list | None,
        maxlen: int | None,
        pattern: str,
        truncate_from: str | int,
    ) -> tuple[list, list[int]]:
        """Cut a framed pair to `maxlen` items, join it, and number the segments."""
        if maxlen is not None:
            self._truncate(maxlen, truncate_from, pattern, first, second)
        segment_ids = [0] * len(first)
        if second is None:
            return first, segment_ids
        if pattern == "S*E*E" and self.token_start is not None:
            second = second[1:]
        return first + second, segment_ids + [1] * len(second)

    def _truncate(self, maxlen, truncate_from, pattern, first, second) -> None:
        if truncate_from == "right":
            index = -1 - (self.token_end is not None)
        elif truncate_from == "left":
            index = int(self.token_start is not None)
        elif isinstance(truncate_from, int):
            index = truncate_from
        else:
            raise ValueError(
                f"truncate_from must be 'right', 'left' or an index, not {truncate_from!r}."
            )
        parts = [first] if second is None else [first, second]
        # The start token of the second text is only dropped after truncation.
        extra = second is not None and pattern == "S*E*E" and self.token_start is not None
        frame = (self.token_start is not None) + (self.token_end is not None)
        if maxlen + extra < frame * len(parts):
            raise ValueError(
                f"maxlen={maxlen} leaves no room for the {frame * len(parts) - extra} special "
                "tokens."
            )
        truncate_sequences(maxlen + extra, index, *parts)


def check_pattern(pattern: str) -> None:
    """Raise ValueError unless the pattern is one of the two known ones."""
    if pattern not in _PATTERNS:
        raise ValueError(f"pattern must be one of {', '.join(_PATTERNS)}, not {pattern!r}.")


def check_texts(texts: Sequence[str], name: str = "text") -> list[str]:
    """Raise TypeError unless all are str; return them as a list."""
    if isinstance(texts, (str, bytes)):
        raise TypeError(f"Expected a list of {name}s, got one {type(texts).__name__}.")
    texts = list(texts)
    for i, text in enumerate(texts):
        if not isinstance(text, str):
            raise TypeError(f"A {name} must be str, got {type(text).__name__} ({name} {i}).")
    return texts
