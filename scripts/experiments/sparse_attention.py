"""Time and memory of attention in bands and of dense attention under the same sparse mask.

    python scripts/experiments/sparse_attention.py                        all backends installed
    python scripts/experiments/sparse_attention.py --backends torch --kinds layer

Each figure comes from a fresh process, which runs one text through one attention layer (`layer`),
or through an encoder of two blocks (`encoder`), forward or with a training step (`training`). Peak
is the largest resident set during the calls minus that before the first. Time is processor time of
all threads together, the median of the later calls, so that other programs disturb it little.
Dense and banded processes alternate, and so do the lengths. The mask is `Window(64)`: 128 tokens
around each, and itself.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from measure_remat import Peak

WIDTH, HEADS, WINDOW = 256, 4, 64
BACKENDS = ("tensorflow", "jax", "torch")
KINDS = ("layer", "encoder", "training")


def layer_model(bands):
    """One attention layer, with its mask."""
    import keras

    from bert4keras.layers import AttentionMask, MultiHeadAttention
    from bert4keras.masks import Window

    token_ids, x = keras.Input((None,), dtype="int32"), keras.Input((None, WIDTH))
    strategy = Window(WINDOW)
    bands = strategy.bands if bands else ()
    mask = AttentionMask(strategy, bands=bands)({"token_ids": token_ids})
    layer = MultiHeadAttention(HEADS, WIDTH // HEADS, bands=bands)
    return keras.Model([token_ids, x], layer(x, attention_mask=mask))


def encoder_model(bands, length):
    """Two blocks of BERT, with its embeddings."""
    import keras

    from bert4keras import build_transformer_model
    from bert4keras.layers import AttentionMask
    from bert4keras.masks import Window

    sizes = {"model_type": "bert", "vocab_size": 1000, "hidden_size": WIDTH}
    sizes |= {"num_attention_heads": HEADS, "num_hidden_layers": 2, "intermediate_size": 1024}
    sizes |= {"max_position_embeddings": length, "type_vocab_size": 0}
    encoder = build_transformer_model(sizes, application=Window(WINDOW))
    if not bands:
        for layer in encoder.layers:
            if isinstance(layer, AttentionMask):
                layer.bands = ()
    output = keras.layers.Dense(1)(keras.layers.GlobalAveragePooling1D()(encoder.output))
    model = keras.Model(encoder.inputs, output)
    model.compile(keras.optimizers.SGD(1e-3), "mse")
    return model


def measure(kind: str, bands: bool, length: int, calls: int) -> dict[str, float]:
    """Run one model in this process: seconds of processor time a call, and MiB of its peak."""
    import numpy as np

    rng = np.random.default_rng(0)
    token_ids = rng.integers(1, 1000, (1, length)).astype("int32")
    if kind == "layer":
        model = layer_model(bands)
        batch = [token_ids, rng.normal(size=(1, length, WIDTH)).astype("float32")]
        run = lambda: model.predict_on_batch(batch)  # noqa: E731
    else:
        model = encoder_model(bands, length)
        label = np.ones((1, 1), "float32")
        run = {
            "encoder": lambda: model.predict_on_batch(token_ids),
            "training": lambda: model.train_on_batch(token_ids, label),
        }[kind]
    peak, times = Peak(), []
    for _ in range(calls + 1):
        started = time.process_time()
        run()
        times.append(time.process_time() - started)
    return {"seconds": statistics.median(times[1:]), "mib": peak.stop()}


def in_fresh_process(backend: str, *arguments: object) -> dict[str, float]:
    """Call `measure` in a new process."""
    words = [sys.executable, __file__, "--measure", json.dumps(arguments)]
    env = {**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(words, env=env, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Print a table row for each backend, kind and length."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backends", nargs="+", default=None, choices=BACKENDS)
    parser.add_argument("--kinds", nargs="+", default=KINDS, choices=KINDS)
    parser.add_argument("--lengths", nargs="+", type=int, default=[512, 1024, 2048, 4096, 8192])
    parser.add_argument("--dense-up-to", type=int, default=4096, help="tokens")
    parser.add_argument("--calls", type=int, default=5, help="timed calls of each process")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(*json.loads(options.measure))))
        return
    installed = [name for name in BACKENDS if importlib.util.find_spec(name)]
    print(
        "| backend | kind | tokens | dense ms | bands ms | times faster | dense MiB | bands MiB |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for backend in options.backends or installed:
        for kind in options.kinds:
            for length in options.lengths:
                rest = (length, options.calls)
                bands = in_fresh_process(backend, kind, True, *rest)
                row = [backend, kind, f"{length:,}", "-", f"{1e3 * bands['seconds']:.0f}", "-"]
                row += ["-", f"{bands['mib']:.0f}"]
                if length <= options.dense_up_to:
                    dense = in_fresh_process(backend, kind, False, *rest)
                    row[3] = f"{1e3 * dense['seconds']:.0f}"
                    row[5] = f"{dense['seconds'] / bands['seconds']:.1f}"
                    row[6] = f"{dense['mib']:.0f}"
                print(f"| {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    main()
