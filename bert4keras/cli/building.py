"""A new task for `bert4keras train`: the arguments of its `build` from options and samples."""

from __future__ import annotations

import difflib
import inspect
import json
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .data import Kind, Reading
from .errors import Failure

if TYPE_CHECKING:
    from ..tasks import Task
    from .training import Settings

_LABELS = {"text-classifier": "labels", "tagger": "labels", "relations": "predicates"}
# How a model with random weights is built for tasks that need a language-model head.
_SCRATCH = {
    "generator": {"application": "unilm", "with_mlm": "linear"},
    "language-model": {"application": "lm", "with_mlm": "linear"},
    "fill-mask": {"with_mlm": "linear"},
}
_SCRATCH_SIZES = ("hidden_size", "num_hidden_layers", "num_attention_heads", "min_count")


def build_task(kind: Kind, samples: Sequence[Any], reading: Reading, settings: Settings) -> Task:
    """Build the untrained task.

    Args:
        kind: its kind.
        samples: the samples that it will be trained on, for labels and vocabulary.
        reading, settings: options of the command.

    Raises:
        Failure: options that the task does not take, or samples with one label only.
    """
    given = parse_options(settings.options)
    for name in ("head", "pooling"):
        if value := getattr(settings, name):
            given[name] = value
    sizes = {
        name: given.pop(name) for name in _SCRATCH_SIZES if settings.from_scratch and name in given
    }
    _check_names(kind, given, settings.from_scratch)
    given |= _of_samples(kind, samples, reading)
    if settings.maxlen is not None:
        given["maxlen"] = settings.maxlen
    if kind.name == "language-model" and not settings.from_scratch:
        given.setdefault("application", "lm")
    if not settings.from_scratch:
        return kind.cls.build(settings.model, **given)
    from ..tasks import from_scratch

    options: dict[str, Any] = {**_SCRATCH.get(kind.name, {}), **sizes}
    options |= {"maxlen": max(settings.maxlen or 0, 512)}
    encoder, tokenizer = from_scratch(kind.texts(samples), **options)
    return kind.cls.build(encoder, tokenizer=tokenizer, **given)


def _of_samples(kind: Kind, samples: Sequence[Any], reading: Reading) -> dict[str, Any]:
    """Return the arguments of `build` that follow from the samples: labels, scheme, problem."""
    found: dict[str, Any] = {}
    if kind.name == "text-classifier":
        found["problem"] = reading.problem
        if reading.problem == "regression":
            return found
    if name := _LABELS.get(kind.name):
        labels = found[name] = kind.labels(samples)
        least = 2 if kind.name == "text-classifier" and reading.problem == "single_label" else 1
        if len(labels) < least:
            raise Failure(
                f"the training file has {len(labels)} label(s), {', '.join(labels) or 'none'}; "
                f"at least {least} are needed to train a {kind.task}."
            )
    if kind.name in ("tagger", "word-segmenter") and reading.scheme:
        # Two more spellings of files, which the reader has translated.
        found["scheme"] = "BIOES" if reading.scheme in ("BILOU", "BMEWO") else reading.scheme
    return found


def parse_options(options: Sequence[str]) -> dict[str, Any]:
    """Return the values of `NAME=VALUE` texts; a value is JSON, or else a text.

    Raises:
        Failure: a text without "=".
    """
    found = {}
    for text in options:
        name, mark, value = text.partition("=")
        if not mark or not name.strip():
            raise Failure(f"--option {text}: expected NAME=VALUE, such as --option dropout=0.2")
        try:
            found[name.strip()] = json.loads(value)
        except ValueError:
            found[name.strip()] = value
    return found


def _check_names(kind: Kind, given: Mapping[str, Any], scratch: bool) -> None:
    """Refuse options that `build` does not take; those of the model itself are passed through."""
    from ..models import build_transformer_model

    known: dict[str, None] = {}
    for function in (kind.cls.build, kind.cls.__init__, build_transformer_model):
        for name, parameter in inspect.signature(function).parameters.items():
            if parameter.kind is not parameter.VAR_KEYWORD:
                known[name] = None
    ours = {"self", "checkpoint", "encoder", "tokenizer", "model", *_LABELS.values(), "problem"}
    names = [*(name for name in known if name not in ours), *(_SCRATCH_SIZES if scratch else ())]
    for name in given:
        if name not in names:
            near = difflib.get_close_matches(name, names, 1)
            hint = f"did you mean {near[0]}?" if near else f"it takes {', '.join(names)}."
            raise Failure(f"a {kind.task} takes no option {name!r}; {hint}")


def freeze(task: Task, blocks: int) -> int:
    """Keep the embeddings and the first blocks of the encoder as they are; return the layers kept.

    Raises:
        Failure: the model has fewer blocks.
    """
    numbers, kept = set(), 0
    for layer in task.model.layers:
        found = re.search(r"(?:^|-)Transformer-(\d+)-", layer.name)
        if found:
            numbers.add(int(found[1]))
        if (found and int(found[1]) < blocks) or "Embedding" in layer.name:
            layer.trainable, kept = False, kept + 1
    if len(numbers) < blocks:
        raise Failure(f"--frozen {blocks}: the model has {len(numbers)} blocks.")
    return kept
