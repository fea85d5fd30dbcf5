"""Questions to answers: training, windows, several passages, thresholds, saving, transformers."""

from __future__ import annotations

import json
import math

import keras
import numpy as np
import pytest
from safetensors.numpy import load_file

from bert4keras import tasks
from bert4keras.models import build_transformer_model
from bert4keras.tasks import Answer, ExtractiveQA, Question, TaskError, from_scratch
from bert4keras.tasks.reading import SpanExtraction
from bert4keras.tasks.reading.matching import match_features
from bert4keras.tasks.reading.windows import encode_passages
from bert4keras.tokenizers import Tokenizer
from bert4keras.training import FGM, RegularizedModel

pytestmark = pytest.mark.spread

PASSAGE = "Ann came. Bob went."
SAMPLES = [
    (("Who came home?", PASSAGE), "Ann"),
    (("Who went?", PASSAGE), ("Bob", 10)),
    (("Who sat?", PASSAGE), None),
]
NO_DROPOUT = {"dropout": 0.0, "dropout_rate": 0.0}


@pytest.fixture(scope="module")
def checkpoint(fixtures):
    return fixtures / "bert_gelu"


@pytest.fixture(scope="module")
def qa(checkpoint):
    keras.utils.set_random_seed(0)  # the head is the same whichever test comes first
    return ExtractiveQA.build(checkpoint, **NO_DROPOUT)


def outputs_for(encoded, spans):
    """Outputs of a model that gives characters {(passage, start, end): probability}."""
    made = []
    for number, window in encoded.extra:
        rows = np.full((len(window.token_ids) + 3, 2), -30.0)
        rows[0] = 0  # no answer
        for (passage, start, end), probability in spans.items():
            place = window.locate(start, end) if passage == number else None
            if place:
                rows[place[0], 0] = rows[place[1], 1] = (
                    math.log(probability / (1 - probability)) / 2
                )
        made.append(rows)
    return made


@pytest.mark.parametrize("head", ["span", "dgcnn", "no encoder"])
def test_learns_saves_and_answers_the_same(checkpoint, tmp_path, head):
    options = {"head": "dgcnn", "units": 16} if head != "span" else {}
    source = checkpoint
    if head == "no encoder":
        _, options["tokenizer"] = from_scratch([x for sample, _ in SAMPLES for x in sample])
        source = None
    task = ExtractiveQA.build(source, max_answer_length=4, **options, **NO_DROPOUT)
    rate, epochs = (3e-3, 100) if head == "span" else (1e-2, 70)
    task.model.compile(keras.optimizers.Adam(rate), task.loss)
    task.model.fit(task.batches(SAMPLES, 4, shuffle=True), epochs=epochs, verbose=0)
    assert task.evaluate(SAMPLES)["em"] == 1.0
    found = task.predict([sample for sample, _ in SAMPLES])
    assert [(answer.text, answer.start) for answer in found] == [("Ann", 0), ("Bob", 10), ("", 0)]
    assert all(0.2 < answer.score <= 1 for answer in found)
    task.save(tmp_path / "saved")
    again = tasks.load(tmp_path / "saved")
    assert again.get_config() == task.get_config()
    for (sample, _), answer in zip(SAMPLES, found, strict=True):
        other = again(sample)
        assert (other.text, other.start) == (answer.text, answer.start)
        assert other.score == pytest.approx(answer.score, abs=1e-5)


def test_alone_and_in_a_batch(qa):
    samples = [sample for sample, _ in SAMPLES] + [("Who?", "Bob. " * 30)]
    together = qa.predict(samples, batch_size=3)
    for sample, answer in zip(samples, together, strict=True):
        assert math.isclose(answer.score, qa(sample).score, abs_tol=1e-6)
    assert len({round(answer.score, 5) for answer in together}) == len(samples)


def test_labels_of_windows_by_hand(qa):
    passage = "a b c d e f g h i j " * 4
    task = ExtractiveQA(qa.tokenizer, qa.model, max_answer_length=3, maxlen=16)
    encoded = task.encode(("a?", passage))
    label = Answer("d e", 6, 9)
    chosen = list(task.training_windows(label, encoded))
    holds = [i for i, (_, w) in enumerate(encoded.extra) if w.locate(6, 9)]
    without = [i for i in chosen if i not in holds]
    assert len(encoded.extra) > 4
    assert set(holds) <= set(chosen)
    assert len(without) == 2
    for index in chosen:
        _, window = encoded.extra[index]
        values = task.encode_label(label, encoded, index)
        assert values.shape == (len(window.token_ids), 2)
        first, last = window.locate(6, 9) or (0, 0)
        assert np.argwhere(values == 1).tolist() == sorted([[first, 0], [last, 1]])
        closed = [
            not sum(row) > 0 and i != 0 for i, row in enumerate(zip(window.mask, strict=True))
        ]
        assert ((values == -1).all(axis=1) == closed).all()
    # Known answers that occur nowhere teach nothing; without an answer two windows do.
    assert list(task.training_windows([Answer("x", -1, -1)], encoded)) == []
    assert len(list(task.training_windows(None, encoded))) == 2


def test_a_label_in_every_form(qa):
    sample = Question("Who?", ("Ann and Ann.", "Bob, Ann."))
    encoded = qa.encode(sample)

    def places(label):
        return [
            np.argwhere(qa.encode_label(label, encoded, i) == 1).tolist()
            for i in range(len(encoded.rows))
        ]

    wanted = places([Answer("Ann", 0, 3), Answer("Ann", 5, 8, passage=1)])
    assert places("Ann") == places(["Ann", ("and", 4)]) == wanted
    assert places(("Ann", 0))[1] == [[0, 0], [0, 1]]  # [CLS]: no answer in the second passage
    assert places(None) == places([]) == places("") == [[[0, 0], [0, 1]]] * 2


def test_one_answer_over_a_long_text(qa):
    passage = "Ann came. " * 60 + "Bob went. " + "Ann came. " * 60
    start = passage.index("Bob")
    encoded = qa.encode(("Who went?", passage))
    assert len(encoded.rows) > 10
    assert all(len(row[0]) <= qa.maxlen for row in encoded.rows)
    answer = qa.decode(outputs_for(encoded, {(0, start, start + 3): 0.8}), encoded)
    assert answer == Answer("Bob", start, start + 3, pytest.approx(0.8, abs=1e-6))
    # Negative control: where no window says so it is not found.
    assert qa.decode(outputs_for(encoded, {}), encoded).text == ""


def test_several_passages_vote(qa):
    sample = ("Who?", ["Ann or Bob.", "Bob went, but Ann did not.", "Bob and Ann, not Joe."])
    encoded = qa.encode(sample)
    spans = {(0, 0, 3): 0.9, (1, 0, 3): 0.7, (2, 0, 3): 0.8}
    answer = qa.decode(outputs_for(encoded, spans), encoded)
    # Two passages outvote the surer one: 1.13 / 2.5 is more than 0.81 / 1.9.
    assert answer == Answer("Bob", 0, 3, pytest.approx(0.8), passage=2)
    assert [a.text for a in qa._rank(qa._read(outputs_for(encoded, spans), encoded))[:2]] == [
        "Bob",
        "Ann",
    ]
    del spans[2, 0, 3]
    assert qa.decode(outputs_for(encoded, spans), encoded).text == "Ann"
    nothing = qa.decode(outputs_for(encoded, {(0, 0, 3): 0.4, (1, 0, 3): 0.3}), encoded)
    assert nothing == Answer("", 0, 0, pytest.approx(0.6))


def test_the_best_answers(qa):
    best = qa.best(SAMPLES[0][0], k=3)
    assert len(best) == 3
    assert [answer.score for answer in best] == sorted((a.score for a in best), reverse=True)
    assert best[0] == qa.best(SAMPLES[0][0], k=50)[0]
    with pytest.raises(TaskError, match="k=0 must be at least 1"):
        qa.best(SAMPLES[0][0], k=0)


def test_the_threshold_is_tuned_and_kept(qa, tmp_path):
    task = ExtractiveQA(qa.tokenizer, qa.model, max_answer_length=2)
    answers = [task.best(sample, 1)[0].text for sample, _ in SAMPLES]
    known = [(sample, text) for (sample, _), text in zip(SAMPLES, answers, strict=True)]
    assert task.tune_no_answer_threshold(known) == 0.0  # always answer
    assert task.evaluate(known)["em"] == 1.0
    unknown = [(sample, None) for sample, _ in SAMPLES]
    assert task.tune_no_answer_threshold(unknown) == 1.0  # never
    assert task.evaluate(unknown)["em"] == 1.0
    mixed = [known[0], unknown[1], unknown[2]]
    threshold = task.tune_no_answer_threshold(mixed)
    score = task.evaluate(mixed)["f1"]
    for other in (0.0, 0.25, 0.5, 0.75, 1.0):
        task.no_answer_threshold = other
        assert task.evaluate(mixed)["f1"] <= score
    task.no_answer_threshold = threshold
    task.save(tmp_path / "task")
    assert tasks.load(tmp_path / "task").no_answer_threshold == threshold
    with pytest.raises(TaskError, match="got no samples"):
        task.tune_no_answer_threshold([])


def test_metrics(qa):
    answers, labels = [Answer("京北", 0, 2), Answer("", 0, 0)], ["北京", None]
    assert list(qa.metrics(answers, labels)) == [
        "f1",
        "em",
        "has_answer_em",
        "has_answer_f1",
        "no_answer",
    ]
    assert qa.metrics(answers[:1], labels[:1], "cmrc2018")["f1"] == 0.5
    assert qa.metrics(answers[:1], labels[:1], "webqa") == {"f1": 1.0, "em": 0.0, "final": 0.5}
    assert list(qa.evaluate(SAMPLES[:1], metric="webqa")) == ["f1", "em", "final"]
    with pytest.raises(TaskError, match="metric='bleu' must be one of squad, cmrc2018, webqa"):
        qa.evaluate(SAMPLES[:1], metric="bleu")
    with pytest.raises(TaskError, match="got no samples"):
        qa.evaluate([], metric="webqa")


def test_odd_texts(qa):
    assert qa(("Who?", "")) == qa(("", "")) == qa(("Who?", "  \n")) == Answer("", 0, 0, 1.0)
    for passage in ("\ud800 Ann", "😀 Ann 😀", "good " * 600):
        answer = qa.best(("Who?", passage), 1)
        assert all(passage[a.start : a.end] == a.text for a in answer)
    assert qa.predict([]) == []
    with pytest.raises(TaskError, match="leaves no room for the passage"):
        qa(("good " * 100, "Ann"))


def test_adversarial_training(checkpoint):
    task = ExtractiveQA.build(checkpoint)
    model = RegularizedModel(task.model, [FGM()])
    model.compile(keras.optimizers.Adam(1e-3), task.loss)
    history = model.fit(task.batches(SAMPLES, 3), epochs=1, verbose=0)
    assert math.isfinite(history.history["loss"][0])


def test_segments_that_mark_what_the_question_has():
    texts = ["who came", "ann came who"]
    bert, tokenizer = from_scratch(texts, hidden_size=8, model="roformer", segment_vocab_size=4)
    task = ExtractiveQA.build(bert, tokenizer=tokenizer, match_segments=True)
    window = encode_passages(tokenizer, ["who a"], ["a who"])[0][0]
    tokens = tokenizer.ids_to_tokens(window.token_ids)
    assert tokens == ["[CLS]", "w", "##h", "##o", "a", "[SEP]", "a", "w", "##h", "##o", "[SEP]"]
    (row,) = task.encode(("who a", "a who")).rows
    assert row[1] == [0, 0, 0, 0, 0, 0, 2, 3, 3, 3, 1]


def test_features_of_tokens(checkpoint):
    task = ExtractiveQA.build(checkpoint, head="dgcnn", units=4)
    passages = ["Bob went.", "Ann came home."]
    encoded = task.encode(("Who came?", passages))
    for (number, window), row in zip(encoded.extra, encoded.rows, strict=True):
        given = dict(zip(task.encoder.inputs, row, strict=True))
        assert given["Passage-Mask"] == window.mask
        assert given["Question-Mask"] == window.question_mask
        others = [text for text in passages if text != passages[number]]
        wanted = match_features("Who came?", passages[number], others)
        for place, (start, end) in enumerate(window.offsets):
            found = given["Passage-Features"][place]
            assert found.tolist() == (
                wanted[start:end].max(0).tolist() if end > start else [0.0] * 6
            )


def test_a_model_of_ones_own(checkpoint):
    bert = build_transformer_model(checkpoint)
    tokenizer = Tokenizer.from_pretrained(checkpoint)
    mask = keras.Input((None,), dtype="int32", name="Passage-Mask")
    scores = SpanExtraction(name="Answer")([bert.output, mask])
    task = ExtractiveQA(tokenizer, keras.Model([*bert.inputs, mask], scores))
    task.model.compile(keras.optimizers.Adam(1e-3), task.loss)
    history = task.model.fit(task.batches(SAMPLES, 3), epochs=1, verbose=0)
    assert history.history["loss"][0] < 10
    assert task.best(SAMPLES[0][0], 1)[0].text in PASSAGE


def tokenizer_of(config):
    """A tokenizer with the padding id and the number of ids of a config."""
    names = ["[UNK]", "[CLS]", "[SEP]", "[PAD]"]
    if config["model_type"] == "roberta":
        names = ["<unk>", "<s>", "</s>", "<pad>"]
    kinds = dict(zip(("token_unk", "token_start", "token_end", "token_pad"), names, strict=True))
    names[3:] = [*"abcdefghij", *(f"##{char}" for char in "abcdefghij")]
    names += [f"[unused{i}]" for i in range(config["vocab_size"] - len(names) - 1)]
    names.insert(config["pad_token_id"], kinds["token_pad"])
    return Tokenizer({name: i for i, name in enumerate(names)}, token_mask=None, **kinds)


NAMES = ("Bert", "DistilBert", "Roberta", "DebertaV2", "ModernBert", "GPT2")


@pytest.mark.parametrize("name", NAMES)
def test_fine_tuned_checkpoints_both_ways(fixtures, tmp_path, name):
    source = fixtures / "task_heads" / f"{name}ForQuestionAnswering"
    directory = tmp_path / "hub"
    directory.mkdir()
    for path in source.iterdir():
        (directory / path.name).write_bytes(path.read_bytes())
    config = json.loads((source / "config.json").read_text())
    tokenizer_of(config).save(directory)
    task = tasks.load(directory)
    assert isinstance(task, ExtractiveQA)
    assert task.no_answer_threshold == 0
    answer = task(("ab", "ba ab"))
    assert answer.text
    assert "ba ab"[answer.start : answer.end] == answer.text
    task.save_huggingface(tmp_path / "written")
    written, original = (
        load_file(part / "model.safetensors") for part in (tmp_path / "written", source)
    )
    assert written.keys() == original.keys()
    for tensor, value in original.items():
        np.testing.assert_array_equal(written[tensor], value, err_msg=tensor)
    saved = json.loads((tmp_path / "written" / "config.json").read_text())
    assert saved["architectures"] == [f"{name}ForQuestionAnswering"]
    assert tasks.load(tmp_path / "written")(("ab", "ba ab")) == answer


def test_a_causal_encoder_cannot_say_that_there_is_no_answer():
    bert, tokenizer = from_scratch(["who came", "ann came"], hidden_size=8, application="lm")
    task = ExtractiveQA.build(bert, tokenizer=tokenizer)
    assert task.none_position is None
    encoded = task.encode(("who", "ann came"))
    assert list(task.training_windows(None, encoded)) == []
    assert task(("who", "ann came")).text
    values = task.encode_label("ann", encoded)
    assert values[0].tolist() == [-1, -1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"head": "crf"}, "head='crf' must be one of span, dgcnn"),
        ({"max_answer_length": 0}, "max_answer_length=0 must be an integer, at least 1"),
        ({"no_answer_threshold": 1.5}, r"no_answer_threshold=1\.5 must be from 0 to 1"),
        ({"metric": "bleu"}, "metric='bleu' must be one of squad"),
        ({"match_segments": True}, "needs an encoder with 4 segments, but this one has 2"),
        ({"maxlen": 41}, "more than the 40 positions"),
    ],
)
def test_options_that_do_not_fit(qa, change, message):
    with pytest.raises(TaskError, match=message):
        ExtractiveQA(qa.tokenizer, qa.model, **change)


def test_models_that_do_not_fit(checkpoint, qa):
    bert = build_transformer_model(checkpoint)
    with pytest.raises(TaskError, match=r"it must be \(B, T, 2\)"):
        ExtractiveQA(qa.tokenizer, bert)
    with pytest.raises(TaskError, match="builds a model without encoder, which needs head="):
        ExtractiveQA.build(None, tokenizer=qa.tokenizer)
    with pytest.raises(TaskError, match="give its tokenizer too"):
        ExtractiveQA.build(None, head="dgcnn")
    own = ExtractiveQA(qa.tokenizer, qa.model)
    with pytest.raises(TaskError, match="the config of the encoder is not known"):
        own.save_huggingface("anywhere")
    own = ExtractiveQA.build(checkpoint, head="dgcnn", units=4)
    with pytest.raises(TaskError, match="cannot be saved for transformers: the head is DGCNN"):
        own.save_huggingface("anywhere")


@pytest.mark.parametrize("sample", ["Who?", ("Who?",), ("Who?", 3), ("Who?", []), (3, "a"), None])
def test_samples_that_do_not_fit(qa, sample):
    with pytest.raises(TaskError, match=r"a sample is \(question, passage\)"):
        qa.encode(sample)


@pytest.mark.parametrize(
    ("label", "message"),
    [
        ("Eve", "the answer 'Eve' occurs in no passage of 'Who came home"),
        (("Ann", 1), r"the answer 'Ann' is not at characters \[1, 4\) of passage 0"),
        (Answer("Ann", 0, 3, passage=1), "is in passage 1, but the question .* has 1"),
        (3, r"a label is an Answer, a text, \(text, start\)"),
    ],
)
def test_labels_that_do_not_fit(qa, label, message):
    with pytest.raises(TaskError, match=message):
        list(qa.batches([(SAMPLES[0][0], label)], shuffle=False))


@pytest.mark.parametrize("sample", ["ab", ("Who?", "Ann came.", "Ann"), 3])
def test_labelled_samples_that_are_no_pairs(qa, sample):
    for use in (qa.batches, qa.evaluate):
        with pytest.raises(TaskError, match=r"sample 1 is no pair \(sample, label\) but"):
            use([SAMPLES[0], sample])
