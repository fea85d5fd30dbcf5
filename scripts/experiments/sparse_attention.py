"""Time and memory of attention in bands and of dense attention under the same sparse mask.

    python scripts/experiments/sparse_attention.py                        all backends installed
    python scripts/experiments/sparse_attention.py --backends torch --kinds layer
    KERAS_BACKEND=torch python scripts/experiments/sparse_attention.py --in-turn --lengths 512

Each figure comes from a fresh process, which runs one text through one attention layer (`layer`),
or through an encoder of two blocks (`encoder`), forward or with a training step (`training`).
A layer without its attention gives the time and memory of inputs, projections and output
(`projections`), below which no attention can get. Peak is the largest resident set during the calls
minus that before the first, which follows a short text: then the code of the backend is loaded.
Time is processor time of all threads together, the median of the later calls, so that other
programs disturb it little. Dense and banded processes alternate, and so do the lengths. The mask is
`Window(64)`: 128 tokens around each, and itself.

`--in-turn` compares the times of a layer in one process instead, where dense attention and bands
take turns: for lengths at which they are nearly equal. Texts too short for bands get them too.
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

HEAD_SIZE, WINDOW = 64, 64
SHORT = 448  # tokens of the text that comes first; long enough for bands
BACKENDS = ("tensorflow", "jax", "torch")
KINDS = ("layer", "encoder", "training")


def layer_model(heads, bands, attends=True):
    """One attention layer, with its mask; without its attention it adds queries, keys, values."""
    import keras

    from bert4keras.layers import AttentionMask, MultiHeadAttention
    from bert4keras.layers.attention import AttentionOutput
    from bert4keras.masks import Window

    class Projections(MultiHeadAttention):
        def attend(self, *, query, key, value, **_):
            return AttentionOutput(query + key + value)

    token_ids, x = keras.Input((None,), dtype="int32"), keras.Input((None, heads * HEAD_SIZE))
    strategy, arguments = Window(WINDOW), {}
    bands = strategy.bands if bands else ()
    if attends:
        mask = AttentionMask(strategy, bands=bands)({"token_ids": token_ids})
        arguments["attention_mask"] = mask
    layer = (MultiHeadAttention if attends else Projections)(heads, HEAD_SIZE, bands=bands)
    return keras.Model([token_ids, x], layer(x, **arguments))


def encoder_model(heads, bands, length):
    """Two blocks of BERT, with its embeddings."""
    import keras

    from bert4keras import build_transformer_model
    from bert4keras.layers import AttentionMask
    from bert4keras.masks import Window

    sizes = {"model_type": "bert", "vocab_size": 1000}
    sizes |= {"hidden_size": heads * HEAD_SIZE, "intermediate_size": 4 * heads * HEAD_SIZE}
    sizes |= {"num_attention_heads": heads, "num_hidden_layers": 2}
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


def measure(kind: str, heads: int, bands: bool, length: int, calls: int) -> dict[str, float]:
    """Run one model in this process: seconds of processor time a call, and MiB of its peak."""
    import numpy as np

    rng = np.random.default_rng(0)
    token_ids = rng.integers(1, 1000, (1, length)).astype("int32")
    if kind in ("layer", "projections"):
        model = layer_model(heads, bands, kind == "layer")
        x = rng.normal(size=(1, length, heads * HEAD_SIZE)).astype("float32")
        batch = [token_ids, x]
        run = lambda part: model.predict_on_batch([a[:, part] for a in batch])  # noqa: E731
    else:
        model = encoder_model(heads, bands, length)
        label = np.ones((1, 1), "float32")
        run = {
            "encoder": lambda part: model.predict_on_batch(token_ids[:, part]),
            "training": lambda part: model.train_on_batch(token_ids[:, part], label),
        }[kind]
    run(slice(SHORT))  # loads the code of the backend
    peak, times = Peak(), []
    for _ in range(calls + 1):
        started = time.process_time()
        run(slice(None))
        times.append(time.process_time() - started)
    return {"seconds": statistics.median(times[1:]), "mib": peak.stop()}


def print_in_turn(heads: int, length: int, calls: int) -> None:
    """Print the median times of dense attention and bands, which take turns in this process."""
    import numpy as np

    from bert4keras.masks import layer as mask_layer

    mask_layer.saves_work = lambda bands, length: bool(bands)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1, length, heads * HEAD_SIZE)).astype("float32")
    batch = [rng.integers(1, 1000, (1, length)).astype("int32"), x]
    models = {
        "dense": layer_model(heads, bands=False),
        "bands": layer_model(heads, bands=True),
        "projections": layer_model(heads, bands=True, attends=False),
    }
    times = {name: [] for name in models}
    for _ in range(calls + 2):
        for name, model in models.items():
            started = time.process_time()
            model.predict_on_batch(batch)
            times[name].append(1e3 * (time.process_time() - started))
    found = {name: np.array(values[2:]) for name, values in times.items()}  # the first compile
    low, middle, high = np.quantile(found["dense"] / found["bands"], [0.25, 0.5, 0.75])
    cells = [f"{name} {np.median(values):.1f} ms" for name, values in found.items()]
    print(f"{length:,} tokens: {', '.join(cells)}, {middle:.2f} faster ({low:.2f} to {high:.2f})")


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
    parser.add_argument("--heads", type=int, default=4, help="of 64 numbers; BERT-base has 12")
    parser.add_argument("--dense-up-to", type=int, default=4096, help="tokens")
    parser.add_argument("--calls", type=int, default=5, help="timed calls of each process")
    parser.add_argument("--in-turn", action="store_true", help="times in one process, see above")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(*json.loads(options.measure))))
        return
    if options.in_turn:
        for length in options.lengths:
            print_in_turn(options.heads, length, options.calls)
        return
    installed = [name for name in BACKENDS if importlib.util.find_spec(name)]
    names = "backend | kind | tokens | dense ms | bands ms | times faster | dense MiB | bands MiB"
    print(f"| {names} | projections ms | projections MiB |\n|{'---|' * 10}")
    for backend in options.backends or installed:
        for kind in options.kinds:
            for length in options.lengths:
                print(f"| {' | '.join(row(backend, kind, length, options))} |", flush=True)


def row(backend: str, kind: str, length: int, options: argparse.Namespace) -> list[str]:
    """Measure one row of the table."""
    runs = {"bands": (kind, True)}
    if length <= options.dense_up_to:
        runs = {"dense": (kind, False), **runs}
    if kind == "layer":
        runs["projections"] = ("projections", True)
    found = {}
    for name, (kind_of_run, bands) in runs.items():
        given = (kind_of_run, options.heads, bands, length, options.calls)
        found[name] = in_fresh_process(backend, *given)
    ms, mib = (
        {
            name: f"{factor * found[name][unit]:.0f}" if name in found else "-"
            for name in ("dense", "bands", "projections")
        }
        for unit, factor in (("seconds", 1e3), ("mib", 1))
    )
    faster = "-"
    if "dense" in found:
        faster = f"{found['dense']['seconds'] / found['bands']['seconds']:.1f}"
    cells = [ms["dense"], ms["bands"], faster, mib["dense"], mib["bands"]]
    return [backend, kind, f"{length:,}", *cells, ms["projections"], mib["projections"]]


if __name__ == "__main__":
    main()
