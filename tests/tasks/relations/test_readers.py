"""Files of triples: WebNLG and DuIE, whole and damaged."""

from __future__ import annotations

import json
import lzma

import pytest

from bert4keras.data import DataFileError
from bert4keras.tasks.relations import read_relations

pytestmark = pytest.mark.spread


def test_formats(tmp_path):
    webnlg = [{"text": "A b C", "triple_list": [["A", "r", "C"]]}, {"text": "D", "triple_list": []}]
    (tmp_path / "a.json.xz").write_bytes(lzma.compress(json.dumps(webnlg).encode()))
    assert read_relations(tmp_path / "a.json.xz") == [("A b C", [("A", "r", "C")]), ("D", [])]
    item = {"predicate": "p", "subject": "A"}
    duie = [
        {"text": "A b C", "spo_list": [{**item, "object": "C"}]},
        {"text": "A b C", "spo_list": [{**item, "object": {"@value": "C", "slot": "b", "no": ""}}]},
    ]
    (tmp_path / "b.json").write_text("\r\n".join(map(json.dumps, duie)), encoding="utf-8-sig")
    first, second = read_relations(tmp_path / "b.json")
    assert first.triples == [("A", "p", "C")]
    assert second.triples == [("A", "p", "C"), ("A", "p_slot", "b")]


def test_another_encoding(tmp_path):
    row = {"text": "他去", "triple_list": [["他", "到", "去"]]}
    path = tmp_path / "a.json"
    path.write_text(json.dumps(row, ensure_ascii=False), encoding="gb18030")
    assert read_relations(path, encoding="gb18030")[0].triples == [("他", "到", "去")]
    with pytest.raises(DataFileError, match=r"a\.json, line 1: byte .* is not UTF-8"):
        read_relations(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('[{"text": "a"}]', r"bad\.json, row 1: expected text and triple_list or spo_list"),
        ('[{"text": "a", "triple_list": [["a", "b"]]}]', "row 1"),
        ('[{"text": 1, "triple_list": []}]', "row 1: expected text"),
        ('{"text": "a", "spo_list": []}\n[1]', "line 2: expected a JSON object"),
        ('{"text": "a", "spo_list": 3}', "line 1: expected text"),
        ("not json", "line 1: no JSON"),
        ("[]", "it has no rows"),
        (None, "cannot be read: .*No such file"),
    ],
)
def test_a_bad_file_is_named(tmp_path, content, message):
    path = tmp_path / "bad.json"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    with pytest.raises(DataFileError, match=message):
        read_relations(path)


def test_predicates_in_two_spellings(tmp_path):
    path = tmp_path / "a.json"
    row = {"text": "ab", "triple_list": [["a", "is in", "b"], ["b", "is  in", "a"]]}
    path.write_text(json.dumps(row), encoding="utf-8")
    with pytest.raises(
        DataFileError, match="line 1: the predicate 'is  in' is also written 'is in'"
    ):
        read_relations(path)
    assert len(read_relations(path, check_spelling=False)[0].triples) == 2
