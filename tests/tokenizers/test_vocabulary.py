"""Vocabulary files."""

from __future__ import annotations

import pytest

from bert4keras.tokenizers import load_vocab, save_vocab

pytestmark = pytest.mark.spread

TOKENS = ["[PAD]", "[unused1]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "的", "##的", "the", "##e"]
TOKENS += ["!", "...", "##!", "\u3000", "é"]


@pytest.mark.parametrize(("ending", "start"), [("\n", b""), ("\r\n", b""), ("\n", b"\xef\xbb\xbf")])
def test_load(tmp_path, ending, start):
    path = tmp_path / "vocab.txt"
    path.write_bytes(start + ending.join(TOKENS).encode() + ending.encode())
    assert load_vocab(path) == {token: i for i, token in enumerate(TOKENS)}


def test_simplified(tmp_path):
    save_vocab(tmp_path / "vocab.txt", {token: i for i, token in enumerate(TOKENS)})
    kept = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "的", "the", "##e", "!", "\u3000", "é"]
    token_dict, keep_tokens = load_vocab(tmp_path / "vocab.txt", simplified=True)
    assert list(token_dict) == kept
    assert list(token_dict.values()) == list(range(len(kept)))
    assert [TOKENS[i] for i in keep_tokens] == kept
    token_dict, keep_tokens = load_vocab(
        tmp_path / "vocab.txt", simplified=True, startswith=["[SEP]", "的"]
    )
    assert list(token_dict)[:3] == ["[SEP]", "的", "the"]
    with pytest.raises(ValueError, match="nowhere"):
        load_vocab(tmp_path / "vocab.txt", simplified=True, startswith=["nowhere"])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a\nb\na\n", "'a' twice, in lines 1 and 3"),
        (b"a\n\nb\n", "Line 2 of .* is empty"),
        (b"", "Line 1 of .* is empty"),
        (b"a\n\xff\n", "not a text file in utf-8"),
        (b"a\nthe \n", r"Line 2 of .* is 'the ': a token with blanks around it"),
        (b"a\r\n the\r\n", r"Line 2 of .* is ' the': a token with blanks around it"),
        (b"a\nthe 12\n", r"Line 2 of .* is 'the 12', which looks like a token with a count"),
    ],
)
def test_bad_files(tmp_path, content, message):
    (tmp_path / "vocab.txt").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        load_vocab(tmp_path / "vocab.txt")


def test_lines_with_blanks(tmp_path):
    """A line is a token, as in transformers; a count behind each is no part of it."""
    path = tmp_path / "vocab.txt"
    path.write_bytes("a\nnew york\nx\u3000y\n \n\u2028\n".encode())
    assert list(load_vocab(path)) == ["a", "new york", "x\u3000y", " ", "\u2028"]
    path.write_bytes(b"a 5\nthe\t10\r\n")
    assert load_vocab(path) == {"a": 0, "the": 1}


def test_no_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere\.txt"):
        load_vocab(tmp_path / "nowhere.txt")
    with pytest.raises(ValueError, match="directory"):
        load_vocab(tmp_path)


def test_save_replaces_only_when_all_is_well(tmp_path):
    path = tmp_path / "vocab.txt"
    save_vocab(path, {"b": 1, "a": 0})
    assert path.read_bytes() == b"a\nb\n"
    on_line = "do not fit on a line"
    broken = [({token: 0}, on_line) for token in ("a\n", "\r", "", "a ", "a 5")]
    for bad, message in [({"a": 1}, "ids must be 0"), *broken]:
        with pytest.raises(ValueError, match=message):
            save_vocab(path, bad)
    with pytest.raises(UnicodeEncodeError):
        save_vocab(path, {"a": 0, "中": 1}, encoding="ascii")
    assert path.read_bytes() == b"a\nb\n"
    assert list(tmp_path.iterdir()) == [path]
