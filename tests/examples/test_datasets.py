"""The data sets under examples/datasets: format, size, balance, and no leak between splits."""

from __future__ import annotations

import itertools
import re
import subprocess
import sys
from pathlib import Path

import pytest

DATASETS = Path(__file__).resolve().parents[2] / "examples" / "datasets"
pytestmark = pytest.mark.spread
NEAR_DUPLICATE = 0.7  # Jaccard similarity of the word sets

# name: (text columns, rows of each split)
LABELLED = {
    "reviews": (1, {"train": 336, "valid": 64, "test": 160}),
    "sentence_pairs": (2, {"train": 464, "valid": 96, "test": 160}),
    "reviews_zh": (1, {"train": 80, "test": 40}),
}
CORPORA = {"corpus_en.txt": 150, "corpus_zh.txt": 150, "tea_zh.txt": 60}
SPLITS = [(name, split) for name, (_, sizes) in LABELLED.items() for split in sizes]


def read_lines(path: Path) -> list[str]:
    """Lines of a UTF-8 file that must use LF and end with it."""
    raw = path.read_bytes()
    if b"\r" in raw or raw.startswith(b"\xef\xbb\xbf") or not raw.endswith(b"\n"):
        raise ValueError(f"{path.name}: expected LF line ends, no byte order mark, a final newline")
    return raw.decode("utf-8").split("\n")[:-1]


def read_rows(path: Path, text_columns: int) -> list[tuple[tuple[str, ...], int]]:
    """Rows ((text, ...), label) of a tab-separated file without a header."""
    rows = []
    for number, line in enumerate(read_lines(path), start=1):
        *texts, label = line.split("\t")
        if len(texts) != text_columns:
            raise ValueError(f"{path.name}:{number}: {len(texts)} text columns, not {text_columns}")
        if label not in ("0", "1"):
            raise ValueError(f"{path.name}:{number}: label {label!r} is neither 0 nor 1")
        if any(not text or text != text.strip() for text in texts):
            raise ValueError(f"{path.name}:{number}: empty text or space around it")
        rows.append((tuple(texts), int(label)))
    return rows


def read_split(name: str, split: str) -> list[tuple[tuple[str, ...], int]]:
    return read_rows(DATASETS / name / f"{split}.tsv", LABELLED[name][0])


def words(text: str) -> frozenset[str]:
    """Word set of a text; a Chinese character counts as a word."""
    return frozenset(re.findall(r"[\u4e00-\u9fff]|[^\W\u4e00-\u9fff]+", text.lower()))


def jaccard(first: frozenset[str], second: frozenset[str]) -> float:
    return len(first & second) / len(first | second)


def near_duplicates(texts: list[str]) -> list[tuple[str, str]]:
    bags = [(text, words(text)) for text in texts]
    return [
        (first, second)
        for (first, a), (second, b) in itertools.combinations(bags, 2)
        if jaccard(a, b) > NEAR_DUPLICATE
    ]


def longest_run(labels: list[int]) -> int:
    return max(len(list(group)) for _, group in itertools.groupby(labels))


@pytest.mark.parametrize(("name", "split"), SPLITS)
def test_split_has_its_size_and_is_balanced_and_shuffled(name: str, split: str) -> None:
    labels = [label for _, label in read_split(name, split)]
    assert len(labels) == LABELLED[name][1][split]
    assert 2 * sum(labels) == len(labels)
    assert longest_run(labels) <= 12  # 2 ** -12 a start: far beyond what a shuffle gives here


@pytest.mark.parametrize("name", ["reviews", "reviews_zh"])
def test_no_near_duplicates_within_or_across_splits(name: str) -> None:
    rows = [row for split in LABELLED[name][1] for row in read_split(name, split)]
    assert near_duplicates([texts[0] for texts, _ in rows]) == []


def sentences_of_pairs(split: str) -> dict[str, list[int]]:
    """The labels of the pairs that each sentence of a split occurs in."""
    labels: dict[str, list[int]] = {}
    for texts, label in read_split("sentence_pairs", split):
        for text in texts:
            labels.setdefault(text, []).append(label)
    return labels


@pytest.mark.parametrize("split", LABELLED["sentence_pairs"][1])
def test_one_sentence_of_a_pair_says_nothing(split: str) -> None:
    """Each occurs in one pair that means the same and in one that does not."""
    assert all(sorted(labels) == [0, 1] for labels in sentences_of_pairs(split).values())
    pairs = [frozenset(texts) for texts, _ in read_split("sentence_pairs", split)]
    assert len(set(pairs)) == len(pairs)
    assert all(len(pair) == 2 for pair in pairs)


@pytest.mark.parametrize(
    ("first", "second"), list(itertools.combinations(LABELLED["sentence_pairs"][1], 2))
)
def test_no_sentence_of_a_pair_is_near_one_of_another_split(first: str, second: str) -> None:
    bags = [[words(text) for text in sentences_of_pairs(split)] for split in (first, second)]
    assert max(jaccard(a, b) for a, b in itertools.product(*bags)) <= NEAR_DUPLICATE


def test_word_overlap_does_not_give_away_the_pairs() -> None:
    """No threshold on the overlap, in either direction, separates the classes."""
    rows = [
        row
        for split in LABELLED["sentence_pairs"][1]
        for row in read_split("sentence_pairs", split)
    ]
    overlaps = [(jaccard(words(a), words(b)), label) for (a, b), label in rows]
    for threshold in {overlap for overlap, _ in overlaps}:
        right = sum((overlap >= threshold) == bool(label) for overlap, label in overlaps)
        assert 0.25 < right / len(overlaps) < 0.75


def test_reviews_vary_in_length() -> None:
    lengths = [
        len(t[0].split())
        for split in LABELLED["reviews"][1]
        for t, _ in read_split("reviews", split)
    ]
    assert min(lengths) >= 3
    assert max(lengths) <= 50
    assert sum(n <= 6 for n in lengths) >= 20
    assert sum(n >= 20 for n in lengths) >= 40


@pytest.mark.parametrize(("name", "size"), CORPORA.items())
def test_corpus_lines(name: str, size: int) -> None:
    lines = read_lines(DATASETS / name)
    assert len(lines) == size
    assert all(line and line == line.strip() and "\t" not in line for line in lines)
    assert near_duplicates(lines) == []


@pytest.mark.parametrize(
    "name", ["reviews_zh/train.tsv", "reviews_zh/test.tsv", "corpus_zh.txt", "tea_zh.txt"]
)
def test_chinese_files_are_chinese(name: str) -> None:
    for line in read_lines(DATASETS / name):
        assert len(re.findall(r"[\u4e00-\u9fff]", line)) >= 5, line


GENERATORS = sorted(path.parent.name for path in DATASETS.glob("*/generate.py"))


@pytest.mark.parametrize("name", GENERATORS)
def test_a_generator_makes_the_shipped_files(name: str, tmp_path: Path) -> None:
    """Also under another hash seed, which changes the order of sets."""
    command = [sys.executable, DATASETS / name / "generate.py", tmp_path]
    subprocess.run(command, check=True, env={"PYTHONHASHSEED": "7"}, stdout=subprocess.DEVNULL)
    made = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert made == {
        path.name: path.read_bytes()
        for path in (DATASETS / name).iterdir()
        if path.suffix in (".json", ".jsonl", ".tsv", ".txt")
    }


@pytest.mark.parametrize("name", GENERATORS)
def test_nothing_of_a_template_is_left(name: str) -> None:
    """[a|b] is a choice of a template, {x} a gap; both are of the generators only."""
    files = [path for path in (DATASETS / name).iterdir() if path.suffix in (".tsv", ".txt")]
    for path in files:
        left = [line for line in read_lines(path) if re.search(r"[][{}|\\]|  | [,.;]", line)]
        assert left == [], path.name


def test_readme_gives_the_sizes_of_the_files() -> None:
    readme = (DATASETS / "README.md").read_text(encoding="utf-8")
    for name, (_, sizes) in LABELLED.items():
        row = next(line for line in readme.splitlines() if line.startswith(f"| `{name}/`"))
        for split, size in sizes.items():
            assert f"{split} {size}" in row
    for name, size in CORPORA.items():
        row = next(line for line in readme.splitlines() if line.startswith(f"| `{name}`"))
        assert f"{size} lines" in row


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"good\t1\nbad\t2\n", "bad.tsv:2: label '2'"),
        (b"good\t1\nno tab here\n", "bad.tsv:2: 0 text columns, not 1"),
        (b"good\tvery good\t1\n", "2 text columns, not 1"),
        (b"text\tlabel\n", "label 'label'"),
        (b"good \t1\n", "space around it"),
        (b"\t1\n", "empty text"),
        (b"good\t1\r\n", "LF line ends"),
        (b"good\t1", "final newline"),
        (b"\xef\xbb\xbfgood\t1\n", "byte order mark"),
        (b"caf\xe9\t1\n", "utf-8"),
    ],
)
def test_a_bad_file_is_noticed(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "bad.tsv"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=re.escape(message)):
        read_rows(path, text_columns=1)


def test_a_near_duplicate_is_noticed() -> None:
    texts = [
        "The soup was cold and the bread was hard.",
        "The soup was cold, and the bread hard.",
        "Fine.",
    ]
    assert near_duplicates(texts) == [(texts[0], texts[1])]
    assert near_duplicates(["这家面馆的汤很好喝", "这家面馆的汤真好喝", "火车晚点了"]) != []
    assert longest_run([1] * 20 + [0] * 20) > 12
