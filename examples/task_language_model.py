"""A BERT as a language model: only its mask is another one.

Task: language modelling of Chinese characters. `application="lm"` lets each position see what is on
      its left, and every BERT is a GPT. Without `--model`, which takes a checkpoint directory,
      the weights are random.
Data: examples/datasets/corpus_zh.txt and reviews_zh/train.tsv (written for this project,
      Apache-2.0): 8 of 10 texts to train on, one to choose the epoch, one held out. `--text`
      takes any file with one text a line.
Command: python examples/task_language_model.py [--model DIR] [--text FILE] [--epochs N]
Seen: perplexity 80.8 of 23 texts held out, the rare characters as [UNK]; 110.6 by the frequency
      of each token alone (the entropy of single tokens); 26 s on one CPU core (TensorFlow).
"""

from __future__ import annotations

import collections
from pathlib import Path

import common
import keras
import numpy as np

from bert4keras.data import DataGenerator, read_lines
from bert4keras.generation import BannedTokens, BeamSearch, Sample, generate
from bert4keras.models import build_transformer_model
from bert4keras.tasks.generation import Perplexity, perplexity
from bert4keras.tokenizers import Tokenizer
from bert4keras.training import Evaluator

FILES = ["corpus_zh.txt", "reviews_zh/train.tsv"]
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def read(path: Path) -> list[str]:
    """Texts, one a line; of a table its first column."""
    with common.exits():
        lines = read_lines(path)
    return [line.split("\t")[0].strip() for line in lines if line.strip()]


def begin(directory: Path | None, texts: list[str], maxlen: int) -> tuple[Tokenizer, keras.Model]:
    """Tokenizer and language model: of a checkpoint, or small and fresh."""
    how = {"application": "lm", "with_mlm": "linear"}
    if directory is not None:
        return Tokenizer.from_pretrained(directory), build_transformer_model(directory, **how)
    # What occurs once is [UNK], so that the model has learned how often to expect the unknown.
    counts = collections.Counter("".join(texts).lower())
    characters = [char for char, count in counts.most_common() if count > 1]
    vocabulary = {token: i for i, token in enumerate([*SPECIAL, *characters])}
    config = {
        "vocab_size": len(vocabulary),
        "hidden_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 256,
        "max_position": maxlen,
        "initializer_range": 0.05,
    }
    model = build_transformer_model(config, **how, dropout_rate=0.3)
    return Tokenizer(vocabulary, do_lower_case=True), model


def batches(tokenizer: Tokenizer, texts: list[str], maxlen: int, shuffle: bool) -> DataGenerator:
    """Batches of tokens with, as label of each token, the one that follows it."""
    ids, segments = tokenizer.encode_batch(texts, maxlen=maxlen)
    return DataGenerator(
        list(zip(ids, segments, strict=True)),
        batch_size=16,
        encode=lambda sample: ((sample[0][:-1], sample[1][:-1]), sample[0][1:]),
        shuffle=shuffle,
        seed=0,
        buckets=4,
    )


def unigram_perplexity(train: DataGenerator, held_out: DataGenerator, size: int) -> float:
    """What the frequency of every token alone reaches (its entropy, as a perplexity)."""
    seen, asked = (np.concatenate([ids[1:] for ids, _ in x.data]) for x in (train, held_out))
    counts = np.bincount(seen, minlength=size) + 1.0
    return perplexity(np.log(counts / counts.sum())[asked])


def samples(model: keras.Model, tokenizer: Tokenizer, starts: list[str], n: int) -> None:
    """Print continuations of the beginnings of texts."""
    end = tokenizer.token_end_id
    prompts = [tokenizer.encode(text)[0][:-1] for text in starts]
    special = (tokenizer.vocab.get(token) for token in SPECIAL)
    banned = BannedTokens(tuple(i for i in special if i not in (None, end)))
    for name, strategy in (
        ("beam search", BeamSearch(4)),
        ("sampling", Sample(temperature=0.8, top_p=0.9, n=2, seed=1)),
    ):
        answers = generate(model, prompts, n, end, strategy, processors=[banned])
        print(f"{name}:")
        for prompt, written in zip(prompts, answers.token_ids, strict=True):
            for ids in written:
                print(f"  {tokenizer.decode(prompt)} | {tokenizer.decode(ids)}")


@common.script
def main() -> None:
    parser = common.arguments(__doc__, pretrained="random weights")
    parser.add_argument("--prompt", nargs="+", default=["我", "今天", "老师"])
    parser.add_argument("--text", type=Path, help="one text a line")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--learning-rate", type=float, help="1e-3, with --model 5e-5")
    parser.add_argument("--maxlen", type=int, default=64)
    parser.add_argument("--seed", type=int, default=1)
    common.add_limits(parser)
    options = parser.parse_args()
    keras.utils.set_random_seed(options.seed)
    paths = [options.text] if options.text else [common.DATASETS / name for name in FILES]
    texts = list(dict.fromkeys(text for path in paths for text in read(path)))
    np.random.default_rng(0).shuffle(texts)
    tenth = len(texts) // 10
    if not tenth:
        parser.error(f"{len(texts)} texts are too few: at least 10 are needed")
    parts = {"train": texts[2 * tenth :], "valid": texts[tenth : 2 * tenth], "test": texts[:tenth]}
    train, valid, test = common.shown(options, parts, common.origins(parts, paths))
    tokenizer, model = begin(options.model, train, options.maxlen)
    common.check_room(model, options.maxlen)
    test, valid = (batches(tokenizer, part, options.maxlen, False) for part in (test, valid))
    train = batches(tokenizer, train, options.maxlen, shuffle=True)

    def found(data: DataGenerator) -> float:
        return model.evaluate(data, verbose=0, return_dict=True)["perplexity"]

    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=-1)
    rate = options.learning_rate or (5e-5 if options.model else 1e-3)
    optimizer = common.adamw(rate, options.epochs * len(train))
    model.compile(optimizer, loss, metrics=[Perplexity(from_logits=True)])
    best = Evaluator(lambda: {"perplexity": found(valid)}, mode="min")
    model.fit(train, epochs=options.epochs, verbose=0, callbacks=[best])
    alone = unigram_perplexity(train, test, model.config.vocab_size)
    print(f"perplexity of {len(test.data)} texts held out {found(test):.1f};", end=" ")
    print(f"by the frequency of each token alone {alone:.1f}")
    samples(model, tokenizer, options.prompt, options.maxlen // 2)


if __name__ == "__main__":
    main()
