"""Prompts of unequal length as one array: the columns of every input over prompt and answer.

Prompts are aligned at the right end of their columns, so that all rows write their next token into
the same column. Explicit positions and a padding mask tell tokens from padding. Token ids cannot,
since a model may well emit token 0.

Legend: B batch, P columns of the prompts, N new tokens, S = P + N.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from keras import ops

from ..data.padding import round_up

MULTIPLE = 32  # numbers of columns are rounded up to it, so that few shapes are compiled
_ORDER = "right-aligned prompts, then the new tokens"


@dataclasses.dataclass(frozen=True)
class Layout:
    """Inputs of the model over the columns of prompts and answers.

    Attributes:
        inputs: by name, (B, S) each, or (B, ...) for an input without columns.
        columns: P.
    """

    inputs: dict[str, np.ndarray]
    columns: int


def id_lists(
    prompts: Sequence[Sequence[int]] | np.ndarray, pad_token_id: int | None = None
) -> list[list[int]]:
    """Turn prompts into lists of ids.

    Args:
        prompts: a list of lists, taken as they are; or an int array (B, P), whose padding is
            removed at both ends.
        pad_token_id: padding id of an array; None: nothing is padding.

    Raises:
        ValueError: neither, an empty batch or an empty prompt.
    """
    if hasattr(prompts, "shape"):
        rows = np.asarray(prompts)
        if rows.ndim != 2 or not np.issubdtype(rows.dtype, np.integer):
            raise ValueError(f"prompts must be integers of shape (B, P), not {rows.shape}.")
        lists = [_stripped(row, pad_token_id) for row in rows]
    else:
        lists = [[int(i) for i in row] for row in prompts]
    if not lists:
        raise ValueError("there is no prompt: give a list of lists of token ids.")
    empty = [number for number, row in enumerate(lists) if not row]
    if empty:
        raise ValueError(f"prompt {empty[0]} is empty: give at least a start token.")
    return lists


def _stripped(row: np.ndarray, pad_token_id: int | None) -> list[int]:
    real = np.flatnonzero(row != pad_token_id) if pad_token_id is not None else np.arange(len(row))
    return row[real[0] : real[-1] + 1].tolist() if len(real) else []


def right_aligned(rows: Sequence[Sequence[int]], columns: int, fill: int = 0) -> np.ndarray:
    """Return the rows as int32 (B, P), each aligned at the right end."""
    out = np.full((len(rows), columns), fill, "int32")
    for target, row in zip(out, rows, strict=True):
        target[columns - len(row) :] = row
    return out


def lay_out(
    transformer: Any,
    prompts: list[list[int]],
    limit: int,
    segment_ids: Sequence[Sequence[int]] | None = None,
    new_segment_id: int | None = None,
    extra: Mapping[str, Any] | None = None,
) -> Layout:
    """Build the inputs of a model over prompts and answers.

    Args:
        transformer: the assembler; its mask and config tell which inputs the model has.
        prompts: B lists of ids.
        limit: N, largest number of new tokens.
        segment_ids: segment ids of the prompts; None: all 0.
        new_segment_id: segment id of new tokens; None: 1 under a mask that reads segment ids,
            else that of the prompt's last token.
        extra: other inputs by name, (B, ...), taken as they are.

    Raises:
        ValueError: a prompt is too long, an id out of range, or an input missing.
    """
    config, lengths = transformer.config, np.array([len(row) for row in prompts])
    _check(transformer, prompts, int(lengths.max()) + limit)
    columns = round_up(int(lengths.max()), multiple_of=MULTIPLE)
    longest = transformer.position.max_length(config)
    columns = columns if longest is None else min(columns, longest)
    length = columns + round_up(limit, multiple_of=MULTIPLE)
    valid = np.arange(length)[None] >= (columns - lengths)[:, None]
    new = np.broadcast_to(np.arange(length) >= columns, valid.shape)
    tokens = np.zeros((len(prompts), length), "int32")
    tokens[:, :columns] = right_aligned(prompts, columns)
    inputs = {"token_ids": tokens, "padding_mask": valid.astype("int32")}
    needs = set(transformer.mask.input_names)
    if config.segment_vocab_size or "segment_ids" in needs:
        rows = [[0] * len(row) for row in prompts] if segment_ids is None else segment_ids
        if [len(row) for row in rows] != lengths.tolist():
            raise ValueError("segment_ids must have one id for each token of each prompt.")
        segments = np.zeros_like(tokens)
        segments[:, :columns] = right_aligned(rows, columns)
        last = segments[:, columns - 1 : columns]
        target = int("segment_ids" in needs) if new_segment_id is None else new_segment_id
        keep = new_segment_id is None and "segment_ids" not in needs
        inputs["segment_ids"] = np.where(new, last if keep else target, segments).astype("int32")
    if "prefix" in needs:
        inputs["prefix"] = (~new).astype("int32")
    if "rank" in needs:
        inputs["rank"] = np.cumsum(new, axis=1, dtype="int32")
    inputs.update({name: np.asarray(value) for name, value in (extra or {}).items()})
    _check_mask_inputs({name: inputs[name] for name in needs & set(inputs)}, valid.shape)
    inputs.setdefault("position_ids", _positions(transformer, inputs, valid))
    missing = (needs | ({"condition"} if config.layer_norm_cond else set())) - set(inputs)
    if missing:
        names = ", ".join(sorted(missing))
        shape = (
            f" Those of the mask have the shape {valid.shape}: {_ORDER}." if missing & needs else ""
        )
        raise ValueError(
            f"the model also needs the inputs {names}: pass inputs={{name: array}}.{shape}"
        )
    return Layout(inputs, columns)


def _check_mask_inputs(inputs: Mapping[str, np.ndarray], shape: tuple[int, ...]) -> None:
    for name, value in inputs.items():
        if value.shape != shape:
            raise ValueError(
                f"inputs={{{name!r}: ...}} has shape {value.shape}, but must have "
                f"{shape}: {_ORDER}."
            )


def _positions(transformer: Any, inputs: Mapping[str, Any], valid: np.ndarray) -> np.ndarray:
    """Return the position of each token in its text, (B, S); padding gets the first position."""
    mask, offset = transformer.mask, transformer.position.offset(transformer.config)
    number = valid.cumsum(1)
    if mask.restarts_positions and set(mask.input_names) <= set(inputs):
        counted = ops.convert_to_numpy(mask.position_mask(inputs))
        counted = counted & np.tri(valid.shape[1], dtype=bool)
        number = (counted & valid[:, None, :]).sum(-1)
    return (np.maximum(number - 1, 0) + offset).astype("int32")


def _check(transformer: Any, prompts: list[list[int]], longest: int) -> None:
    config = transformer.config
    for number, row in enumerate(prompts):
        wrong = [i for i in row if not 0 <= i < config.vocab_size]
        if wrong:
            raise ValueError(
                f"token id {wrong[0]} of prompt {number} is outside the model's vocabulary of "
                f"{config.vocab_size} tokens. Tokenizer and model do not belong together, or "
                "`keep_tokens` was given to only one of them."
            )
    limit = transformer.position.max_length(config)
    if limit is not None and longest > limit:
        raise ValueError(
            f"prompt and new tokens are {longest} in all, more than the model's {limit} positions. "
            "Shorten the prompts (tokenizer.encode(text, maxlen=...)) or ask for fewer new tokens."
        )
