"""Measure exported sentence encoders against what else runs the same checkpoint.

    python scripts/benchmark_export.py CHECKPOINT TEXTS [--rounds 7] [--threads 1] [--clock cpu]

Sides take turns within a round, in one process, with the same number of threads; ratios are medians
over the rounds. Two cases: 16 rows of 128 token ids, and the texts from characters to vectors, in
batches of 64 of similar length. Peers that are not installed are left out: transformers and
sentence-transformers (with torch), OpenVINO and ONNX Runtime on the transformers model.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Run = Callable[[], Any]
EXPORTS = [("openvino", "float32"), ("openvino", "bfloat16"), ("openvino", "int8")]
EXPORTS += [("onnx", "float32"), ("onnx", "int8")]


def ours(checkpoint: str, texts: list[str], ids: np.ndarray, threads: int, folder: Path) -> dict:
    """Return (run on ids, run on texts) of the encoder and of its exports, by name."""
    import keras

    import bert4keras.export
    from bert4keras import tasks

    encoder = tasks.SentenceEncoder.build(checkpoint)
    rows = [ids, np.zeros_like(ids)]
    sides = {
        f"bert4keras, {keras.backend.backend()}": (
            lambda: encoder.model.predict_on_batch(rows),
            lambda: encoder.predict(texts, progress=False),
        )
    }
    wanted = encoder.predict(texts[:200])
    for format, precision in EXPORTS:
        place = folder / f"{format}-{precision}"
        calibration = texts[-300:] if precision == "int8" else ()
        encoder.export(place, format, precision, calibration=calibration)
        task = bert4keras.export.load(place, threads=threads)
        found = task.predict(texts[:200])
        cosines = (found * wanted).sum(1) / np.linalg.norm(found, axis=1)
        cosines /= np.linalg.norm(wanted, axis=1)
        print(f"{format} {precision}: smallest cosine with the original {cosines.min():.4f}")
        sides[f"export, {format} {precision}"] = (
            lambda task=task: task.model.predict_on_batch(rows),
            lambda task=task: task.predict(texts, progress=False),
        )
    return sides


def peers(checkpoint: str, texts: list[str], ids: np.ndarray, threads: int, folder: Path) -> dict:
    """Return the same for the peers that are installed."""
    try:
        import sentence_transformers
        import torch
        from transformers import AutoModel, AutoTokenizer
    except ImportError as error:
        print(f"without peers: {error}")
        return {}
    torch.set_num_threads(threads)
    model, tokenizer = (
        AutoModel.from_pretrained(checkpoint),
        AutoTokenizer.from_pretrained(checkpoint),
    )
    model.eval()
    order = sorted(texts, key=len)
    feed = {"input_ids": torch.as_tensor(ids.astype("int64"))}
    feed |= {"attention_mask": torch.ones_like(feed["input_ids"])}
    feed |= {"token_type_ids": torch.zeros_like(feed["input_ids"])}

    def on_texts(run: Callable[[dict], Any]) -> Run:
        def all_texts() -> None:
            for start in range(0, len(order), 64):
                part = order[start : start + 64]
                batch = tokenizer(part, padding=True, truncation=True, return_tensors="pt")
                vectors = np.asarray(run(dict(batch)))
                mask = batch["attention_mask"].numpy()[..., None]
                (vectors * mask).sum(1) / mask.sum(1)

        return all_texts

    def on_torch(batch: dict) -> Any:
        with torch.inference_mode():
            return model(**batch).last_hidden_state

    sides = {"transformers, torch": (lambda: on_torch(feed), on_texts(on_torch))}
    # From any other directory it makes an encoder with mean pooling.
    encoder = sentence_transformers.SentenceTransformer(checkpoint, device="cpu")
    sides["sentence-transformers, torch"] = (
        None,
        lambda: encoder.encode(texts, batch_size=64, show_progress_bar=False),
    )
    import openvino

    converted = openvino.convert_model(model, example_input=feed)
    hint = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": threads}
    graph = openvino.compile_model(converted, "CPU", hint)

    def on_openvino(batch: dict) -> Any:
        return graph({name: np.asarray(value) for name, value in batch.items()})[0]

    sides["transformers' model, openvino float32"] = (
        lambda: on_openvino(feed),
        on_texts(on_openvino),
    )
    import onnxruntime

    names, path = list(feed), str(folder / "peer.onnx")
    dims = {0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC}
    options = {"dynamo": True, "dynamic_shapes": dict.fromkeys(names, dims), "verbose": False}
    torch.onnx.export(model, kwargs=feed, input_names=names, **options).save(path)
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(path, settings, providers=["CPUExecutionProvider"])

    def on_onnx(batch: dict) -> Any:
        return session.run(None, {name: np.asarray(batch[name]) for name in names})[0]

    sides["transformers' model, onnx float32"] = (lambda: on_onnx(feed), on_texts(on_onnx))
    return sides


def table(
    sides: dict[str, tuple[Run | None, Run]],
    case: int,
    rounds: int,
    base: str,
    clock: Callable[[], float],
) -> None:
    """Measure one case and print a table; ratios are to the side `base`."""
    runs = {name: side[case] for name, side in sides.items() if side[case] is not None}
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(rounds + 1):
        for name in [*runs][:: 1 if turn % 2 else -1]:
            begun = clock()
            runs[name]()
            if turn:  # the first round is not counted
                seconds[name].append(clock() - begun)
    print("\n| side | median | times as fast |\n| --- | --- | --- |")
    for name, own in seconds.items():
        ratios = sorted(b / a for a, b in zip(own, seconds[base], strict=True))
        low, high = ratios[len(ratios) // 4], ratios[-1 - len(ratios) // 4]
        shown = f"{statistics.median(ratios):.2f} ({low:.2f} to {high:.2f})"
        print(f"| {name} | {statistics.median(own):.3f} s | {shown} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", help="directory of a BERT in the format of transformers")
    parser.add_argument("texts", help="text file, a text a line")
    parser.add_argument("--count", type=int, default=2000, help="texts (default: 2000)")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--clock",
        choices=["wall", "cpu"],
        default="wall",
        help="cpu: time of this process only, for a machine that has other work",
    )
    given = parser.parse_args()
    clock = time.process_time if given.clock == "cpu" else time.perf_counter
    lines = Path(given.texts).read_text(encoding="utf-8").splitlines()
    texts = [line for line in lines if line.strip()][: given.count]
    ids = np.random.default_rng(0).integers(1000, 20000, (16, 128)).astype("int32")
    with tempfile.TemporaryDirectory() as folder:
        arguments = (given.checkpoint, texts, ids, given.threads, Path(folder))
        sides = ours(*arguments)
        base = next(iter(sides))
        others = peers(*arguments)
        sides |= others
        base = "transformers, torch" if others else base
        print(f"\n16x128 token ids, {given.rounds} rounds, {given.threads} thread(s); to {base}")
        table(sides, 0, given.rounds, base, clock)
        print(f"\n{len(texts)} texts, as above")
        if others:
            base = "sentence-transformers, torch"
        table(sides, 1, max(3, given.rounds // 2), base, clock)


if __name__ == "__main__":
    main()
