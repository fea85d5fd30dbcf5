"""Scores of NaN or +infinity are no answer, least of all "there is none": every decoder says so."""

from __future__ import annotations

from types import SimpleNamespace

import keras
import numpy as np
import pytest

from bert4keras import build_transformer_model, generation, tasks
from bert4keras.tasks.finite import as_scores
from bert4keras.tasks.linking import CandidateRanking
from bert4keras.tasks.linking.ccks2019 import CCKS2019Matching, CCKS2019Pointer
from bert4keras.tasks.reading import DGCNN, SpanExtraction
from bert4keras.tasks.reading.answers import Answer, aggregate_answers, best_spans, read_answers
from bert4keras.tasks.relations import GPLinker
from bert4keras.tasks.relations.triples import half_pointers
from bert4keras.tasks.tagging import (
    ConditionalRandomField,
    GlobalPointer,
    MaximumEntropyMarkovModel,
)

pytestmark = pytest.mark.spread

WINDOW = SimpleNamespace(token_ids=[1, 2, 3], begin=1, end=3, first=0, offsets=[(0, 1)] * 3)


def crf(kind):
    head = kind()
    head.build((None, None, 3))
    return head


# Function of scores, and their shape.
DECODERS = {
    "viterbi": (lambda s: tasks.tagging.viterbi(s, np.zeros((3, 3))), (2, 4, 3)),
    "transitions": (lambda s: tasks.tagging.viterbi(np.zeros((1, 2, 4)), s), (4, 4)),
    "crf": (lambda s: crf(ConditionalRandomField).decode(s), (2, 4, 3)),
    "crf k best": (lambda s: crf(ConditionalRandomField).k_best(s, 2), (2, 4, 3)),
    "memm": (lambda s: crf(MaximumEntropyMarkovModel).decode(s, method="local"), (2, 4, 3)),
    "global pointer": (GlobalPointer.decode, (2, 1, 3, 3)),
    "gplinker": (GPLinker.decode, (2, 6, 3, 3)),
    "half pointers": (half_pointers, (4, 2, 2)),
    "best_spans": (best_spans, (4, 2)),
    "read_answers": (lambda s: read_answers("a b", [WINDOW] * 2, s), (2, 3, 2)),
    "span": (lambda s: SpanExtraction().decode(s), (2, 4, 2)),
    "dgcnn": (lambda s: DGCNN(4).decode(s), (2, 4, 2)),
    "merge_windows": (lambda s: tasks.alignment.merge_windows(s, [(0, 3), (2, 5)]), (2, 3, 4)),
    "ranking": (lambda s: CandidateRanking(4).decode(s), (2, 3)),
    "subjects": (CCKS2019Pointer.decode, (2, 4, 2)),
    "matching": (lambda s: CCKS2019Matching.decode(s, [("a", 0), ("a", 1)]), (2, 1)),
}


@pytest.mark.parametrize("name", DECODERS)
def test_refused_with_their_place(name):
    decode, shape = DECODERS[name]
    scores = np.full(shape, -1.0)
    if name != "read_answers":
        decode(scores)  # finite scores pass
    for value, word in ((np.nan, "NaN"), (np.inf, "infinity")):
        place = tuple(n - 1 for n in shape)
        scores[place] = value
        with pytest.raises(ValueError, match="contain") as error:
            decode(scores)
        assert f"contain {word} at {list(place)}" in str(error.value)


def test_padding_and_the_impossible_are_no_matter():
    scores = np.zeros((2, 3, 2))
    scores[0, 2] = np.nan
    scores[1, 0, 0] = -np.inf
    mask = np.array([[1, 1, 0], [1, 1, 1]])
    first, second = tasks.tagging.viterbi(scores, np.zeros((2, 2)), mask)
    assert len(first) == 2
    assert second[0] == 1
    assert as_scores([-np.inf, 1]).tolist() == [-np.inf, 1]


def test_votes_of_infinity():
    with pytest.raises(ValueError, match="is inf, but it must be from 0 to 1"):
        aggregate_answers([[Answer("a", 0, 1, np.inf)]])


def test_sql_scores():
    from bert4keras.tasks.sql.candidates import decode_sql

    with pytest.raises(ValueError, match=r"scores of select contain NaN at \[1\]"):
        decode_sql({"select": np.array([0, np.nan])}, "q", SimpleNamespace(columns=[1, 2]))


def test_viterbi_in_the_graph():
    scores = np.zeros((1, 2, 3), "float32")
    scores[0, 1, 1] = np.nan
    head = crf(ConditionalRandomField)
    with pytest.raises(Exception, match="NaN or infinity"):
        keras.ops.convert_to_numpy(head.viterbi(keras.ops.convert_to_tensor(scores)))
    found = head.viterbi(keras.ops.convert_to_tensor(scores), np.array([[True, False]]))
    assert keras.ops.convert_to_numpy(found).tolist()[0][1] == -1


def test_generation():
    config = {
        "model_type": "gpt2", "vocab_size": 20, "hidden_size": 8, "num_hidden_layers": 1,
        "num_attention_heads": 2, "intermediate_size": 16, "max_position_embeddings": 64,
    }  # fmt: skip
    model = build_transformer_model(config, with_mlm=True)
    prompts = [[1, 2], [3, 4, 5]]
    assert generation.generate(model, prompts, max_new_tokens=2)
    name = next(weight for weight in model.weights if "FeedForward" in weight.path)
    name.assign(np.full(name.shape, np.nan))
    for strategy in (None, generation.Sample(seed=1), generation.BeamSearch(2)):
        with pytest.raises(ValueError, match="logits of prompt 0 contain NaN or infinity"):
            generation.generate(model, prompts, max_new_tokens=2, strategy=strategy)
    with pytest.raises(ValueError, match="logits of prompt 0 contain"):
        list(generation.stream(model, prompts, max_new_tokens=2))
