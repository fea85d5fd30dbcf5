"""Write on from a prompt with GPT-2: sampling, beam search, and token by token.

--checkpoint takes any GPT-2 (a directory or hf://org/name). Without it a tiny GPT-2 and its
byte-level BPE are trained on the spot, from random weights: it shows how, and writes little sense.

Data: the English texts of examples/datasets (written for this project, Apache-2.0): 8 of 10 to
train on, one to choose the epoch, one held out. --train takes any file with one text a line.
    python examples/basic_language_model_gpt2.py [--checkpoint NAME] [--prompt "The train" ...]
    python basic_language_model_gpt2.py --train mine.txt --save gpt2
Seen: perplexity 72.5 per token of texts held out (by the frequency of each token: 266.8); 46
s on one CPU core (TensorFlow), of an earlier version with the same model.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import keras

from bert4keras import tasks
from bert4keras.data import split
from bert4keras.generation import BeamSearch, Greedy, NoRepeatNGram, RepetitionPenalty, Sample
from bert4keras.models import build_transformer_model
from bert4keras.optimizers import warm_up
from bert4keras.tasks.generation import read_texts
from bert4keras.tokenizers import SubwordTokenizer
from bert4keras.training import Evaluator
from tokenizers import ByteLevelBPETokenizer

DATA = Path(__file__).parent / "datasets"
FILES = [
    DATA / "corpus_en.txt",
    DATA / "reviews" / "train.tsv",
    DATA / "sentence_pairs" / "train.tsv",
]
END = "<|endoftext|>"  # GPT-2 has this one special token, before and behind every text

parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
)
parser.add_argument("--checkpoint", help="directory or hf://org/name (default: none)")
parser.add_argument("--train", type=Path, nargs="+", default=FILES, help="texts, one a line")
parser.add_argument(
    "--prompt", nargs="+", default=["The train", "My neighbour", "We never"], help="to continue"
)
parser.add_argument("--save", type=Path, help="directory for the trained task")
parser.add_argument("--epochs", type=int, default=12)
parser.add_argument("--batch-size", type=int, default=16)
parser.add_argument("--learning-rate", type=float, default=3e-3)
parser.add_argument("--maxlen", type=int, default=64)
parser.add_argument("--longest", type=int, default=24, help="most tokens to write")
parser.add_argument("--seed", type=int, default=1)
parser.add_argument("--limit", type=int, help="train on only so many texts")
options = parser.parse_args()
keras.utils.set_random_seed(options.seed)


def tiny_gpt2(texts: list[str]) -> tasks.Generator:
    """A GPT-2 with random weights, and a tokenizer trained on the texts."""
    pieces = ByteLevelBPETokenizer()
    pieces.train_from_iterator(texts, vocab_size=800, special_tokens=[END], show_progress=False)
    with tempfile.TemporaryDirectory() as directory:
        pieces.save_model(directory)
        tokenizer = SubwordTokenizer.from_pretrained(directory, family="gpt2")
    sizes = {"n_embd": 128, "n_layer": 2, "n_head": 4, "n_positions": 128}
    config = {"model_type": "gpt2", "vocab_size": tokenizer.vocab_size, **sizes}
    gpt = build_transformer_model(config, with_mlm="linear", initializer_range=0.05)
    return tasks.Generator(tokenizer, gpt, maxlen=options.maxlen, start_token=True)


if options.checkpoint:
    task = tasks.Generator.build(options.checkpoint)
else:
    texts = list(dict.fromkeys(text for path in options.train for text in read_texts(path)))
    train, valid, test = split(texts, (0.1, 0.1))
    train = train[: options.limit]
    print(f"{len(train)} training, {len(valid)} validation, {len(test)} test texts")
    task = tiny_gpt2(train)
    batches = task.batches(train, options.batch_size, shuffle=True, seed=options.seed)
    steps = options.epochs * len(batches)
    rate = warm_up(options.learning_rate, steps // 10, steps)
    task.model.compile(keras.optimizers.AdamW(rate, weight_decay=0.01), task.loss)
    task.model.fit(
        batches,
        epochs=options.epochs,
        verbose="auto" if sys.stdout.isatty() else 2,
        callbacks=[Evaluator(lambda: task.evaluate(valid), mode="min")],
    )
    print(f"test: perplexity {task.evaluate(test)['perplexity']:.1f} a token")

for name, how in {
    "greedy": {},
    "repetition penalty": {"processors": [RepetitionPenalty(1.3)]},
    "beam search": {"strategy": BeamSearch(4), "processors": [NoRepeatNGram(3)]},
    "sampling": {"strategy": Sample(temperature=0.8, top_p=0.9, seed=options.seed)},
}.items():
    print(f"{name}:")
    answers = task.predict(options.prompt, max_new_tokens=options.longest, **how)
    for prompt, answer in zip(options.prompt, answers, strict=True):
        print(f"  {prompt}|{answer}")
print("token by token:\n ", options.prompt[0], end="|")
for piece in task.stream_text(options.prompt[0], strategy=Greedy()):
    print(piece, end="", flush=True)
print()
if options.save:
    task.save(options.save)
    task.save_huggingface(options.save / "transformers")
