"""This project's cases of text generation, on the backend of KERAS_BACKEND."""

from __future__ import annotations

from keras import ops

from benchmarks import inputs
from bert4keras import build_transformer_model
from bert4keras.generation import BeamSearch, Greedy, generate
from bert4keras.generation.generate import Request


def language_model():
    return build_transformer_model(dict(inputs.MINILM_CONFIG), application="lm")


def searching(strategy):
    def case(options: dict):
        model, prompts = language_model(), inputs.prompts().tolist()

        def run() -> None:
            generate(model, prompts, inputs.NEW_TOKENS, strategy=strategy)

        return run, 1

    return case


def after(context: int):
    """Generate tokens after a context of `context` tokens that is already in the cache."""

    def case(options: dict):
        prompts = inputs.prompts(context).tolist()
        search, state = Request(32).begin(language_model(), prompts)
        until = ops.convert_to_tensor(32, "int32")

        def run() -> None:
            ops.convert_to_numpy(search.advance(state, until)["tokens"])

        return run, 32

    return case


CASES = {
    "generate": searching(Greedy()),
    "generate_beam": searching(BeamSearch(4)),
    "generate_short": after(32),
    "generate_long": after(480 - 32),
}
