"""Memory and time of a training step with and without recomputation (`remat`).

    python scripts/measure_remat.py                          the backends that are installed
    python scripts/measure_remat.py --backends jax --length 512 --batch-size 8

Each figure comes from a fresh process that trains a small BERT with random weights on one batch,
over and over. Its activations are much larger than its weights. Peak is the largest resident set
during the steps minus that before them. On JAX there is also the memory kept from the forward for
the backward pass, and the memory that the compiler plans for temporary values. Time is processor
time of all threads together: the median of the later steps.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

MIB = 2**20
SIZES = {
    "vocab_size": 1000,
    "hidden_size": 256,
    "num_attention_heads": 8,
    "intermediate_size": 1024,
    "attention_dropout_rate": 0.1,
    "dropout_rate": 0.1,
}


def resident() -> int:
    """Return the bytes of memory that this process holds now."""
    fields = Path("/proc/self/statm").read_text().split()
    return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")


class Peak:
    """Watcher of the largest `resident()` since it was made, sampled every 5 ms."""

    def __init__(self):
        self.before = self.value = resident()
        self.running = True
        self.thread = threading.Thread(target=self.watch, daemon=True)
        self.thread.start()

    def watch(self) -> None:
        while self.running:
            self.value = max(self.value, resident())
            time.sleep(0.005)

    def stop(self) -> float:
        """Return how many MiB the peak is above the start."""
        self.running = False
        self.thread.join()
        return (self.value - self.before) / MIB


def said_by_jax(model, batch) -> tuple[float | None, float | None]:
    """Return the MiB that JAX keeps between the passes, without weights, and plans for the step.

    The second are temporary values of the whole step. Both are None on other backends.
    """
    import keras

    if keras.backend.backend() != "jax":
        return None, None
    import jax

    groups = (model.trainable_variables, model.non_trainable_variables)
    trainable, other = ([variable.value for variable in group] for group in groups)

    def loss(trainable):
        y, _ = model.stateless_call(trainable, other, batch[0], training=True)
        return keras.ops.mean((y - batch[1]) ** 2)

    backward = jax.eval_shape(lambda weights: jax.vjp(loss, weights)[1], trainable)
    size = sum(a.size * a.dtype.itemsize for a in jax.tree.leaves(backward))
    kept = size - sum(value.nbytes for value in trainable)
    compiled = jax.jit(jax.grad(loss)).lower(trainable).compile()
    return kept / MIB, compiled.memory_analysis().temp_size_in_bytes / MIB


def measure(options: argparse.Namespace) -> dict:
    """Train in this process and return the figures."""
    import keras
    import numpy as np

    from bert4keras.models import build_transformer_model

    keras.utils.set_random_seed(0)
    model = build_transformer_model(
        {**SIZES, "num_hidden_layers": options.layers, "max_position": options.length},
        remat=options.remat,
    )
    model.compile(keras.optimizers.SGD(0.01), "mse")
    shape = (options.batch_size, options.length)
    rng = np.random.default_rng(0)
    ids = rng.integers(1, SIZES["vocab_size"], shape).astype("int32")
    y = rng.normal(size=(*shape, SIZES["hidden_size"])).astype("float32")
    batch = ([ids, np.zeros_like(ids)], y)
    kept, temporary = said_by_jax(model, batch)
    # A first step of one short row, so that the backend's start does not count as activations.
    model.train_on_batch([ids[:1, :8], ids[:1, :8] * 0], y[:1, :8])
    peak, times = Peak(), []
    for _ in range(options.steps):
        started = time.process_time()
        loss = float(model.train_on_batch(*batch))
        times.append(time.process_time() - started)
    times = sorted(times[1:])
    return {
        "peak": peak.stop(),
        "kept": kept,
        "temporary": temporary,
        "seconds": times[len(times) // 2],
        "loss": loss,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backends", nargs="+", default=["tensorflow", "jax", "torch"])
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--length", type=int, default=512)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--remat", type=int, choices=(0, 1), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.remat is not None:
        options.remat = bool(options.remat)
        print(json.dumps(measure(options)))
        return
    print("| backend | remat | peak, MiB | kept, MiB | planned, MiB | step, CPU s | last loss |")
    print("|---|---|---|---|---|---|---|")
    for backend in options.backends:
        if importlib.util.find_spec(backend) is None:
            continue
        for remat in (0, 1):
            command = [sys.executable, __file__, *sys.argv[1:], "--remat", str(remat)]
            environment = {**os.environ, "KERAS_BACKEND": backend}
            done = subprocess.run(command, capture_output=True, text=True, env=environment)
            if done.returncode:
                sys.exit(done.stderr)
            found = json.loads(done.stdout.splitlines()[-1])
            kept, planned = (
                "" if found[key] is None else f"{found[key]:.0f}" for key in ("kept", "temporary")
            )
            print(
                f"| {backend} | {'yes' if remat else 'no'} | {found['peak']:.0f} | {kept} "
                f"| {planned} | {found['seconds']:.2f} | {found['loss']:.4f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
