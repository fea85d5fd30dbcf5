"""Tokenization of prompts and of training samples."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...tokenizers.base import TokenizerBase
from ..base import TaskError

_TRUNCATE = ("error", "left", "right")
NONE = -1  # label of tokens that are not predicted


@dataclasses.dataclass(frozen=True)
class Prompt:
    """Input of a generator: what the model reads before it writes.

    Attributes:
        text: the text.
        second: a second text, which is encoded with the first as a pair.
        condition: one of the conditions of the `Generator`.
    """

    text: str
    second: str | None = None
    condition: str | None = None

    @classmethod
    def of(cls, sample: Any) -> Prompt:
        """Take a text, a pair of texts, or a prompt.

        Raises:
            TaskError: something else.
        """
        if isinstance(sample, str):
            return cls(sample)
        if isinstance(sample, cls):
            return sample
        if isinstance(sample, (tuple, list)) and [type(x) for x in sample] == [str, str]:
            return cls(*sample)
        raise TaskError(
            f"a prompt is a text, a pair (text, text) or a Prompt, not {sample!r:.100}. Training "
            "samples of seq2seq are pairs (prompt, target)."
        )


@dataclasses.dataclass(frozen=True)
class TrainingRow:
    """A row of a batch.

    Attributes:
        token_ids: what the model reads; for an encoder-decoder what the encoder reads.
        segment_ids: as many.
        decoder_ids: what the decoder reads; None if there is none.
        labels: next token at each position; -1 where it is not predicted.
        condition: vector of the condition; None if there is none.
    """

    token_ids: list[int]
    segment_ids: list[int]
    decoder_ids: list[int] | None
    labels: list[int]
    condition: np.ndarray | None = None


def generator_kind(transformer: Any) -> str:
    """Return how a model writes: "seq2seq" (encoder-decoder), "unilm" or "lm".

    Raises:
        TaskError: it does not write.
    """
    if not transformer.pretraining_heads.with_mlm:
        raise TaskError(
            "the model has no language-model head: build_transformer_model(..., with_mlm='linear')."
        )
    if transformer.is_encoder_decoder:
        return "seq2seq"
    if transformer.mask.has_target:
        return "unilm"
    if transformer.mask.is_causal:
        return "lm"
    raise TaskError(
        f"a model under {type(transformer.mask).__name__} does not write from left to right: "
        "build_transformer_model(..., application='lm') or application='unilm'."
    )


class PromptEncoder:
    """Encodes prompts and targets for a kind of model.

    Args:
        tokenizer: of the model.
        kind: "lm", "unilm" or "seq2seq".
        truncate: "error" for texts that are too long; or "left" or "right", the end at which
            they are cut.
        start_token: begin prompts with the end-of-text token where the tokenizer has no start
            token.
        decoder_start: token that the decoder begins with.
        conditions: names of the conditions that a prompt may have.
    """

    def __init__(
        self,
        tokenizer: TokenizerBase,
        kind: str,
        truncate: str = "error",
        start_token: bool = False,
        decoder_start: int = 0,
        conditions: Sequence[str] = (),
    ):
        if truncate not in _TRUNCATE:
            raise TaskError(f"truncate={truncate!r} must be one of {', '.join(_TRUNCATE)}.")
        self.tokenizer, self.kind, self.truncate = tokenizer, kind, truncate
        self.decoder_start, self.conditions = decoder_start, list(conditions)
        self.head = int(tokenizer.pattern.startswith("S") and tokenizer.token_start is not None)
        self.tail = int(tokenizer.pattern.endswith("E") and tokenizer.token_end is not None)
        self.end = None if tokenizer.token_end is None else tokenizer.token_end_id
        self.lead = [self.end] if start_token and not self.head and self.end is not None else []
        if kind != "lm" and self.end is None:
            raise TaskError("the tokenizer has no end token, so a text that is written never ends.")

    def source(self, prompt: Prompt, room: int) -> list[int]:
        """Return ids of a prompt, at most `room`.

        Raises:
            TaskError: there are more, and nothing is to be cut away; or there is none.
        """
        cut = self.tail if self.kind == "lm" else 0
        ids, _ = self._encode(prompt.text, prompt.second, room + cut - len(self.lead), "prompt")
        ids = self.lead + ids[: len(ids) - cut]
        if not ids and self.end is not None:
            ids = [self.end]
        if not ids:
            raise TaskError("the prompt is empty, and the tokenizer has no token to start with.")
        return ids

    def target(self, text: Any, room: int) -> list[int]:
        """Return the ids of a target text with its end token, which a cut text lacks."""
        if not isinstance(text, str):
            raise TaskError(f"a target is a text, not {text!r:.100}.")
        frame = self.head + self.tail
        ids, is_cut = self._encode(text, None, room - 1 + frame, "target")
        ids = ids[self.head : len(ids) - self.tail]
        return ids if is_cut or self.end is None else [*ids, self.end]

    def _encode(
        self, first: str, second: str | None, room: int, name: str
    ) -> tuple[list[int], bool]:
        """Return the ids of a text or a pair, and whether some were cut."""
        ids, _ = self.tokenizer.encode(first, second)
        if len(ids) <= room:
            return ids, False
        if self.truncate == "error":
            raise TaskError(
                f"the {name} {first!r:.40} has {len(ids)} tokens, and there is room for {room}. "
                "Give a larger maxlen or another max_new_tokens, shorten the text, or let "
                "Generator(..., truncate='left') (or 'right') cut it."
            )
        ids, _ = self.tokenizer.encode(
            first, second, maxlen=room, truncate_from=self.truncate, truncate=True
        )
        return ids, True

    def condition(self, prompt: Prompt) -> np.ndarray | None:
        """Return the vector of a prompt's condition: 1 at its place."""
        if not self.conditions and prompt.condition is None:
            return None
        if prompt.condition not in self.conditions:
            raise TaskError(
                f"the condition {prompt.condition!r} of a prompt is none of "
                f"{', '.join(self.conditions) or 'those of this model, which has none'}. A prompt "
                "with a condition is Prompt(text, condition=...)."
            )
        return np.eye(len(self.conditions), dtype="float32")[
            self.conditions.index(prompt.condition)
        ]

    def training_rows(self, sample: Any, maxlen: int, most: int) -> list[TrainingRow]:
        """Return the rows of a training sample.

        Args:
            sample: of a language model a text; else a pair (prompt, target).
            maxlen: tokens of a row.
            most: tokens of a target, the end token included.
        """
        if self.kind == "lm":
            return self._text(Prompt.of(sample), maxlen)
        if not isinstance(sample, (tuple, list)) or len(sample) != 2:
            raise TaskError(f"a training sample is a pair (prompt, target), not {sample!r:.100}.")
        prompt = Prompt.of(sample[0])
        source = self.source(prompt, maxlen if self.kind == "seq2seq" else maxlen - most)
        wanted, condition = self.target(sample[1], most), self.condition(prompt)
        if self.kind == "seq2seq":
            read = [self.decoder_start, *wanted[:-1]]
            return [TrainingRow(source, [0] * len(source), read, wanted, condition)]
        segments = [0] * len(source) + [1] * (len(wanted) - 1)
        labels = [NONE] * (len(source) - 1) + wanted
        return [TrainingRow(source + wanted[:-1], segments, None, labels, condition)]

    def _text(self, prompt: Prompt, maxlen: int) -> list[TrainingRow]:
        """Return rows of a text for a language model; tokens after the first are labels once."""
        ids = [*self.lead, *self.tokenizer.encode(prompt.text, prompt.second)[0]]
        if self.end is not None and not self.tail:
            ids.append(self.end)
        if len(ids) < 2:
            raise TaskError(f"the text {prompt.text!r} has no token that could be predicted.")
        rows, condition = [], self.condition(prompt)
        for start in range(0, len(ids) - 1, maxlen):
            labels = ids[start + 1 : start + 1 + maxlen]
            read = ids[start : start + len(labels)]
            rows.append(TrainingRow(read, [0] * len(read), None, labels, condition))
        return rows


def never_written(tokenizer: TokenizerBase, vocab_size: int) -> tuple[int, ...]:
    """Return ids of special tokens, except for the end token, and ids that are no token."""
    names = ("pad", "unk", "start", "mask")
    special = {getattr(tokenizer, f"token_{name}") for name in names} - {tokenizer.token_end}
    known: Sequence[tuple[str, int]] = list(tokenizer.vocab.items())
    banned = {i for token, i in known if token in special}
    return tuple(sorted(banned | set(range(vocab_size)).difference(i for _, i in known)))


def most_tokens(given: int | None, default: int) -> int:
    """Return the largest number of new tokens: the given one, or the default for None."""
    if given is not None and given < 1:
        raise TaskError(f"max_new_tokens={given} must be at least 1.")
    return default if given is None else given
