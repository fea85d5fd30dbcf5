"""Fill in the [MASK]: what a masked language model thinks stands there.

Task: masked language modelling. Without an argument a tiny model is trained on the spot, from
random weights: it shows how, and knows little beyond its 150 sentences. `--model DIR` takes any
checkpoint with a masked-language-model head.
Data: examples/datasets/corpus_en.txt (English, written for this project, Apache-2.0).
Command: python examples/basic_masked_language_model.py [--model DIR] [--text "A [MASK] day."]
Seen: 0.60 of the words hidden anew in the training text found (always saying the most frequent
      token: 0.09); 34 s on 4 CPU cores (TensorFlow).
"""

from __future__ import annotations

import collections
import re

import common
import keras
import numpy as np

from bert4keras.checkpoints import save
from bert4keras.config import TransformerConfig
from bert4keras.data import mask_tokens, read_lines, sequence_padding
from bert4keras.models import build_transformer_model
from bert4keras.tokenizers import Tokenizer, save_vocab

OUTPUT = common.ROOT / "outputs" / "tiny_masked_language_model"
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def corpus() -> list[str]:
    lines = read_lines(common.DATASETS / "corpus_en.txt")
    return [line.lower() for line in lines if line.strip()]


def train_tiny(epochs: int) -> None:
    """Train a masked language model on the corpus and save it like any other checkpoint."""
    keras.utils.set_random_seed(0)
    texts = corpus()
    words = collections.Counter(re.findall(r"\w+|[^\w\s]", " ".join(texts)))
    vocabulary = {token: i for i, token in enumerate([*SPECIAL, *words])}
    tokenizer = Tokenizer(vocabulary, do_lower_case=True)
    config = TransformerConfig(
        vocab_size=len(vocabulary),
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=128,
        max_position=64,
    )
    bert = build_transformer_model(config, with_mlm=True)
    token_ids = sequence_padding([tokenizer.encode(text, maxlen=48)[0] for text in texts])

    def hide(ids, seed):
        rng, special = np.random.default_rng(seed), range(len(SPECIAL))
        return mask_tokens(ids, rng, len(vocabulary), vocabulary["[MASK]"], special_ids=special)

    # As many copies as epochs, so that every epoch hides other words.
    hidden, labels = hide(np.repeat(token_ids, epochs, axis=0), seed=0)
    loss = keras.losses.SparseCategoricalCrossentropy(ignore_class=-1)
    bert.compile(keras.optimizers.Adam(2e-3), loss)
    bert.fit([hidden, np.zeros_like(hidden)], labels, batch_size=32, verbose=common.verbosity())

    hidden, labels = hide(token_ids, seed=1)
    found = bert.predict([hidden, np.zeros_like(hidden)], verbose=0).argmax(-1)
    asked = labels >= 0
    frequent = np.bincount(labels[asked]).max() / asked.sum()
    print(f"of {asked.sum()} words hidden anew in the training text, found", end=" ")
    print(f"{(found == labels)[asked].mean():.2f}; by the most frequent token {frequent:.2f}")
    save(bert, OUTPUT, config=bert.config)
    save_vocab(OUTPUT / "vocab.txt", vocabulary)


def fill(tokenizer: Tokenizer, bert: keras.Model, text: str, top: int = 5) -> None:
    """Print the likeliest tokens for every [MASK] of a text."""
    mask, tokens = tokenizer.token_mask, [tokenizer.token_start]
    for k, piece in enumerate(text.split("[MASK]")):
        tokens += ([mask] if k else []) + tokenizer.tokenize(piece)[1:-1]
    ids = np.array([tokenizer.tokens_to_ids([*tokens, tokenizer.token_end])], dtype="int32")
    inputs = [ids, np.zeros_like(ids)][: len(bert.inputs)]
    probabilities = bert.predict(inputs, verbose=0)[0]
    print(text)
    for place in np.flatnonzero(ids[0] == tokenizer.token_mask_id):
        best = np.argsort(-probabilities[place])[:top]
        shown = (f"{tokenizer.id_to_token(int(i))} {probabilities[place, i]:.2f}" for i in best)
        print("  " + ", ".join(shown))


@common.script
def main() -> None:
    parser = common.arguments(__doc__)
    parser.add_argument("--text", help="a text with [MASK] in it")
    parser.add_argument("--epochs", type=int, default=200, help="of the tiny model")
    options = parser.parse_args()
    parser.refuse(["epochs"], options.model is not None, "on a --model")
    text = options.text or re.sub(r"\b(\w{4,})\b", "[MASK]", corpus()[0], count=1)
    if "[MASK]" not in text:
        parser.error(f"--text has no [MASK]: {text!r}")
    directory = options.model
    if directory is None:
        train_tiny(options.epochs)
        directory = OUTPUT
    tokenizer = Tokenizer.from_pretrained(directory)
    fill(tokenizer, build_transformer_model(directory, with_mlm=True), text)


if __name__ == "__main__":
    main()
