"""Questions and answers from a passage: draw an answer, then write the question for it.

One model (UniLM) learns two things: passage -> answer, and (passage, answer) -> question. Answers
are drawn by their probability, so that one passage gives several, and only such as stand in the
passage (`SpansOfPrompt`); questions are found by beam search. Such pairs serve as training data for
reading comprehension.

Data: examples/datasets/reading (Chinese, made from templates, Apache-2.0), or files in the format
of SQuAD or CMRC 2018; *.xz and *.gz too. Questions without an answer are left out.
    python examples/task_question_answer_generation.py [--random-weights]
    python task_question_answer_generation.py --train mine.json --save asker
Seen: not measured in this form; an earlier one (random weights, both in one text) reached ROUGE-L
0.510, BLEU 0.270 for questions (the sentence of the answer: 0.426, 0.145).
"""

import argparse
import json
import sys
from pathlib import Path

import keras

from bert4keras import tasks
from bert4keras.data import read_parts, read_text
from bert4keras.generation import BeamSearch, Sample, SpansOfPrompt
from bert4keras.optimizers import warm_up
from bert4keras.training import Evaluator

DATA = Path(__file__).parent / "datasets" / "reading"
ENCODER = "multilingual-e5-small-zh-en"
KINDS = "directory, hf://org/name or name"

parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
)
parser.add_argument(
    "--checkpoint", type=tasks.checkpoint_argument, default=ENCODER, help=f"{KINDS} (%(default)s)"
)
parser.add_argument(
    "--random-weights", dest="checkpoint", action="store_const", const=None, help="no checkpoint"
)
parser.add_argument(
    "--train", type=Path, default=DATA / "train.json", help="(default: %(default)s)"
)
parser.add_argument("--valid", type=Path, help="default: beside the shipped file, else a tenth")
parser.add_argument("--test", type=Path, help="default: beside the shipped file, else a tenth")
parser.add_argument("--save", type=Path, help="directory for the trained task")
parser.add_argument("--epochs", type=int, help="4, from random weights 8")
parser.add_argument("--batch-size", type=int, default=16)
parser.add_argument("--learning-rate", type=float, help="2e-4, from random weights 1e-3")
parser.add_argument("--maxlen", type=int, default=256, help="tokens of all three")
parser.add_argument("--longest", type=int, default=32, help="most tokens of a question")
parser.add_argument("--seed", type=int, default=1)
parser.add_argument("--limit", type=int, help="train on only so many rows")
options = parser.parse_args()
options.epochs = options.epochs or (4 if options.checkpoint else 8)
options.learning_rate = options.learning_rate or (2e-4 if options.checkpoint else 1e-3)
keras.utils.set_random_seed(options.seed)


def read(path: Path) -> list[tuple[str, str, str]]:
    """Passage, question and answer of each question that has one."""
    rows = []
    for article in json.loads(read_text(path))["data"]:
        for paragraph in article["paragraphs"]:
            for asked in paragraph["qas"]:
                answers = [answer["text"] for answer in asked.get("answers") or []]
                rows.append((paragraph["context"], asked["question"], (answers or [""])[0]))
    return [row for row in rows if row[2]]


if options.train == DATA / "train.json":
    options.valid = options.valid or DATA / "valid.json"
    options.test = options.test or DATA / "test.json"
train, valid, test = read_parts(read, options.train, options.valid, options.test)
train = train[: options.limit]
print(f"{len(train)} training, {len(valid)} validation, {len(test)} test rows")

texts = [text for row in train for text in row]
settings = {"maxlen": options.maxlen, "max_new_tokens": options.longest, "truncate": "right"}
if options.checkpoint:
    task = tasks.Generator.build(options.checkpoint, texts=texts, **settings)
else:
    bert, tokenizer = tasks.from_scratch(texts, application="unilm", with_mlm="linear")
    task = tasks.Generator(tokenizer, bert, **settings)

pairs = [((passage, answer), question) for passage, question, answer in train]
pairs += [(passage, answer) for passage, _, answer in train]
few = [((passage, answer), question) for passage, question, answer in valid[:200]]

batches = task.batches(pairs, options.batch_size, shuffle=True, seed=options.seed)
steps = options.epochs * len(batches)
rate = warm_up(options.learning_rate, steps // 10, steps)
task.model.compile(keras.optimizers.AdamW(rate, weight_decay=0.01), task.loss)
task.model.fit(
    batches,
    epochs=options.epochs,
    verbose="auto" if sys.stdout.isatty() else 2,
    callbacks=[Evaluator(lambda: task.evaluate(few)["rouge_l"])],
)

asked = [((passage, answer), question) for passage, question, answer in test]
scores = task.evaluate(asked, strategy=BeamSearch(4))
print("questions:", ", ".join(f"{name} {value:.4f}" for name, value in scores.items()))
draw = {"strategy": Sample(top_p=0.9, n=3, seed=options.seed)}
draw["processors"] = [SpansOfPrompt(task.tokenizer.token_end_id, options.longest, text=0)]
for passage in list(dict.fromkeys(passage for passage, _, _ in test))[:3]:
    print(passage)
    for answer in {answer.text for answer in task(passage, **draw)}:
        print(f"  {task((passage, answer), strategy=BeamSearch(4))} {answer}")
if options.save:
    task.save(options.save)
