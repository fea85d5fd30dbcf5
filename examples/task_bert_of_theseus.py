"""BERT-of-Theseus: half of the blocks, which take the place of the others while they learn.

Task: praise or complaint, as in task_sentence_classification.py, by a model of 3 blocks instead of
6; with your own files, any number of classes.
Data: examples/datasets/reviews (English, written for this project, Apache-2.0), or your own TSV,
`text<TAB>label` with labels 0, 1, ... and an optional header, also xz-compressed.
Command: python examples/task_bert_of_theseus.py
         python examples/task_bert_of_theseus.py --layers 3 1  # each from the one before it
Seen: test accuracy 0.7875 with 6 blocks; 3 blocks by replacement 0.7812, after fine-tuning 0.8125;
      the baseline 0.8125 (most frequent label 0.5000; one standard error is 0.03, so that here
      nothing is gained or lost). Seed 1, TensorFlow, 5 min on one CPU core.

The predecessor is fine-tuned. Then its modules are replaced at random by the successor's blocks,
at a rate that rises in a line from --rate to 1, and the successor is fine-tuned alone. The baseline
has the same first blocks of the pretrained model, fine-tuned directly for all of these epochs.
"""

from __future__ import annotations

import itertools
import sys
import time

import classification
import common
import keras

from bert4keras.training import Theseus


@common.script
def main() -> None:
    parser = classification.arguments(__doc__, seeds=False)
    parser.add_argument("--layers", type=int, nargs="+", default=[3], help="of each successor")
    parser.add_argument("--rate", type=float, default=0.3, help="chance of a block at first")
    options, started = parser.parse_args(), time.perf_counter()
    keras.utils.set_random_seed(options.seed)
    task = classification.Classifier(options)

    def fit(name: str, model: keras.Model, **how) -> None:
        task.fit(model, options.seed, **how)
        print(
            f"{name}: test accuracy {task.accuracy(model, task.test):.4f}, "
            f"{model.count_params():,} weights, {time.perf_counter() - started:.0f} s so far",
            flush=True,
        )

    model, bert = task.model()
    depths = [bert.config.num_hidden_layers, *options.layers]
    for before, after in itertools.pairwise(depths):
        if not 0 < after < before or before % after:
            sys.exit(f"--layers {after}: must be less than {before} and divide it.")
    fit(f"predecessor, {depths[0]} blocks", model)
    # At the end of the replacement phase only the successor is left.
    rate = keras.optimizers.schedules.PolynomialDecay(
        options.rate, options.epochs * len(task.batches(task.train)), end_learning_rate=1.0
    )
    for number, layers in enumerate(options.layers, 1):
        theseus = Theseus(model, bert, layers, rate=rate, seed=options.seed)
        fit(f"{layers} blocks while they replace the others", theseus.model)
        model, bert = theseus.successor()
        print(f"  the new blocks alone: test accuracy {task.accuracy(model, task.test):.4f}")
        fit(f"successor, {layers} blocks, fine-tuned after it", model)
        direct, _ = task.model(num_hidden_layers=layers)
        epochs = options.epochs * (1 + 2 * number)
        fit(f"baseline, first {layers} blocks fine-tuned directly", direct, epochs=epochs)
    task.print_guess()


if __name__ == "__main__":
    main()
