"""Titles for short texts: one BERT reads the text and writes the title (UniLM).

Task: the text is segment 0, which sees itself both ways, the title segment 1, which is written
      from left to right. Without an argument a small model is trained from random weights, whose
      vocabulary is the characters of the training text. `--model DIR` takes a pretrained BERT and
      keeps of its vocabulary what the training text needs (`keep_tokens`).
Data: examples/datasets/titles (Chinese, made from templates for this project, Apache-2.0), or your
      own TSV, `title<TAB>text`, *.xz too, such as LCSTS (research only) or CSL (Apache-2.0). Of one
      file given as --train, a tenth each becomes the other two.
Command: python examples/task_seq2seq_title.py [--model DIR --learning-rate 5e-5]
             [--train train.tsv.xz --valid val.tsv.xz --test test.tsv.xz] [--epochs N]
Seen: titles, seed 1, beam search: ROUGE-1 0.849, ROUGE-2 0.776, ROUGE-L 0.849, BLEU 0.716 (greedily
      0.856, 0.782, 0.856, 0.732; the first sentence: 0.221, 0.150, 0.211, 0.124). 100 s on one CPU
      core (TensorFlow).
"""

from __future__ import annotations

import common
from characters import pretrained, small_bert, tokenizer_of
from titles import Writer, arguments, train_and_report


class UniLM(Writer):
    """A BERT that sees the text both ways and its own title from left to right."""

    def sample(self, text, title):
        return common.unilm_sample(text, title, self.tokenizer)


def make(rows, options) -> UniLM:
    """A model for the training texts."""
    texts = [part for row in rows for part in row]
    if options.model:
        made = pretrained(options.model, texts, "unilm", ignore=["MLM-*"])
        return UniLM(*made, options)
    tokenizer = tokenizer_of(texts)
    return UniLM(small_bert(tokenizer.vocab_size), tokenizer, options)


@common.script
def main() -> None:
    defaults = {"epochs": 15, "learning_rate": 1e-3, "maxlen": 100}
    train_and_report(make, arguments(__doc__, **defaults).parse_args())


if __name__ == "__main__":
    main()
