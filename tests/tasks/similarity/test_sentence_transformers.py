"""Directories of sentence-transformers: its vectors, and what it opens again."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from bert4keras import tasks
from bert4keras.tasks import SentenceEncoder, TaskError
from bert4keras.tasks.similarity import similarity_matrix

pytestmark = pytest.mark.spread

FIXTURES = Path(__file__).parents[2] / "fixtures"
MODES = ("cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken")
LEGACY = {"cls": "pooling_mode_cls_token", "lasttoken": "pooling_mode_lasttoken"}


def read(path: Path) -> tuple[dict[str, np.ndarray], list]:
    with np.load(path) as arrays:
        found = dict(arrays)
    return found, json.loads(found.pop("texts").tobytes())


@pytest.fixture(scope="module")
def reference():
    return read(FIXTURES / "sentence_encoder" / "reference.npz")


@pytest.fixture
def directory(tmp_path) -> Path:
    """A copy of what sentence-transformers wrote, to be changed."""
    return Path(shutil.copytree(FIXTURES / "sentence_encoder", tmp_path / "copy"))


def change(directory: Path, file: str, **values) -> None:
    path = directory / file
    old = json.loads(path.read_text()) if path.is_file() else {}
    path.write_text(json.dumps({**old, **values}))


def only_pooling(directory: Path) -> None:
    modules = json.loads((directory / "modules.json").read_text())
    (directory / "modules.json").write_text(json.dumps(modules[:2]))


def test_the_vectors_of_sentence_transformers(reference):
    expected, texts = reference
    encoder = tasks.load(FIXTURES / "sentence_encoder")
    assert isinstance(encoder, SentenceEncoder)
    assert (encoder.maxlen, encoder.prompts["query"]) == (16, "it is a ")
    cut = encoder.with_options(long_texts="truncate")
    np.testing.assert_allclose(cut(texts), expected["whole"], atol=1e-5)
    np.testing.assert_allclose(cut(texts, prompt="query"), expected["prompted"], atol=1e-5)
    # Without cutting, the long text differs, and only that.
    gaps = np.abs(encoder(texts) - expected["whole"]).max(axis=1)
    assert gaps[:-1].max() < 1e-5 < 1e-3 < gaps[-1]
    assert np.abs(expected["prompted"] - expected["whole"]).max() > 1e-2


@pytest.mark.parametrize("mode", MODES)
def test_every_pooling(reference, directory, mode):
    expected, texts = reference
    only_pooling(directory)
    change(directory, "1_Pooling/config.json", pooling_mode=mode)
    encoder = SentenceEncoder.from_huggingface(directory, long_texts="truncate")
    np.testing.assert_allclose(encoder(texts), expected[mode], atol=1e-5)
    others = [expected[other] for other in MODES if other != mode]
    assert min(np.abs(encoder(texts) - other).max() for other in others) > 1e-2
    # The keys of older versions.
    key = LEGACY.get(mode, f"pooling_mode_{mode.removesuffix('_tokens')}_tokens")
    path = directory / "1_Pooling" / "config.json"
    path.write_text(json.dumps({"word_embedding_dimension": 8, key: True}))
    again = SentenceEncoder.from_huggingface(directory, long_texts="truncate")
    np.testing.assert_array_equal(again(texts), encoder(texts))


def test_two_poolings(reference, directory):
    expected, texts = reference
    only_pooling(directory)
    change(directory, "1_Pooling/config.json", pooling_mode=["cls", "mean"])
    encoder = SentenceEncoder.from_huggingface(directory, long_texts="truncate")
    np.testing.assert_allclose(encoder(texts), expected["cls+mean"], atol=1e-5)


@pytest.mark.parametrize("name", ["cosine", "dot", "euclidean", "manhattan"])
def test_similarities(reference, name):
    whole = reference[0]["whole"]
    np.testing.assert_allclose(similarity_matrix(whole, whole, name), reference[0][name], atol=1e-5)


def test_the_real_minilm(minilm, tmp_path):
    """The package of the registry is a directory of sentence-transformers; here its parts."""
    expected, texts = read(FIXTURES / "minilm_sentences.npz")
    for file in ("config.json", "model.safetensors", "vocab.txt", "tokenizer.json"):
        (tmp_path / file).symlink_to((minilm / file).resolve())
    (tmp_path / "1_Pooling").mkdir()
    change(tmp_path, "1_Pooling/config.json", pooling_mode_mean_tokens=True)
    change(tmp_path, "sentence_bert_config.json", max_seq_length=256, do_lower_case=False)
    parts = (("Transformer", ""), ("Pooling", "1_Pooling"), ("Normalize", "2_Normalize"))
    listed = [{"path": path, "type": f"sentence_transformers.models.{k}"} for k, path in parts]
    (tmp_path / "modules.json").write_text(json.dumps(listed))
    encoder = SentenceEncoder.from_huggingface(tmp_path, long_texts="truncate")
    assert encoder.maxlen == 256
    np.testing.assert_allclose(encoder(texts), expected["vectors"], atol=1e-5)
    (rain, weather, beijing, *_), vectors = texts, expected["vectors"]
    assert encoder.similarity(rain, [weather, beijing])[0, 0] > 0.4 > vectors[0] @ vectors[2]


def test_written_and_read_again(reference, directory, tmp_path):
    _, texts = reference
    encoder = tasks.load(directory)
    encoder.save_huggingface(tmp_path / "new")
    encoder.save_huggingface(tmp_path / "new")  # replaces what it wrote
    again = SentenceEncoder.load(tmp_path / "new")
    np.testing.assert_allclose(again(texts, prompt="query"), encoder(texts, prompt="query"))
    assert again.get_config().keys() == encoder.get_config().keys()
    assert {**again.get_config(), "encoder_config": 0} == {
        **encoder.get_config(),
        "encoder_config": 0,
    }
    kinds = [module["type"] for module in json.loads((tmp_path / "new/modules.json").read_text())]
    assert kinds == [
        f"sentence_transformers.models.{kind}"
        for kind in ("Transformer", "Pooling", "Dense", "Normalize")
    ]
    old, new = (path / "2_Dense" / "config.json" for path in (directory, tmp_path / "new"))
    old, new = (json.loads(path.read_text()) for path in (old, new))
    assert all(old[key] == value for key, value in new.items())

    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "text").write_text("years of work")
    with pytest.raises(TaskError, match="holds something else; it is not replaced"):
        encoder.save_huggingface(tmp_path / "thesis")
    for pooling in ("first-last", ["mean", "cls"]):
        other = SentenceEncoder.build(FIXTURES / "bert_gelu", pooling)
        with pytest.raises(TaskError, match="has no module for"):
            other.save_huggingface(tmp_path / "other")
    other = SentenceEncoder.build(FIXTURES / "bert_gelu", "cls", [(3, "softplus")])
    with pytest.raises(TaskError, match=r"reads linear, tanh.* not 'softplus'"):
        other.save_huggingface(tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_training_on_it(directory, tmp_path):
    encoder = SentenceEncoder.build(directory, dropout_rate=0.0)
    model = encoder.training_model()
    model.compile("adam", encoder.loss)
    data = encoder.batches([(("good", "very good"), 1), (("bad", "run"), 0)], 2)
    model.fit(data, epochs=2, verbose=0)
    encoder.save_huggingface(tmp_path / "new")
    again = tasks.load(tmp_path / "new")
    np.testing.assert_allclose(again("good"), encoder("good"), atol=1e-6)
    assert np.abs(again("good") - tasks.load(directory)("good")).max() > 1e-4
    with pytest.raises(TaskError, match="defines its own dense layers"):
        SentenceEncoder.build(directory, normalize=True)
    assert SentenceEncoder.build(directory, "max")("good").shape == (8,)


def test_a_transformer_in_its_own_directory(reference, directory):
    expected, texts = reference
    (directory / "0_Transformer").mkdir()
    for file in ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"):
        shutil.move(directory / file, directory / "0_Transformer" / file)
    modules = json.loads((directory / "modules.json").read_text())
    modules[0]["path"] = "0_Transformer"
    modules.insert(2, {"type": "sentence_transformers.models.Dropout", "path": "2_Dropout"})
    (directory / "modules.json").write_text(json.dumps(modules))
    change(directory / "0_Transformer", "sentence_bert_config.json", do_lower_case=True)
    encoder = tasks.load(directory).with_options(long_texts="truncate")
    assert encoder.lower_case
    np.testing.assert_allclose(encoder(texts), expected["whole"], atol=1e-5)
    np.testing.assert_array_equal(encoder("VERY good"), encoder("very good"))


@pytest.mark.parametrize(
    ("file", "values", "message"),
    [
        ("1_Pooling/config.json", {"include_prompt": False}, "without the tokens of the prompt"),
        ("1_Pooling/config.json", {"pooling_mode": "median"}, "'median'.* must be one of cls"),
        ("2_Dense/config.json", {"use_residual": True}, "a Dense on tokens, or with a residual"),
        ("2_Dense/config.json", {"activation_function": "os.system"}, "'system' must be one of"),
        ("config_sentence_transformers.json", {"prompts": {"a": 1}}, "prompts must be texts"),
        ("config_sentence_transformers.json", {"default_prompt_name": "a"}, "no prompt 'a'"),
        ("config_sentence_transformers.json", {"similarity_fn_name": "a"}, "'a' must be one of"),
    ],
)
def test_values_that_are_not_known(directory, file, values, message):
    change(directory, file, **values)
    with pytest.raises(TaskError, match=message):
        tasks.load(directory)


@pytest.mark.parametrize("path", ["../elsewhere", "/etc", "a/../../b", "C:\\x", 7])
def test_paths_stay_inside(directory, path):
    modules = json.loads((directory / "modules.json").read_text())
    modules[1]["path"] = path
    (directory / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(TaskError, match="is no directory beside it"):
        tasks.load(directory)


def test_other_modules_and_files(directory, fixtures):
    modules = json.loads((directory / "modules.json").read_text())
    for kept, listed in (([0, 1, 2, 1], "Pooling, Dense, Pooling"), ([1], "lists Pooling;")):
        (directory / "modules.json").write_text(json.dumps([modules[i] for i in kept]))
        with pytest.raises(TaskError, match=listed):
            tasks.load(directory)
    (directory / "modules.json").write_text(json.dumps(modules))
    (directory / "2_Dense" / "model.safetensors").rename(directory / "2_Dense" / "old.bin")
    with pytest.raises(TaskError, match=r"A pytorch_model\.bin is not read"):
        tasks.load(directory)
    with pytest.raises(TaskError, match=r"has no modules\.json.*pooling='mean'"):
        SentenceEncoder.load(fixtures / "bert_gelu")


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"weight": np.ones((5, 8))}, "has no matrix `linear.weight`"),
        ({"linear.weight": np.ones((5, 7))}, "takes vectors of size 7, but gets 8"),
        (
            {"linear.weight": np.ones((5, 8)), "linear.bias": np.ones(4)},
            r"`linear.bias` has \(4,\)",
        ),
    ],
)
def test_dense_layers_that_do_not_fit(directory, tensors, message):
    from safetensors.numpy import save_file

    arrays = {name: array.astype("float32") for name, array in tensors.items()}
    save_file(arrays, directory / "2_Dense" / "model.safetensors")
    with pytest.raises(TaskError, match=message):
        tasks.load(directory)
