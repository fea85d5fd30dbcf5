"""Long documents: classify texts of more than 512 tokens at once, with sparse attention.

A token sees only its neighbours (`--window` on each side), so time and memory grow with the length
of a text, not with its square. Positions are rotary (RoFormer) and reach as far as `--maxlen`. The
head takes the largest value over all tokens: one passage decides, anywhere in the text.

Data: texts of 45 messages of examples/datasets/topics (Apache-2.0), one of them about health,
money, school or work, no message in two of the three sets; or your own: `text<TAB>label`, `*.csv`
or JSON lines.
Command: python examples/task_long_document.py
    python task_long_document.py --train mine.tsv --maxlen 4096 --window 64 --save classifier
Seen: test accuracy 0.9400 (most frequent label: 0.4250), seed 1, 74 s of a CPU core (torch).
"""

import argparse
import random
from pathlib import Path

import keras
from keras import ops

from bert4keras import build_transformer_model
from bert4keras.data import split
from bert4keras.masks import Window
from bert4keras.optimizers import warm_up
from bert4keras.tasks import TextClassifier, open_encoder, word_tokenizer
from bert4keras.tasks.classification import read_labelled_texts
from bert4keras.training import Evaluator

DATA = Path(__file__).parent / "datasets" / "topics"
OFFICES = {"health", "money", "school", "work"}

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
parser.add_argument("--train", type=Path, help="your own file (default: the letters)")
parser.add_argument("--checkpoint", help="encoder with enough positions (default: random weights)")
parser.add_argument("--save", type=Path, help="directory for the trained task")
parser.add_argument("--learning-rate", type=float, default=2e-3, help="1e-5 to 1e-4 if pretrained")
parser.add_argument("--limit", type=int, help="train on only so many texts")
for name, value in {"window": 8, "maxlen": 1024, "epochs": 6, "batch-size": 8, "seed": 1}.items():
    parser.add_argument(f"--{name}", type=int, default=value, help="default: %(default)s")
options = parser.parse_args()
keras.utils.set_random_seed(options.seed)


def letters(rows: list, count: int) -> list[tuple[str, str]]:
    """Join messages; one of them, at a random place, is about an office."""
    rng, found = random.Random(options.seed), []
    about = [(text, *OFFICES.intersection(topics)) for text, topics in rows]
    others = [row[0] for row in about if len(row) == 1]
    for text, label in rng.choices([row for row in about if len(row) == 2], k=count):
        parts = rng.choices(others, k=44)
        parts.insert(rng.randint(0, 44), text)
        found.append((" ".join(parts), label))
    return found


if options.train:  # a tenth of the file chooses the epoch, another tenth is the test
    train, valid, test = split(read_labelled_texts(options.train), (0.1, 0.1), options.seed)
else:
    # Messages of one file: the others have words that a model without pretraining cannot know.
    rows = read_labelled_texts(DATA / "train.tsv", "multi_label")
    train, valid, test = map(letters, split(rows, (0.15, 0.25), options.seed), (400, 60, 200))
train = train[: options.limit]
how = {"application": Window(options.window)}  # weights do not depend on the mask
if options.checkpoint:
    tokenizer, bert = open_encoder(options.checkpoint, options=how)
else:
    tokenizer = word_tokenizer((text for text, _ in train), max_words=20000)
    config = {"vocab_size": tokenizer.vocab_size, "hidden_size": 64, "intermediate_size": 128}
    config |= {"num_hidden_layers": 2, "num_attention_heads": 4, "initializer_range": 0.05}
    config |= {"model_type": "roformer", "max_position_embeddings": options.maxlen}
    bert = build_transformer_model(config, **how)
labels = sorted({label for _, label in train})
lengths = [len(tokenizer.encode(text)[0]) for text, _ in train]
print(f"{len(train)} texts of {min(lengths)} to {max(lengths)} tokens, labels: {', '.join(labels)}")
real = ops.not_equal(bert.inputs[0], tokenizer.token_pad_id)[:, :, None]
x = ops.max(ops.where(real, bert.output, -100.0), axis=1)  # without padding
x = keras.layers.Dense(len(labels))(keras.layers.Dropout(0.1)(x))
task = TextClassifier(tokenizer, keras.Model(bert.input, x), labels, maxlen=options.maxlen)
batches = task.batches(train, options.batch_size, shuffle=True, seed=options.seed)
steps = options.epochs * len(batches)
rate = warm_up(options.learning_rate, steps // 10, steps)
task.model.compile(keras.optimizers.AdamW(rate, weight_decay=0.01), task.loss)
evaluator = Evaluator(lambda: task.evaluate(valid))
task.model.fit(batches, epochs=options.epochs, callbacks=[evaluator], verbose=2)
print("test:", {name: round(score, 4) for name, score in task.evaluate(test).items()})
for text, label in test[:3]:
    print(f"{text[:60]}...\n  {task(text)}; right is {label}")
if options.save:
    task.save(options.save)
