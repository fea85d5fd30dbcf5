"""GAN-BERT: a few texts with a label, more without one, and a generator of sentence vectors.

The classifier learns to tell vectors of texts, with a label or not, from generated ones. Of the
training file only the first `--labelled` texts keep their label. With `--correlation` (O-GAN) it
gives codes too, and prints for some texts the one with the nearest code.
Data: the shipped reviews (praise or complaint), or a file of your own with any labels:
`text<TAB>label`, `*.csv` or JSON lines `{"text": ..., "label": ...}`; `*.gz` and `*.xz` too.
    python examples/task_gan_bert.py
    python examples/task_gan_bert.py --train mine.tsv --unlabelled texts.txt --divergence js
Seen: test accuracy 0.7500 (most frequent label: 0.5000), seed 1, 204 s of a CPU core (JAX).
"""

import argparse
import sys
from pathlib import Path

import keras

from bert4keras.data import read_lines, read_parts
from bert4keras.latent import DIVERGENCES
from bert4keras.optimizers import warm_up
from bert4keras.tasks import SentenceEncoder, TextClassifier
from bert4keras.tasks.classification import GANBERT, read_labelled_texts
from bert4keras.training import Evaluator

DATA = Path(__file__).parent / "datasets" / "reviews"

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
parser.add_argument("--checkpoint", default="minilm-l6", help="directory, hf://org/name or name")
parser.add_argument("--train", type=Path, default=DATA / "train.tsv", help="default: %(default)s")
parser.add_argument("--valid", type=Path, help="default: beside the shipped file, else a tenth")
parser.add_argument("--test", type=Path, help="default: beside the shipped file, else a tenth")
parser.add_argument("--save", type=Path, help="directory for the trained task")
parser.add_argument("--labelled", type=int, default=100, help="so many rows keep their label")
parser.add_argument("--repeat", type=int, default=3, help="of a row with a label in an epoch")
parser.add_argument("--unlabelled", type=Path, help="text file with further texts, one a line")
parser.add_argument(
    "--divergence", default="gan", help=f"default: gan, of {', '.join(DIVERGENCES)}"
)
parser.add_argument("--correlation", type=float, default=0.0, help="weight of O-GAN's term")
parser.add_argument("--epochs", type=int, default=4, help="default: %(default)s")
parser.add_argument("--batch-size", type=int, default=16, help="default: %(default)s")
parser.add_argument("--learning-rate", type=float, default=1e-4, help="default: %(default)s")
parser.add_argument("--maxlen", type=int, default=64, help="tokens a window, default: %(default)s")
parser.add_argument("--seed", type=int, default=1, help="default: %(default)s")
options = parser.parse_args()
keras.utils.set_random_seed(options.seed)

if options.train == DATA / "train.tsv":
    options.valid = options.valid or DATA / "valid.tsv"
    options.test = options.test or DATA / "test.tsv"
train, valid, test = read_parts(read_labelled_texts, options.train, options.valid, options.test)
labels = sorted({label for _, label in train})
# A label of None: the text has none, and only the adversary learns from it.
texts = [text for text, _ in train[options.labelled :]]
if options.unlabelled:
    texts += [line for line in read_lines(options.unlabelled) if line.strip()]
train = train[: options.labelled] * options.repeat + [(text, None) for text in texts]
task = TextClassifier.build(options.checkpoint, labels, maxlen=options.maxlen)
model = GANBERT(task.model, options.divergence, correlation=options.correlation)
batches = task.batches(train, options.batch_size, shuffle=True, seed=options.seed)
steps = options.epochs * len(batches)
model.compile(
    keras.optimizers.AdamW(warm_up(options.learning_rate, steps // 10, steps), weight_decay=0.01),
    task.loss,
)
model.fit(
    batches,
    epochs=options.epochs,
    verbose=1 if sys.stdout.isatty() else 2,
    callbacks=[Evaluator(lambda: task.evaluate(valid))],
)

scores = task.evaluate(test)
print("test:", {name: round(score, 4) for name, score in scores.items()})
for text, label in test[:3]:
    print(f"{text}\n  {task(text)}; right is {label}")
if options.correlation:
    codes = SentenceEncoder(task.tokenizer, model.code_model, maxlen=options.maxlen)
    index = codes.index([text for text, _ in train])
    for text, _ in test[:3]:
        print(f"{text}\n  nearest code: {index.search(text, k=1)[0].text}")

if options.save:
    task.save(options.save)
