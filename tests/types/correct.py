"""A program whose types are right; tests/test_types.py gives it to the type checker."""

from __future__ import annotations

from bert4keras.checkpoints import TABLES, Rename, WeightTable
from bert4keras.config import TransformerConfig
from bert4keras.masks import LM, Mask, Packed, Window
from bert4keras.models import Backbone, Transformer, build_transformer_model
from bert4keras.positions import Position, Rotary
from bert4keras.tasks import TextClassifier
from bert4keras.tasks.classification import Classification
from bert4keras.tokenizers import Tokenizer


class Rotated(Transformer):
    """A Transformer with rotary positions."""

    position: Position = Rotary()


def encoder(directory: str) -> Backbone:
    mask: Mask = Window(64) & Packed()
    return build_transformer_model(directory, application=mask)


def table(tables: tuple[WeightTable, ...] = TABLES["bert"]) -> WeightTable:
    return tables[0].renamed("other", [Rename("a", "b")])


config = TransformerConfig(vocab_size=10, hidden_size=8, num_hidden_layers=1)
rotated = Rotated(config, application=LM())
tokens: list[str] = Tokenizer.from_pretrained("directory").tokenize("A text.")
task = TextClassifier.build("directory", labels=["good", "bad"])
answer: Classification = task("A text.")
answers: list[Classification] = task.predict(["A text.", "Another."])
