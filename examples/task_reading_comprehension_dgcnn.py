"""Question answering without BERT: dilated gated convolutions over one or several passages.

The convolutions of https://kexue.fm/archives/5409 read characters and their overlap with the
question and the other passages; several passages vote for the answer. Data: WebQA
or SogouQA, or SQuAD 1.1 or 2.0, CMRC 2018, DRCD, SubjQA (*.csv), or JSON lines {"question": "...",
"passages": ["...", "..."], "answers": ["..."]}.

    python examples/task_reading_comprehension_dgcnn.py
    python examples/task_reading_comprehension_dgcnn.py --train train.json --valid valid.json \
        --test dev.json --metric webqa
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

style = argparse.RawDescriptionHelpFormatter
parser = argparse.ArgumentParser(description=__doc__, formatter_class=style)
parser.add_argument("--checkpoint", help="encoder under the convolutions, such as minilm-l6 (none)")
parser.add_argument("--train", type=Path, default=DATA / "train.json", help="(%(default)s)")
parser.add_argument("--valid", type=Path, help="to choose the epoch; else a tenth of --train")
parser.add_argument("--test", type=Path, help="to report on; else a tenth of --train")
parser.add_argument("--predict", type=Path, help="JSON lines with question and passages: answer")
parser.add_argument("--save", type=Path, help="directory for the trained task")
parser.add_argument("--metric", default="cmrc2018", choices=("squad", "cmrc2018", "webqa"))
parser.add_argument("--epochs", type=int, default=12)
parser.add_argument("--batch-size", type=int, default=32)
parser.add_argument("--learning-rate", type=float, default=2e-3)
parser.add_argument("--maxlen", type=int, default=256, help="tokens of a window")
parser.add_argument("--units", type=int, default=64, help="width of the convolutions")
parser.add_argument("--limit", type=int, help="train on only so many questions")
parser.add_argument("--seed", type=int, default=1)
options = parser.parse_args()
keras.utils.set_random_seed(options.seed)

if options.train == DATA / "train.json":
    options.valid = options.valid or DATA / "valid.json"
    options.test = options.test or DATA / "test.json"
paths = options.train, options.valid, options.test
# All questions of a passage stay in one part.
train, valid, test = read_parts(read_questions, *paths, group=lambda sample: sample[0].passages)
train = train[: options.limit]

tokenizer = None
if options.checkpoint is None:
    texts = {text for question, _ in train for text in (question.text, *question.passages)}
    _, tokenizer = tasks.from_scratch(texts, hidden_size=8)  # only for its character tokenizer
qa = tasks.ExtractiveQA.build(
    options.checkpoint,
    head="dgcnn",
    tokenizer=tokenizer,
    units=options.units,
    metric=options.metric,
    maxlen=options.maxlen,
    max_answer_length=40,
)

batches = qa.batches(train, options.batch_size, shuffle=True, seed=options.seed)
steps = options.epochs * len(batches)
rate = warm_up(options.learning_rate, steps // 10, steps)
qa.model.compile(keras.optimizers.AdamW(rate, weight_decay=0.01), qa.loss)
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
        answer = qa((row["question"], row.get("passages") or row["passage"]))
        print(json.dumps(vars(answer), ensure_ascii=False))
