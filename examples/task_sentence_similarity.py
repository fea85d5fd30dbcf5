"""Do two sentences mean the same? A cross-encoder reads both, told apart by segment ids.

Data: examples/datasets/sentence_pairs (English, written for this project, Apache-2.0; small and
hard), or your own TSV, `first<TAB>second<TAB>label`.
Command: python examples/task_sentence_similarity.py
"""

from __future__ import annotations

import common
import keras

from bert4keras.data import DataGenerator
from bert4keras.models import build_transformer_model
from bert4keras.tokenizers import Tokenizer


def main() -> None:
    options = common.arguments(__doc__, data="sentence_pairs", epochs=6).parse_args()
    keras.utils.set_random_seed(options.seed)
    directory = options.model or common.default_model()
    tokenizer = Tokenizer.from_pretrained(directory)
    train, valid, test = (
        common.read_tsv(path, 3, options.limit)
        for path in (options.train, options.valid, options.test)
    )

    def encode(sample):
        first, second, label = sample
        return tokenizer.encode(first, second, maxlen=options.maxlen), label

    def batches(rows, shuffle=False):
        return DataGenerator(
            rows, options.batch_size, encode=encode, shuffle=shuffle, seed=options.seed
        )

    bert = build_transformer_model(directory, with_pool=True)
    x = keras.layers.Dropout(0.1)(bert.output)
    x = keras.layers.Dense(2, activation="softmax", name="Classifier")(x)
    model = keras.Model(bert.input, x)

    common.fine_tune(model, batches(train, shuffle=True), batches(valid), options)
    print(f"test accuracy {model.evaluate(batches(test), verbose=0)[1]:.4f}")


if __name__ == "__main__":
    main()
