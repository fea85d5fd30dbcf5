"""Extractive question answering: find the answer to a question in a passage, or that it has none.

`ExtractiveQA` puts a head on an encoder that scores first and last token of the answer. Long
passages are read in windows. Data: SQuAD 1.1 or 2.0, CMRC 2018, DRCD, WebQA, SubjQA (*.csv), or
JSON lines {"question": "...", "passage": "...", "answers": ["..."]}. Seen: reading, seed 1,
--random-weights, torch: EM 0.8686, F1 0.8994; 71 s of one core.

    python examples/task_reading_comprehension.py [--random-weights]
    python examples/task_reading_comprehension.py --checkpoint minilm-l6 --train train.json \
        --valid dev.json --test dev.json --metric squad --epochs 2 --learning-rate 1e-4
"""

import argparse
import json
import sys
from pathlib import Path

import keras

from bert4keras import tasks
from bert4keras.data import read_json_rows, read_parts
from bert4keras.optimizers import warm_up
from bert4keras.tasks.reading import read_questions
from bert4keras.training import Evaluator

DATA = Path(__file__).parent / "datasets" / "reading"
ENCODER = "multilingual-e5-small-zh-en"
KINDS = "directory, hf://org/name or name"

style = argparse.RawDescriptionHelpFormatter
parser = argparse.ArgumentParser(description=__doc__, formatter_class=style)
parser.add_argument(
    "--checkpoint", type=tasks.checkpoint_argument, default=ENCODER, help=f"{KINDS} (%(default)s)"
)
parser.add_argument(
    "--random-weights", dest="checkpoint", action="store_const", const=None, help="no checkpoint"
)
parser.add_argument("--train", type=Path, default=DATA / "train.json", help="(%(default)s)")
parser.add_argument("--valid", type=Path, help="to choose the epoch; else a tenth of --train")
parser.add_argument("--test", type=Path, help="to report on; else a tenth of --train")
parser.add_argument("--predict", type=Path, help="JSON lines with question and passage: answer")
parser.add_argument("--save", type=Path, help="directory for the trained task")
parser.add_argument("--metric", default="cmrc2018", choices=("squad", "cmrc2018", "webqa"))
parser.add_argument("--epochs", type=int, help="3, from random weights 12")
parser.add_argument("--batch-size", type=int, default=32)
parser.add_argument("--learning-rate", type=float, help="1e-4, from random weights 2e-3")
parser.add_argument("--maxlen", type=int, default=256, help="tokens of a window")
parser.add_argument("--limit", type=int, help="train on only so many questions")
parser.add_argument("--seed", type=int, default=1)
options = parser.parse_args()
options.epochs = options.epochs or (3 if options.checkpoint else 12)
options.learning_rate = options.learning_rate or (1e-4 if options.checkpoint else 2e-3)
keras.utils.set_random_seed(options.seed)

if options.train == DATA / "train.json":
    options.valid = options.valid or DATA / "valid.json"
    options.test = options.test or DATA / "test.json"
paths = options.train, options.valid, options.test
# All questions of a passage stay in one part.
train, valid, test = read_parts(read_questions, *paths, group=lambda sample: sample[0].passages)
train = train[: options.limit]

how = {"metric": options.metric, "maxlen": options.maxlen, "max_answer_length": 40}
if options.checkpoint:
    qa = tasks.ExtractiveQA.build(options.checkpoint, **how)
else:
    # Random weights: segment ids mark the characters that the question also contains.
    texts = {text for question, _ in train for text in (question.text, *question.passages)}
    size = {"hidden_size": 64, "model": "roformer", "segment_vocab_size": 4}
    bert, tokenizer = tasks.from_scratch(texts, **size)
    qa = tasks.ExtractiveQA.build(bert, tokenizer=tokenizer, match_segments=True, **how)

batches = qa.batches(train, options.batch_size, shuffle=True, seed=options.seed)
steps = options.epochs * len(batches)
rate = warm_up(options.learning_rate, steps // 10, steps)
optimizer = keras.optimizers.AdamW(rate, weight_decay=0.01, global_clipnorm=1.0)
qa.model.compile(optimizer, qa.loss)
qa.model.fit(
    batches,
    epochs=options.epochs,
    verbose="auto" if sys.stdout.isatty() else 2,
    callbacks=[Evaluator(lambda: qa.evaluate(valid))],
)
qa.tune_no_answer_threshold(valid)

print("test:", ", ".join(f"{name} {value:.4f}" for name, value in qa.evaluate(test).items()))
for question, answers in test[:3]:
    print(question.text, "|", qa(question), "| right:", [answer.text for answer in answers])
if options.save:
    qa.save(options.save)
if options.predict:
    for _, row in read_json_rows(options.predict):
        answer = qa((row["question"], row["passage"]))
        print(json.dumps(vars(answer), ensure_ascii=False))
