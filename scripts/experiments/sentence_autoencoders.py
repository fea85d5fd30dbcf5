"""Compare latent variables of sentences with a language model of equal size.

  lm             a language model: no latent variable
  vae            Gaussian latent, nothing against collapse
  vae-annealed   the KL's weight rises from 0 over the first half of training
  vae-free-bits  that, free bits, and word dropout
  gumbel         discrete codes by Gumbel softmax, with annealing and word dropout
  vq             discrete codes by vector quantisation, with word dropout

All are trained on the training texts for the same number of steps; nothing is chosen by the test
texts. `perplexity` of a latent is the importance-weighted bound with `--draws` points, an upper
bound; that of the language model is exact.

Data: lines of text; or CLINC150's JSON, whose questions in scope are read; or JSON lines of
chinese-poetry, whose couplets of five characters are read. A tenth of the lines or poems is held
out. Tokens are the most frequent words and Chinese characters; texts with others are left out.

Command:
  python scripts/experiments/sentence_autoencoders.py --data tang_shi.jsonl.xz
  python scripts/experiments/sentence_autoencoders.py --data data_full.json.xz
"""

import argparse
import collections
import json
import lzma
import random
import re
import time
from pathlib import Path

import keras
import numpy as np

from bert4keras import latent, tasks
from bert4keras.models import build_transformer_model
from bert4keras.optimizers import PiecewiseLinear, warm_up
from bert4keras.tasks.generation import perplexity
from bert4keras.tokenizers import Tokenizer

KINDS = ("lm", "vae", "vae-annealed", "vae-free-bits", "gumbel", "vq")
TOKEN = re.compile(r"[\u4e00-\u9fff]|[^\W\u4e00-\u9fff]+|[^\w\s]")
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
COUPLET = re.compile(r"[\u4e00-\u9fff]{5}，[\u4e00-\u9fff]{5}。")

parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
)
parser.add_argument("--data", type=Path, required=True, help="plain or .xz")
parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
parser.add_argument("--seeds", type=int, nargs="+", default=[1])
parser.add_argument("--train", type=int, default=10000, help="most training texts")
parser.add_argument("--test", type=int, default=300, help="most test texts")
parser.add_argument("--words", type=int, default=1000, help="size of the vocabulary")
parser.add_argument("--steps", type=int, default=1000)
parser.add_argument("--batch-size", type=int, default=32)
parser.add_argument("--hidden-size", type=int, default=64)
parser.add_argument("--layers", type=int, default=2)
parser.add_argument("--maxlen", type=int, default=16)
parser.add_argument("--learning-rate", type=float, default=3e-3)
parser.add_argument("--draws", type=int, default=8)
options = parser.parse_args()


def read_texts() -> tuple[list[str], list[str], list[str]]:
    """Return training texts, test texts and words."""
    path = options.data
    opened = lzma.open if path.suffix == ".xz" else open
    with opened(path, "rt", encoding="utf-8") as file:
        lines = file.read().splitlines()
    if lines[0].startswith('{"title"'):
        poems = [COUPLET.findall("".join(json.loads(line)["paragraphs"])) for line in lines]
        random.Random(0).shuffle(poems)
        held_out = len(poems) // 10
        test, train = (
            [text for poem in part for text in poem]
            for part in (poems[:held_out], poems[held_out:])
        )
    elif lines[0].startswith("{"):
        parts = json.loads("\n".join(lines))
        train, test = ([text for text, _ in parts[name]] for name in ("train", "test"))
    else:
        train, test = lines[len(lines) // 10 :], lines[: len(lines) // 10]
    for part in (train, test):
        random.Random(0).shuffle(part)
    counts = collections.Counter(word for text in train for word in TOKEN.findall(text.lower()))
    words = [word for word, _ in counts.most_common(options.words)]
    known = set(words)

    def fits(text: str) -> bool:
        found = TOKEN.findall(text.lower())
        return len(found) <= options.maxlen - 2 and known.issuperset(found)

    train, test = (list(filter(fits, part)) for part in (train, test))
    return train[: options.train], test[: options.test], words


def bottleneck(kind: str) -> latent.Bottleneck:
    """Return the bottleneck of a kind."""
    rising = PiecewiseLinear(1.0, {options.steps // 2: 1.0})
    if kind == "vq":
        return latent.VectorQuantizedBottleneck(codes=6, values=32, code_size=8)
    if kind == "gumbel":
        cooling = PiecewiseLinear(1.0, {0: 1.0, options.steps: 0.5})
        return latent.GumbelBottleneck(6, 32, 8, temperature=cooling, kl_weight=rising)
    free_bits = 0.3 if kind == "vae-free-bits" else 0.0
    return latent.GaussianBottleneck(16, 1.0 if kind == "vae" else rising, free_bits)


def train_model(kind: str, seed: int, train: list[str]):
    """Return a trained task."""
    keras.utils.set_random_seed(seed)
    tokenizer = Tokenizer([*SPECIAL, *words], do_lower_case=True)
    config = {
        "model_type": "nezha",
        "vocab_size": tokenizer.vocab_size,
        "num_hidden_layers": options.layers,
        "hidden_size": options.hidden_size,
        "num_attention_heads": 4,
        "intermediate_size": 4 * options.hidden_size,
        "max_position": options.maxlen,
        "initializer_range": 0.05,
    }
    limits = {"maxlen": options.maxlen, "truncate": "right"}
    if kind == "lm":
        model = build_transformer_model(config, application="lm", with_mlm="linear")
        task = tasks.Generator(tokenizer, model, max_new_tokens=4, **limits)
    else:
        encoder = build_transformer_model(config)
        dropout = 0.3 if kind in ("vae-free-bits", "gumbel", "vq") else 0.0
        task = tasks.SentenceAutoencoder.build(
            encoder, bottleneck(kind), tokenizer=tokenizer, word_dropout=dropout, **limits
        )
    batches = task.batches(train, options.batch_size, shuffle=True, seed=seed, buckets=1)
    rate = warm_up(options.learning_rate, options.steps // 20, options.steps)
    task.model.compile(
        keras.optimizers.AdamW(rate, weight_decay=0.01, global_clipnorm=1.0), task.loss
    )
    epochs = -(-options.steps // len(batches))
    task.model.fit(batches, epochs=epochs, verbose=0)
    return task


def show(task: tasks.SentenceAutoencoder, test: list[str]) -> None:
    """Print reconstructions, samples and walks."""
    for text, again in zip(test[:5], task(test[:5]), strict=True):
        print(f"  {text}  ->  {again}")
    print("  samples: " + " | ".join(task.sample(10, seed=1)))
    for start in (0, 2, 4):
        print("  walk: " + " | ".join(task.walk(test[start], test[start + 1], 5)), flush=True)


train, test, words = read_texts()
print(f"{len(train)} training texts, {len(test)} test texts")
for kind in options.kinds:
    found: dict[str, list[float]] = {}
    for seed in options.seeds:
        start = time.perf_counter()
        task = train_model(kind, seed, train)
        if kind == "lm":
            report = {"perplexity": perplexity(task.log_probabilities(test))}
        else:
            report = task.evaluate(test, draws=options.draws)
            show(task, test)
        report["minutes"] = (time.perf_counter() - start) / 60
        for name, value in report.items():
            found.setdefault(name, []).append(value)
    row = {name: f"{np.mean(x):.3f} +- {np.std(x):.3f}" for name, x in found.items()}
    print(kind, json.dumps(row), flush=True)
