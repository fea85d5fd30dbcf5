"""The ancestor's `snippets`: what is there works, and what is not there says why."""

from __future__ import annotations

import importlib
import itertools
import os
import sys

import numpy as np
import pytest

from bert4keras import backend, snippets
from bert4keras._old_names import OLD_NAMES
from bert4keras.snippets import parallel_apply, parallel_apply_generator
from helpers import work

pytestmark = pytest.mark.spread

# Every public name of the ancestor's module.
ANCESTOR = """
    to_array is_string strQ2B string_matching convert_to_unicode convert_to_str
    lowercase_and_normalize open parallel_apply_generator parallel_apply sequence_padding
    truncate_sequences text_segmentate is_one_of DataGenerator ViterbiDecoder softmax
    AutoRegressiveDecoder insert_arguments delete_arguments longest_common_substring
    longest_common_subsequence orthogonally_resize WebServing
""".split()


@pytest.mark.parametrize("name", ANCESTOR)
def test_every_name_is_there_or_says_why_not(name):
    if name in [*snippets.__all__, *OLD_NAMES["snippets"]]:
        assert callable(getattr(snippets, name))
    else:
        with pytest.raises(ImportError, match=rf"snippets\.{name} is not part of this version: \w"):
            exec(f"from bert4keras.snippets import {name}")


@pytest.mark.parametrize("module", [snippets, backend])
def test_an_unknown_name_is_a_plain_attribute_error(module):
    assert not hasattr(module, "nonsense")
    assert [name for name in module.__all__ if not hasattr(module, name)] == []


def test_softmax():
    x = np.array([[0.0, np.log(3.0)], [1e4, 1e4]])
    np.testing.assert_allclose(snippets.softmax(x), [[0.25, 0.75], [0.5, 0.5]])
    np.testing.assert_allclose(snippets.softmax(x, axis=0)[:, 0], [0.0, 1.0])


def test_small_helpers():
    array = np.ones(3)
    assert snippets.is_one_of(array, [1, array])
    assert not snippets.is_one_of(array, [np.ones(3)])
    assert snippets.string_matching("deep learning", ["x", "l.arn"])
    assert not snippets.string_matching("deep learning", ["^learn"])
    assert importlib.import_module("bert4keras.data.padding").to_array is snippets.to_array


@pytest.mark.parametrize("options", [{"workers": 2}, {"workers": 3, "dummy": True}])
def test_results_come_in_order(options):
    assert parallel_apply(work.square, range(30), **options) == [i * i for i in range(30)]
    assert parallel_apply(work.square, iter(()), **options) == []
    seen = []
    assert parallel_apply(work.square, range(5), callback=seen.append, **options) is None
    assert seen == [0, 1, 4, 9, 16]


def test_the_work_is_done_elsewhere_or_in_threads():
    (there,) = set(parallel_apply(work.process_id, range(3), workers=1))
    assert there != os.getpid()
    assert set(parallel_apply(work.process_id, range(3), dummy=True)) == {os.getpid()}


def test_unordered_yields_what_is_ready_and_its_index():
    import threading

    first_may_end = threading.Event()

    def slow_first(i):
        if i == 0:
            assert first_may_end.wait(30)
        return 10 * i

    results = parallel_apply_generator(slow_first, range(4), workers=2, dummy=True, unordered=True)
    found = list(itertools.islice(results, 3))
    first_may_end.set()
    assert sorted(found) == [(1, 10), (2, 20), (3, 30)]
    assert list(results) == [(0, 0)]


def test_endless_items_are_read_as_they_are_needed():
    taken = []

    def items():
        for i in itertools.count():
            taken.append(i)
            yield i

    results = parallel_apply_generator(work.square, items(), 2, max_queue_size=3, dummy=True)
    assert list(itertools.islice(results, 5)) == [(i, i * i) for i in range(5)]
    results.close()
    assert len(taken) <= 5 + 3


def test_random_numbers_depend_on_the_seed_alone():
    def draws(seed, workers):
        np.random.seed(seed)
        return parallel_apply(work.draw, range(8), workers=workers)

    one, two, other = draws(1, 1), draws(1, 2), draws(2, 1)
    assert one == two
    assert len(set(one)) == 8
    assert not set(one) & set(other)


def test_progress_is_shown(capsys, monkeypatch):
    for items in (range(4), iter(range(4))):
        parallel_apply(work.square, items, workers=1, dummy=True, progress=True)
        assert capsys.readouterr().out == "4 items done\n"  # no terminal, so nothing that moves
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    parallel_apply(work.square, range(4), workers=1, dummy=True, progress=True)
    assert "4/4" in capsys.readouterr().out
    parallel_apply(work.square, iter(range(4)), workers=1, dummy=True, progress=True)
    assert "4/Unknown" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("function", "options", "error", "message"),
    [
        (work.fail, {"workers": 1}, LookupError, "no 0"),
        (work.fail, {"workers": 1, "dummy": True}, LookupError, "no 0"),
        (work.die, {"workers": 1}, RuntimeError, "worker process ended before its work"),
        (lambda x: x, {"workers": 1}, ValueError, "at the top of a module.*dummy=True"),
        (work.square, {"workers": 0}, ValueError, "workers=0 and max_queue_size=0"),
        (work.square, {"workers": 1, "max_queue_size": 0}, ValueError, "max_queue_size=0"),
    ],
)
def test_errors(function, options, error, message):
    with pytest.raises(error, match=message):
        parallel_apply(function, range(3), **options)
