"""Make a small Chinese and English BERT from raw texts: masked LM, and distillation of a teacher.

The student has the teacher's vocabulary and starts with its token vectors, reduced by PCA. It
learns the teacher's last hidden states besides the masked tokens (`DistilledMaskedLM`). OUTPUT
becomes a checkpoint in the Hugging Face layout with weights in float16 and a model card. With
--hours the steps that fit are found by a short trial; the same command continues a run that was
killed, from OUTPUT.training.

Seen on one core: 1,800 tokens a second with tensorflow, 1,200 with jax, 1,000 with torch, and about
half of the arithmetic is the teacher's. If two cores do twice as much, 2.5 hours are up to 29
million tokens, 7,000 steps of 32 rows of 128 tokens.

Example: scripts/pretrain_small small wiki/ --text news=a.txt,b.txt --hours 2.5 --licence "CC BY-SA"
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from bert4keras import Tokenizer
from bert4keras._files import atomic_file
from bert4keras.checkpoints import CheckpointError, fetch, open_checkpoint
from bert4keras.checkpoints.writers import write_safetensors
from bert4keras.data import DataFileError
from bert4keras.models import Backbone, build_transformer_model
from bert4keras.pretraining import (
    DistilledMaskedLM,
    PretrainingCorpus,
    PretrainingStream,
    RowPacker,
    SaveCheckpoint,
    learning_rate_schedule,
    pretrain,
    pretraining_optimizer,
    reduce_token_vectors,
)
from bert4keras.pretraining.loop import intervals

TEACHER = "multilingual-e5-small-zh-en"
_TRIAL = 8  # steps that are timed
_RESERVE = 0.1  # share of the time for evaluations and backups
_INTERVALS = 20
# Licences that a model card can name.
_LICENCES = ("apache-2.0", "mit", "bsd-3-clause", "cc0-1.0", "cc-by-4.0", "cc-by-sa-4.0")

_CARD = """\
---
language: [zh, en]
license: {identifier}
library_name: transformers
pipeline_tag: fill-mask
---
# {name}

A small BERT for Chinese and English: {sizes}, {weights} weights stored as float16.
It was trained as a masked language model together with distillation from the frozen teacher
{teacher}: a linear projection of its last hidden states, dropped afterwards, learned
those of the teacher for the text without masks (1 - cosine, times {weight}). The vocabulary is
the teacher's. {start}

- Training: {steps} steps of {batch} rows of {length} tokens, in which texts are packed;
  {rate} as the highest learning rate, seed {seed}, backend {backend}.
- Texts: {texts}.
- Licence, as stated by who made it: {licence}.

{figures}Made with `scripts/pretrain_small` of bert4keras. Load it with
`bert4keras.build_transformer_model(DIR)`, `bert4keras.tasks.load(DIR)` or transformers.
"""


class Deadline(keras.callbacks.Callback):
    """Stop at the end of an interval if the next one would end too late."""

    def __init__(self, at: float):
        super().__init__()
        self.at, self.begun = at, time.perf_counter()

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self.begun = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        now = time.perf_counter()
        print(f"interval {epoch + 1}: {show(logs or {})}", flush=True)
        if now + (now - self.begun) > self.at and epoch + 1 < self.params["epochs"]:
            print("the time is over before all steps are done", file=sys.stderr)
            self.model.stop_training = True


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "pretrain_small", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    add = parser.add_argument
    add("output", type=Path, help="checkpoint directory to write")
    add("files", nargs="*", type=Path, help="texts: files and directories")
    add("--text", action="append", default=[], metavar="NAME=FILE[,FILE]", help="named texts")
    add("--documents", default="paragraphs", help="of text files: paragraphs, lines or files")
    budget = parser.add_mutually_exclusive_group(required=True)
    budget.add_argument("--hours", type=float, help="time to train")
    budget.add_argument("--steps", type=int, help="batches to train on")
    add("--teacher", help=f"checkpoint directory (default: {TEACHER}, downloaded)")
    add("--licence", default="not stated", help="of the result, for the model card")
    # The teacher's vectors are narrow: the distance to their mean is only about 0.2.
    add("--weight", type=float, default=10.0, help="of the distance from the teacher (10)")
    for name, default in (("layers", 4), ("hidden", 256), ("heads", 4), ("inner", 0)):
        add(f"--{name}", type=int, default=default, help=f"(default: {default or '4 x hidden'})")
    add("--random-token-vectors", action="store_true", help="do not start with the teacher's")
    add("--batch-size", type=int, default=32, help="rows")
    add("--length", type=int, default=128, help="tokens of a row")
    add("--learning-rate", type=float, default=1e-3)
    add("--held-out", type=float, default=0.01, help="share of the texts to evaluate on")
    add("--workers", type=int, default=1, help="processes that make batches")
    add("--seed", type=int, default=1)
    options = parser.parse_intermixed_args(arguments)
    options.texts = [*(("", path) for path in options.files)]
    for text in options.text:
        name, found, files = text.partition("=")
        if not (name and found and files):
            parser.error(f"--text {text!r} must be NAME=FILE or NAME=FILE,FILE.")
        options.texts += [(name, Path(file)) for file in files.split(",")]
    if not options.texts:
        parser.error("no texts: name files, directories or --text NAME=FILE.")
    if (options.hours or options.steps or 0) <= 0:
        parser.error("--hours and --steps must be above 0.")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status."""
    options = parse(arguments)
    try:
        run(options)
    except (ValueError, OSError, DataFileError, CheckpointError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def run(options: argparse.Namespace) -> None:
    """Train, write the checkpoint, and print its size."""
    begun = time.perf_counter()
    output: Path = options.output
    state = output.parent / f"{output.name}.training"
    if output.exists() and not state.is_dir():
        raise ValueError(f"{output} exists; give another directory, or remove it.")
    directory = Path(options.teacher) if options.teacher else fetch(TEACHER)
    tokenizer = Tokenizer.from_pretrained(directory)
    teacher = build_transformer_model(directory, application="packed", name="teacher")
    objective = DistilledMaskedLM(tokenizer, options.weight)
    paths = [path for _, path in options.texts]
    corpus = PretrainingCorpus(paths, options.documents, held_out=options.held_out)
    packer = RowPacker(tokenizer, options.length)
    stream = PretrainingStream(
        corpus, packer, objective, options.batch_size, options.seed, options.workers
    )
    config = student_config(options, tokenizer)
    steps = plan_steps(options, state, stream, config, teacher, begun)
    count, per = intervals(steps, max(10, steps // _INTERVALS))
    model = compiled(options, objective, config, teacher, count * per)
    student = objective.backbone(model)
    if not options.random_token_vectors:
        share = reduce_token_vectors(teacher, student)
        print(f"token vectors keep {share:.0%} of the teacher's variance", flush=True)
    weights = student.count_params()
    print(f"{weights:,} weights, {count * per} steps of {options.batch_size} rows", flush=True)
    save = SaveCheckpoint(objective, output, tokenizer, per)
    end = begun + 3600 * options.hours if options.hours else float("inf")
    history = pretrain(
        model, stream, state, count * per, per, evaluation(options, stream), [save, Deadline(end)]
    )
    size = to_half(output / "model.safetensors")
    done = int(model.optimizer.iterations) if history else count * per
    write_card(options, config, weights, done, {k: v[-1] for k, v in history.items()})
    shutil.rmtree(state)
    print(f"saved {output}: {done} steps, {size / 1e6:.1f} MB of weights")


def student_config(options: argparse.Namespace, tokenizer: Any) -> dict[str, Any]:
    """Return the config of the student."""
    return {
        "model_type": "bert",
        "vocab_size": tokenizer.vocab_size,
        "hidden_size": options.hidden,
        "num_hidden_layers": options.layers,
        "num_attention_heads": options.heads,
        "intermediate_size": options.inner or 4 * options.hidden,
        "max_position": max(512, options.length),
        "pad_token_id": tokenizer.pad_token_id or 0,
    }


def compiled(
    options: argparse.Namespace,
    objective: DistilledMaskedLM,
    config: dict[str, Any],
    teacher: Backbone,
    steps: int,
) -> keras.Model:
    """Build the model, the same for the same seed, with the optimizer for some steps."""
    keras.utils.set_random_seed(options.seed)
    model = objective.build(config, teacher=teacher)
    rate = learning_rate_schedule(options.learning_rate, steps, "linear", 0.05)
    model.compile(pretraining_optimizer(rate), objective.loss, metrics=objective.metrics)
    return model


def plan_steps(
    options: argparse.Namespace,
    state: Path,
    stream: PretrainingStream,
    config: dict[str, Any],
    teacher: Backbone,
    begun: float,
) -> int:
    """Return the number of steps, the same when the run is continued.

    Raises:
        ValueError: the run that is continued has other options.
    """
    free = ("output", "files", "text", "licence", "workers")
    wanted = {k: str(v) for k, v in vars(options).items() if k not in free}
    path = state / "plan.json"
    if path.is_file():
        plan = json.loads(path.read_text(encoding="utf-8"))
        if plan["wanted"] != wanted:
            raise ValueError(f"{state} is of a run with other options; remove it to start over.")
        return plan["steps"]
    steps = options.steps
    if not steps:
        seconds = time_step(compiled(options, stream.objective, config, teacher, 100), stream)
        left = 3600 * options.hours - (time.perf_counter() - begun)
        steps = max(1, int(left * (1 - _RESERVE) / seconds))
        print(f"{seconds:.2f} seconds a step", flush=True)
    state.mkdir(parents=True, exist_ok=True)
    with atomic_file(path) as new:
        new.write_text(json.dumps({"wanted": wanted, "steps": steps}), encoding="utf-8")
    return steps


def time_step(model: keras.Model, stream: PretrainingStream) -> float:
    """Return the seconds of a step, without the first two, which compile."""
    batches, begun = stream.batches(), 0.0
    for number in range(_TRIAL + 2):
        if number == 2:
            begun = time.perf_counter()
        batch = next(batches)
        model.train_on_batch(batch.inputs, batch.targets)
    seconds = time.perf_counter() - begun
    batches.close()  # type: ignore[attr-defined]  # a generator, whose workers end
    return seconds / _TRIAL


def evaluation(options: argparse.Namespace, stream: PretrainingStream) -> Any:
    """Return up to 256 rows that are held out; None if there are none."""
    paths = [path for _, path in options.texts]
    held = PretrainingCorpus(paths, options.documents, held_out=options.held_out, part="held_out")
    if not options.held_out or next(held.texts(), None) is None:
        return None
    parts = stream.packer, stream.objective, stream.batch_size, stream.seed
    return PretrainingStream(held, *parts, workers=0).rows(256)


def to_half(path: Path) -> int:
    """Rewrite the weights of a checkpoint in float16; return the size of the file in bytes."""
    with open_checkpoint(path) as reader:
        tensors = {name: np.asarray(reader.read(name)) for name in reader.names}
    half = {k: x.astype("float16") if x.dtype.kind == "f" else x for k, x in tensors.items()}
    write_safetensors(path, half)
    return path.stat().st_size


def show(logs: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in logs.items())


def write_card(
    options: argparse.Namespace,
    config: dict[str, Any],
    weights: int,
    steps: int,
    logs: dict[str, float],
) -> None:
    """Write README.md; its figures are those of the last evaluation on held-out texts, if any."""
    measured = {k: v for k, v in logs.items() if k.startswith("val_")}
    figures = f"Measured at the end on held-out texts: {show(measured)}.\n\n" if measured else ""
    texts = (f"{name} ({path.name})" if name else path.name for name, path in options.texts)
    start = "Its weights were random at the start" + (
        "." if options.random_token_vectors else ", but the token vectors: the teacher's, by PCA."
    )
    identifier = options.licence.lower().replace(" ", "-")
    sizes = f"{config['num_hidden_layers']} layers of width {config['hidden_size']}"
    card = _CARD.format(
        name=options.output.resolve().name,
        identifier=identifier if identifier in _LICENCES else "other",
        sizes=f"{sizes}, {config['vocab_size']:,} tokens",
        weights=f"{weights:,}",
        teacher=Path(options.teacher).name if options.teacher else TEACHER,
        weight=options.weight,
        start=start,
        steps=steps,
        batch=options.batch_size,
        length=options.length,
        rate=options.learning_rate,
        seed=options.seed,
        backend=keras.backend.backend(),
        texts=", ".join(texts),
        licence=options.licence,
        figures=figures,
    )
    with atomic_file(options.output / "README.md") as new:
        new.write_text(card, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
