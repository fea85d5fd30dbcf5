"""SentencePiece models: ids of the library itself, layouts of families, smaller vocabularies."""

from __future__ import annotations

import io

import pytest
import sentencepiece
from hypothesis import given
from hypothesis import strategies as st

from bert4keras.tokenizers import SpTokenizer, Tokenizer, prune_tokenizer, used_tokens
from bert4keras.tokenizers.sentencepiece_file import keep_pieces

pytestmark = pytest.mark.spread

LINES = ("the storm came before the snow", "我们在北京学习", "she wrote a letter by the sea")
NONE = {"token_start": None, "token_end": None}


def train(path, lines, **options):
    """Write a model made of these lines."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines * 3),
        model_writer=model,
        hard_vocab_limit=False,
        minloglevel=2,
        **options,
    )
    path.write_bytes(model.getvalue())
    return sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())


@pytest.fixture(scope="module", params=["unigram", "bpe", "char", "bytes"])
def trained(request, tmp_path_factory):
    """A model file of each type, the library's processor of it, and ours."""
    options = {"vocab_size": 52, "model_type": request.param}
    if request.param == "bytes":
        options = {"vocab_size": 320, "model_type": "unigram", "byte_fallback": True}
    path = tmp_path_factory.mktemp("trained") / "any.model"
    return path, train(path, LINES, **options), SpTokenizer(path, **NONE)


@given(text=st.text(st.sampled_from("thestormcame 我们在北京é😀Ａ\u0301\u3000\n")))
def test_ids_are_those_of_the_library(trained, text):
    _, library, tokenizer = trained
    ids = library.encode(text)
    assert tokenizer.encode(text)[0] == ids
    assert tokenizer.encode(text, text)[0] == ids + ids
    assert tokenizer.vocab_size == library.get_piece_size()
    assert tokenizer.decode(ids) == library.decode([i for i in ids if i != library.unk_id()])


def test_as_in_old_scripts(directories):
    path = directories / "t5" / "spiece.model"
    tokenizer = SpTokenizer(path, token_start=None, token_end="</s>")
    library = sentencepiece.SentencePieceProcessor(model_file=str(path))
    ids, segments = tokenizer.encode("the storm", "the snow")
    assert ids == [*library.encode("the storm"), 1, *library.encode("the snow"), 1]
    assert segments == [0] * ids.index(1) + [0] + [1] * (len(ids) - ids.index(1) - 1)
    assert tokenizer.token_pad_id == 0
    assert tokenizer.token_unk == "<unk>"
    with pytest.raises(ValueError, match=r"lacks \[CLS\], \[SEP\]"):
        SpTokenizer(path)


def test_ids_of_xlm_roberta_are_shifted(directories):
    directory = directories / "xlm_roberta"
    tokenizer = Tokenizer.from_pretrained(directory)
    library = sentencepiece.SentencePieceProcessor(
        model_file=str(directory / "sentencepiece.bpe.model")
    )
    text = "The storm came 한 before"
    expected = [3 if i == library.unk_id() else i + 1 for i in library.encode(text)]
    assert 3 in expected
    assert tokenizer.encode(text)[0] == [0, *expected, 2]
    assert tokenizer.ids_to_tokens(range(4)) == ["<s>", "<pad>", "</s>", "<unk>"]
    assert tokenizer.token_mask_id == library.get_piece_size() + 1 == tokenizer.vocab_size - 1


def test_sentinels_of_t5_are_found_in_texts(directories):
    for name in ("t5", "t5_json"):
        tokenizer = Tokenizer.from_pretrained(directories / name)
        last = tokenizer.vocab_size - 1
        assert tokenizer.token_to_id("<extra_id_0>") == last
        assert tokenizer.token_to_id("<extra_id_99>") == last - 99
        text = "the <extra_id_0> storm<extra_id_99>"
        tokens, spans = tokenizer.tokenize(text), tokenizer.offsets(text)
        assert spans[tokens.index("<extra_id_0>")] == (4, 16)
        assert spans[tokens.index("<extra_id_99>")] == (22, 35)


def test_text_never_makes_special_tokens(directories):
    tokenizer = Tokenizer.from_pretrained(directories / "xlm_roberta")
    ids = tokenizer.encode("a <mask> b</s>")[0]
    assert tokenizer.token_mask_id not in ids
    assert ids.count(tokenizer.token_end_id) == 1
    given_as_tokens = tokenizer.encode(["<s>", "<mask>", "</s>"])[0]
    assert given_as_tokens == [0, tokenizer.token_mask_id, 2]


@pytest.mark.parametrize("model_type", ["unigram", "bpe"])
def test_text_never_makes_special_tokens_that_the_model_finds(tmp_path, model_type):
    """Pieces that the user of the library defined, which it finds in texts by itself."""
    symbols = ["<cls>", "<mask>", "<extra>"]
    options = {"vocab_size": 50, "model_type": model_type, "user_defined_symbols": symbols}
    library = train(tmp_path / "a.model", LINES, **options)
    names = {"token_start": "<cls>", "token_end": None, "token_mask": "<mask>", "pattern": "S**"}
    tokenizer = SpTokenizer(tmp_path / "a.model", **names)
    text = "the <mask> storm<cls> <extra>"
    assert {"<mask>", "<cls>"} <= set(library.encode(text, out_type=str))
    tokens = tokenizer.tokenize(text)
    assert (tokens.count("<mask>"), tokens.count("<cls>"), tokens.count("<extra>")) == (0, 1, 1)
    special = tokenizer.tokenize(text, special=True)
    assert (special.count("<mask>"), special.count("<cls>")) == (1, 2)
    text = "the storm came 北京"
    assert tokenizer.encode(text)[0][1:] == library.encode(text)
    tokenizer.save(tmp_path / "saved")
    assert Tokenizer.from_pretrained(tmp_path / "saved").tokenize("a <mask>") == tokenizer.tokenize(
        "a <mask>"
    )


@pytest.mark.parametrize("name", ["t5", "t5_json", "xlm_roberta", "albert_json"])
def test_smaller_vocabulary(directories, name):
    whole = Tokenizer.from_pretrained(directories / name)
    kept = whole.select_tokens(lambda token: token.isascii())
    small = Tokenizer.from_pretrained(directories / name, keep_tokens=kept)
    assert small.vocab_size == len(kept) < whole.vocab_size
    assert small.ids_to_tokens(range(len(kept))) == whole.ids_to_tokens(kept)
    text = "The storm came, in 1987 <extra_id_0> she wrote a letter"
    assert [kept[i] for i in small.encode(text, "it is")[0]] == whole.encode(text, "it is")[0]
    assert small.token_unk_id in small.encode("the 京")[0]
    assert whole.token_unk_id not in whole.encode("the 京")[0]


def test_smaller_vocabularies_that_cannot_be(directories):
    t5, roberta = directories / "t5", directories / "roberta"
    for name in ("t5", "t5_json"):
        with pytest.raises(ValueError, match="keep the unknown token <unk>"):
            Tokenizer.from_pretrained(directories / name, keep_tokens=[0, 1, 5])
    with pytest.raises(ValueError, match="same id twice"):
        Tokenizer.from_pretrained(t5, keep_tokens=[0, 1, 2, 2])
    with pytest.raises(ValueError, match=r"no token has: \[99999\]"):
        Tokenizer.from_pretrained(t5, keep_tokens=[0, 1, 2, 99999])
    with pytest.raises(ValueError, match="from which BPE merges"):
        Tokenizer.from_pretrained(roberta, keep_tokens=[0, 1, 2, 3])


def test_chinese_and_english_alone(directories):
    whole = Tokenizer.from_pretrained(directories / "t5")
    tokens = set(whole.ids_to_tokens(whole.select_tokens()))
    assert {"<pad>", "</s>", "<unk>", "<extra_id_0>"} <= tokens
    assert all(piece in tokens for piece in whole.tokenize("the 北京，"))


def test_pieces_are_left_out_of_a_file(trained):
    path, library, _ = trained
    everything = path.read_bytes()
    assert keep_pieces(everything, range(library.get_piece_size())) == everything
    kept = set(range(library.get_piece_size())) - {library.get_piece_size() - 1}
    smaller = sentencepiece.SentencePieceProcessor(model_proto=keep_pieces(everything, kept))
    pieces = [smaller.id_to_piece(i) for i in range(smaller.get_piece_size())]
    assert pieces == [library.id_to_piece(i) for i in sorted(kept)]
    assert [smaller.get_score(i) for i in range(len(pieces))] == [
        library.get_score(i) for i in sorted(kept)
    ]


@pytest.mark.filterwarnings("ignore::bert4keras.tokenizers.errors.UnknownTokensWarning")
def test_a_smaller_model_cuts_its_texts_as_before(trained, tmp_path):
    _, library, whole = trained
    texts = ["the storm é", "我们在 snow"]
    small, kept = prune_tokenizer(whole, used_tokens(whole, texts, characters=False))
    assert small.vocab_size == len(kept) < whole.vocab_size
    for text in texts:
        assert [kept[i] for i in small.encode(text)[0]] == library.encode(text)
    small.save(tmp_path / "small")
    backwards = range(len(kept))[::-1]
    Tokenizer.from_pretrained(tmp_path / "small", keep_tokens=backwards).save(tmp_path / "back")
    again = Tokenizer.from_pretrained(tmp_path / "back", keep_tokens=backwards)  # twice reversed
    assert again.vocab == small.vocab
    assert [kept[i] for i in again.encode(texts[0])[0]] == library.encode(texts[0])


def test_words_of_a_segmenter(tmp_path):
    """CPM's way: a mark in the place of a blank, so that blanks are tokens."""
    train(tmp_path / "a.model", ["the ▂ snow ▂ 北京 ▂ <cls>"], vocab_size=30)

    def segment(text):
        words = text.replace(" ", "|▂|").replace("北京", "|北京|").split("|")
        return [word for word in words if word]

    tokenizer = SpTokenizer(tmp_path / "a.model", pre_tokenize=segment, **NONE)
    text = "the 北京 snow"
    tokens, spans = tokenizer.tokenize(text), tokenizer.offsets(text)
    assert tokens.count("▂") + tokens.count("▁▂") == 2
    assert [span for token, span in zip(tokens, spans, strict=True) if "▂" in token] == [
        (3, 4),
        (6, 7),
    ]
    assert "".join(text[a:b] for a, b in spans) == text
    assert tokenizer.encode_batch([text, text])[0] == [tokenizer.encode(text)[0]] * 2


def test_albert_prepares_its_texts(directories):
    tokenizer = Tokenizer.from_pretrained(directories / "albert")
    plain = tokenizer.encode('"cafe" storm')[0]
    assert tokenizer.encode("``Café'' STORM")[0] == plain
    text = "``Cafe\u0301'' STORM"
    slices = [text[a:b] for a, b in tokenizer.offsets(text)]
    assert "".join(slices).translate({0x301: None, 0x20: None}) == "``Cafe''STORM"
