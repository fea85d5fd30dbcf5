"""Product quantisation against brute force and decoded vectors; compressed indexes and files."""

from __future__ import annotations

import numpy as np
import pytest

from bert4keras.tasks import TextIndex
from bert4keras.tasks.similarity import ProductQuantizer, VectorFileError, VectorIndex
from bert4keras.tasks.similarity import arrays as array_files
from bert4keras.tasks.similarity import compression as module

spread = pytest.mark.spread  # numpy only


def correlated(count, seed=0):
    """Vectors of 8 numbers of very different variance."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(count, 8)) * [3, 2, 0.3, 0.3, 0.1, 0.1, 0.1, 0.1]
    return x.astype("float32")


X, QUERIES = correlated(600), correlated(9, seed=1)


def trained(method="kmeans", size=2, epochs=5):
    return ProductQuantizer(size, method).fit(X, epochs)


def error(quantizer, x=X):
    return ((quantizer.decode(quantizer.encode(x)) - x) ** 2).sum(1).mean()


@spread
def test_codes_and_decoded_vectors_are_those_of_brute_force(monkeypatch):
    monkeypatch.setattr(module, "ROWS", 7)
    quantizer = trained()
    codes = quantizer.encode(X[:20])
    for row, code in zip(X[:20], codes, strict=True):
        for m in range(2):
            book = quantizer.codebooks[m]
            distances = [((row[4 * m : 4 * m + 4] - e) ** 2).sum() for e in book]
            assert code[m] == np.argmin(distances)
            np.testing.assert_array_equal(
                quantizer.decode(code[None])[0, 4 * m : 4 * m + 4], book[code[m]]
            )
    assert codes.dtype == np.uint8
    assert (codes != quantizer.encode(X[20:40])).any()


@spread
def test_a_mean_is_the_mean_of_its_vectors():
    quantizer = trained(epochs=60)
    codes = quantizer.encode(X)
    for m, k in ((0, codes[0, 0]), (1, codes[5, 1])):
        own = X[codes[:, m] == k, 4 * m : 4 * m + 4]
        np.testing.assert_allclose(quantizer.codebooks[m, k], own.mean(0), atol=1e-5)
    assert error(quantizer) < error(trained(epochs=1))


@pytest.mark.parametrize("method", ["kmeans", "vq"])
def test_scores_from_tables_are_those_of_decoded_vectors(method):
    quantizer = trained(method, epochs=2)
    codes = quantizer.encode(X)
    found = module.table_scores(quantizer.tables(QUERIES), codes)
    np.testing.assert_allclose(found, QUERIES @ quantizer.decode(codes).T, rtol=1e-3, atol=1e-3)
    assert np.abs(found - QUERIES @ X.T).max() > 0.01  # the vectors themselves have others


def test_moving_averages_are_as_good_as_kmeans():
    plain, moving = trained("kmeans", 4, 8), trained("vq", 4, 8)
    assert error(moving) < 1.4 * error(plain)
    assert error(moving) < 0.6 * error(trained("kmeans", 4, 0))  # random vectors of the sample


@spread
@pytest.mark.parametrize("metric", ["cosine", "dot"])
def test_search_among_codes_is_argsort_of_decoded_scores(metric, monkeypatch):
    index = VectorIndex(X, metric=metric, compression=ProductQuantizer(4, "kmeans"))
    queries = QUERIES
    if metric == "cosine":
        queries = queries / np.linalg.norm(queries, axis=1, keepdims=True)
    decoded = queries @ index.vectors.T
    found = index.search(QUERIES, 5)
    np.testing.assert_allclose(found.scores, -np.sort(-decoded, axis=1)[:, :5], rtol=1e-4)
    np.testing.assert_allclose(
        np.take_along_axis(decoded, found.indices, 1), found.scores, rtol=1e-4
    )
    assert index.codes.shape == (600, 4)
    assert VectorIndex(X).codes is None


@spread
def test_vectors_that_are_added_are_found():
    quantizer = trained(size=4)
    index = VectorIndex(X[:300], compression=quantizer, metric="dot")
    index.add(X[300:450])
    index.add(X[450:])
    whole = VectorIndex(X, compression=quantizer, metric="dot")
    np.testing.assert_array_equal(index.codes, whole.codes)
    plain = VectorIndex(X[:300], [""] * 300)
    plain.add(X[300:], ["new"] * 300)
    np.testing.assert_array_equal(plain.vectors, VectorIndex(X).vectors)
    assert plain.texts == [""] * 300 + ["new"] * 300


@spread
@pytest.mark.parametrize("method", ["kmeans", "vq"])
def test_a_compressed_index_is_read_as_it_was_written(tmp_path, method):
    quantizer = trained(method, 4, 1)
    texts = [str(i) for i in range(600)]
    index = VectorIndex(X, texts, compression=quantizer)
    index.save(tmp_path / "index.npz")
    again = VectorIndex.load(tmp_path / "index.npz")
    np.testing.assert_array_equal(again.codes, index.codes)
    for one, other in zip(again.search(QUERIES, 4), index.search(QUERIES, 4), strict=True):
        np.testing.assert_array_equal(one, other)
    again.add(X[:2], ["a", "b"])
    assert len(again) == len(again.texts) == 602
    assert (tmp_path / "index.npz").stat().st_size < 600 * 4 + 256 * 8 * 4 + 10_000


class Letters:
    """An encoder of texts as counts of eight letters."""

    def __init__(self):
        self.prompts = []

    def predict(self, samples, batch_size=64, progress=None, prompt=None):
        self.prompts.append(prompt)
        return np.array([[1 + text.count(c) for c in "abcdefgh"] for text in samples], "float32")


@spread
def test_texts_are_added_with_their_prompt_and_found(tmp_path):
    rng = np.random.default_rng(0)
    texts = ["".join(rng.choice(list("abcdefgh"), 12)) for _ in range(400)]
    encoder = Letters()
    index = VectorIndex(encoder.predict(texts), texts, compression=ProductQuantizer(8, "kmeans"))
    found = TextIndex(encoder, index, "query", "passage")
    found.add(["aaaaaaaaaaaaaaa", "hhhhhhhhhhhhhhh"])
    found.add([])
    assert encoder.prompts[1:] == ["passage"]
    assert found.search("aaaaaaaa", k=1)[0].text == "aaaaaaaaaaaaaaa"
    assert encoder.prompts[2:] == ["query"]
    found.save(tmp_path / "texts.npz")
    again = TextIndex.load(tmp_path / "texts.npz", encoder, text_prompt="passage")
    assert again.search("hhhhhhh", k=1)[0].position == 401
    again.add(["more"])
    assert encoder.prompts[-1] == "passage"


@spread
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ProductQuantizer(0), "code_size=0 must be at least 1 byte"),
        (lambda: ProductQuantizer(4, "pca"), "method='pca' must be 'vq' or 'kmeans'"),
        (lambda: ProductQuantizer(3).fit(X), "size 8 cannot be cut into 3 equal parts"),
        (lambda: ProductQuantizer(2).fit(X[:255]), "has 256 vectors and cannot be trained on 255"),
        (lambda: VectorIndex(X[:9], compression=ProductQuantizer(2)), "cannot be trained on 9"),
        (lambda: ProductQuantizer(2).fit(np.full((300, 8), np.nan)), r"vectors\[0\] is not finite"),
        (lambda: ProductQuantizer(2).encode(X), r"no codebooks yet: call fit\(vectors\) first"),
        (lambda: ProductQuantizer(2).decode(X), "no codebooks yet"),
        (lambda: trained().encode(X[:, :4]), "vectors have size 4, the codes are of 8"),
        (lambda: VectorIndex(X).add(X[:, :4]), "vectors have size 4, the index has 8"),
        (lambda: VectorIndex(X).add(X * np.inf), "is not finite"),
        (lambda: VectorIndex(X).add(X[:1], ["a"]), "holds vectors without texts, so none can be"),
        (lambda: VectorIndex(X[:1], ["a"]).add(X[:1]), "holds texts: give those of the new"),
        (lambda: VectorIndex(X[:1], ["a"]).add(X[:2], ["b"]), "2 vectors, but 1 texts"),
    ],
)
def test_wrong_use_is_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def stored(**changes):
    found = {
        "codes": np.zeros((5, 2), "uint8"),
        "codebooks": np.ones((2, 256, 4), "float32"),
        "metric": np.array("dot"),
    }
    return {name: value for name, value in {**found, **changes}.items() if value is not None}


@spread
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, None),
        ({"codebooks": None}, "`codebooks` is missing"),
        ({"metric": None}, "`metric` is missing"),
        ({"codes": np.zeros((5, 3), "uint8")}, "`codes` are of 3 bytes, not 2"),
        ({"codes": np.zeros((0, 2), "uint8")}, "`codes` has no rows"),
        ({"codes": np.zeros((5, 2), "int64")}, "`codes` must be uint8 with 2 axes"),
        (
            {"codebooks": np.ones((2, 255, 4), "float32")},
            r"`codebooks` has the shape \(2, 255, 4\)",
        ),
        ({"codebooks": np.ones((0, 256, 4), "float32")}, "`codebooks` has the shape"),
        ({"codebooks": np.full((2, 256, 4), np.nan, "float32")}, "`codebooks` is not finite"),
    ],
)
def test_damaged_files_are_named(tmp_path, changes, message):
    path = tmp_path / "index.npz"
    array_files.save_arrays(path, stored(**changes))
    if message is None:
        assert VectorIndex.load(path).search(np.ones((1, 8)), 2).indices.tolist() == [[0, 1]]
        return
    with pytest.raises(VectorFileError, match=rf"index\.npz cannot be used: its {message}"):
        VectorIndex.load(path)
