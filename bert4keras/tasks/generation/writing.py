"""A batch of prompts through `bert4keras.generation`, and the answers as texts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...generation.generate import generate
from ...models import Backbone
from ...tokenizers.base import TokenizerBase
from ..base import TaskError
from .answers import Generation, decode_continuation


def write(
    model: Backbone,
    tokenizer: TokenizerBase,
    prompts: Sequence[Sequence[int]],
    continues: bool,
    inputs: Mapping[str, np.ndarray],
    request: Mapping[str, Any],
) -> list[list[Generation]]:
    """Return the answers to each prompt, the best first.

    Args:
        model, tokenizer: which write.
        prompts: token ids.
        continues: the answers continue the prompts.
        inputs: further inputs of the model.
        request: `max_new_tokens`, `end_id`, `strategy` and `processors` of `generate`.

    Raises:
        TaskError: the processors allow no answer.
    """
    found = generate(model, prompts, inputs=inputs, **request)
    answers = []
    for prompt, some, scores in zip(prompts, found.token_ids, found.scores, strict=True):
        if not some:
            raise TaskError("no answer is left that the processors allow.")
        before = prompt if continues else ()
        answers.append(
            [
                _answer_of(decode_continuation(tokenizer, ids, before), len(ids), score, request)
                for ids, score in zip(some, scores, strict=True)
            ]
        )
    return answers


def _answer_of(text: str, count: int, score: float, request: Mapping[str, Any]) -> Generation:
    """Return a text of `count` tokens, the end token left out, with a score of the strategy."""
    ended = count < request["max_new_tokens"]
    tokens = count + ended
    strategy = request["strategy"]
    score = strategy.log_probability(score, tokens)
    mean = math.exp(min(0.0, score / tokens))
    return Generation(text, mean, score, tokens, "stop" if ended else "length")
