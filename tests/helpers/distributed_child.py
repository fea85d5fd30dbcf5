"""Trainings on several devices, or as one of several processes; writes what came out.

    python distributed_child.py JOB OUTPUT [OPTIONS of the job as JSON]

A training is named by its parts, such as "crf+accumulate+ema". Dropout is on: on JAX the numbers
that are drawn do not depend on the number of devices. The optimizer is plain gradient descent,
because Adam divides a gradient that is only rounding error by its own size.
"""

from __future__ import annotations

import contextlib
import json
import sys
import tempfile
from pathlib import Path

import keras
import numpy as np

from bert4keras import distribution
from bert4keras.data import DataGenerator
from bert4keras.layers import FirstToken
from bert4keras.losses import SparseCategoricalCrossentropy
from bert4keras.models import build_transformer_model
from bert4keras.optimizers import EMA, Accumulate, Clip, ExtendedOptimizer, Lookahead
from bert4keras.pretraining import (
    MaskedLM,
    PretrainingCorpus,
    PretrainingStream,
    RowPacker,
    pretrain,
)
from bert4keras.tasks.tagging.crf import ConditionalRandomField
from bert4keras.tokenizers import Tokenizer
from bert4keras.training import FGM, RDrop, RegularizedModel

CLASSES, BATCH, EPOCHS = 3, 8, 2
CONFIG = {
    "model_type": "bert",
    "vocab_size": 20,
    "hidden_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 12,
    "max_position": 16,
    "initializer_range": 0.5,
}
EXTENSIONS = {
    "accumulate": lambda: Accumulate(2),
    "lookahead": lambda: Lookahead(2),
    "ema": lambda: EMA(0.9),
    "clip": lambda: Clip(0.5),
}
TECHNIQUES = {"fgm": lambda: FGM(0.5), "rdrop": lambda: RDrop(4.0)}


def samples() -> list[tuple[list[int], list[int]]]:
    """32 rows of 2 to 11 ids, in groups of similar length, with a label for each."""
    rng = np.random.default_rng(0)
    rows = [rng.integers(1, 20, n) for n in rng.integers(2, 12, 32)]
    return [(row.tolist(), (row % CLASSES).tolist()) for row in rows]


def generator(parts: list[str], shuffle: bool = True, **options) -> DataGenerator:
    """Batches of the samples, with labels per token for taggers; "widths": padded to two."""
    tags = bool({"tags", "crf"} & set(parts))
    return DataGenerator(
        samples(),
        BATCH,
        encode=lambda s: ((s[0], [0] * len(s[0])), s[1] if tags else s[1][0]),
        shuffle=shuffle,
        seed=1,
        buckets=[5, 12] if "widths" in parts else [12],
        **options,
    )


def model(parts: list[str], dropout: float = 0.2) -> keras.Model:
    """A compiled model of one training."""
    keras.utils.set_random_seed(0)
    rates = {"dropout_rate": dropout, "attention_dropout_rate": dropout}
    encoder = build_transformer_model({**CONFIG, **rates})
    x = encoder.output
    if "crf" in parts:
        head = ConditionalRandomField(CLASSES, name="CRF")
        made, loss = keras.Model(encoder.input, head(x)), head.loss
    else:
        x = x if "tags" in parts else FirstToken()(x)
        x = keras.layers.Dense(CLASSES, "softmax", name="Scores")(x)
        made, loss = keras.Model(encoder.input, x), SparseCategoricalCrossentropy()
    techniques = [TECHNIQUES[part]() for part in parts if part in TECHNIQUES]
    made = RegularizedModel(made, techniques) if techniques else made
    optimizer = keras.optimizers.SGD(0.05, momentum=0.9)
    extensions = [EXTENSIONS[part]() for part in parts if part in EXTENSIONS]
    optimizer = ExtendedOptimizer(optimizer, extensions) if extensions else optimizer
    made.compile(optimizer, loss)
    return made


def pretrained(directory: Path, shard: tuple[int, int], dropout: float) -> dict:
    """Pretrain a masked LM in two parts, the second from a backup; its losses and weights."""
    letters = "abcdefghijklmno"
    texts = [" ".join(letters[(n * k) % 15] for k in range(2 + n % 9)) for n in range(80)]
    if shard[0] == 0:
        (directory / "texts.txt").write_text("\n".join(texts), encoding="utf-8")
    wait_for_all(shard[1])
    tokenizer = Tokenizer(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters])
    objective = MaskedLM(tokenizer, rate=0.3)
    corpus = PretrainingCorpus([directory / "texts.txt"], "lines")
    parts = corpus, RowPacker(tokenizer, 12), objective
    stream = PretrainingStream(*parts, BATCH // shard[1], workers=0, shard=shard)
    losses = []
    for steps in (3, 6):
        wait_for_all(shard[1])  # the first one writes the backup
        keras.utils.set_random_seed(0)
        rates = {"dropout_rate": dropout, "attention_dropout_rate": dropout}
        made = objective.build({**CONFIG, **rates})
        made.compile(keras.optimizers.SGD(0.2, momentum=0.9), objective.loss)
        rows = stream.rows(BATCH)
        history = pretrain(made, stream, directory / "state", steps, 3, rows)
        losses += history["loss"] + history["val_loss"]
    return {"loss": losses[::2], "evaluated": losses[1::2], "weights": flat_weights(made)}


def wait_for_all(size: int) -> None:
    if size > 1:
        from jax.experimental import multihost_utils

        multihost_utils.sync_global_devices("files")


def flat_weights(made: keras.Model) -> list[float]:
    return np.concatenate(
        [np.ravel(keras.ops.convert_to_numpy(v)) for v in made.trainable_variables]
    ).tolist()


def train(
    name: str,
    shard: tuple[int, int] | None = None,
    dropout: float = 0.2,
    scope=contextlib.nullcontext,
    directory: str | None = None,
) -> dict:
    """Train one model; return its losses, its weights, and its averages if it has any.

    Files go to `directory`.
    """
    parts = name.split("+")
    if "mlm" in parts:
        with tempfile.TemporaryDirectory() as own:
            return pretrained(Path(directory or own), shard or (0, 1), dropout)
    with scope():
        made = model(parts, dropout)
    history = made.fit(generator(parts, shard=shard), epochs=EPOCHS, verbose=0)
    found = {"loss": history.history["loss"]}
    found["weights"] = flat_weights(made)
    if "ema" in parts:
        found["averages"] = [float(v.sum()) for v in made.optimizer.average_values().values()]
    if "tags" in parts:
        test = generator(parts, shuffle=False, shard=shard)
        found["evaluated"] = made.evaluate(test, verbose=0)
    return found


def devices(names: list[str], counts: list[int | str]) -> dict:
    """Train each model without a distribution (0), on some devices, and "split" over 2 of 4."""
    found = {}
    for name in names:
        for count in counts:
            made = None
            if count == "split":
                made = distribution.model_parallel(2, layouts={"Scores/bias": ("model",)})
            elif count:
                made = distribution.data_parallel(keras.distribution.list_devices()[:count])
            keras.distribution.set_distribution(made)
            found[f"{name} {count}"] = train(name)
            if count == "split":
                found["layouts"] = {
                    v.path: str(v.value.sharding.spec) for v in model(["tags"]).weights
                }
    return found


def processes(
    names: list[str], place: tuple[str, int, int] | None, alone: list[str], directory: str
) -> dict:
    """Train each model as one process of several; those of `alone` with no part of the data.

    `place` is the address of the first process, their number, and the number of this one; without
    it, all come from environment variables.
    """
    keras.distribution.initialize(*(place or ()))
    keras.distribution.set_distribution(distribution.data_parallel())
    shard = distribution.data_shard()
    found = {name: train(name, shard, directory=directory) for name in names}
    found |= {f"{name} alone": train(name, (0, 1)) for name in alone}
    return found


def mirrored(names: list[str]) -> dict:
    """Train each model on TensorFlow, on one device and on two replicas, without dropout."""
    import tensorflow as tf

    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    found = {}
    for name in names:
        found[f"{name} 1"] = train(name, dropout=0.0)
        found[f"{name} 2"] = train(name, dropout=0.0, scope=strategy.scope)
    return found


if __name__ == "__main__":
    job, output, options = sys.argv[1], Path(sys.argv[2]), json.loads(sys.argv[3])
    jobs = {function.__name__: function for function in (devices, processes, mirrored)}
    output.write_text(json.dumps(jobs[job](**options)), encoding="utf-8")
