"""Damaged files: every reader reads them or ends in one line that names the file."""

from __future__ import annotations

import contextlib
import json
import lzma
import resource
import signal
import sqlite3
import time
import warnings

import numpy as np
import pytest

from bert4keras import data
from bert4keras.tasks import (
    classification,
    generation,
    linking,
    reading,
    relations,
    similarity,
    tagging,
)
from bert4keras.tasks.linking.readers import read_conll_documents
from bert4keras.tasks.sql import execute, read_table_questions

pytestmark = pytest.mark.spread

SECONDS, KILOBYTES = 10, 2_000_000

COLUMNS = "-DOCSTART- -X- O\n\nEU NNP I-ORG\nrejects VBZ O\nGerman JJ I-MISC\n\nPeter NNP I-PER\n"
WEIBO = "科0\tO\n技1\tO\n张0\tB-PER.NAM\n三1\tI-PER.NAM\n\n北0\tB_LOC\n京1\tE_LOC\n"
TREEBANK = "# a\n1\tEU\t_\tPROPN\tNNP\t_\t_\t_\t_\tSpaceAfter=No\n2-3\tit's" + "\t_" * 8 + "\n"
CLUENER = '{"text": "他去北京大学", "label": {"org": {"北京大学": [[2, 5]]}}}\n'
SHIPPED = '{"text": "他去北京", "entities": [[2, 4, "地名"]]}\n{"text": "a b", "entities": []}\n'
LABELLED = 'text\tlabel\ngood film\t1\n"so ""bad"""\t0\n\nfine\t1\n'
PAIRS = "a good film\tthe film is good\t5.0\nbad\tgood\t0\n"
WEBNLG = '[{"text": "A in B", "triple_list": [["A", "in", "B"]]}]'
DUIE = (
    '{"text": "A是B", "spo_list": [{"subject": "A", "predicate": "是", "object": {"@value": "B"}}]}'
)
SQUAD = (
    '{"data": [{"paragraphs": [{"context": "Ann met Bob.", "qas": [{"id": "1", "question": "Who?", '
    '"answers": [{"text": "Bob", "answer_start": 8}]}]}]}]}'
)
SUBJQA = (
    'question,review,human_ans_indices\n"What, ""sir""?","Good food.\nANSWERNOTFOUND","(0, 4)"\n'
)
WEBQA = '{"id": "q", "question": "谁", "passages": [{"passage": "李白。", "answer": "李白"}]}\n'
WEBQA_ITSELF = (
    '[{"q_key": "1", "question_tokens": ["谁"], "evidences": [{"evidence_tokens": ["李", "白"], '
    '"golden_answers": [["李", "白"]]}]}]'
)
QUERY = (
    '{"table_id": "t", "question": "votes?", "sql": {"sel": 1, "agg": 5, "conds": [[0, 0, "a"], '
    '[1, 1, "3"]]}}\n{"table_id": "t", "question": "?", "sql": {"sel": [1], "agg": [2], '
    '"cond_conn_op": 1, "conds": [[1, 0, "1亿"], [0, 3, "b"]]}}'
)
TABLES = (
    '{"id": "t", "header": ["name", "votes"], "types": ["text", "real"], "rows": [["a", 5], '
    '["b", "N/A"], ["c", "1,234"], ["d", null]]}'
)
BASE = (
    '{"subject_id": 1, "subject": "李白", "alias": ["太白"], "data": [{"predicate": "摘要", '
    '"object": "诗人"}]}\n{"subject_id": "2", "subject": "B", "alias": [], "data": []}'
)
CCKS = '{"text": "李白的诗", "mention_data": [{"offset": "0", "mention": "李白", "kb_id": "1"}]}'
ENTITY = '{"id": 1, "name": "李白", "names": ["太白"], "facts": [["是", "诗人"]]}'
LINKED = '{"text": "李白的诗", "links": [{"start": 0, "end": 2, "entity": "1"}], "topic": "a"}'
VECTORS = "2 3\nthe 0.1 -0.2 3e-1\n李白 1 2 3\n"
LINES = '我  爱  北京\n你 好\n\n{"paragraphs": ["甲", "乙"]}\n'
TITLES = "标题\t正文在这里。\nTitle\tSome text.\n"

PIECES = [
    *(
        "\ufeff",
        "\0",
        "\r",
        "\r\n",
        "\n\n",
        "\u2028",
        "\x85",
        "\u3000",
        "\ud7ff",
        "𠀀",
        "\t",
        "\t\t",
    ),
    *('"', '""', "'", ",", "[", "]", "{", "}", ":", "\\", "\\ud83d", "\\u0000", " ", "#", "# a\n"),
    *(
        "-DOCSTART- O\n",
        "NaN",
        "Infinity",
        "-1",
        "1e999",
        "1e-999",
        "9" * 400,
        "0.5",
        "true",
        "null",
    ),
    *("B-PER", "PER-B", "U-PER", "B_", "O", "-", "_", "½", "1亿", "(1)", "'; DROP TABLE t; --"),
]
BYTES = [b"\xff", b"\xfe\xff", b"\xef\xbb\xbf", b"\x80", b"\xd6\xd0", b"\x00", b"\xed\xa0\x80"]
VALUES = [None, True, -1, 0, 10**30, 1.5, "", "a", "\0", "١", [], [[]], {}, {"a": []}, [1, 2, 3, 4]]


@pytest.fixture
def readers(tmp_path):
    """Pairs of a function of a path, and the contents that it reads."""

    def queries(path):
        (tmp_path / "tables.jsonl").write_text(TABLES, encoding="utf-8")
        return answers(read_table_questions(path, tmp_path / "tables.jsonl"))

    def tables(path):
        (tmp_path / "queries.jsonl").write_text(QUERY, encoding="utf-8")
        try:
            return answers(read_table_questions(tmp_path / "queries.jsonl", path))
        except data.DataFileError as error:  # which may as well be said of the queries
            raise data.DataFileError(str(error).replace("queries.jsonl", path.name)) from None

    def answers(samples):
        for sample in samples:
            with contextlib.suppress(sqlite3.Error, ValueError):
                execute(sample.sql, sample.table)
        return samples

    def random_access(path):
        with data.open(path, indexable=True) as lines:
            assert list(lines) == lines[:]
            return list(lines)

    def documents(path):
        (path.parent / "eng.train").write_bytes(path.read_bytes())
        try:
            return read_conll_documents(path.parent, "train")
        except data.DataFileError as error:
            raise data.DataFileError(str(error).replace("eng.train", path.name)) from None

    def entities(path, **how):
        with warnings.catch_warnings(action="ignore"):  # of tags that break the rules
            return tagging.read_entities(path, **how)

    everything = [COLUMNS, WEIBO, LABELLED, SUBJQA, SHIPPED, SQUAD, LINES]
    return [
        (entities, [COLUMNS, WEIBO, CLUENER, SHIPPED]),
        (lambda path: entities(path, scheme="BILOU"), ["a\tB-X\nb\tL-X\nc\tU-Y\nd\tO\n"]),
        (tagging.read_segmented, [LINES]),
        (lambda path: tagging.read_conllu(path), [TREEBANK]),
        (classification.read_labelled_texts, [LABELLED]),
        (similarity.read_scored_pairs, [PAIRS]),
        (relations.read_relations, [WEBNLG, DUIE]),
        (reading.read_questions, [SQUAD, SUBJQA, WEBQA, WEBQA_ITSELF]),
        (reading.read_squad, [SQUAD]),
        (queries, [QUERY]),
        (tables, [TABLES]),
        (lambda path: [e.text for e in linking.read_knowledge_base(path)], [BASE, ENTITY]),
        (linking.read_linked_texts, [CCKS, LINKED]),
        (lambda path: linking.read_word_vectors(path)[1], [VECTORS]),
        (documents, [COLUMNS]),
        (generation.read_texts, [LINES]),
        (lambda path: generation.read_text_pairs(path, (1, 0)), [TITLES]),
        (data.read_table, everything),
        (data.read_json_rows, everything),
        (random_access, everything),
    ]


def damaged(content: str, rng: np.random.Generator) -> bytes:
    """A content with some damage, of bytes, of characters or of the values of JSON."""
    kind = rng.integers(10)
    if kind == 0:
        return rng.integers(0, 256, rng.integers(0, 200), "uint8").tobytes()
    if kind == 1:
        return content.encode(rng.choice(["gb18030", "utf-16", "utf-32", "utf-16-le", "utf-8-sig"]))
    if kind == 2:
        return (content[: rng.integers(len(content))] + "[{"[rng.integers(2)] * 20_000).encode()
    if kind in (3, 4) and content.lstrip()[0] in "[{":
        lines = content.split("\n") if content[0] == "{" else [content]
        values = [
            replaced(json.loads(line), rng) for line in lines if line.strip()[:1] in ("[", "{")
        ]
        return "\n".join(json.dumps(v, ensure_ascii=bool(rng.integers(2))) for v in values).encode(
            "utf-8", "surrogatepass"
        )
    for _ in range(rng.integers(1, 5)):
        a, b = sorted(rng.integers(0, len(content) + 1, 2))
        piece = PIECES[rng.integers(len(PIECES))]
        content = [
            content[:a] + piece + content[a:],
            content[:a] + piece + content[b:],
            content[:a] + content[a:b] * 2 + content[b:],
            content[:a] + content[b:],
            content.replace(content[a : a + 1] or "a", piece),
        ][rng.integers(5)]
    raw = content.encode()
    if kind == 5:
        a = rng.integers(len(raw) + 1)
        raw = raw[:a] + BYTES[rng.integers(len(BYTES))] + raw[a + rng.integers(2) :]
    return raw


def replaced(value, rng: np.random.Generator):
    """A value of JSON, parts of which are others."""
    if rng.random() < 0.1:
        return VALUES[rng.integers(len(VALUES))]
    if isinstance(value, dict):
        keys = [key if rng.random() > 0.03 else "x" for key in value]
        return dict(zip(keys, (replaced(v, rng) for v in value.values()), strict=True))
    if isinstance(value, list):
        found = [replaced(v, rng) for v in value]
        return found * int(rng.integers(0, 3)) if rng.random() < 0.1 else found
    return value


def refusal(reader, path) -> str | None:
    """Return the reason why a file is not read, or None; other errors are bugs of the reader."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of answers at another place
            repr(reader(path)).encode()
    except data.DataFileError as error:
        return str(error)
    return None


def too_slow(*_):
    raise AssertionError(f"more than {SECONDS} s")


def attack(readers, directory, count: int, seed: int) -> int:
    """Reads damaged files; returns how many could be read nevertheless."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    handler = signal.signal(signal.SIGALRM, too_slow)
    read = 0
    try:
        for number in range(count):
            rng = np.random.default_rng([seed, number])
            reader, contents = readers[number % len(readers)]
            content = contents[rng.integers(len(contents))]
            suffix = {SUBJQA: ".csv"}.get(content, ".txt")
            packed = rng.random() < 0.05
            path = directory / f"damaged{suffix}{'.xz' * packed}"
            raw = damaged(content, rng)
            raw = lzma.compress(raw)[: -int(rng.integers(1, 9))] if packed else raw
            path.write_bytes(raw)
            signal.alarm(SECONDS)
            try:
                message = refusal(reader, path)
            except Exception as error:
                where = f"input {number} of reader {number % len(readers)}: {raw[:300]}"
                raise AssertionError(where) from error
            finally:
                signal.alarm(0)
            assert message is None or message.startswith(str(path)), (number, message)
            assert "\n" not in (message or ""), (number, message)
            read += message is None
    finally:
        signal.signal(signal.SIGALRM, handler)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < KILOBYTES
    return read


def test_whole_files_are_read(readers, tmp_path):
    """The negative control: without damage no reader refuses its files."""
    for reader, contents in readers[:-3]:
        for content in contents:
            suffix = {SUBJQA: ".csv"}.get(content, ".txt")
            (tmp_path / f"whole{suffix}").write_text(content, encoding="utf-8")
            assert len(reader(tmp_path / f"whole{suffix}"))


def test_damaged_files(readers, tmp_path):
    assert 50 < attack(readers, tmp_path, 500, seed=0) < 450


@pytest.mark.slow
def test_many_damaged_files(readers, tmp_path):
    started = time.perf_counter()
    read = attack(readers, tmp_path, 20_000, seed=1)
    print(f"{read} of 20000 read, {time.perf_counter() - started:.0f} s")
