"""Whitening against the identity, search against argsort, files against what they hold."""

from __future__ import annotations

import io

import numpy as np
import pytest

from bert4keras.decoding import VectorIndex, Whitening, vectors

RNG = np.random.default_rng(6)
# Directions of very different size, and a mean that outweighs them: the vectors of a BERT.
CORPUS = RNG.normal(size=(300, 8)) @ np.diag(10.0 ** np.linspace(-4, 0, 8)) @ RNG.normal(
    size=(8, 8)
) + 50 * np.arange(8)
TEXTS = ["a", "", "北京 \x00", "\ud800", "b" * 1000]


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    """Parts of a few rows, so that small corpora have several."""
    monkeypatch.setattr(vectors, "_ROWS", 7)
    monkeypatch.setattr(vectors, "_QUERIES", 3)


def spread(values) -> np.ndarray:
    return np.cov(np.asarray(values, "float64").T)


def test_whitened_vectors_have_the_identity_as_covariance():
    corpus = RNG.normal(size=(300, 8)) @ RNG.normal(size=(8, 8)) + 5 * np.arange(8)
    whitened = Whitening.fit(corpus)(corpus)
    np.testing.assert_allclose(spread(whitened), np.eye(8), atol=1e-4)
    np.testing.assert_allclose(whitened.mean(0), np.zeros(8), atol=1e-4)
    assert np.abs(spread(corpus) - np.eye(8)).max() > 1


def test_a_part_of_the_dimensions_are_those_of_largest_variance():
    values = RNG.normal(size=(300, 6)) * [1, 9, 3, 0.5, 7, 2] + 4
    full, part = Whitening.fit(values)(values), Whitening.fit(values, dim=2)(values)
    np.testing.assert_allclose(part, full[:, :2], rtol=1e-4, atol=1e-5)
    for column, place in zip(part.T, (1, 4), strict=True):
        assert abs(np.corrcoef(column, values[:, place])[0, 1]) > 0.9


def test_directions_in_which_nothing_varies_are_left_out():
    values = RNG.normal(size=(100, 3)) @ RNG.normal(size=(3, 5))  # of rank 3
    whitening = Whitening.fit(values.astype("float32"))
    assert whitening.kernel.shape == (5, 3)
    np.testing.assert_allclose(spread(whitening(values)), np.eye(3), atol=1e-3)
    assert Whitening.fit(RNG.normal(size=(4, 9))).kernel.shape == (9, 3)  # 4 points, 3 directions


def test_directions_of_very_different_size_stay_apart():
    whitening = Whitening.fit(CORPUS)
    values = (CORPUS - CORPUS.mean(0)) @ whitening.kernel.astype("float64")
    kept = whitening.kernel.shape[1]
    assert kept == 8
    np.testing.assert_allclose(spread(values), np.eye(kept), atol=0.05)


@pytest.mark.parametrize(
    ("values", "dim", "message"),
    [
        (np.ones((1, 3)), None, "at least 2 vectors, got 1"),
        (np.ones((9, 3)), None, "9 vectors are all the same"),
        (np.eye(3), 3, "dim=3 must be between 1 and 2"),
        (np.eye(3), 0, "dim=0"),
        (np.ones(3), None, r"shape \(N, D\), not float64 \(3,\)"),
        (np.array([["a"]]), None, "must be numbers"),
        (np.array([[1.0]] * 8 + [[np.nan]]), None, r"vectors\[8\] is not finite"),
    ],
)
def test_what_cannot_be_whitened_is_named(values, dim, message):
    with pytest.raises(ValueError, match=message):
        Whitening.fit(values, dim)


def nearest(queries, corpus, k, metric):
    if metric == "cosine":
        queries, corpus = (x / np.linalg.norm(x, axis=1)[:, None] for x in (queries, corpus))
    scores = queries @ corpus.T
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(scores, order, 1), order


@pytest.mark.parametrize("metric", ["cosine", "dot"])
@pytest.mark.parametrize("k", [1, 4, 12, 23, 99])
def test_search_is_argsort(metric, k):
    corpus, queries = RNG.normal(size=(23, 5)), RNG.normal(size=(8, 5))
    found = VectorIndex(corpus, metric=metric).search(queries, k)
    scores, order = nearest(queries, corpus, k, metric)
    np.testing.assert_array_equal(found.indices, order)
    np.testing.assert_allclose(found.scores, scores, rtol=1e-4, atol=1e-6)
    other = "dot" if metric == "cosine" else "cosine"
    assert (nearest(queries, corpus, 23, other)[1] != nearest(queries, corpus, 23, metric)[1]).any()


@pytest.mark.parametrize("k", [1, 3, 9, 30])
def test_of_equal_scores_the_lower_index_comes_first(k):
    corpus, queries = RNG.integers(-1, 2, (40, 3)), RNG.integers(-1, 2, (10, 3))
    found = VectorIndex(corpus, metric="dot").search(queries, k)
    scores, order = nearest(queries, corpus, k, "dot")
    np.testing.assert_array_equal(found.scores, scores)
    np.testing.assert_array_equal(found.indices, order)


def test_parts_do_not_change_what_is_found(monkeypatch):
    corpus, queries = RNG.normal(size=(50, 4)), RNG.normal(size=(9, 4))
    index = VectorIndex(corpus)
    found = index.search(queries, 6)
    monkeypatch.setattr(vectors, "_ROWS", 1000)
    monkeypatch.setattr(vectors, "_QUERIES", 1000)
    whole = index.search(queries, 6)
    np.testing.assert_array_equal(found.indices, whole.indices)
    np.testing.assert_allclose(found.scores, whole.scores, rtol=1e-5)


def test_odd_vectors():
    index = VectorIndex(np.array([[0.0, 0.0], [-1.0, 0.0], [1e-30, 0.0]], "float32"))
    scores, indices = index.search([[2.0, 0.0], [0.0, 0.0]], 3)
    assert indices.tolist()[0][-1] == 1  # a cosine of -1; zeros have cosine 0
    assert scores[1].tolist() == [0, 0, 0]
    assert index.search(np.empty((0, 2)), 2).indices.shape == (0, 2)


def test_an_index_is_read_as_it_was_written(tmp_path):
    corpus = RNG.normal(size=(5, 4)).astype("float16")
    for texts, metric in ((TEXTS, "cosine"), (None, "dot"), ([""] * 5, "dot")):
        index = VectorIndex(corpus, texts, metric)
        index.save(tmp_path / "index")  # over the one before; no ending is added
        again = VectorIndex.load(tmp_path / "index")
        assert (again.texts, again.metric) == (texts, metric)
        np.testing.assert_array_equal(again.vectors, index.vectors)
        found, expected = again.search(corpus, 2), index.search(corpus, 2)
        np.testing.assert_array_equal(found.indices, expected.indices)
        np.testing.assert_array_equal(found.scores, expected.scores)
    assert [path.name for path in tmp_path.iterdir()] == ["index"]


def test_a_whitening_is_read_as_it_was_written(tmp_path):
    whitening = Whitening.fit(CORPUS, dim=3)
    whitening.save(tmp_path / "whitening.npz")
    again = Whitening.load(tmp_path / "whitening.npz")
    np.testing.assert_array_equal(again(CORPUS), whitening(CORPUS))


def test_an_interruption_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "index.npz"
    VectorIndex(np.eye(2), ["a", "b"]).save(path)
    before = path.read_bytes()

    def interrupted(file, **arrays):
        file.write(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "savez", interrupted)
    with pytest.raises(KeyboardInterrupt):
        VectorIndex(np.eye(3)).save(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_nothing_is_unpickled(tmp_path):
    path = tmp_path / "objects.npz"
    np.savez(path, vectors=np.array([{}], object), metric=np.array("dot"))
    with pytest.raises(
        ValueError, match=r"objects\.npz is not a file that save\(\) wrote: .*pickle"
    ):
        VectorIndex.load(path)


def array_file() -> bytes:
    """A file of one array."""
    file = io.BytesIO()
    np.save(file, np.eye(2))
    return file.getvalue()


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda path: path.write_bytes(b"text"), "not a file that save"),
        (lambda path: path.write_bytes(b""), "not a file that save"),
        (lambda path: path.write_bytes(b"PK\x03\x04 cut off"), "not a file that save"),
        (lambda path: path.write_bytes(np.eye(2).dumps()), "not a file that save"),
        (lambda path: path.write_bytes(array_file()), "not a file that save"),
        (
            lambda path: Whitening.fit(np.eye(3)).save(path),
            "not a file of this kind: it lacks vectors, metric",
        ),
    ],
)
def test_other_files_are_named(tmp_path, write, message):
    path = tmp_path / "other.npz"
    write(path)
    with pytest.raises(ValueError, match=rf"other\.npz is .*{message}"):
        VectorIndex.load(path)
    with pytest.raises(FileNotFoundError):
        VectorIndex.load(tmp_path / "absent.npz")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: VectorIndex(np.eye(2), metric="l2"), "metric must be 'cosine' or 'dot', not 'l2'"),
        (lambda: VectorIndex(np.empty((0, 2))), "at least one vector"),
        (lambda: VectorIndex(np.eye(2), ["a"]), "2 vectors, but 1 texts"),
        (lambda: VectorIndex(np.eye(2)).search(np.eye(3)), "queries have size 3, the index has 2"),
        (lambda: VectorIndex(np.eye(2)).search(np.eye(2), k=0), "k=0"),
        (lambda: VectorIndex(np.eye(2)).search([np.inf, 0]), r"shape \(N, D\)"),
        (lambda: VectorIndex([[0, np.inf]]), r"vectors\[0\] is not finite"),
        (lambda: Whitening(np.ones(2), np.ones((3, 3))), r"mean \(2,\) and kernel \(3, 3\)"),
    ],
)
def test_wrong_use_is_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()
