"""Novelty methods on vectors whose densities are known."""

from __future__ import annotations

import numpy as np
import pytest

from bert4keras.tasks import TaskError
from bert4keras.tasks.novelty import METHODS, Encodings, NoveltyMethod, auroc, register_method
from bert4keras.tasks.novelty.distances import shrunk_covariance
from bert4keras.tasks.novelty.methods import fit_linear, make_method

pytestmark = pytest.mark.spread
CENTRES = np.array([[3.0, 0, 0, 0], [0, 3, 0, 0], [0, 0, 3, 0]])


def cluster_vectors(seed=0, count=300):
    """Three clusters in four dimensions, and their numbers."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 3
    scale = np.array([1.0, 0.5, 0.5, 0.2])
    return (CENTRES[labels] + scale * rng.normal(size=(count, 4))).astype("float32"), labels


def far(seed=1):
    """Vectors that no cluster has: the last direction hardly varies there."""
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(200, 4)) * [1, 0.5, 0.5, 0.2] + [1, 1, 1, 1.5]).astype("float32")


def test_mahalanobis_is_the_distance_by_the_inverse_covariance():
    x, labels = cluster_vectors()
    method = make_method("mahalanobis", {})
    method.fit(Encodings(x), labels)
    means = np.stack([x[labels == c].mean(0) for c in range(3)]).astype("float64")
    inverse = np.linalg.inv(shrunk_covariance(x - means[labels]))
    y = far()
    differences = y[:, None] - means
    exact = np.einsum("ncd,de,nce->nc", differences, inverse, differences)
    np.testing.assert_allclose(method.score(Encodings(y)), exact.min(1), rtol=1e-4)
    np.testing.assert_array_equal(method.nearest(Encodings(y)), exact.argmin(1))
    # The plain distance is another one, and tells less.
    plain = np.square(differences).sum(-1).min(1)
    assert not np.allclose(plain, exact.min(1), rtol=0.1)
    method.fit(Encodings(x), None)
    assert method.nearest(Encodings(y)) is None


def test_shrinkage_by_its_definition_and_its_limits():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(30, 5)) * [1, 2, 3, 4, 5]
    s = x.T @ x / 30
    mean = np.trace(s) / 5
    noise = sum(np.sum((np.outer(row, row) - s) ** 2) for row in x) / 30**2
    d = noise / np.sum((s - mean * np.eye(5)) ** 2)
    assert 0 < d < 1
    np.testing.assert_allclose(shrunk_covariance(x), (1 - d) * s + d * mean * np.eye(5))
    # Many vectors: nothing is shrunk. Fewer than dimensions: still invertible.
    many = rng.normal(size=(200000, 3)) * [1, 2, 3]
    np.testing.assert_allclose(shrunk_covariance(many), many.T @ many / len(many), atol=1e-3)
    few = shrunk_covariance(rng.normal(size=(4, 20)))
    assert np.linalg.eigvalsh(few)[0] > 0.1


def test_neighbours_by_brute_force():
    x, labels = cluster_vectors(count=50)
    y = far()[:20]
    method = make_method("neighbours", {"k": 3})
    method.fit(Encodings(x), labels)
    cosines = (y / np.linalg.norm(y, axis=1)[:, None]) @ (x / np.linalg.norm(x, axis=1)[:, None]).T
    exact = 1 - np.sort(cosines, axis=1)[:, -3]
    np.testing.assert_allclose(method.score(Encodings(y)), exact, atol=1e-6)
    np.testing.assert_array_equal(method.nearest(Encodings(y)), labels[cosines.argmax(1)])
    with pytest.raises(TaskError, match=r"do not fit method 'neighbours': k=0 must be at least 1"):
        make_method("neighbours", {"k": 0})


def test_softmax_and_energy_of_given_scores():
    scores = np.array([[2.0, 0, 1], [0, 0, 0], [90, 0, 0]])
    texts = Encodings(np.zeros((3, 2), "float32"), scores)
    softmax, energy = make_method("softmax", {}), make_method("energy", {})
    for method in (softmax, energy):
        method.fit(texts, None)
        np.testing.assert_array_equal(method.nearest(texts), [0, 0, 0])
    powers = np.exp(scores)
    exact = 1 - powers.max(1) / powers.sum(1)
    np.testing.assert_allclose(softmax.score(texts)[:2], exact[:2])
    assert 0 < softmax.score(texts)[2] < 1e-38  # 1 - p would be 0
    np.testing.assert_allclose(energy.score(texts), -np.log(powers.sum(1)))


def test_the_linear_model_learns_labels():
    x, labels = cluster_vectors()
    kernel, bias = fit_linear(x, labels)
    y, wanted = cluster_vectors(seed=5)
    found = (y @ kernel + bias).argmax(1)
    assert (found == wanted).mean() > 0.9
    exchanged = fit_linear(x, (labels + 1) % 3)
    assert ((y @ exchanged[0] + exchanged[1]).argmax(1) == wanted).mean() < 0.2


@pytest.mark.parametrize("name", sorted(METHODS))
def test_a_method_finds_far_vectors_and_reloads(name, tmp_path):
    """Methods that compare labels need not know far vectors; the others tell them well."""
    options = {**SMALL.get(name, {}), "learning_rate": 1e-2} if name not in NUMERIC else {}
    x, labels = cluster_vectors()
    method = make_method(name, options)
    method.fit(Encodings(x), labels)
    known, foreign = (method.score(Encodings(v)) for v in (cluster_vectors(seed=3)[0], far()))
    assert known.shape == (300,)
    assert known.dtype == np.float64
    least = 0.6 if name in ("softmax", "energy", "lipschitz") else 0.8
    assert auroc(known, foreign) > least
    method.save(tmp_path)
    again = make_method(name, options)
    again.load(tmp_path)
    np.testing.assert_allclose(again.score(Encodings(far())), foreign, rtol=1e-5)


SMALL = {
    "vae": {"epochs": 20, "hidden": [32]},
    "realnvp": {"epochs": 20, "blocks": 2, "units": 16},
    "glow": {"epochs": 20, "blocks": 2, "units": 16},
    "iresnet": {"epochs": 10, "blocks": 2, "units": 16},
    "score": {"epochs": 20, "units": 32},
    "energy-gan": {"epochs": 20, "hidden": [32]},
    "lipschitz": {"epochs": 20, "units": 32},
}
NUMERIC = ("softmax", "energy", "mahalanobis", "neighbours")


def test_a_third_party_registers_a_method():
    @register_method("length")
    class LengthNovelty(NoveltyMethod):
        """Novelty as the length of the vector."""

        def fit(self, known, labels):
            pass

        def score(self, texts):
            return np.linalg.norm(texts.vectors, axis=1)

    try:
        assert isinstance(make_method("length", {}), LengthNovelty)
    finally:
        del METHODS["length"]
    for name in ("fit", "score"):
        with pytest.raises(NotImplementedError, match=f"must override `{name}`"):
            getattr(NoveltyMethod(), name)(*[None] * (2 if name == "fit" else 1))


def test_what_does_not_fit_is_named():
    with pytest.raises(TaskError, match="method='magic' must be one of softmax, energy"):
        make_method("magic", {})
    with pytest.raises(TaskError, match=r"method_options=\{'n': 3\} do not fit method 'softmax'"):
        make_method("softmax", {"n": 3})
    with pytest.raises(TaskError, match="epochs=0, batch_size=128: all from 1"):
        make_method("score", {"epochs": 0})
    with pytest.raises(TaskError, match="the 3 texts do not vary around their mean; a covariance"):
        make_method("mahalanobis", {}).fit(Encodings(np.ones((3, 2), "float32")), None)
    with pytest.raises(TaskError, match="do not vary around the means of their 2 labels"):
        make_method("mahalanobis", {}).fit(Encodings(np.eye(2, dtype="float32")), np.arange(2))
