"""Models with our weight paths and random values, without the model code."""

from __future__ import annotations

import dataclasses

import keras
import numpy as np

from bert4keras.checkpoints import open_checkpoint


@dataclasses.dataclass(frozen=True)
class Sizes:
    """Of a tiny BERT: V, D, inner width, blocks, positions, segments, E, heads."""

    vocab: int = 11
    hidden: int = 6
    inner: int = 10
    layers: int = 2
    positions: int = 7
    segments: int = 2
    embedding: int = 6
    heads: bool = True


def dense(name: str, rows: int, columns: int) -> dict[str, tuple]:
    return {f"{name}/kernel": (rows, columns), f"{name}/bias": (columns,)}


def norm(name: str, width: int) -> dict[str, tuple]:
    return {f"{name}/gamma": (width,), f"{name}/beta": (width,)}


def weight_shapes(s: Sizes = Sizes()) -> dict[str, tuple[int, ...]]:
    """Every weight path of a BERT of these sizes, written out independently of the tables."""
    shapes = {
        "Embedding-Token/embeddings": (s.vocab, s.embedding),
        "Embedding-Position/embeddings": (s.positions, s.embedding),
        **norm("Embedding-Norm", s.embedding),
    }
    if s.segments:
        shapes["Embedding-Segment/embeddings"] = (s.segments, s.embedding)
    if s.embedding != s.hidden:
        shapes |= dense("Embedding-Mapping", s.embedding, s.hidden)
    for i in range(s.layers):
        attention = f"Transformer-{i}-MultiHeadSelfAttention"
        for part in ("query", "key", "value", "output"):
            shapes |= dense(f"{attention}/{part}", s.hidden, s.hidden)
        shapes |= norm(f"{attention}-Norm", s.hidden)
        shapes |= dense(f"Transformer-{i}-FeedForward/inner", s.hidden, s.inner)
        shapes |= dense(f"Transformer-{i}-FeedForward/output", s.inner, s.hidden)
        shapes |= norm(f"Transformer-{i}-FeedForward-Norm", s.hidden)
    if s.heads:
        shapes |= dense("Pooler-Dense", s.hidden, s.hidden) | dense("NSP-Proba", s.hidden, 2)
        shapes |= dense("MLM-Dense", s.hidden, s.embedding) | norm("MLM-Norm", s.embedding)
        shapes["MLM-Bias/bias"] = (s.vocab,)
    return shapes


class Holder(keras.layers.Layer):
    """A layer with the weights and sublayers of a nested dict of shapes."""

    def __init__(self, name: str, content: dict, rng: np.random.Generator):
        super().__init__(name=name)
        self.children, self.shapes = [], {}
        for key, value in content.items():
            if isinstance(value, dict):
                self.children.append(Holder(key, value, rng))
            else:
                self.shapes[key] = value
        self.rng = rng

    def build(self, input_shape=None):
        for name, shape in self.shapes.items():
            value = self.rng.standard_normal(shape).astype("float32")
            self.add_weight(name=name, shape=shape, dtype="float32").assign(value)
        for child in self.children:
            child.build()
        self.built = True


class Bag(keras.Model):
    """A model that consists only of named weights."""

    def __init__(self, shapes: dict[str, tuple], seed: int = 0):
        super().__init__(name="bag")
        nested: dict = {}
        for path, shape in shapes.items():
            *folders, last = path.split("/")
            place = nested
            for folder in folders:
                place = place.setdefault(folder, {})
            place[last] = shape
        rng = np.random.default_rng(seed)
        self.holders = [Holder(name, content, rng) for name, content in nested.items()]
        for holder in self.holders:
            holder.build()


def bag(seed: int = 0, **sizes) -> Bag:
    """A BERT of these sizes."""
    return Bag(weight_shapes(Sizes(**sizes)), seed)


def arrays_of(path) -> dict[str, np.ndarray]:
    """Everything in a checkpoint."""
    with open_checkpoint(path) as reader:
        return {name: reader.read(name) for name in reader.names}


def values(model: keras.Model) -> dict[str, np.ndarray]:
    """All weights by path."""
    return {
        w.path: np.array(keras.ops.convert_to_numpy(keras.ops.convert_to_tensor(w)))
        for w in model.weights
    }


def assert_same(left: dict[str, np.ndarray], right: dict[str, np.ndarray]) -> None:
    """Equal names, shapes and bytes."""
    assert left.keys() == right.keys()
    for name in left:
        assert left[name].shape == right[name].shape, name
        assert left[name].tobytes() == right[name].tobytes(), name
