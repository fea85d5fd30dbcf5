"""Files of reading comprehension: every format, repaired places, and what is refused."""

from __future__ import annotations

import csv
import json
import lzma

import pytest

from bert4keras.data import DataFileError
from bert4keras.tasks.reading import (
    Answer,
    Question,
    read_json_questions,
    read_questions,
    read_squad,
    read_webqa,
)
from bert4keras.tasks.reading.readers import nearest

pytestmark = pytest.mark.spread

SOGOU = [
    {
        "id": "q1",
        "question": "首都是哪里？",
        "passages": [
            {"passage": "北京是首都，首都北京很大。", "answer": "北京"},
            {"passage": "上海很大。", "answer": ""},
        ],
    },
    {"id": "q2", "question": "谁来了？", "passages": [{"passage": "小王来了。", "answer": "小王"}]},
]
WEBQA = {
    "q_key": "w1",
    "question_tokens": ["首都", "是", "哪里", "？"],
    "evidences": [
        {"evidence_tokens": ["北京", "是", "首都"], "golden_answers": [["北", "京"], ["京城"]]},
        {"evidence_tokens": ["上海"], "golden_answers": [["no_answer"]]},
    ],
}
SUBJQA = [
    ("How is it?", "It is good. ANSWERNOTFOUND", "(6, 10)"),
    ("How is it?", "It is good. ANSWERNOTFOUND", "(12, 26)"),
    ("Why?", 'He said, "no". ANSWERNOTFOUND', "(15, 29)"),
]


def squad(*asked, context="甲乙丙丁乙丙") -> dict:
    return {"data": [{"title": "t", "paragraphs": [{"context": context, "qas": list(asked)}]}]}


def question(*answers, **more) -> dict:
    answers = [{"text": text, "answer_start": start} for text, start in answers]
    return {"id": "q", "question": "谁？", "answers": answers, **more}


def write(path, content, encoding="utf-8"):
    text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
    raw = text.encode(encoding)
    path.write_bytes(lzma.compress(raw) if path.suffix == ".xz" else raw)
    return path


def subjqa(path, rows=SUBJQA):
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["question", "review", "human_ans_indices"])
        writer.writerows(rows)
    return path


@pytest.mark.parametrize("name", ["a.json", "a.json.xz"])
def test_answers_are_found_where_they_are(tmp_path, name):
    asked = [
        question(("乙丙", 1), ("乙丙", 1), ("丁", 3)),
        question(("乙丙", 3)),
        question(("乙丙", -7)),
        question((" 丙 ", 1)),
        question(("戊", 0)),
        question(is_impossible=True),
    ]
    path = write(tmp_path / name, squad(*asked))
    with pytest.warns(UserWarning, match=r"a\.json.*: 2 answers are not at .* and 1 do not"):
        samples = read_squad(path)
    assert {asked for asked, _ in samples} == {Question("谁？", ("甲乙丙丁乙丙",), "q")}
    assert [label for _, label in samples] == [
        (Answer("乙丙", 1, 3), Answer("丁", 3, 4)),
        (Answer("乙丙", 4, 6),),
        (Answer("乙丙", 1, 3),),
        (Answer("丙", 2, 3),),
        (Answer("戊", -1, -1),),
        (),
    ]
    with pytest.warns(UserWarning, match="not at the place"):
        assert read_questions(path) == samples


def test_encodings_and_line_ends(tmp_path):
    content = squad(question(("乙丙", 1)))
    wanted = read_squad(write(tmp_path / "a.json", content))
    text = json.dumps(content, ensure_ascii=False, indent=1)
    assert read_questions(write(tmp_path / "b.json", text, "utf-8-sig")) == wanted
    assert read_questions(write(tmp_path / "c.json", text.replace("\n", "\r\n"))) == wanted
    path = write(tmp_path / "d.json", text, "gb18030")
    assert read_questions(path, encoding="gb18030") == wanted
    with pytest.raises(DataFileError, match="iconv -f GB18030"):
        read_questions(path)


def test_sogou(tmp_path):
    for name, indent in (("a.json.xz", 1), ("b.json", None)):
        text = json.dumps(SOGOU, ensure_ascii=False, indent=indent)
        (first, label), (second, _) = read_questions(write(tmp_path / name, text))
        assert first == Question("首都是哪里？", ("北京是首都，首都北京很大。", "上海很大。"), "q1")
        assert label == (Answer("北京", 0, 2), Answer("北京", 8, 10))  # every place
        assert second.id == "q2"


def test_webqa(tmp_path):
    path = write(tmp_path / "a.json", json.dumps(WEBQA) + "\n" * 2)
    ((asked, label),) = read_questions(path)
    assert asked == Question("首都是哪里？", ("北京是首都", "上海"), "w1")
    assert label == (Answer("北京", 0, 2), Answer("京城", -1, -1))
    assert read_webqa(path) == [(asked, label)]


def test_subjqa(tmp_path):
    samples = read_questions(subjqa(tmp_path / "a.csv"))
    assert samples == [
        (Question("How is it?", ("It is good. ",)), (Answer("good", 6, 10),)),
        (Question("Why?", ('He said, "no". ',)), ()),
    ]


def test_lines_of_ones_own(tmp_path):
    rows = [
        {"question": "Who?", "passage": "Ann or Ann.", "answers": ["Ann"]},
        {"question": "Who?", "context": "Ann.", "answer": {"text": "Ann", "start": 2}, "id": 7},
        {"question": "Who?", "passages": ["Bob.", "Ann."], "answer": "Ann"},
        {"question": "Who?", "passages": ["A", "Ann"], "answers": [{"text": "Eve"}, "Joe"]},
        {"question": "Who?", "passage": "Ann."},
    ]
    path = write(tmp_path / "a.jsonl", "\n".join(map(json.dumps, rows)))
    samples = read_questions(path)
    assert samples == read_json_questions(path)
    assert [label for _, label in samples] == [
        (Answer("Ann", 0, 3), Answer("Ann", 7, 10)),
        (Answer("Ann", 0, 3),),
        (Answer("Ann", 0, 3, passage=1),),
        (Answer("Eve", -1, -1), Answer("Joe", -1, -1)),
        (),
    ]
    assert samples[1][0] == Question("Who?", ("Ann.",), "7")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.json", "{", r"a\.json cannot be read: it is neither JSON nor a table"),
        ("a.json", "Hello", r"a\.json cannot be read: it is neither JSON nor a table"),
        ("a.json", '{"data": [', r"a\.json, line 1: no JSON"),
        ("a.json", '{"data": [{}]}', r"data\[0\]: .*no 'paragraphs'"),
        ("a.json", squad({"id": "1"}), r"data\[0\]\.paragraphs\[0\]\.qas\[0\]: .*no 'answers'"),
        ("a.json", squad(question(("a", "1"))), r"qas\[0\]: .*'1' is not an integer"),
        ("a.json", squad(question((5, 1))), r"qas\[0\]: .*5 is not a string"),
        ("a.json", squad(question(), context=None), r"qas\[0\]: .*None is not a string"),
        ("a.json", squad(), "it has no questions"),
        ("no.json", None, "cannot be read: .*No such file"),
        ("a.json", '[{"id": 1, "question": "?", "passages": [{}]}]', "row 1: not the format of We"),
        ("a.json", '[{"question": "?", "passages": [3]}]', "row 1: not a question .*3 is not a st"),
        ("b.json", '[{"x": 1}]', "row 1: not a question with its passage and answers: no 'con"),
        ("b.json", '[{"question": "a", "passage": ""}, 3]', "row 2: expected a JSON object"),
        ("c.json", '{"q_key": 1', r"c\.json, line 1: no JSON"),
        ("d.json", "[]", "it has no questions"),
        ("e.csv", "a,b\n1,2\n", "line 2: not the format of SubjQA: no 'review'"),
        ("f.csv", "question,review,human_ans_indices\nq,r,x y\n", "line 2: not the format"),
        ("g.csv", "question,review,human_ans_indices\n", "it has no questions"),
    ],
)
def test_other_files_are_refused(tmp_path, name, content, message):
    path = tmp_path / name
    if content is not None:
        write(path, content)
    with pytest.raises(DataFileError, match=message) as error:
        read_questions(path)
    assert str(path) in str(error.value)


def test_the_nearest_place():
    text = "a" * 100_000
    assert nearest(text + "b" + text, text, 99_990) == 100_001
    assert nearest("abcabc", "abc", 2) == 3
    assert nearest("abcabc", "abc", 1) == 0
    assert nearest("abc", "", 1) == nearest("abc", "d", 1) == -1
