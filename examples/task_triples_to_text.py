"""Text from triples: one BERT reads what is known and writes it as a sentence (UniLM).

Task: (subject, relation, object) triples, written out one behind the other, are segment 0, the text
      that says them is segment 1. Without an argument a small model is trained from random weights,
      whose vocabulary is the characters of the training text. `--model DIR` takes a pretrained
      BERT; with `--random-weights` only its sizes and its tokens, to see what pretraining is worth.
Data: examples/datasets/relations (Chinese, made from templates for this project, Apache-2.0), or
      your own, *.xz too, in the formats of task_relation_extraction_gplinker.py: WebNLG
      (CC BY-NC-SA 4.0), DuIE (by registration).
Command: python examples/task_triples_to_text.py
         python examples/task_triples_to_text.py --model MINILM --train train_triples.json.xz \
             --valid dev_triples.json.xz --test test_triples.json.xz --limit 2500 --epochs 4 \
             --learning-rate 3e-4 --batch-size 32 [--random-weights]
Seen: relations, seed 1, beam search: BLEU 0.4188, ROUGE-L 0.606 (the triples themselves: 0.2919,
      0.553); 4 min on one CPU core (JAX). WebNLG by the second command: BLEU 0.168, ROUGE-L 0.361;
      with random weights 0.023, 0.226; the triples themselves 0.009, 0.245.
"""

from __future__ import annotations

import common
import relations
from characters import pretrained, small_bert, tokenizer_of
from task_seq2seq_title import UniLM
from titles import arguments, train_and_report

from bert4keras.config import TransformerConfig
from bert4keras.models import build_transformer_model


def read(path):
    """Texts, and their triples written out."""
    samples = [sample for sample in relations.read(path) if sample.triples]
    return [(s.text, " ; ".join(" | ".join(triple) for triple in s.triples)) for s in samples]


def make(rows, options) -> UniLM:
    """A model for the training texts."""
    texts = [part for row in rows for part in row]
    if not options.model:
        tokenizer = tokenizer_of(texts)
        return UniLM(small_bert(tokenizer.vocab_size), tokenizer, options)
    model, tokenizer = pretrained(options.model, texts, "unilm", ignore=["MLM-*"])
    if options.random_weights:
        config = TransformerConfig.from_file(
            options.model / "config.json", vocab_size=tokenizer.vocab_size
        )
        model = build_transformer_model(config, application="unilm", with_mlm="linear")
    return UniLM(model, tokenizer, options)


def triples_alone(train, texts):
    """The triples as they are written out, without the marks between them."""
    return {"the triples": [text.replace(" | ", " ").replace(" ; ", ", ") for text in texts]}


@common.script
def main() -> None:
    defaults = {"epochs": 12, "learning_rate": 1e-3, "maxlen": 100}
    parser = arguments(__doc__, "relations", **defaults)
    parser.set_defaults(title=60)
    parser.add_argument("--random-weights", action="store_true", help="sizes of --model alone")
    options = parser.parse_args()
    if options.random_weights and not options.model:
        parser.error("--random-weights needs --model, whose sizes it takes")
    train_and_report(make, options, read, triples_alone)


if __name__ == "__main__":
    main()
