"""Write on from a prompt with GPT-2: greedy, sampling, beam search, and token by token.

Task: language modelling. Without an argument a tiny GPT-2 and its byte-level BPE are trained on
      the spot, from random weights: it shows how, and writes little sense. `--model DIR` takes
      any GPT-2: config.json, model.safetensors, and vocab.json with merges.txt or tokenizer.json.
Data: the English texts of examples/datasets (written for this project, Apache-2.0), 9 of 10 to
      train on.
Command: python examples/basic_language_model_gpt2.py [--model DIR] [--prompt "The train" ...]
Seen: perplexity 72.5 per token of texts held out (by the frequency of each token alone: 266.8);
      46 s on one CPU core (TensorFlow).
"""

from __future__ import annotations

import csv
from pathlib import Path

import common
import keras
import numpy as np

from bert4keras.checkpoints import save
from bert4keras.data import DataGenerator
from bert4keras.generation import (
    BeamSearch,
    NoRepeatNGram,
    RepetitionPenalty,
    Sample,
    generate,
    stream,
)
from bert4keras.models import build_transformer_model
from bert4keras.models.gpt import GPT
from bert4keras.tasks.generation import Perplexity, perplexity
from bert4keras.tokenizers import SubwordTokenizer, TokenizerBase
from tokenizers import ByteLevelBPETokenizer

OUTPUT = common.ROOT / "outputs" / "tiny_gpt2"
FILES = ["corpus_en.txt", "reviews/train.tsv", "sentence_pairs/train.tsv"]
END = "<|endoftext|>"  # GPT-2 has this one special token, before and behind every text


def corpus() -> list[str]:
    """The texts of the files, each once, in a random but fixed order."""
    texts: dict[str, None] = {}
    for name in FILES:
        with common.opened(common.DATASETS / name) as lines:
            rows = csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
            texts |= dict.fromkeys(part for row in rows for part in row if not part.isdigit())
    return np.random.default_rng(0).permutation(list(texts)).tolist()


def batches(tokenizer: TokenizerBase, texts: list[str], shuffle: bool) -> DataGenerator:
    """Batches of tokens, and for each token the one that follows."""
    end = tokenizer.token_end_id
    ids = [[end, *row, end] for row in tokenizer.encode_batch(texts, maxlen=62)[0]]
    options = {"batch_size": 16, "shuffle": shuffle, "seed": 0, "buckets": 4}
    return DataGenerator(ids, encode=lambda row: (row[:-1], row[1:]), **options)


def labels_of(data: DataGenerator) -> np.ndarray:
    """All tokens that are to be predicted."""
    return np.concatenate([ids[1:] for ids in data.data])


def train_tiny(options) -> None:
    """Train a tokenizer and a model, and save both in the files that GPT-2 comes in."""
    keras.utils.set_random_seed(0)
    texts, directory, epochs = corpus(), options.output, options.epochs
    parts = {"train": texts[len(texts) // 10 :], "test": texts[: len(texts) // 10]}
    texts, held_out = common.shown(options, parts, common.origins(parts, FILES))
    pieces = ByteLevelBPETokenizer()
    pieces.train_from_iterator(texts, vocab_size=800, special_tokens=[END], show_progress=False)
    directory.mkdir(parents=True, exist_ok=True)
    pieces.save_model(str(directory))
    tokenizer = SubwordTokenizer.from_pretrained(directory, family="gpt2")
    gpt = build_transformer_model(
        {
            "model_type": "gpt2",
            "vocab_size": len(tokenizer.vocab),
            "n_embd": 128,
            "n_layer": 2,
            "n_head": 4,
            "n_positions": 128,
        },
        with_mlm="linear",
        initializer_range=0.05,
    )
    data = batches(tokenizer, texts, shuffle=True)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=-1)
    metrics = [Perplexity(from_logits=True)]
    gpt.compile(common.adamw(3e-3, epochs * len(data)), loss, metrics=metrics)
    gpt.fit(data, epochs=epochs, verbose=2)

    counts = np.bincount(labels_of(data), minlength=len(tokenizer.vocab)) + 1
    data = batches(tokenizer, held_out, shuffle=False)
    found = gpt.evaluate(data, verbose=0, return_dict=True)["perplexity"]
    alone = perplexity(np.log(counts / counts.sum())[labels_of(data)])
    print(f"perplexity per token of {len(held_out)} texts held out: {found:.1f}", end="; ")
    print(f"by the frequency of each token alone {alone:.1f}")
    save(gpt, directory, config=gpt.config)


def write(gpt: keras.Model, tokenizer: TokenizerBase, prompts: list[str], n: int) -> None:
    """Continue all prompts at once by each strategy, then the first one token by token."""
    end = tokenizer.token_end_id
    ids = [[end, *tokenizer.encode(prompt)[0]] for prompt in prompts]
    for name, strategy, processors in (
        ("greedy", None, []),
        ("greedy, repetition penalty", None, [RepetitionPenalty(1.3)]),
        ("beam search", BeamSearch(4), [NoRepeatNGram(3)]),
        ("sampling", Sample(temperature=0.8, top_p=0.9, n=2, seed=1), []),
    ):
        answers = generate(gpt, ids, n, end, strategy, processors=processors)
        print(f"{name}:")
        for prompt, written in zip(ids, answers.token_ids, strict=True):
            for new in written:
                print("  " + tokenizer.decode([*prompt, *new]).replace("\n", "\\n"))
    print("token by token:\n ", end=" ")
    written, shown = ids[0], ""
    for (token,) in stream(gpt, ids[:1], n, end, Sample(temperature=0.8, top_k=20, seed=2)):
        written = [*written, token]
        text = tokenizer.decode(written)
        if not text.endswith("\ufffd"):  # half of a character of several bytes waits
            print(text[len(shown) :], end="", flush=True)
            shown = text
    print()


@common.script
def main() -> None:
    parser = common.arguments(__doc__, pretrained="a tiny model, trained now")
    parser.add_argument("--prompt", nargs="+", default=["The train", "My neighbour", "We never"])
    parser.add_argument("--max-new-tokens", type=int, default=24)
    parser.add_argument("--epochs", type=int, default=12, help="of the tiny model")
    common.add_limits(parser)
    parser.add_argument("--output", type=Path, default=OUTPUT, help="where the tiny model goes")
    options = parser.parse_args()
    parser.refuse(["epochs", "limit", "eval_limit", "output"], bool(options.model), "on a --model")
    if options.model is None:
        train_tiny(options)
    directory = options.model or options.output
    gpt, tokenizer = build_transformer_model(directory), TokenizerBase.from_pretrained(directory)
    if not isinstance(gpt.transformer, GPT):
        parser.error(f"{directory} holds a {gpt.config.model_type}, not a GPT")
    write(gpt, tokenizer, options.prompt, options.max_new_tokens)


if __name__ == "__main__":
    main()
