"""Layer-wise learning rates: fine-tune the lower layers of an encoder more slowly.

Task: sentence classification, with the same rate for all layers against rates that fall with the
distance from the output (`layerwise_decay`), same seeds.
Data: examples/datasets/reviews (English, written for this project, Apache-2.0), or your own TSV,
`text<TAB>label` with labels 0, 1, ... and an optional header, also xz-compressed.
Command: python examples/task_layerwise_learning_rates.py
         python examples/task_layerwise_learning_rates.py --decays 1 0.9 0.7 --seeds 5
Seen: reviews, seed 1: test accuracy 0.8000 with decay 0.8 and with one rate (most frequent label
      0.5000; one standard error is 0.03).
"""

from __future__ import annotations

import functools

import classification
import common
import keras

from bert4keras.optimizers import Extended, RateByPath, WeightDecay, layerwise_decay, warm_up


def make_optimizer(model: keras.Model, steps: int, rate: float, decay: float) -> Extended:
    return Extended(
        keras.optimizers.Adam(warm_up(rate, steps // 10, steps)),
        [WeightDecay(0.01), RateByPath(layerwise_decay(model, decay))],
    )


@common.script
def main() -> None:
    parser = classification.arguments(__doc__)
    parser.add_argument("--decays", type=float, nargs="+", default=[1.0, 0.8], help="1: one rate")
    options = parser.parse_args()
    runs = {}
    for decay in options.decays:
        made = functools.partial(make_optimizer, rate=options.learning_rate, decay=decay)
        runs[f"decay {decay:g}"] = {"optimizer": made}
    classification.Classifier(options).compare(runs)


if __name__ == "__main__":
    main()
