"""Time that `Tagger` adds to tokenizer, `predict_on_batch` and decoding by hand.

Interleaved medians, on the shipped entities. `python scripts/experiments/tagger_overhead.py`
"""

import statistics
import time
from pathlib import Path

import numpy as np

from bert4keras import tasks
from bert4keras.checkpoints import fetch
from bert4keras.tasks.tagging import decode_tags, read_entities

ROOT = Path(__file__).parents[2]
rows = [
    row
    for name in ("train", "valid", "test")
    for row in read_entities(ROOT / "examples" / "datasets" / "entities" / f"{name}.json")
]
texts = [row.text for row in rows] * 2
labels = sorted({label for row in rows for _, _, label in row.entities})
task = tasks.Tagger.build(fetch("minilm-l6"), labels, head="crf", maxlen=128)


def by_hand(text):
    """Return the entities of one text, in characters, without scores."""
    ids, segments, offsets = task.tokenizer.encode_batch([text], return_offsets=True)
    (row,) = task.encoder.batch([task.encoder.select(ids[0], segments[0])])[:1]
    inputs = task.encoder.batch([task.encoder.select(ids[0], segments[0])])
    scores = task.model.predict_on_batch(inputs if len(inputs) > 1 else row)
    path = task.layer.decode(np.asarray(scores)[:, 1 : len(ids[0]) - 1])[0]
    found = decode_tags([task.tags[i] for i in path])
    return [(offsets[0][a + 1][0], offsets[0][b][1], label) for a, b, label in found]


def seconds(function, *arguments):
    """Return the seconds of one call."""
    started = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - started


for text in texts[:60]:
    assert by_hand(text) == [tuple(e.span) for e in task(text)]
times = [(seconds(task, text), seconds(by_hand, text)) for text in texts[:300]]
ours, theirs = (statistics.median(column) for column in zip(*times, strict=True))
print(f"one text: {1000 * ours:.2f} ms, by hand {1000 * theirs:.2f} ms, {ours / theirs:.3f} x")
parts = []
for start in range(0, 2000, 500):
    some = texts[start : start + 500]
    together = seconds(lambda some=some: task.predict(some, progress=False))
    alone = seconds(lambda some=some: [task(text) for text in some[:100]]) * len(some) / 100
    parts.append(alone / together)
print(f"predict: {statistics.median(parts):.2f} x the throughput of one by one")
