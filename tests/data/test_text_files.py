"""Text, JSON and tables, read strictly."""

from __future__ import annotations

import gzip
import io
import json
import lzma
import os
import tracemalloc
import zipfile

import pytest

from bert4keras.data import (
    DataFileError,
    LineFile,
    parse_json_text,
    read_json_rows,
    read_lines,
    read_table,
    read_text,
    text_files,
)
from bert4keras.data import open as open_file
from bert4keras.data.text_files import is_header

pytestmark = pytest.mark.spread


def write(path, content):
    raw = content.encode() if isinstance(content, str) else content
    pack = {".xz": lzma.compress, ".gz": gzip.compress}.get(path.suffix.lower(), bytes)
    path.write_bytes(pack(raw))
    return path


@pytest.mark.parametrize("name", ["a.txt", "a.txt.xz", "a.txt.GZ"])
@pytest.mark.parametrize(
    ("content", "lines"),
    [
        ("\ufeffa\nb\n", ["a", "b"]),
        ("\ufeffa\r\nb", ["a", "b"]),
        ("a\rb\r", ["a", "b"]),
        ("a\rb\nc", ["a\rb", "c"]),  # a lone \r is a character among others
        ("a\u2028b\x85c\x0bd\x0ce\x1cf\n\ng", ["a\u2028b\x85c\x0bd\x0ce\x1cf", "", "g"]),
        ("a\n\ufeffb", ["a", "b"]),  # files that were joined
        ("中\n文".encode("utf-16"), ["中", "文"]),
        ("\ufeff中\n文".encode("utf-16-be"), ["中", "文"]),
        ("中\n文".encode("utf-32"), ["中", "文"]),
        ("", [""]),
    ],
)
def test_lines(tmp_path, name, content, lines):
    assert read_lines(write(tmp_path / name, content)) == lines


def test_an_encoding_that_is_given(tmp_path):
    path = write(tmp_path / "a.txt", "中\n文".encode("gbk"))
    assert read_text(path, "gbk") == "中\n文"
    path = write(tmp_path / "b.txt", "\ufeff中")  # what the mark says counts
    assert read_text(path, "gbk") == "中"
    path = write(tmp_path / "c.jsonl.gz", '{"text": "中𠮷"}\n'.encode("gb18030"))
    assert read_json_rows(path, "gb18030") == [(f"{path}, line 1", {"text": "中𠮷"})]
    path = write(tmp_path / "d.csv.gz", "中,文\n".encode("gb18030"))
    assert read_table(path, "gb18030") == [(1, ["中", "文"])]
    assert read_lines(path, "gb18030") == ["中,文"]
    with pytest.raises(DataFileError, match=r"d\.csv\.gz, line 1: byte 0xd6 is not UTF-8"):
        read_table(path)


def zipped():
    with zipfile.ZipFile(file := io.BytesIO(), "w") as archive:
        archive.writestr("a.txt", "中")
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "encoding", "message"),
    [
        ("a\n中".encode("gbk"), None, r"a\.txt, line 2: byte 0xd6 is not UTF-8.*-f GB18030"),
        (b"a\n\nb\xff", None, r"line 3: byte 0xff is not UTF-8.*-f ITS_ENCODING"),
        ("中".encode(), "ascii", "line 1: byte 0xe4 is not ASCII"),
        ("a", "no-such", r"a\.txt cannot be read: unknown encoding"),
        (gzip.compress("中".encode(), mtime=0), None, "a file of gzip; unpack it"),
        (lzma.compress("中".encode()), None, "a file of xz; unpack it"),
        (zipped(), None, "a file of zip"),
        (b"a\nb\0c", None, "line 2: a NUL character"),
        ("ab\nc".encode("utf-16-le"), None, "line 1: a NUL character: .*UTF-16"),
    ],
)
def test_what_is_no_text(tmp_path, content, encoding, message):
    path = write(tmp_path / "a.txt", content)
    with pytest.raises(DataFileError, match=message):
        read_text(path, encoding)


def test_what_is_no_file(tmp_path, monkeypatch):
    with pytest.raises(DataFileError, match=r"none cannot be read: .*No such file"):
        read_text(tmp_path / "none")
    with pytest.raises(DataFileError, match="not a regular file"):
        read_text(tmp_path)
    os.mkfifo(tmp_path / "pipe")  # opening it would wait for a writer
    for read in (read_text, LineFile):
        with pytest.raises(DataFileError, match="pipe cannot be read: it is not a regular file"):
            read(tmp_path / "pipe")
    (tmp_path / "a.xz").write_bytes(lzma.compress(b"abc")[:-8])
    with pytest.raises(DataFileError, match=r"a\.xz cannot be read"):
        read_text(tmp_path / "a.xz")
    damaged = bytearray(gzip.compress(bytes(range(256)) * 9))
    damaged[20:40] = b"\xff" * 20
    for content in (gzip.compress(b"abc")[:-4], b"no gzip", bytes(damaged)):
        (tmp_path / "a.gz").write_bytes(content)
        with pytest.raises(DataFileError, match=r"a\.gz cannot be read"):
            read_text(tmp_path / "a.gz")
    monkeypatch.setattr(text_files, "MAX_UNPACKED", 1000)
    for name in ("b.xz", "b.gz"):
        with pytest.raises(DataFileError, match="unpacks to more than 1000 bytes"):
            read_text(write(tmp_path / name, "a" * 1001))
        assert read_text(write(tmp_path / name, "a" * 1000)) == "a" * 1000


@pytest.mark.parametrize("name", ["a.xz", "a.gz"])
def test_a_file_that_unpacks_to_too_much_takes_no_memory(tmp_path, monkeypatch, name):
    monkeypatch.setattr(text_files, "MAX_UNPACKED", 1 << 20)
    path = write(tmp_path / name, bytes(1 << 26))
    tracemalloc.start()
    with pytest.raises(DataFileError, match="unpacks to more than"):
        read_text(path)
    assert tracemalloc.get_traced_memory()[1] < 1 << 24
    tracemalloc.stop()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": 1, "b": {"c": 1, "c": 2}}', "the key 'c' occurs twice"),
        ("[1, NaN]", "NaN is no number"),
        ("-Infinity", "-Infinity is no number"),
        ("1e999", "1e999 is too large"),
        ('"\\ud83d"', "half of a surrogate pair"),
        ('{"\\uD83D": 1}', "half of a surrogate pair"),
        ("[" * 100_000, "nested too deeply"),
        ('{"a":' * 100_000, "nested too deeply"),
        ("9" * 5000, "no JSON that can be read"),
        ("{'a': 1}", "no JSON: .* at column 2"),
        ("", "no JSON"),
        ("[1,\n2,\n]", "no JSON: Expecting value at column 1"),
    ],
)
def test_what_is_no_json(text, message):
    with pytest.raises(DataFileError, match=f"f, line .*{message}"):
        parse_json_text(text, "f", 7)
    assert parse_json_text('{"a": ["\\ud83d\\ude00", 1.5]}', "f") == {"a": ["😀", 1.5]}


@pytest.mark.parametrize(
    ("content", "places"),
    [
        ('\ufeff{"a": 1}\n\n{"a": "\u2028"}\n', ["line 1", "line 3"]),
        ('\ufeff[{"a": 1},\n{"a": "\u2028"}]', ["row 1", "row 2"]),
        (' [\n{"a": 1}, {"a": "\\u2028"}\r\n]', ["row 1", "row 2"]),
    ],
)
def test_rows_of_json(tmp_path, content, places):
    path = write(tmp_path / "a.json", content)
    rows = [(f"{path}, {places[0]}", {"a": 1}), (f"{path}, {places[1]}", {"a": "\u2028"})]
    assert read_json_rows(path) == rows


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"a": 1}\n5', "line 2: expected a JSON object, not '5'"),
        ('[{"a": 1}, [2]]', "row 2: expected a JSON object"),
        ('{"a": 1}\n{"a": 1}}', "line 2: no JSON: Extra data at column 9"),
        ('{"a": 1}\n{"a": 1, "a": 2}', "line 2: .*'a' occurs twice"),
        ("text\tlabel", "line 1: no JSON"),
    ],
)
def test_what_are_no_rows_of_json(tmp_path, content, message):
    path = write(tmp_path / "a.json", content)
    with pytest.raises(DataFileError, match=rf"a\.json, {message}"):
        read_json_rows(path)


@pytest.mark.parametrize(
    ("name", "content", "rows"),
    [
        ("a.tsv", '\ufeffa\t"b"\n\n c\t\n', [(1, ["a", '"b"']), (3, [" c", ""])]),
        ("a.tsv", 'a\t"\nb\t"x', [(1, ["a", '"']), (2, ["b", '"x'])]),
        ("a.tsv", '"so ""x"" y"\t1\nb\t2', [(1, ['so "x" y', "1"]), (2, ["b", "2"])]),
        ("a.tsv", '"""x"""\t1', [(1, ['"x"', "1"])]),
        ("a.tsv", '"a\tb"\t"1"\n"c"\t"2"', [(1, ['"a', 'b"', '"1"']), (2, ['"c"', '"2"'])]),
        ("a.tsv", '"a"\t"1"\n"c"\t"2"', [(1, ["a", "1"]), (2, ["c", "2"])]),
        ("a.csv", 'a,"b, c"\r\n"d\ne",1\n,\n', [(1, ["a", "b, c"]), (3, ["d\ne", "1"])]),
        ("a.csv.xz", "a,b", [(1, ["a", "b"])]),
        ("a.tsv", "a\u2028b\x85\tc", [(1, ["a\u2028b\x85", "c"])]),
    ],
)
def test_tables(tmp_path, name, content, rows):
    assert read_table(write(tmp_path / name, content)) == rows


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", 'a,b\n"c,d\n', r"a\.csv, line 2: unexpected end of data \(fields are quoted"),
        ("a.csv", 'a,"b"c\n', "line 1: .*expected"),
        ("a.tsv", '"so ""x"" y"\t1\n"b\t2', "line 2: unexpected end"),
        ("a.csv", "a" * 200_000, "line 1: field larger than field limit"),
    ],
)
def test_what_are_no_tables(tmp_path, name, content, message):
    with pytest.raises(DataFileError, match=message):
        read_table(write(tmp_path / name, content))


@pytest.mark.parametrize(
    ("cells", "header"),
    [
        (["text", "label"], True),
        (["Sentence1", "text_b", "Gold Label"], True),
        (["Quality", "#1 ID", "#2 String"], True),
        (["文本", "标签"], True),
        (["a good text", "label"], False),
        (["fine", "1"], False),
        (["text", "1"], False),
        (["text", ""], False),
        ([], False),
    ],
)
def test_headers(cells, header):
    assert is_header(cells) is header


def test_files_for_random_access(tmp_path):
    path = write(tmp_path / "a.txt", "\ufeffa\n\ufeffb\n")
    for encoding in ("utf-8", "UTF8", "utf_8", "utf-8-sig"):
        with open_file(path, encoding=encoding, indexable=True) as lines:
            assert list(lines) == lines[:] == ["a\n", "\ufeffb\n"]
        with open_file(path, encoding=encoding) as file:
            assert file.readline() == "a\n"
    with open_file(write(path, b"a\nb\n\xff\n"), indexable=True) as lines:
        assert lines[1] == "b\n"
        with pytest.raises(DataFileError, match=r"a\.txt, line 3: .*can't decode"):
            lines[2]
        with pytest.raises(DataFileError, match="line 3"):
            list(lines)


def test_json_with_many_equal_keys_takes_no_time(tmp_path):
    keys = ", ".join(f'"{i}": 1' for i in range(100_000))
    with pytest.raises(DataFileError, match="'7' occurs twice"):
        parse_json_text(f'{{{keys}, "7": 1}}', "f")
    assert len(json.loads(f"{{{keys}}}")) == 100_000
