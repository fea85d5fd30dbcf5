"""Pretrain a small BERT on raw texts, stop it, and continue it as if nothing had happened.

Texts are read, packed into rows and masked while the model trains; nothing is prepared. At the end
the checkpoint, which transformers can load too, is fine for any task: `FillMask.build(DIR)`.
Command: python basic_pretrain.py [TEXTS ...] [--documents paragraphs] [--steps 300] [--output DIR]
Data: corpus_en.txt (English, one text a line, written for this project, Apache-2.0).
Seen (seed 1): loss 4.60 of the training texts, 4.97 of held-out ones; 40 s of one busy core
(torch).
"""

import argparse
import tempfile
from pathlib import Path

import keras

from bert4keras.pretraining import (
    MaskedLM,
    PretrainingCorpus,
    PretrainingStream,
    RowPacker,
    SaveCheckpoint,
    learning_rate_schedule,
    pretrain,
    pretraining_optimizer,
)
from bert4keras.pretraining.vocabulary import train_wordpiece
from bert4keras.tasks import FillMask

DATA = Path(__file__).parent / "datasets" / "corpus_en.txt"

parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
)
parser.add_argument("texts", nargs="*", type=Path, default=[DATA], help="files and directories")
parser.add_argument("--documents", default="lines", help="of text files: paragraphs, lines, files")
parser.add_argument("--output", type=Path, help="of the checkpoint (default: a new one)")
parser.add_argument("--vocab-size", type=int, default=500)
parser.add_argument("--steps", type=int, default=300)
parser.add_argument("--batch-size", type=int, default=16)
parser.add_argument("--length", type=int, default=64, help="tokens of a row")
parser.add_argument("--learning-rate", type=float, default=2e-3)
parser.add_argument("--unit", default="words", help="masked at once: words, tokens or spans")
parser.add_argument("--seed", type=int, default=1)
options = parser.parse_args()
output = options.output or Path(tempfile.mkdtemp())

corpus = PretrainingCorpus(options.texts, options.documents, held_out=0.1)
held_out = PretrainingCorpus(options.texts, options.documents, held_out=0.1, part="held_out")
tokenizer = train_wordpiece(corpus.texts(), options.vocab_size)
objective, packer = MaskedLM(tokenizer, unit=options.unit), RowPacker(tokenizer, options.length)
settings = {"batch_size": options.batch_size, "seed": options.seed, "workers": 1}
stream = PretrainingStream(corpus, packer, objective, **settings)
evaluation = PretrainingStream(held_out, packer, objective, **settings).rows(256)

config = {"model_type": "bert", "vocab_size": tokenizer.vocab_size, "hidden_size": 64}
config |= {"num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 256}
interval = max(1, options.steps // 3)


def train(callbacks: list) -> dict:
    """Train from the last backup on, if there is one."""
    keras.utils.set_random_seed(options.seed)
    model = objective.build({**config, "max_position": options.length})
    optimizer = pretraining_optimizer(learning_rate_schedule(options.learning_rate, options.steps))
    model.compile(optimizer, objective.loss, metrics=objective.metrics)
    save = SaveCheckpoint(objective, output, tokenizer, interval)
    state = output / "state"  # remove it when the training is over
    return pretrain(model, stream, state, options.steps, interval, evaluation, [save, *callbacks])


class PowerCut(keras.callbacks.Callback):
    """Stop in the middle of the second interval."""

    def on_train_batch_end(self, batch, logs=None):
        if batch == interval // 2 and self.seen:
            raise KeyboardInterrupt

    def on_epoch_begin(self, epoch, logs=None):
        self.seen = epoch


try:
    train([PowerCut()])
except KeyboardInterrupt:
    print(f"stopped after {interval + interval // 2 + 1} of {options.steps} steps")
logs = train([])
print(f"continued after step {interval}: {len(logs['loss'])} intervals")
print(f"loss {logs['loss'][-1]:.3f}, of held-out texts {logs['val_loss'][-1]:.3f}")
print(f"{logs['tokens_per_second'][-1]:.0f} tokens a second")
print(FillMask.build(output)("The [MASK] opens before sunrise."))
