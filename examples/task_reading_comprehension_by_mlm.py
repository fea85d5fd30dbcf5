"""Question answering with a masked language model: all characters of the answer at once.

The model reads [CLS] [MASK]... [SEP] question [SEP] passage [SEP] and fills all masks in one pass:
the answer, then a [SEP]. Candidates are the spans of the passage; the answer is the span with the
highest product of the probabilities of its tokens and a following [SEP]. [SEP] in the first place
means "no answer". With --random-weights the model is a small RoFormer whose segment ids also mark
the characters of the passage that the question contains.
Data: files of SQuAD or CMRC 2018; by default datasets/reading (Chinese, written for this project).
Command: python task_reading_comprehension_by_mlm.py [--train FILE] [--random-weights]
Seen, by an earlier version of this script, random weights: EM 0.3229, F1 0.3733.
"""

import argparse
import itertools
import sys
from pathlib import Path

import keras
import numpy as np

from bert4keras.data import DataGenerator, parse_json_text, read_parts, read_text
from bert4keras.optimizers import warm_up
from bert4keras.tasks import FillMask, checkpoint_argument, from_scratch
from bert4keras.tasks.filling import most_probable_span
from bert4keras.tasks.reading import cmrc2018

DATA = Path(__file__).parent / "datasets" / "reading"
ENCODER = "multilingual-e5-small-zh-en"


parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
)
parser.add_argument("--checkpoint", type=checkpoint_argument, default=ENCODER)
parser.add_argument("--random-weights", action="store_const", const=None, dest="checkpoint")
parser.add_argument("--train", type=Path, help=f"default: {DATA / 'train.json'}")
parser.add_argument("--valid", type=Path, help="default: beside it, or a tenth of --train")
parser.add_argument("--test", type=Path, help="default: beside it, or a tenth of --train")
parser.add_argument("--predict", type=Path, help="questions in the same format")
parser.add_argument("--save", type=Path, help="directory for the trained FillMask")
parser.add_argument("--answer", type=int, default=12, help="longest answer, in tokens")
parser.add_argument("--question", type=int, default=40, help="longest question, in tokens")
parser.add_argument("--maxlen", type=int, default=180, help="tokens that the model reads")
parser.add_argument("--epochs", type=int, help="5, from random weights 30")
parser.add_argument("--batch-size", type=int, default=16)
parser.add_argument("--learning-rate", type=float, help="2e-4, from random weights 1e-3")
parser.add_argument("--seed", type=int, default=1)
parser.add_argument("--limit", type=int, help="train on only so many questions")
options = parser.parse_args()
options.epochs = options.epochs or (5 if options.checkpoint else 30)
options.learning_rate = options.learning_rate or (2e-4 if options.checkpoint else 1e-3)
keras.utils.set_random_seed(options.seed)


def read(path):
    """(question, passage, its first answer or "") of each question of a file of SQuAD."""
    paragraphs = [a["paragraphs"] for a in parse_json_text(read_text(path), path)["data"]]
    for paragraph in itertools.chain(*paragraphs):
        for qa in paragraph["qas"]:
            answers = [answer["text"] for answer in qa.get("answers", ())]
            yield qa["question"], paragraph["context"], answers[0] if answers else ""


def encode(row):
    """Inputs of a row, the ids of its passage, and the characters at which they stand."""
    masks = [tokenizer.token_mask_id] * options.answer
    asked = tokenizer.encode(row[0], maxlen=options.question + 1)[0][1:]
    ids, _, spans = tokenizer.encode_batch([row[1]], return_offsets=True)
    ids, spans = ids[0][1:], spans[0][1:]
    room = options.maxlen - len(masks) - len(asked) - 2
    first = [tokenizer.token_start_id, *masks, tokenizer.token_end_id, *asked]
    if len(ids) - 1 > room:
        cut.add(row[1])
    ids = [*ids[:-1][:room], ids[-1]]
    segments = [0] * len(first) + [1] * len(ids)
    if not options.checkpoint:  # 2: character of the question, 3: also a bigram
        known = {*asked, *itertools.pairwise(asked)}
        for i in range(len(ids) - 1):
            pairs = {tuple(ids[max(i - 1, 0) : i + 1]), tuple(ids[i : i + 2])}
            segments[len(first) + i] = (3 if pairs & known else 2) if ids[i] in known else 1
    return task.encoder.select(first + ids, segments), ids[:-1], spans


def label(row):
    """Inputs of a row and the ids that are to be found: the answer and [SEP] in place of masks."""
    inputs, _, _ = encode(row)
    labels = np.full(len(inputs[0]), -1)
    answer = tokenizer.encode(row[2])[0][1:][: options.answer]
    labels[1 : len(answer) + 1] = answer
    inputs = tuple(map(np.array, inputs))
    return (inputs if len(inputs) > 1 else inputs[0]), labels


def answer(rows):
    """The answer to each question, in the words of its passage."""
    found = []
    for part in (rows[i : i + 64] for i in range(0, len(rows), 64)):
        encoded = [encode(row) for row in part]
        batch = task.encoder.batch([inputs for inputs, _, _ in encoded])
        scores = task.model.predict_on_batch(batch if len(batch) > 1 else batch[0])
        scores = keras.ops.convert_to_tensor(scores)[:, 1 : options.answer + 1]
        logps = keras.ops.convert_to_numpy(keras.ops.log_softmax(scores))
        for row, one, (_, passage, spans) in zip(part, logps, encoded, strict=True):
            start, stop = most_probable_span(one, np.array(passage), tokenizer.token_end_id)
            found.append(row[1][spans[start][0] : spans[stop - 1][1]] if stop > start else "")
    return found


cut = set()  # passages that the model sees only in part
if options.train is None:
    options.train = DATA / "train.json"
    options.valid = options.valid or DATA / "valid.json"
    options.test = options.test or DATA / "test.json"
train, valid, test = read_parts(read, options.train, options.valid, options.test, options.seed)
train = train[: options.limit]

if options.checkpoint:
    task = FillMask.build(options.checkpoint, maxlen=options.maxlen, ignore=["MLM-*"])
else:
    texts = [text for row in train for text in row[:2]]
    sizes = {"model": "roformer", "segment_vocab_size": 4, "with_mlm": "linear"}
    bert, tokenizer = from_scratch(texts, maxlen=options.maxlen, min_count=1, **sizes)
    task = FillMask.build(bert, tokenizer=tokenizer)
tokenizer = task.tokenizer

batches = DataGenerator(
    train,
    options.batch_size,
    encode=label,
    shuffle=True,
    seed=options.seed,
    pad_value=task.encoder.padding,
)
steps = options.epochs * len(batches)
rate = warm_up(options.learning_rate, steps // 10, steps)
task.model.compile(keras.optimizers.AdamW(rate), task.loss)
task.model.fit(batches, epochs=options.epochs, verbose="auto" if sys.stdout.isatty() else 2)

if cut:
    print(f"{len(cut)} passages do not fit --maxlen: their ends are not trained on or searched")
for name, rows in (("valid", valid), ("test", test)):
    scores = cmrc2018(answer(rows), [[text] if text else [] for _, _, text in rows])
    print(f"{name}: " + ", ".join(f"{key} {value:.4f}" for key, value in scores.items()))
asked = list(read(options.predict)) if options.predict else test[:3]
for (question, _, right), text in zip(asked, answer(asked), strict=True):
    print(f"{question} {text or '(none)'}" + (f" (right: {right})" if right else ""))
if options.save:
    task.save(options.save)
