"""Whitening against the identity, search against argsort, files against what they hold."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest

from bert4keras.tasks.similarity import VectorFileError, VectorIndex, Whitening
from bert4keras.tasks.similarity import arrays as array_files
from bert4keras.tasks.similarity import index as vectors

pytestmark = pytest.mark.spread

RNG = np.random.default_rng(6)
# Directions of very different size, and a mean that outweighs them: the vectors of a BERT.
CORPUS = RNG.normal(size=(300, 8)) @ np.diag(10.0 ** np.linspace(-4, 0, 8)) @ RNG.normal(
    size=(8, 8)
) + 50 * np.arange(8)
TEXTS = ["a", "", "北京 \x00", "\ud800", "b" * 1000]


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    """Parts of a few rows, so that small corpora have several."""
    for module in (vectors, array_files):
        monkeypatch.setattr(module, "ROWS", 7)
    monkeypatch.setattr(vectors, "_QUERIES", 3)


UNIT = np.eye(3, dtype="float32")


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
    for module in (vectors, array_files):
        monkeypatch.setattr(module, "ROWS", 1000)
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
        VectorFileError, match=r"objects\.npz cannot be used: its `vectors` must be float32"
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
        (lambda path: path.write_bytes(b"text"), "`content` is no archive"),
        (lambda path: path.write_bytes(b""), "`content` is no archive"),
        (lambda path: path.write_bytes(b"PK\x03\x04 cut off"), "`content` is no archive"),
        (lambda path: path.write_bytes(np.eye(2).dumps()), "`content` is no archive"),
        (lambda path: path.write_bytes(array_file()), "`content` is no archive"),
        (lambda path: Whitening.fit(np.eye(3)).save(path), "`vectors` is missing"),
        (lambda path: np.savez_compressed(path, vectors=UNIT, metric="dot"), "is compressed"),
    ],
)
def test_other_files_are_named(tmp_path, write, message):
    path = tmp_path / "other.npz"
    write(path)
    with pytest.raises(ValueError, match=rf"other\.npz cannot be used: its .*{message}"):
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


ENDS = np.array([1, 1, 3])
BYTES = np.frombuffer(b"abc", "uint8")


def arrays(**changes):
    found = {"vectors": UNIT, "metric": np.array("cosine"), "text_bytes": BYTES, "text_ends": ENDS}
    return {name: value for name, value in {**found, **changes}.items() if value is not None}


def test_the_arrays_below_are_right_without_a_change(tmp_path):
    np.savez(tmp_path / "index.npz", **arrays())
    assert VectorIndex.load(tmp_path / "index.npz").texts == ["a", "", "bc"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"metric": "evil"}, "`metric` is 'evil', neither cosine nor dot"),
        ({"metric": np.array(["dot"])}, r"`metric` must be str with 0 axes, not <U3 \(1,\)"),
        ({"metric": np.array(1)}, "`metric` must be str"),
        ({"metric": "m" * 2000}, "`metric` is text of 8000 bytes"),
        ({"metric": None}, "`metric` is missing"),
        ({"vectors": np.full_like(UNIT, np.nan)}, r"`vectors` \[0\] is not finite"),
        ({"vectors": np.eye(3)}, "`vectors` must be float32 with 2 axes, not float64"),
        ({"vectors": 2 * UNIT}, r"`vectors` \[0\] is not of length 1"),
        ({"vectors": UNIT[0]}, r"`vectors` must be float32 with 2 axes, not float32 \(3,\)"),
        ({"vectors": UNIT[:0]}, "`vectors` has no rows"),
        ({"vectors": UNIT.astype(">f4")}, "`vectors` must be float32"),
        ({"text_ends": ENDS[::-1].copy()}, "`text_ends` does not ascend from 0 to 3"),
        ({"text_ends": np.array([-1, 1, 3])}, "`text_ends` does not ascend"),
        ({"text_ends": np.array([1, 1, 2])}, "`text_ends` does not ascend"),
        ({"text_ends": ENDS[1:]}, "`text_ends` has 2 texts of 3 vectors"),
        ({"text_ends": ENDS.astype("float64")}, "`text_ends` must be int64"),
        ({"text_ends": None}, "`text_ends` is missing, and the texts"),
        ({"text_bytes": None}, "`text_bytes` is missing, and the texts"),
        (
            {"text_bytes": np.frombuffer(b"\xff\xff\xff", "uint8")},
            "`text_bytes` of text 0 are not UTF-8",
        ),
    ],
)
def test_damaged_indexes(tmp_path, changes, message):
    path = tmp_path / "index.npz"
    np.savez(path, **arrays(**changes))
    with pytest.raises(VectorFileError, match=rf"index\.npz cannot be used: its {message}"):
        VectorIndex.load(path)


@pytest.mark.parametrize(
    ("mean", "kernel", "message"),
    [
        (UNIT[0], UNIT[:2], "`kernel` has 2 rows, the mean 3"),
        (np.full_like(UNIT[0], np.inf), UNIT, "`mean` is not finite"),
    ],
)
def test_damaged_whitenings(tmp_path, mean, kernel, message):
    np.savez(tmp_path / "w.npz", mean=mean, kernel=kernel)
    with pytest.raises(VectorFileError, match=message):
        Whitening.load(tmp_path / "w.npz")


def header_file(shape, size=36):
    """An index whose vectors have a header of this shape, and fewer bytes."""
    member, file = io.BytesIO(), io.BytesIO()
    header = {"descr": "<f4", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(member, header)
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("vectors.npy", member.getvalue() + b"\0" * size)
    return file.getvalue()


@pytest.mark.parametrize("shape", [(10**12, 10**6), (-3, 3), (3, -3), (-3, -3), (2, 3)])
def test_shapes_that_are_not_there_take_no_memory(tmp_path, shape):
    (tmp_path / "index.npz").write_bytes(header_file(shape))
    with pytest.raises(VectorFileError, match=r"`vectors` has (the shape|36 bytes)"):
        VectorIndex.load(tmp_path / "index.npz")


def test_a_newer_format_and_a_directory(tmp_path):
    with zipfile.ZipFile(tmp_path / "index.npz", "w") as archive:
        archive.writestr("vectors.npy", b"\x93NUMPY\x09\x00")
    with pytest.raises(VectorFileError, match="`vectors` cannot be read: version"):
        VectorIndex.load(tmp_path / "index.npz")
    with pytest.raises(ValueError, match="is not a regular file"):
        VectorIndex.load(tmp_path)


def damaged(data: bytes, rng: np.random.Generator) -> bytes:
    """A file that is cut off, or some of whose bytes are others, headers above all."""
    kind = rng.integers(4)
    if kind == 0:
        return data[: rng.integers(len(data))]
    changed = bytearray(data)
    if kind == 1:
        start = rng.integers(len(data))
        del changed[start : start + rng.integers(1, 50)]
        return bytes(changed)
    high = len(data) if kind == 2 else min(200, len(data))
    for _ in range(rng.integers(1, 6)):
        changed[rng.integers(high)] = rng.integers(256)
    return bytes(changed)


def rebuilt(rng: np.random.Generator) -> bytes:
    """An archive whose checksums are right and whose arrays are not."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, value in arrays().items():
            member = io.BytesIO()
            np.save(member, value)
            content = member.getvalue()
            if rng.integers(2):
                content = damaged(content, rng)
            archive.writestr(f"{name}.npy", content)
    return file.getvalue()


@pytest.mark.parametrize("count", [100, pytest.param(20_000, marks=pytest.mark.slow)])
@pytest.mark.filterwarnings("ignore")
def test_damaged_files_raise_one_kind_of_error(tmp_path, count):
    path, rng = tmp_path / "index.npz", np.random.default_rng(1)
    np.savez(path, **arrays())
    data, loaded = path.read_bytes(), 0
    for _ in range(count):
        path.write_bytes(damaged(data, rng) if rng.integers(2) else rebuilt(rng))
        try:
            index = VectorIndex.load(path)
        except VectorFileError:
            continue
        loaded += 1
        index.search(np.ones((1, index.vectors.shape[1])), k=1)
        assert index.texts is None or len(index.texts) == len(index)
    assert loaded < count / 3
