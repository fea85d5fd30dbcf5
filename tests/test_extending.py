"""docs/extending.md: its code runs, prints what the page says, and stays short."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

from helpers.pages import blocks, run_page

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "extending.md"
MAX_LINES = 59  # of the code between two headings, without blank lines and what is only use

if not PAGE.is_file():  # an sdist
    pytestmark = pytest.mark.skip("docs are not part of this tree")


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """Run the page in an empty folder: the names it leaves, and (printed, promised) by block."""
    from bert4keras import registry, tasks

    known = dict(tasks.TASKS)
    mappings = (registry.FAMILIES, registry.TABLES, registry.TOKENIZERS, registry.CLASS_PREFIXES)
    families = [set(mapping.names()) for mapping in mappings]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("extending"))
        yield run_page(PAGE)
    tasks.TASKS.clear()
    tasks.TASKS.update(known)
    for mapping, before in zip(mappings, families, strict=True):
        for name in set(mapping.names()) - before:
            del mapping[name]


@pytest.mark.spread(by="page")
def test_it_prints_what_the_page_says(page):
    _, outputs = page
    assert len(outputs) == 7
    for printed, promised in outputs:
        assert printed == promised


@pytest.mark.spread(by="page")
def test_each_part_is_short():
    sections = PAGE.read_text(encoding="utf-8").split("\n## ")[1:]
    titles = [section.split("\n", 1)[0] for section in sections]
    assert titles == ["A task", "A head", "A mask", "A position strategy", "A family"]
    for section in sections:
        sources = [source for language, source in blocks(section) if language == "python"]
        lines = [line for source in sources for line in source.splitlines() if line.strip()]
        assert len(lines) <= MAX_LINES, section[:20]


@pytest.mark.spread(by="page")
def test_the_task_is_a_task(page):
    from bert4keras.tasks import TaskError

    names, _ = page
    task, again, questions = names["task"], names["again"], names["questions"]
    samples = [sample for sample, _ in questions]
    for before, after in zip(task.predict(samples), again.predict(samples), strict=True):
        assert before.answer == after.answer
        assert before.score == pytest.approx(after.score, abs=1e-5)
        assert 0.5 < before.score <= 1
    assert list(task.stream(iter(samples))) == task.predict(samples)
    # The order of the answers does not matter: each is scored by itself.
    turned = [(question, choices[::-1]) for question, choices in samples]
    assert [a.answer for a in task.predict(turned)] == [a.answer for a in task.predict(samples)]
    with pytest.raises(TaskError, match="'tea' is none of the answers"):
        list(task.batches([(samples[0], "tea")]))


@pytest.mark.spread(by="page")
def test_the_head_is_saved_and_its_loss_is_right(page, tmp_path):
    names, _ = page
    head, grader, inputs = names["head"], names["grader"], names["inputs"]
    scores = np.array([[2.0, -1.0, -3.0], [-0.5, -0.5, -0.5]], "float32")
    probabilities = 1 / (1 + np.exp(-scores))
    wanted = [
        -np.log(probabilities[0, 0] * (1 - probabilities[0, 1]) * (1 - probabilities[0, 2])),
        -np.log(np.prod(probabilities[1])),
    ]
    found = head.loss(keras.ops.convert_to_tensor([1, 3]), keras.ops.convert_to_tensor(scores))
    np.testing.assert_allclose(keras.ops.convert_to_numpy(found), wanted, rtol=1e-5)
    grader.save(tmp_path / "grader.keras")
    again = keras.models.load_model(tmp_path / "grader.keras")
    assert again.loss is head.loss
    np.testing.assert_allclose(
        again.predict(inputs, verbose=0), grader.predict(inputs, verbose=0), atol=1e-5
    )


@pytest.mark.spread(by="page")
def test_the_mask_holds_where_it_is_joined(page):
    """Two documents in one row: neither sees the other, and each reads by chunks."""
    names, _ = page
    row, packed = names["row"], names["packed"]
    documents = np.array([[1, 1, 1, 1, 1, 2, 2, 2]])
    other = row.copy()
    other[0, 6] = 11  # in the second document
    before, after = (packed.predict([x, 0 * x, documents], verbose=0) for x in (row, other))
    changed = np.abs(after - before).max(axis=(0, 2)) > 1e-6
    assert changed.tolist() == [False] * 5 + [True] * 3


@pytest.mark.spread(by="page")
def test_the_mask_with_an_input_reads_it(page):
    names, _ = page
    row, speakers = names["row"], np.array([[0, 0, 1, 1, 2, 2, 1, 2]])
    other = row.copy()
    other[0, 3] = 11  # said by speaker 1
    before, after = (
        names["dialogue"].predict([x, 0 * x, speakers], verbose=0) for x in (row, other)
    )
    changed = np.abs(after - before).max(axis=(0, 2)) > 1e-6
    assert changed.tolist() == [False, False, True, True, False, False, True, False]


@pytest.mark.spread(by="page")
def test_the_family_comes_back_and_carries_a_task(page):
    names, _ = page
    row = names["row"]
    before, after = (names[n].predict([row, 0 * row], verbose=0) for n in ("gated", "loaded"))
    np.testing.assert_allclose(after, before, atol=1e-6)
    assert "missing" not in str(names["loaded"].load_report)
    answer = names["choices"](("What do cats drink?", ["milk", "stones"]))
    assert answer.answer in ("milk", "stones")


@pytest.mark.spread(by="page")
def test_the_relative_writes_the_names_of_transformers(page, tmp_path):
    """Those of `RobertaPreLayerNormModel`, which has no root in a file without heads."""
    from bert4keras import checkpoints

    names, _ = page
    checkpoints.save(names["relative"], tmp_path / "saved", format="huggingface")
    with checkpoints.open_checkpoint(tmp_path / "saved") as reader:
        found = {name for name in reader.names if "LayerNorm.weight" in name}
    norms = ("attention", "intermediate")
    blocks = {f"encoder.layer.{i}.{norm}.LayerNorm.weight" for i in range(2) for norm in norms}
    assert found == {"LayerNorm.weight", "embeddings.LayerNorm.weight", *blocks}
