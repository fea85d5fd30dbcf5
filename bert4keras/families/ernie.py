"""ERNIE: BERT with an embedding of the training task."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import keras

from .._schema import Only, Size
from ..checkpoints.table import Rename, WeightMap
from ..config import TransformerConfig
from ..layers import SegmentEmbedding
from ..models.task_heads import TaskHead, TaskHeads
from ..models.transformer import Transformer
from ..registry import register_model
from . import bert


@dataclasses.dataclass(frozen=True)
class ERNIEConfig(TransformerConfig):
    """ERNIE's defaults.

    Attributes:
        use_task_id: add a task embedding.
        task_type_vocab_size: number of tasks in that embedding.
        task_ids_input: read task ids from an input `Input-Task`; otherwise all are 0.
    """

    use_task_id: bool = False
    task_type_vocab_size: Size = 3
    task_ids_input: bool = False

    aliases: ClassVar[dict] = {
        "sent_type_vocab_size": "segment_vocab_size"
    }  # in the authors' files
    unsupported: ClassVar[dict] = {"pool_act": Only("tanh")}
    private_fields: ClassVar[frozenset] = TransformerConfig.private_fields | {"task_ids_input"}


HUGGINGFACE = bert.HUGGINGFACE.renamed(
    "ERNIE, Hugging Face names",
    (Rename(r"^bert\.", "ernie."),),
    root="ernie",
    roots=(),
    ignored=bert.huggingface_ignored("ernie"),
).extended(WeightMap("Embedding-Task/embeddings", "ernie.embeddings.task_type_embeddings.weight"))

TABLES = (HUGGINGFACE,)


HEADS = TaskHeads(TaskHead("classifier", "pooler"))


@register_model("ernie", tables=TABLES, heads=HEADS)
class ERNIE(Transformer):
    """ERNIE 2.0 and 3.0 encoders. ERNIE 1.0 is a BERT with relu.

    Source: Sun et al., ERNIE 2.0, 2019 (arXiv:1907.12412).
    """

    config_class = ERNIEConfig
    config: ERNIEConfig

    def get_inputs(self):
        inputs = super().get_inputs()
        if self.config.task_ids_input:
            inputs["task_ids"] = self.input("task_ids")
        return inputs

    def embed_positions(self, x, context):
        x = super().embed_positions(x, context)
        if not self.config.use_task_id:
            return x
        given = self.config.task_ids_input
        tasks = self.apply(
            self.select(context, "task_ids" if given else "token_ids"),
            SegmentEmbedding,
            name="Embedding-Task",
            constant=not given,
            kind="task",
            input_dim=self.config.task_type_vocab_size,
            output_dim=self.embedding_width,
            embeddings_initializer=self.initializer,
        )
        return self.apply([x, tasks], keras.layers.Add, name="Embedding-Task-Add")
