"""Pretraining from raw texts, which are tokenized, packed and masked during the measured steps."""

from __future__ import annotations

import tempfile
from pathlib import Path

import keras

from benchmarks import inputs
from bert4keras import Tokenizer
from bert4keras.pretraining import MaskedLM, PretrainingCorpus, PretrainingStream, RowPacker


def pretrain(options: dict):
    texts, _ = inputs.read_samples(options["samples"])
    path = Path(tempfile.mkdtemp()) / "texts.txt"
    path.write_text("\n".join(texts), encoding="utf-8")
    tokenizer = Tokenizer.from_pretrained(options["checkpoint"])
    objective = MaskedLM(tokenizer, unit="tokens")
    stream = PretrainingStream(
        PretrainingCorpus([path], "lines", held_out=0.0),
        RowPacker(tokenizer, inputs.LENGTH),
        objective,
        inputs.BATCH,
        workers=0,  # in the process whose time is measured
    )
    model = objective.build({"model_type": "bert", **inputs.MINILM_CONFIG})
    model.compile(keras.optimizers.AdamW(inputs.LEARNING_RATE), objective.loss)

    def run() -> None:
        batches = ((batch.inputs, batch.targets) for batch in stream.batches())
        model.fit(batches, steps_per_epoch=options["steps"], shuffle=False, verbose=0)

    return run, options["steps"]


CASES = {"pretrain": pretrain}
