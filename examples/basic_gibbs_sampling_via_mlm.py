"""Write a sentence with a masked language model: draw one token anew at a time, by Gibbs sampling.

Task: sampling of texts. Several chains start from random tokens, or from `--text`; in each sweep
      every token is hidden once, in random order, and drawn from what the model thinks stands
      there. Printed beside them is the pseudo-log-likelihood: the mean of log p(token | all
      others). Without `--model` it is the tiny model of basic_masked_language_model.py, trained
      now if it is not there yet.
Data: examples/datasets/corpus_en.txt (written for this project, Apache-2.0).
Command: python examples/basic_gibbs_sampling_via_mlm.py [--model DIR] [--text "How it begins."]
Seen: pseudo-log-likelihood -14.00 nats a token of random tokens, -2.92 after one sweep, -2.77
      after 20 (-1.46 of sentences of the training text); 5 s, or 30 s with the training, on one
      CPU core (TensorFlow).
Sources: Wang and Cho, BERT has a Mouth, and It Must Speak, 2019 (arXiv:1902.04094); Salazar et
      al., Masked Language Model Scoring, 2020 (arXiv:1910.14659).
"""

from __future__ import annotations

from collections.abc import Sequence

import basic_masked_language_model as masked
import common
import keras
import numpy as np

from bert4keras.models import build_transformer_model
from bert4keras.tokenizers import TokenizerBase


def log_probabilities(
    bert: keras.Model, ids: np.ndarray, places: np.ndarray, mask_id: int
) -> np.ndarray:
    """What may stand at one place of each text, from all the rest of it: (B, T), (B,) to (B, V)."""
    rows = np.arange(len(ids))
    hidden = ids.copy()
    hidden[rows, places] = mask_id
    inputs = [hidden, np.zeros_like(hidden)][: len(bert.inputs)]
    return np.log(np.maximum(bert.predict_on_batch(inputs)[rows, places], 1e-30))


def pseudo_log_likelihood(bert: keras.Model, ids: np.ndarray, mask_id: int) -> np.ndarray:
    """Mean over a text's tokens of log p(token | all others), in nats: (B, T) to (B,).

    The first and the last token, which frame the text, are not counted.
    """
    rows, total = np.arange(len(ids)), np.zeros(len(ids))
    for place in range(1, ids.shape[1] - 1):
        found = log_probabilities(bert, ids, np.full(len(ids), place), mask_id)
        total += found[rows, ids[:, place]]
    return total / (ids.shape[1] - 2)


def sweep(
    bert: keras.Model,
    ids: np.ndarray,
    mask_id: int,
    allowed: np.ndarray,
    rng: np.random.Generator,
    temperature: float,
) -> np.ndarray:
    """Draw every token of every text (B, T) anew once, each text in an order of its own."""
    ids, rows = ids.copy(), np.arange(len(ids))
    inner = np.tile(np.arange(1, ids.shape[1] - 1), (len(ids), 1))
    for places in rng.permuted(inner, axis=1).T:
        scores = log_probabilities(bert, ids, places, mask_id)[:, allowed] / temperature
        # The largest of scores with Gumbel noise is a draw from their softmax.
        ids[rows, places] = allowed[(scores + rng.gumbel(size=scores.shape)).argmax(-1)]
    return ids


def allowed_ids(tokenizer: TokenizerBase) -> np.ndarray:
    """All tokens but the special and the unused ones."""
    special = [tokenizer.token_pad, tokenizer.token_unk, tokenizer.token_mask]
    special += [tokenizer.token_start, tokenizer.token_end]
    return np.array(
        [i for t, i in tokenizer.vocab.items() if t not in special and "[unused" not in t]
    )


def reference(bert: keras.Model, tokenizer: TokenizerBase, texts: Sequence[str]) -> float:
    """The mean pseudo-log-likelihood of real texts, for comparison."""
    rows = [np.array([tokenizer.encode(text, maxlen=64)[0]]) for text in texts]
    mask_id = tokenizer.token_mask_id
    return float(np.mean([pseudo_log_likelihood(bert, row, mask_id)[0] for row in rows]))


@common.script
def main() -> None:
    parser = common.arguments(__doc__, pretrained="a tiny model, trained if need be")
    parser.add_argument("--text", help="what the chains start from, instead of random tokens")
    parser.add_argument("--tokens", type=int, default=10, help="length of a random start")
    parser.add_argument("--chains", type=int, default=4)
    parser.add_argument("--sweeps", type=int, default=20)
    parser.add_argument("--temperature", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    parser.refuse(["tokens"], bool(options.text), "with --text")
    directory = options.model or masked.OUTPUT
    if options.model is None and not (directory / "vocab.txt").exists():
        masked.train_tiny(epochs=200)
    tokenizer = TokenizerBase.from_pretrained(directory)
    bert = build_transformer_model(directory, with_mlm=True)
    rng, allowed = np.random.default_rng(options.seed), allowed_ids(tokenizer)
    mask_id = tokenizer.token_mask_id
    if options.text:
        ids = np.array([tokenizer.encode(options.text)[0]] * options.chains, "int32")
    else:
        ids = np.empty((options.chains, options.tokens + 2), "int32")
        ids[:, 0], ids[:, -1] = tokenizer.token_start_id, tokenizer.token_end_id
        ids[:, 1:-1] = rng.choice(allowed, (options.chains, options.tokens))
    if not 3 <= ids.shape[1] <= bert.config.max_position or options.temperature <= 0:
        parser.error("give a text that the model has room for, and a temperature above 0")

    for done in range(options.sweeps + 1):
        if done:
            ids = sweep(bert, ids, mask_id, allowed, rng, options.temperature)
        likelihoods = pseudo_log_likelihood(bert, ids, mask_id)
        if done < 3 or done % 5 == 0 or done == options.sweeps:
            print(f"sweeps: {done}; on average {likelihoods.mean():.2f} nats a token")
            for row, likelihood in zip(ids, likelihoods, strict=True):
                print(f"  {likelihood:7.2f}  {tokenizer.decode(row)}")
    if options.model is None:
        real = reference(bert, tokenizer, masked.corpus()[:20])
        print(f"sentences of the training text, for comparison: {real:.2f} nats a token")


if __name__ == "__main__":
    main()
