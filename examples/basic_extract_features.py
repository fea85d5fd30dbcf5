"""Vectors of tokens and sentences from a pretrained encoder, and similarities of the sentences.

Nothing is trained. The default is MiniLM (English, Apache-2.0), downloaded once. The vector of a
sentence is the mean of its tokens' vectors, without padding.
Command: python basic_extract_features.py ["a sentence" ...] [--checkpoint DIR] [--save FILE.npz]
Seen: cosine 0.62 between the two sentences about a cat, -0.03 and -0.01 to the one about a bank.
"""

import argparse
from pathlib import Path

import keras
import numpy as np

from bert4keras.data import read_lines, sequence_padding
from bert4keras.layers import MaskedMeanPooling
from bert4keras.tasks import open_encoder

SENTENCES = (
    "The cat sleeps on the warm windowsill.",
    "A kitten is napping by the window in the sun.",
    "The central bank raised its interest rates again.",
)

parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
)
parser.add_argument("sentences", nargs="*", default=SENTENCES)
PRESETS = "minilm-l6 (the default), multilingual-e5-small, a directory, or hf://org/name"
parser.add_argument("--checkpoint", default="minilm-l6", help=PRESETS)
parser.add_argument("--predict", type=Path, help="text file, a sentence a line")
parser.add_argument("--save", type=Path, help="file (.npz) for vectors and sentences")
options = parser.parse_args()
sentences = list(options.sentences)
if options.predict:
    sentences = [line for line in read_lines(options.predict) if line.strip()]

tokenizer, bert = open_encoder(options.checkpoint)
mean = MaskedMeanPooling()(bert.output)  # the encoder tells it what is padding
model = keras.Model(bert.inputs, [bert.output, mean])

token_ids, segment_ids = tokenizer.encode_batch(sentences, maxlen=128)
token_ids = sequence_padding(token_ids, value=tokenizer.token_pad_id)
inputs = [token_ids, sequence_padding(segment_ids)][: len(bert.inputs)]
features, vectors = model.predict(inputs, verbose=0)
print(f"a vector per token: {features.shape} (sentences, tokens, features)")
print(f"first values: {np.round(features[0, 0, :5], 4)}")

vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
print("cosine similarity of the mean vectors:")
for row, sentence in zip(vectors @ vectors.T, sentences, strict=True):
    print("  " + "  ".join(f"{value:6.3f}" for value in row) + f"  {sentence}")
if options.save:
    np.savez(options.save, vectors=vectors, sentences=np.array(sentences))
