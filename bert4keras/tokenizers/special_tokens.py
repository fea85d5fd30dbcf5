"""Special tokens of a tokenizer: names and ids."""

from __future__ import annotations


class SpecialTokens:
    """Mixin: ids of the special tokens whose names are attributes.

    `token_pad_id`, ... raise ValueError for a token that the vocabulary lacks; `pad_token_id`, ...
    (transformers' names) are None then. `_token_pad_id`, ..., `_token_dict` and `_vocab_size` are
    the names of old scripts.

    Attributes:
        vocab: dict token -> id.
        token_start, token_end, token_pad, token_unk, token_mask: names of the special tokens;
            None for one that does not exist.
    """

    vocab: dict[str, int]
    token_start: str | None
    token_end: str | None
    token_pad: str | None
    token_unk: str | None
    token_mask: str | None

    @property
    def special_tokens(self) -> set[str]:
        """Names of the special tokens that this tokenizer has."""
        names = self.token_pad, self.token_unk, self.token_mask, self.token_start, self.token_end
        return {name for name in names if name is not None}

    @property
    def vocab_size(self) -> int:
        """Number of rows that an embedding needs: the largest id + 1."""
        raise NotImplementedError

    @property
    def token_start_id(self) -> int:
        """Id of the token at the start of a text; ValueError if there is none."""
        return self._required_id(self.token_start, "start")

    @property
    def token_end_id(self) -> int:
        """Id of the token at the end of a text; ValueError if there is none."""
        return self._required_id(self.token_end, "end")

    @property
    def token_pad_id(self) -> int:
        """Id of the padding token; ValueError if there is none."""
        return self._required_id(self.token_pad, "pad")

    @property
    def token_unk_id(self) -> int:
        """Id of the unknown token; ValueError if there is none."""
        return self._required_id(self.token_unk, "unk")

    @property
    def token_mask_id(self) -> int:
        """Id of the mask token; ValueError if there is none."""
        return self._required_id(self.token_mask, "mask")

    @property
    def cls_token_id(self) -> int | None:
        """Id of the token at the start of a text; None if there is none."""
        return self._optional_id(self.token_start)

    @property
    def sep_token_id(self) -> int | None:
        """Id of the token at the end of a text; None if there is none."""
        return self._optional_id(self.token_end)

    @property
    def pad_token_id(self) -> int | None:
        """Id of the padding token, for `DataGenerator(pad_value=)`; None if there is none."""
        return self._optional_id(self.token_pad)

    @property
    def unk_token_id(self) -> int | None:
        """Id of the unknown token; None if there is none."""
        return self._optional_id(self.token_unk)

    @property
    def mask_token_id(self) -> int | None:
        """Id of the mask token; None if there is none."""
        return self._optional_id(self.token_mask)

    _token_start_id, _token_end_id = token_start_id, token_end_id
    _token_pad_id, _token_unk_id, _token_mask_id = token_pad_id, token_unk_id, token_mask_id

    @property
    def _token_dict(self) -> dict[str, int]:
        return self.vocab

    @property
    def _vocab_size(self) -> int:
        return self.vocab_size

    def _required_id(self, token: str | None, role: str) -> int:
        if token is None or token not in self.vocab:
            raise ValueError(
                f"The vocabulary has no {token or f'{role} token'}, so it has no token_{role}_id."
            )
        return self.vocab[token]

    def _optional_id(self, token: str | None) -> int | None:
        return None if token is None else self.vocab.get(token)
