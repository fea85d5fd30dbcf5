"""Reading texts and labels: tables, JSON lines, pairs, several labels, numbers."""

from __future__ import annotations

import gzip
import lzma

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bert4keras.data import DataFileError
from bert4keras.tasks.classification import LabelledText, read_labelled_texts

pytestmark = pytest.mark.spread


def write(path, text, encoding="utf-8"):
    pack = {".xz": lzma.compress, ".gz": gzip.compress}.get(path.suffix, bytes)
    path.write_bytes(pack(text.encode(encoding)))
    return path


@pytest.mark.parametrize(
    ("name", "content", "options"),
    [
        ("a.tsv", "Good.\tpositive\n坏\tnegative\n", {}),
        ("a.tsv.gz", "\ufefftext\tlabel\r\nGood.\tpositive\r\n坏\tnegative\r\n", {}),
        ("a.csv.xz", 'id,label,text\n1,positive,"Good."\n2,negative,坏\n', {}),
        ("a.csv", "id,文本,标签\n1,Good.,positive\n2,坏,negative\n", {}),
        ("a.tsv", "id\tx\ty\n1\tGood.\tpositive\n2\t坏\tnegative\n", {"columns": ["x", "y"]}),
        ("a.tsv", "1\tpositive\tGood.\n2\tnegative\t坏\n", {"columns": [2, 1]}),
        ("a.tsv", "x\ty\nGood.\tpositive\n坏\tnegative\n", {"header": True, "columns": [0, 1]}),
        (
            "a.jsonl",
            '{"text": "Good.", "label": "positive"}\n\n{"text": "坏", "label": "negative"}',
            {},
        ),
        (
            "tnews.json.gz",
            '{"label": "1", "label_desc": "positive", "sentence": "Good.", "keywords": ""}\n'
            '{"label": "0", "label_desc": "negative", "sentence": "坏", "keywords": ""}\n',
            {},
        ),
        (
            "a.json",
            '[{"x": "Good.", "y": "positive"}, {"x": "坏", "y": "negative"}]',
            {"columns": ["x", "y"]},
        ),
    ],
)
def test_one_text_and_one_label(tmp_path, name, content, options):
    found = read_labelled_texts(write(tmp_path / name, content), **options)
    assert found == [LabelledText("Good.", "positive"), LabelledText("坏", "negative")]


def test_another_encoding(tmp_path):
    path = write(tmp_path / "a.tsv", "真好\t正面\n", "gb18030")
    assert read_labelled_texts(path, encoding="gb18030") == [("真好", "正面")]
    with pytest.raises(DataFileError, match=r"line 1: .* is not UTF-8"):
        read_labelled_texts(path)


def test_pairs_lists_and_numbers(tmp_path):
    path = write(tmp_path / "a.tsv", "sentence1\tsentence2\tscore\na\tb\t2.5\nc\td\t-1\n")
    wanted = [LabelledText(("a", "b"), 2.5), LabelledText(("c", "d"), -1.0)]
    assert read_labelled_texts(path, "regression", pair=True) == wanted
    path = write(tmp_path / "b.tsv", "a\tsport, news,sport\nb\t\nc\t新闻，体育\n")
    wanted = [("a", ("sport", "news")), ("b", ()), ("c", ("新闻", "体育"))]
    assert read_labelled_texts(path, "multi_label") == wanted
    path = write(
        tmp_path / "c.jsonl", '{"text": "a", "labels": ["x", 0]}\n{"text": "b", "labels": []}'
    )
    assert read_labelled_texts(path, "multi_label") == [("a", ("x", "0")), ("b", ())]
    path = write(tmp_path / "d.jsonl", '{"text": "a", "label": 0}')
    assert read_labelled_texts(path) == [("a", "0")]
    path = write(tmp_path / "e.jsonl", '{"text": "a", "score": 3}')
    assert read_labelled_texts(path, "regression") == [("a", 3.0)]


def test_a_header_or_not(tmp_path):
    path = write(tmp_path / "a.tsv", "title\tnews\nb\tc\n")
    assert read_labelled_texts(path) == [("title", "news"), ("b", "c")]
    path = write(tmp_path / "a.tsv", "title\tcategory\nb\tc\n")
    assert read_labelled_texts(path) == [("b", "c")]
    assert read_labelled_texts(path, header=False) == [("title", "category"), ("b", "c")]


@pytest.mark.parametrize(
    ("name", "content", "options", "message"),
    [
        ("a.tsv", "fine\t1\nno label\n", {}, r"a\.tsv, line 2: expected 1 text\(s\) and a label"),
        ("a.tsv", "fine\t1\nfine\t1\textra\n", {}, r"line 2: .* not 3 columns: .*columns="),
        ("a.tsv", "fine\t1\n \t1\n", {}, "line 2: expected a text, not ''"),
        ("a.tsv", "fine\t1\nx\t\n", {}, "line 2: expected a label, not ''"),
        ("a.tsv", "text\tlabel\n", {}, "has no rows|no rows of text and label"),
        ("a.tsv", "", {}, "no rows of text and label"),
        ("a.tsv", "x\t1\t2\n", {"columns": [0, 5]}, "line 1: no column 5"),
        ("a.tsv", "id\ttext\n1\tx\n", {}, r"line 1: which of \['id', 'text'\] are text and label"),
        ("a.tsv", "text\tlabel\nx\t1\n", {"columns": ["text", "y"]}, "no column 'y' in the header"),
        (
            "a.tsv",
            "x\t1_000\n",
            {"problem": "regression"},
            "line 1: expected a number, not '1_000'",
        ),
        ("a.tsv", "x\tnan\n", {"problem": "regression"}, "expected a number, not 'nan'"),
        ("a.tsv", "x\tSport\ny\tsport\n", {"problem": "multi_label"}, "'sport' is also written"),
        ("a.jsonl", '{"text": "x"}', {}, r"line 1: no text and label among \['text'\]"),
        ("a.jsonl", '{"text": "x"}', {"columns": ["text", "y"]}, r"line 1: no 'y' among"),
        ("a.jsonl", '{"text": 3, "label": "x"}', {}, "line 1: expected a text, not '3'"),
        ("a.jsonl", '{"text": "x", "label": null}', {}, "expected a label, not 'None'"),
        ("a.jsonl", '{"text": "x", "label": true}', {}, "expected a label, not 'True'"),
        ("a.jsonl", '{"text": "x", "label": true}', {"problem": "regression"}, "expected a number"),
        ("a.jsonl", '{"text": "x", "label": 1}', {"problem": "multi_label"}, "a list of labels"),
        ("a.jsonl", '{"text": "x", "label": [null]}', {"problem": "multi_label"}, "a label, not"),
        ("a.jsonl", "[1]", {}, "expected a JSON object"),
    ],
)
def test_what_cannot_be_read(tmp_path, name, content, options, message):
    with pytest.raises(DataFileError, match=message):
        read_labelled_texts(write(tmp_path / name, content), **options)


def test_options_that_do_not_fit(tmp_path):
    with pytest.raises(ValueError, match="problem='ranking' must be one of single_label"):
        read_labelled_texts(tmp_path / "a.tsv", "ranking")
    with pytest.raises(ValueError, match=r"must name 2 text\(s\) and the label"):
        read_labelled_texts(tmp_path / "a.tsv", pair=True, columns=[0, 1])
    with pytest.raises(DataFileError, match=r"cannot be read: .*No such file"):
        read_labelled_texts(tmp_path / "none.tsv")


CELLS = st.text(st.sampled_from('ab中\t\n\r,"{}[]:01\ufeff\u2028 '), max_size=40)


@given(
    CELLS,
    st.sampled_from(["a.tsv", "a.csv", "a.jsonl"]),
    st.sampled_from(["single_label", "multi_label", "regression"]),
)
def test_any_content_is_read_or_refused(tmp_path_factory, content, name, problem):
    path = tmp_path_factory.getbasetemp() / name
    path.write_bytes(content.encode())
    try:
        samples, message = read_labelled_texts(path, problem), str(path)
    except DataFileError as error:
        samples, message = [], str(error)
    assert str(path) in message
    assert all(sample.text.strip() for sample in samples)
