"""Titles for short texts: T5's encoder reads the text, its decoder writes the title.

Task: seq2seq by an encoder-decoder with relative positions. Without an argument a small T5 is
      trained from random weights, whose vocabulary is the characters of the training text. `--model
      DIR` takes a T5 or mT5 checkpoint with its SentencePiece model or tokenizer.json and keeps of
      its vocabulary what the training text needs (`keep_tokens`).
Data: as task_seq2seq_title.py, which does the same with one BERT.
Command: python examples/task_seq2seq_title_t5.py [--model DIR --learning-rate 2e-4]
             [--train train.tsv.xz --valid val.tsv.xz --test test.tsv.xz] [--epochs N]
Seen: titles, seed 1, beam search: ROUGE-L 0.778, BLEU 0.625 (the first sentence: 0.211, 0.124); 221
      s on one CPU core (JAX).
"""

from __future__ import annotations

import common
from characters import SIZES, pretrained, tokenizer_of
from titles import Writer, arguments, train_and_report

from bert4keras.models import build_transformer_model


class EncoderDecoder(Writer):
    """A T5, whose decoder begins with a start token where a BERT has the text."""

    def sample(self, text, title):
        config = self.model.transformer.config
        start = config.extra.get("decoder_start_token_id", config.pad_token_id)
        return (text, [start, *title]), [*title, self.tokenizer.token_end_id]


def make(rows, options) -> EncoderDecoder:
    """A model for the training texts."""
    texts = [part for row in rows for part in row]
    if options.model:
        return EncoderDecoder(*pretrained(options.model, texts), options)
    tokenizer = tokenizer_of(texts)
    sizes = {"vocab_size": tokenizer.vocab_size, **SIZES, "initializer_range": 0.05}
    model = build_transformer_model(sizes, model="t5.1.1", with_mlm="linear")
    return EncoderDecoder(model, tokenizer, options)


@common.script
def main() -> None:
    defaults = {"epochs": 15, "learning_rate": 1e-3, "maxlen": 100}
    train_and_report(make, arguments(__doc__, **defaults).parse_args())


if __name__ == "__main__":
    main()
