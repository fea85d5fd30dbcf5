"""Sentence features from a pretrained encoder, and how similar the sentences are.

Task: features, no training; MiniLM (Apache-2.0), or any checkpoint with `--model DIR`.
Data: three sentences written for this project, Apache-2.0, or your own.
Command: python examples/basic_extract_features.py ["a sentence" ...]
Seen: cosine 0.62 between the two sentences about a cat, -0.03 and -0.01 to the one about a bank;
      6 s on 4 CPU cores (TensorFlow), most of it imports.
"""

from __future__ import annotations

import common
import keras
import numpy as np

from bert4keras.data import sequence_padding
from bert4keras.layers import MaskedMeanPooling
from bert4keras.models import build_transformer_model
from bert4keras.tokenizers import Tokenizer

SENTENCES = (
    "The cat sleeps on the warm windowsill.",
    "A kitten is napping by the window in the sun.",
    "The central bank raised its interest rates again.",
)


@common.script
def main() -> None:
    parser = common.arguments(__doc__)
    parser.add_argument("sentences", nargs="*", default=SENTENCES)
    options = parser.parse_args()
    directory = options.model or common.default_model()

    tokenizer = Tokenizer.from_pretrained(directory)
    bert = build_transformer_model(directory)
    inputs = common.inputs(bert)
    mean = MaskedMeanPooling()([bert.output, inputs[0]])
    model = keras.Model(inputs, [bert.output, mean])

    token_ids, segment_ids = tokenizer.encode_batch(list(options.sentences), maxlen=128)
    token_ids = sequence_padding(token_ids, value=tokenizer.token_pad_id)
    features, vectors = model.predict([token_ids, sequence_padding(segment_ids)], verbose=0)
    print(f"a vector per token: {features.shape} (sentences, tokens, features)")
    print(f"first values: {np.round(features[0, 0, :5], 4)}")
    vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    print("cosine similarity of the mean vectors:")
    for row, sentence in zip(vectors @ vectors.T, options.sentences, strict=True):
        print("  " + "  ".join(f"{value:6.3f}" for value in row) + f"  {sentence}")


if __name__ == "__main__":
    main()
