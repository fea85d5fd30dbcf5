"""Measure vocabularies cut from a checkpoint: size, tokens, entities, and vectors of sentences.

Printed for each vocabulary: the weights of the encoder; the entities that begin or end inside a
token; tokens a text and an English word; and the mean cosine of sentence vectors with those of the
whole model.

Command: python scripts/experiments/smaller_vocabulary.py --entities dev.json --english testa.txt
Seen: docs/guides/checkpoints.md, with CLUENER and CoNLL-2003.
"""

import argparse
from pathlib import Path

import numpy as np

from bert4keras import build_transformer_model, checkpoints
from bert4keras.data import read_lines
from bert4keras.tasks.tagging import read_entities
from bert4keras.tokenizers import Tokenizer, prune_tokenizer, select_vocabulary
from bert4keras.tokenizers.scripts import joins

parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
)
parser.add_argument("--checkpoint", default="multilingual-e5-small")
parser.add_argument("--entities", type=Path, required=True, help="as for task_ner_crf.py")
parser.add_argument("--english", type=Path, required=True, help="texts, a sentence or word a line")
parser.add_argument("--limit", type=int, default=100, help="texts to compare by vectors")
options = parser.parse_args()

directory = checkpoints.fetch(options.checkpoint)
whole, model = Tokenizer.from_pretrained(directory), build_transformer_model(directory)
rows = read_entities(options.entities)
news = [row.text for row in rows[: options.limit]]
english = [line.split()[0] for line in read_lines(options.english) if line.split()]
english = [" ".join(english[i : i + 20]) for i in range(0, 20_000, 20)]


def vectors(tokenizer: Tokenizer, old_ids: np.ndarray, texts: list[str]) -> np.ndarray:
    """Return the normalised means of the hidden states, with ids of the whole vocabulary."""
    found = []
    for text in texts:
        ids = old_ids[tokenizer.encode("query: " + text, maxlen=128, truncate=True)[0]]
        states = model.predict_on_batch([ids[None], np.zeros_like(ids)[None]])
        mean = np.asarray(states)[0].mean(axis=0)
        found.append(mean / np.linalg.norm(mean))
    return np.stack(found)


def unreachable(tokenizer: Tokenizer) -> tuple[int, int]:
    """Return the number of entities that begin or end inside a token, and of all."""
    bad = total = 0
    for row in rows:
        spans = [(a, b) for a, b in tokenizer.offsets(row.text) if a < b]
        starts, ends = ({span[side] for span in spans} for side in (0, 1))
        bad += sum(e[0] not in starts or e[1] not in ends for e in row.entities)
        total += len(row.entities)
    return bad, total


def split(how: str) -> list[int]:
    surfaces = ((i, token.removeprefix("▁")) for token, i in whole.vocab.items())
    return [i for i, text in surfaces if not joins(text, how)]


kinds = {how: split(how) for how in ("none", "punctuation", "characters")}
kinds["17,000"] = select_vocabulary(
    whole, scripts=["Han", "ASCII"], split="characters", max_tokens=17_000
)
width, reference = model.config.embedding_size, None
for name, keep in kinds.items():
    tokenizer, old_ids = prune_tokenizer(whole, keep)
    weights = model.count_params() - (model.config.vocab_size - len(old_ids)) * width
    bad, total = unreachable(tokenizer)
    length = np.mean([len(tokenizer.offsets(row.text)) for row in rows])
    words = sum(len(tokenizer.offsets(text)) - 2 for text in english) / sum(
        len(text.split()) for text in english
    )
    print(f"{name}: {weights / 1e6:.1f} M weights, {bad} of {total} entities cannot be told,")
    print(f"  {length:.1f} tokens a text, {words:.2f} an English word;", flush=True)
    found = vectors(tokenizer, np.array(old_ids), news)
    reference = found if reference is None else reference
    print(f"  cosine to the whole model {(found * reference).sum(axis=1).mean():.4f}", flush=True)
