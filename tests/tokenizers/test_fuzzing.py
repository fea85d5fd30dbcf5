"""Broken files and odd texts: errors of the project's own, no hang, no memory for nothing."""

from __future__ import annotations

import random
import sys
import time
from collections import Counter

import pytest

from bert4keras.tokenizers import Tokenizer, TokenizerError, save_vocab
from helpers.tokenizers_fuzzing import break_files

pytestmark = [
    pytest.mark.spread,
    pytest.mark.filterwarnings("ignore::bert4keras.tokenizers.UnknownTokensWarning"),
    pytest.mark.filterwarnings("ignore::bert4keras.tokenizers.TokenizerFilesWarning"),
]
VOCAB = "[PAD] [UNK] [CLS] [SEP] [MASK] the storm hello ##s [ ] e ##1 1 中 国 h".split()
ODD_TEXTS = ["the [E1] storm</s> [MASK]中\0\ud800", "aé" * 50, ""]


@pytest.fixture(scope="module")
def sources(directories, tmp_path_factory):
    """Good directories of every kind of tokenizer."""
    tmp_path = tmp_path_factory.mktemp("sources")
    Tokenizer(VOCAB, do_lower_case=True, added_tokens=["[E1]"]).save(tmp_path / "saved")
    files = {
        "added_tokens.json": '{"[E2]": 18, "[E1]": 17}',
        "tokenizer_config.json": '{"do_lower_case": true, "tokenizer_class": "BertTokenizer", '
        '"never_split": ["[MASK]"], "additional_special_tokens": ["[E1]"]}',
        "special_tokens_map.json": '{"pad_token": "[PAD]", "mask_token": {"content": "[MASK]"}}',
        "config.json": '{"model_type": "bert"}',
    }
    (tmp_path / "listed").mkdir()
    for name, text in files.items():
        (tmp_path / "listed" / name).write_text(text)
    save_vocab(tmp_path / "listed" / "vocab.txt", {token: i for i, token in enumerate(VOCAB)})
    whole = Tokenizer.from_pretrained(directories / "t5")
    kept = whole.select_tokens(str.isascii)[::-1]
    small = Tokenizer.from_pretrained(directories / "t5", keep_tokens=kept)
    small.save(tmp_path / "small")
    paths = [*tmp_path.iterdir()] * 3 + [path for path in directories.iterdir() if path.is_dir()]
    return [{file.name: file.read_bytes() for file in path.iterdir()} for path in sorted(paths)]


def use(tokenizer, directory=None) -> None:
    """Do everything that a tokenizer does."""
    for text in ODD_TEXTS:
        ids, segments = tokenizer.encode(text)
        assert len(ids) == len(segments) == len(tokenizer.tokenize(text))
        assert len(tokenizer.offsets(text)) == len(ids)
        assert tokenizer.encode(text, special=True)[0] is not None
        assert isinstance(tokenizer.decode(ids), str)
    assert tokenizer.vocab_size <= 10_000_000
    if directory is not None:
        tokenizer.save(directory)
        assert Tokenizer.from_pretrained(directory).vocab == tokenizer.vocab


def run(sources, tmp_path, seeds) -> Counter:
    outcomes: Counter = Counter()
    for seed in seeds:
        rng = random.Random(seed)
        source = rng.choice(sources)
        broken = break_files(source, rng)
        for path in tmp_path.iterdir():
            if path.is_file() and path.name not in broken:
                path.unlink()
        for name, data in broken.items():
            (tmp_path / name).write_bytes(data)
        start = time.perf_counter()
        try:
            use(Tokenizer.from_pretrained(tmp_path), tmp_path / "saved" if seed % 50 == 0 else None)
            outcomes["made"] += 1
        except TokenizerError:
            outcomes["refused"] += 1
        except BaseException as error:
            raise AssertionError(f"seed {seed}: {error!r}") from error
        assert time.perf_counter() - start < 10, f"seed {seed}"
    return outcomes


def test_broken_files(sources, tmp_path):
    outcomes = run(sources, tmp_path, range(400))
    assert min(outcomes["made"], outcomes["refused"]) > 30


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="measures memory by `resource`")
def test_many_broken_files(sources, tmp_path):
    import resource

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    outcomes = run(sources, tmp_path, range(1_000, 21_000))
    assert sum(outcomes.values()) == 20_000
    unit = 1 if sys.platform == "darwin" else 1024
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * unit < 2 * 2**30


@pytest.mark.parametrize("unit", ["x", "科", "\0", "\ud800", "a\u0301", "[E1] ", " ", "😀\u200d"])
@pytest.mark.slow
def test_long_odd_texts(kind, tokenizer, unit):
    text = unit * (10**6 if unit == "科" else 10**5)
    start = time.perf_counter()
    ids = tokenizer.encode(text)[0]
    assert tokenizer.encode(text, special=True)[0] is not None
    assert len(tokenizer.offsets(text)) == len(ids)
    assert time.perf_counter() - start < 30


@pytest.mark.parametrize("special", [False, True])
def test_long_odd_texts_of_word_piece(special):
    tokenizer = Tokenizer(VOCAB, do_lower_case=True, added_tokens=["[E1]"])
    for unit in ("x", "科", "\0", "\ud800", "a\u0301", "[E1] ", "[MASK]"):
        text = unit * 20_000
        ids = tokenizer.encode(text, special=special)[0]
        assert len(ids) == len(tokenizer.offsets(text, special=special))
