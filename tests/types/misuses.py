"""Mistakes that the type checker must report, each on a line that ends with what it must say."""

from __future__ import annotations

from bert4keras.checkpoints import Rename, WeightTable
from bert4keras.config import TransformerConfig
from bert4keras.masks import LM
from bert4keras.models import Transformer, build_transformer_model
from bert4keras.positions import Learned
from bert4keras.tasks import TextClassifier

config = TransformerConfig(vocab_size=10, hidden_size=8, num_hidden_layers=1)
task = TextClassifier.build("directory", labels=["good", "bad"])
table = WeightTable("empty", ())

Transformer(config, application=LM)  # "type[LM]"; expected "str | Mask"
Transformer(config, application=Learned())  # "Learned"; expected "str | Mask"
build_transformer_model("directory", application=LM)  # matches argument types "str", "type[LM]"
label: str = task("A text.")  # expression has type "Classification", variable has type "str"
scores: list[float] = task.predict(["A text."])  # "list[Classification]"
table.renamed("other", ["a", "b"])  # expected "Rename"
table.extended(Rename("a", "b"))  # "Rename"; expected "WeightMap"
