"""A pretraining run of the command line: corpus, model, loop, report.

Its state is in `OUTPUT.training` beside the output: the options, the tokenizer of a model from
scratch, the number of steps, the backup. Running the command again continues from there; when the
last checkpoint is written, it is removed.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras

from .. import __version__
from .._files import atomic_directory
from ..distribution import data_parallel
from ..models import FAMILIES
from ..optimizers import WithEMA
from ..pretraining import (
    PRETRAINING_OBJECTIVES,
    PretrainingCorpus,
    PretrainingObjective,
    PretrainingStream,
    RowPacker,
    SaveCheckpoint,
    learning_rate_schedule,
    measure_peak,
    pretrain,
    pretraining_optimizer,
)
from ..pretraining.loop import intervals
from ..pretraining.vocabulary import train_wordpiece, with_new_tokens
from ..tasks.pretrained import locate
from ..tokenizers.base import TokenizerBase
from .building import parse_options
from .common import emit, note, quiet_libraries
from .errors import Failure
from .progress import TrainingLog
from .training import check_same, tensorboard, write_indented

_SUMMARY = "pretraining.json"
_SMALL = {"hidden_size": 256, "num_hidden_layers": 4, "num_attention_heads": 4}
# Options that do not change the weights of a run.
_FREE = ("force", "output", "tensorboard", "workers", "keep_every", "valid_rows")


def run_pretraining(corpus: Sequence[Path], options: Mapping[str, Any]) -> None:
    """Pretrain, and write the checkpoint and its report.

    Raises:
        Failure: the output holds something else, or options do not fit or have changed.
        ValueError, DataFileError, CheckpointError: of options, texts or model.
    """
    output: Path = options["output"]
    state = output.parent / (output.name + ".training")
    values = {k: v for k, v in options.items() if k not in _FREE} | {"corpus": corpus}
    values = json.loads(json.dumps(values, default=str))
    if done := _check_output(output, state, values, options["force"]):
        note(f"{output} is complete; nothing to continue.")
        _print_summary(output, done)
        return
    callbacks = tensorboard(options["tensorboard"])  # raises before any work if not installed
    with quiet_libraries():
        keras.utils.set_random_seed(options["seed"])
    keras.config.set_dtype_policy(options["precision"])
    if options["data_parallel"]:
        keras.distribution.set_distribution(data_parallel())
    texts = _corpus(corpus, options)
    state.mkdir(parents=True, exist_ok=True)
    write_indented(state / "options.json", values)
    tokenizer, source, build = _tokenizer_and_model(options, texts, state)
    objective = _objective(options, tokenizer)
    packer = RowPacker(tokenizer, options["maxlen"], options["words"])
    stream = PretrainingStream(
        texts, packer, objective, options["batch_size"], options["seed"], options["workers"]
    )
    evaluation = _evaluation(options, texts, stream)
    count, per = intervals(_steps(options, stream, state), options["interval"])
    model = objective.build(source, **build)
    updates = max(1, count * per // options["accumulate"])
    rate = learning_rate_schedule(
        options["learning_rate"], updates, options["schedule"], options["warmup"]
    )
    optimizer = pretraining_optimizer(
        rate,
        options["weight_decay"],
        options["clip"] or None,
        options["accumulate"],
        options["ema"],
    )
    model.compile(optimizer, loss=objective.loss, metrics=objective.metrics)
    note(f"{model.count_params():,} weights, {count * per} steps of {stream.batch_size} rows")
    save = SaveCheckpoint(objective, output, tokenizer, per, options["keep_every"])
    log = TrainingLog(state / "log.json", per)
    callbacks = [WithEMA([save]) if options["ema"] else save, log, *callbacks]
    peak = measure_peak()
    pretrain(model, stream, state, count * per, per, evaluation, callbacks, peak)
    result = {"steps": count * per, "log": log.rows, "options": values, "peak": peak}
    result |= {"bert4keras": __version__, "backend": keras.backend.backend()}
    write_indented(output / _SUMMARY, result)
    shutil.rmtree(state)
    _print_summary(output, result)


def _check_output(
    output: Path, state: Path, values: Mapping[str, Any], force: bool
) -> dict[str, Any] | None:
    """Check output and state before anything is read; return the report of a finished run."""
    if output.is_file():
        raise Failure(f"{output} is a file; --output names a directory.")
    if force:
        shutil.rmtree(state, ignore_errors=True)
        (output / _SUMMARY).unlink(missing_ok=True)
        return None
    options, report = state / "options.json", output / _SUMMARY
    if not (state / "backup" / "backup.json").is_file():  # nothing is trained yet
        shutil.rmtree(state, ignore_errors=True)
    elif options.is_file():
        check_same(options, json.loads(options.read_text(encoding="utf-8")), values)
        note(f"continuing from {state}")
        return None
    if report.is_file():
        done = json.loads(report.read_text(encoding="utf-8"))
        check_same(report, done["options"], values)
        return done
    if output.is_dir() and any(output.iterdir()):
        raise Failure(f"{output} exists and holds no pretraining; give another, or --force.")
    return None


def _corpus(sources: Sequence[Path], options: Mapping[str, Any]) -> PretrainingCorpus:
    share = 0.0 if options["valid"] else options["held_out"]
    reading = options["documents"], options["text_column"], options["encoding"]
    return PretrainingCorpus(tuple(sources), *reading, held_out=share)


def _tokenizer_and_model(
    options: Mapping[str, Any], texts: PretrainingCorpus, state: Path
) -> tuple[TokenizerBase, Any, dict[str, Any]]:
    """Return the tokenizer, the checkpoint or config, and options of the model."""
    build: dict[str, Any] = {"remat": True} if options["remat"] else {}
    if options["model"]:
        directory = locate(options["model"])
        tokenizer = TokenizerBase.from_pretrained(directory)
        if options["new_tokens"]:
            lines = options["new_tokens"].read_text(encoding="utf-8").splitlines()
            tokenizer, build["compound_tokens"] = with_new_tokens(directory, lines)
            note(f"{len(build['compound_tokens'])} new tokens")
        if options["max_positions"]:
            build |= {"max_position": options["max_positions"], "autoresize_weights": True}
        return tokenizer, directory, {**build, "ignore": ["MLM-*", "*/MLM-*"]}
    made = state / "tokenizer"
    if options["tokenizer"]:
        tokenizer = TokenizerBase.from_pretrained(locate(options["tokenizer"]))
    elif made.is_dir():
        tokenizer = TokenizerBase.from_pretrained(made)
    else:
        note("making a vocabulary ...")
        tokenizer = train_wordpiece(texts.texts(), options["vocab_size"], not options["cased"])
        with atomic_directory(made) as new:
            tokenizer.save(new)
    if options["family"] not in FAMILIES:
        raise Failure(f"--family {options['family']}: known are {', '.join(sorted(FAMILIES))}.")
    sizes = {**_SMALL, **parse_options(options["size"])}
    sizes.setdefault("intermediate_size", 4 * sizes["hidden_size"])
    sizes.setdefault("max_position", max(512, options["maxlen"]))
    config = {**sizes, "vocab_size": tokenizer.vocab_size, "model_type": options["family"]}
    if tokenizer.pad_token_id is not None:
        config["pad_token_id"] = tokenizer.pad_token_id
    return tokenizer, config, build


def _objective(options: Mapping[str, Any], tokenizer: TokenizerBase) -> PretrainingObjective:
    name = options["objective"]
    if name not in PRETRAINING_OBJECTIVES:
        known = ", ".join(sorted(PRETRAINING_OBJECTIVES))
        raise Failure(f"--objective {name!r} is unknown; known are {known}.")
    given = parse_options(options["options"])
    try:
        return PRETRAINING_OBJECTIVES[name](tokenizer, **given)
    except TypeError as error:
        raise Failure(f"--objective {name}, --option: {error}") from None


def _evaluation(
    options: Mapping[str, Any], texts: PretrainingCorpus, stream: PretrainingStream
) -> Any:
    """Return the rows to evaluate on; None if nothing is held out."""
    if options["valid"]:
        held = _corpus(options["valid"], options)
    elif texts.held_out:
        held = dataclasses.replace(texts, part="held_out")
        if next(held.texts(), None) is None:
            note("the corpus is too small to hold out texts; nothing is evaluated.")
            return None
    else:
        return None
    rows = PretrainingStream(held, stream.packer, stream.objective, stream.batch_size, stream.seed)
    return rows.rows(options["valid_rows"])


def _steps(options: Mapping[str, Any], stream: PretrainingStream, state: Path) -> int:
    """Return the number of steps; rows are counted once for --epochs."""
    if options["steps"]:
        return options["steps"]
    path = state / "rows.json"
    if not path.is_file():
        note("counting the rows of an epoch ...")
        write_indented(path, {"rows": stream.count_rows()})
    rows = json.loads(path.read_text(encoding="utf-8"))["rows"]
    return max(1, options["epochs"] * rows // stream.batch_size)


def _print_summary(output: Path, result: Mapping[str, Any]) -> None:
    last = result["log"][-1] if result["log"] else {}
    lines = [f"{name} {value:.4g}" for name, value in last.items() if name not in ("epoch", "step")]
    emit({"output": str(output), **result}, "\n".join([*lines, f"saved {output}"]))
