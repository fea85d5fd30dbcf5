"""Heads of fine-tuned checkpoints of transformers: build, read and write them.

A head is data: the vectors that it reads, the layers on them, and the names of its tensors. One
entry serves to build a new head, to read one from a checkpoint and to write it back, so a model
trained here opens in transformers.

The heads of a family are registered with it, see `models.task_heads`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras

from .._files import atomic_directory
from .._json import short_repr
from ..checkpoints import WeightTable, load, save
from ..layers import FirstToken, MaskedMeanPooling, get_activation
from ..models import Backbone, build_transformer_model
from ..models.task_heads import TaskHead
from ..registry import FAMILIES, class_prefix, get_family
from ..tokenizers import Tokenizer
from ..tokenizers.base import TokenizerBase
from .base import Task, TaskError
from .pooling import LastToken
from .pretrained import WITHOUT_TOKENIZER, locate, open_encoder, read_config

KINDS = {
    "sequence": "ForSequenceClassification",
    "token": "ForTokenClassification",
    "question": "ForQuestionAnswering",
}


# Values of config keys that a config may leave out.
_DEFAULTS = {
    "pooler_hidden_act": "gelu",
    "classifier_pooling": "cls",
    "classifier_activation": "gelu",
    "classifier_bias": False,
}
_POOLINGS = {"cls": "first", "mean": "mean"}


def head_of(family: str, kind: str) -> TaskHead:
    """Return the head of a family for a kind of task, as transformers has it.

    Args:
        family: `model_type` of the encoder's config.
        kind: "sequence", "token" or "question".

    Raises:
        TaskError: transformers has no such head for the family.
    """
    heads = get_family(family).heads
    if heads is None:
        known = (name for name, other in FAMILIES.items() if other.heads)
        raise TaskError(
            f"transformers has no {KINDS[kind]} of {family}; families with one: {', '.join(known)}."
        )
    return getattr(heads, kind)


def _new_head(family: str, kind: str) -> TaskHead:
    """Return the head for a new model of a family: that of transformers, or a plain one."""
    try:
        return head_of(family, kind)
    except TaskError:
        return TaskHead("classifier", "mean" if kind == "sequence" else "tokens")


def attach(bert: Backbone, head: TaskHead, width: int, dropout: float = 0.1) -> keras.Model:
    """Put a head on an encoder.

    Args:
        bert: the encoder, built `with_pool` if the head reads the pooler.
        head: the head.
        width: number of scores, C.
        dropout: rate before each dense layer.

    Returns:
        A model whose outputs are scores without activation, float32, (B, C) or (B, T, C).
    """
    values = {**_DEFAULTS, **bert.config.extra, **dataclasses.asdict(bert.config)}

    def setting(value: Any) -> Any:
        return values[value[1:]] if isinstance(value, str) and value.startswith(":") else value

    x = _pool(bert, _POOLINGS.get(setting(head.pooling), setting(head.pooling)))
    initializer = bert.transformer.initializer
    x = keras.layers.Dropout(dropout, name="Classifier-Dropout")(x)
    if head.dense:
        x = keras.layers.Dense(
            bert.config.hidden_size,
            activation=get_activation(setting(head.activation)),
            use_bias=bool(setting(head.dense_bias)),
            kernel_initializer=initializer,
            name="Classifier-Dense",
        )(x)
        if head.norm:
            options = bert.transformer.norm_options()
            x = bert.transformer.norm_layer(name="Classifier-Norm", **options)(x)
        x = keras.layers.Dropout(dropout, name="Classifier-Output-Dropout")(x)
    last = keras.layers.Dense(
        width,
        use_bias=head.output_bias,
        kernel_initializer=bert.transformer.initializer,
        dtype="float32",
        name="Classifier",
    )
    return keras.Model(bert.input, last(x))


def _pool(bert: Backbone, pooling: str) -> Any:
    """Return the vectors that a head reads: (B, D), or (B, T, D) for every token."""
    if pooling in ("pooler", "tokens"):  # the pooler is the output of a model built with it
        return bert.output
    layers: dict[str, type[keras.layers.Layer]] = {
        "first": FirstToken,
        "last": LastToken,
        "mean": MaskedMeanPooling,
    }
    return layers[pooling](name="Classifier-Pooling")(bert.output)


def _tables_with(family: str, head: TaskHead) -> tuple[WeightTable, ...]:
    """Return the tables of a family in Hugging Face layout with the rows of a head added.

    Rows of the pretraining heads with the same tensor names are left out.
    """
    tensors = {row.tensor for row in head.rows()}
    return tuple(
        dataclasses.replace(
            table,
            rows=tuple(row for row in table.rows if row.tensor not in tensors) + head.rows(),
            ignored=tuple(entry for entry in table.ignored if not entry.copy_of),
        )
        for table in get_family(family).tables
        if table.format == "huggingface"
    )


def build_with_head(
    checkpoint: Any,
    kind: str,
    width: int,
    dropout: float,
    tokenizer: TokenizerBase | None,
    options: Mapping[str, Any],
) -> tuple[TokenizerBase, keras.Model, dict[str, Any]]:
    """Build a pretrained encoder with a new head of its family.

    Args:
        checkpoint: directory, `hf://org/name`, or a `Backbone`.
        kind: "sequence", "token" or "question".
        width: number of scores, C.
        dropout: rate before each dense layer.
        tokenizer: required with a `Backbone`; otherwise it replaces the checkpoint's own.
        options: of `build_transformer_model`.

    Returns:
        (tokenizer, model, config of the encoder with the keys of transformers).

    Raises:
        TaskError: a `Backbone` is given without a tokenizer.
    """
    if isinstance(checkpoint, Backbone):
        if tokenizer is None:
            raise TaskError(WITHOUT_TOKENIZER)
        bert, head = checkpoint, _new_head(checkpoint.config.model_type, kind)
        pooled = isinstance(bert.output, (list, tuple)) or len(bert.output.shape) != 3
        if head.pooling == "pooler" and not pooled:
            head = dataclasses.replace(head, pooling="first")
        return tokenizer, attach(bert, head, width, dropout), bert.config.to_json_dict()
    checkpoint = locate(checkpoint)
    head = _new_head(read_config(checkpoint).get("model_type", "bert"), kind)
    if head.pooling == "pooler":
        options = {"with_pool": True, "ignore": ("Pooler-Dense/*",), **options}
    tokenizer, bert = open_encoder(checkpoint, tokenizer, options)
    return tokenizer, attach(bert, head, width, dropout), bert.config.to_json_dict()


def load_with_head(
    directory: str | Path, kind: str, options: Mapping[str, Any] | None = None
) -> tuple[TokenizerBase, keras.Model, dict[str, Any]]:
    """Load a fine-tuned checkpoint of transformers: tokenizer, model and config.

    Args:
        directory: a directory or `hf://org/name`.
        kind: "sequence", "token" or "question".
        options: of `build_transformer_model`.

    Raises:
        TaskError: the checkpoint has another kind of head.
        CheckpointError: weights are missing or do not fit.
    """
    directory = locate(directory)
    config = read_config(directory)
    check_architecture(directory, config, kind)
    model = model_with_head(directory, config, kind, options or {})
    return Tokenizer.from_pretrained(directory), model, config


def model_with_head(
    directory: Path, config: Mapping[str, Any], kind: str, options: Mapping[str, Any]
) -> keras.Model:
    """Build the model of a fine-tuned checkpoint and load its weights."""
    head = head_of(config.get("model_type", "bert"), kind)
    labels = _label_names(config)
    width = 2 if kind == "question" else len(labels) if labels else config.get("num_labels", 2)
    dropout = config.get("classifier_dropout") or config.get("hidden_dropout_prob") or 0.1
    options = {"with_mlm": False, "with_pool": head.pooling == "pooler", **options}
    bert = build_transformer_model(dict(config), **options)
    model = attach(bert, head, width, dropout)
    load(model, directory, tables=_tables_with(bert.config.model_type, head))
    return model


def save_with_head(
    model: keras.Model, kind: str, config: Mapping[str, Any], directory: str | Path
) -> list[Path]:
    """Write a model of `attach` in the layout of transformers; see `checkpoints.save`.

    Args:
        model: the model.
        kind: "sequence", "token" or "question".
        config: config of the encoder, in transformers' keys, and of the head, such as `id2label`.
        directory: destination.
    """
    family = config.get("model_type", "bert")
    named = [x for x in config.get("architectures") or [] if x.endswith(KINDS[kind])]
    config = {**config, "architectures": named or [architecture(family, kind)]}
    tables = _tables_with(family, head_of(family, kind))
    known = get_family(family).transformer.config_class.from_dict(config)
    return save(model, directory, tables=tables, config=known)


@contextmanager
def replaced(
    directory: str | Path, encoder_config: Mapping[str, Any] | None, known: str = "config.json"
) -> Iterator[Path]:
    """Write a checkpoint into the yielded directory, which replaces `directory` as a whole.

    Args:
        directory: destination; if it exists it is empty or has a file called `known`.
        encoder_config: config of the task's encoder, which must not be None.
        known: name of a file that marks such a directory.

    Raises:
        TaskError: the directory holds something else, or there is no `encoder_config`.
    """
    directory = Path(directory)
    if encoder_config is None:
        raise TaskError(
            "the config of the encoder is not known: give encoder_config=bert.config.to_json_dict()"
            " when the task is made."
        )
    if directory.exists() and not (directory / known).is_file() and any(directory.iterdir()):
        raise TaskError(f"{directory} exists and holds something else; it is not replaced.")
    with atomic_directory(directory) as staging:
        yield staging


def write_with_head(
    task: Task, kind: str, directory: str | Path, config: Mapping[str, Any] | None = None
) -> None:
    """Write a task whose model has a head of transformers: weights, config and tokenizer.

    Args:
        task: the task.
        kind: of `save_with_head`.
        directory: of `replaced`.
        config: further keys, such as `id2label`.
    """
    with replaced(directory, task.encoder_config) as new:
        task.tokenizer.save(new)
        save_with_head(task.model, kind, {**(task.encoder_config or {}), **(config or {})}, new)


def label_config(names: Sequence[str]) -> dict[str, Any]:
    """Return the keys of a config that name its labels."""
    return {
        "id2label": {str(i): name for i, name in enumerate(names)},
        "label2id": {name: i for i, name in enumerate(names)},
    }


def architecture(family: str, kind: str) -> str:
    """Return the class name in transformers."""
    return class_prefix(family) + KINDS[kind]


def _label_names(config: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return `id2label` of a config, label names by "0", "1", ...; None if there is none.

    Raises:
        TaskError: it does not name the labels 0, 1, ... without a gap.
    """
    labels = config.get("id2label")
    if not labels:
        return None
    known = list(map(str, labels)) if isinstance(labels, Mapping) else [""]
    if sorted(known) != sorted(map(str, range(len(known)))):
        raise TaskError(
            "config `id2label` must name the labels 0, 1, 2, ... without a gap, not "
            f"{short_repr(labels)}."
        )
    return labels


def check_architecture(directory: Path, config: Mapping[str, Any], kind: str) -> None:
    """Raise if the head of a checkpoint is of another kind."""
    named = config.get("architectures") or []
    if not any(name.endswith(KINDS[kind]) for name in named):
        raise TaskError(
            f"{directory} holds {', '.join(named) or 'a model without architectures'}, not a model "
            f"{KINDS[kind]}. build_transformer_model loads only its encoder."
        )
