"""Integrated gradients: which words a classifier of reviews went by, as a coloured text.

Task: explain praise and complaint, after fine-tuning as in task_sentence_classification.py.
Data: examples/datasets/reviews (English, written for this project, Apache-2.0), or your own TSV,
`text<TAB>label` with labels 0, 1, ..., also xz-compressed.
Command: python examples/basic_integrated_gradients.py
         python examples/basic_integrated_gradients.py --text "The food was fine, the bill was not."
         python examples/basic_integrated_gradients.py --picture words.png   # or words.html
Seen: with the token of the largest part hidden, the probability of the chosen class falls by
      0.1875 on average, by 0.0572 with a token at random (40 test reviews, seed 1); the parts lack
      0.0103 of a change of 0.3669. 75 s on one CPU core (TensorFlow).

Red words speak for the class that the model chose, blue ones against it; every token is compared
with [MASK]. To measure what the colours are worth, in each test review the token with the largest
part is hidden, and a token at random: how much does the probability of the class fall?
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import classification
import common
import keras
import numpy as np

from bert4keras.data import sequence_padding
from bert4keras.display import plot_weights, visible, weights_to_ansi, weights_to_html
from bert4keras.training import Attributions, IntegratedGradients


def read_arguments() -> argparse.Namespace:
    parser = classification.arguments(__doc__, seeds=False, epochs=3)
    parser.add_argument("--text", nargs="+", help="explain these in place of test reviews")
    parser.add_argument("--steps", type=int, default=16, help="nodes of the integral")
    parser.add_argument("--explain", type=int, default=40, help="test reviews to measure on")
    parser.add_argument("--picture", type=Path, help="write .html, or .png or .svg (matplotlib)")
    options = parser.parse_args()
    parser.refuse(["explain"], bool(options.text), "with --text")
    return options


def fall(model: keras.Model, inputs: list, found: Attributions, places, mask: int) -> float:
    """How far the probability falls, on average, when the token in this place is hidden."""
    ids, every = inputs[0].copy(), np.arange(len(inputs[0]))
    ids[every, places] = mask
    after = model.predict([ids, *inputs[1:]], verbose=0)[every, found.targets]
    return float(np.mean(found.outputs - after))


def draw(path: Path, tokens: list[str], text: str, weights: list, title: str) -> None:
    """Write one text as HTML, or its words as bars."""
    if path.suffix == ".html":
        html = weights_to_html(text, weights)
        path.write_text(f'<meta charset="utf-8"><p>{title}</p><p>{html}</p>\n', encoding="utf-8")
    else:
        axes = plot_weights(tokens, [weight for *_, weight in weights])
        axes.set(xlabel="part in the probability", title=title)
        axes.figure.savefig(path)


@common.script
def main() -> None:
    options, started = read_arguments(), time.perf_counter()
    keras.utils.set_random_seed(options.seed)
    task = classification.Classifier(options)
    model, _ = task.model()
    task.fit(model, options.seed)

    tokenizer = task.tokenizer
    mask = tokenizer.token_mask_id
    kept = [tokenizer.token_start_id, tokenizer.token_end_id]
    explain = IntegratedGradients(model, baseline=mask, kept=kept, batch_size=options.steps + 2)
    texts = options.text or [text for text, _ in task.test[: options.explain]]
    *ids, spans = tokenizer.encode_batch(texts, maxlen=options.maxlen, return_offsets=True)
    inputs = [sequence_padding(ids[0], value=tokenizer.token_pad_id), sequence_padding(ids[1])]
    found = explain(inputs, steps=options.steps)
    for row, text in enumerate(texts[:5]):
        pieces = [
            (start, end, weight)
            for (start, end), weight in zip(spans[row], found.scores[row], strict=False)
            if start < end
        ]
        title = f"class {found.targets[row]} with {found.outputs[row]:.3f}"
        drawn = weights_to_ansi(text, pieces)
        if not common.colours():
            drawn = " ".join(f"{visible(text[a:b])}({weight:+.3f})" for a, b, weight in pieces)
        print(f"{title}, gap {found.gaps[row]:+.4f}: {drawn}")
        if options.picture and row == 0:
            draw(options.picture, [text[a:b] for a, b, _ in pieces], text, pieces, title)
    change = np.abs(found.outputs - found.baseline_outputs).mean()
    gap = np.abs(found.gaps).mean()
    print(f"what the parts lack on average: {gap:.4f} of a change of {change:.4f}")

    rng = np.random.default_rng(options.seed)
    words = [np.flatnonzero([start < end for start, end in row]) for row in spans]
    best = [w[found.scores[row][w].argmax()] for row, w in enumerate(words)]
    chance = [rng.choice(w) for w in words]
    falls = [fall(model, inputs, found, places, mask) for places in (best, chance)]
    print(f"one hidden token takes {falls[0]:.4f} of the probability, at random {falls[1]:.4f}")
    print(f"{time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
