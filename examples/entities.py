"""What the examples of sequence labelling share: reading, a tagger, training, a baseline."""

from __future__ import annotations

import argparse
import collections
import re
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import columns
import common
import keras
import numpy as np

from bert4keras.config import TransformerConfig
from bert4keras.data import DataFileError, DataGenerator, read_json_rows, read_text, strQ2B
from bert4keras.models import build_transformer_model
from bert4keras.tasks.alignment import align, first_tokens, locate_entities, merge_windows
from bert4keras.tasks.tagging import LabelledSpan, decode_tags, encode_tags, tag_names
from bert4keras.tasks.windows import cut_windows
from bert4keras.tokenizers import Tokenizer
from bert4keras.training import Evaluator

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]


class Sentence(NamedTuple):
    """A text, its entities in characters, and its words if the corpus gives them."""

    text: str
    entities: list[LabelledSpan]
    words: list[tuple[int, int]] | None = None


def read(path: Path, limit: int | None = None, scheme: str | None = None) -> list[Sentence]:
    """Sentences of JSON (one a line, or an array) or of columns (token first, tag last), *.xz too.

    JSON: {"text": ..., "entities": [[start, end, label], ...]}, the end excluded; or as CLUENER
    writes it, {"text": ..., "label": {label: {name: [[start, end], ...]}}}, the end included.

    Args:
        scheme: of the tags in columns; it is found out if not given, see `columns.read_columns`.

    Raises:
        SystemExit: names the file and the line that cannot be read.
    """
    with common.exits():
        if re.match(r'\s*(\[\s*)?\{\s*["}]', read_text(path)):
            found = [_json_sentence(where, row) for where, row in read_json_rows(path)]
        else:
            found = [Sentence(*parts) for parts in columns.read_columns(path, scheme)]
    common.check_spelling(path, (entity.label for row in found for entity in row.entities))
    return found[:limit] if found else sys.exit(f"{path} has no sentence.")


def _json_sentence(where: str, row: dict) -> Sentence:
    """The sentence of an object; `where` it stands is for the error."""
    try:
        text, names = row["text"], {}
        if not isinstance(text, str):
            raise ValueError("text is no string")
        if "entities" in row:
            entities = [LabelledSpan(*entity) for entity in row["entities"]]
        else:
            for label, found in row["label"].items():
                for name, places in found.items():
                    names |= {LabelledSpan(s, e + 1, label): name for s, e in places}
            entities = list(names)
        for entity in entities:
            start, end, label = entity
            if type(start) is not int or type(end) is not int or not isinstance(label, str):
                raise ValueError(f"{entity} is not two whole numbers and a text")
            if not (0 <= start < end <= len(text)):
                raise ValueError(f"an entity is not within the text: {entity}")
            if names.get(entity, text[start:end]) != text[start:end]:
                raise ValueError(f"{names[entity]!r} is not what stands at {entity}")
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise DataFileError(f"{where}: {str(row)[:60]!r} is no such row: {error}") from None
    return Sentence(text, sorted(entities))


def entity_labels(sentence: Sentence) -> list[str]:
    """The types of its entities."""
    return [entity.label for entity in sentence.entities]


def arguments(description: str, data: str, **defaults):
    """As `common.arguments`, with the models of `encoder`."""
    kind = "MiniLM for English, a small model with random weights for Chinese"
    return common.arguments(description, data, kind, **defaults)


def load(options: argparse.Namespace, reader, labels=entity_labels) -> list[list[Sentence]]:
    """Sentences to train, to choose the epoch and to test."""
    return common.splits(options, reader, labels)


def encoder(options: argparse.Namespace, sentences: Iterable[Sentence], **sizes):
    """A model and its tokenizer: of `--model`, MiniLM, or one of characters for Chinese."""
    counts = collections.Counter(char for s in sentences for char in strQ2B(s.text).lower())
    chinese = sum(n for char, n in counts.items() if char >= "\u3400") > 0.2 * counts.total()
    if options.model or not chinese:
        directory = options.model or common.default_model()
        bert = build_transformer_model(directory)
        common.check_room(bert, options.maxlen)
        return bert, Tokenizer.from_pretrained(directory)
    # Characters that occur once are unknown, so that the unknown one is trained.
    used = sorted(char for char, n in counts.items() if n > 1 and not char.isspace())
    tokenizer = Characters(used)
    config = {"hidden_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4, **sizes}
    config |= {"intermediate_size": 4 * config["hidden_size"], "max_position": options.maxlen}
    config |= {"vocab_size": tokenizer.vocab_size, "initializer_range": 0.05}
    # NEZHA has relative positions, with which a small model soon learns to look at neighbours.
    return build_transformer_model(TransformerConfig(**config), model="nezha"), tokenizer


class Characters(Tokenizer):
    """A tokenizer of single characters, full-width ones read as half-width."""

    def __init__(self, characters: Iterable[str]):
        super().__init__([*SPECIAL, *characters], do_lower_case=True, pre_tokenize=list)

    def encode_batch(self, firsts, *args, **options):
        return super().encode_batch([strQ2B(text) for text in firsts], *args, **options)


class Tagger:
    """Texts to entities, by a model that scores tags.

    Args:
        tokenizer: of one text at a time.
        tags: all tags, in the order of their ids.
        scheme: theirs.
        maxlen: tokens of a window; texts that are longer are read in windows that overlap by half.
        batch_size: of training; prediction takes four times as many.
    """

    def __init__(self, tokenizer, tags: Sequence[str], scheme: str, maxlen: int, batch_size: int):
        self.tokenizer, self.tags, self.scheme = tokenizer, list(tags), scheme
        self.size, self.batch_size = maxlen - 2, batch_size
        self.model: keras.Model | None = None
        self.decode = None  # function (scores, mask) -> a path of tag ids for each row

    def units(self, sentences: Sequence[Sentence]):
        """Ids of each text, which of its tokens are tagged, and where these stand in it."""
        texts = [sentence.text for sentence in sentences]
        ids, _, offsets = self.tokenizer.encode_batch(texts, return_offsets=True)
        for i, spans, sentence in zip(ids, offsets, sentences, strict=True):
            words = sentence.words or spans
            places = first_tokens(spans, words) if sentence.words else range(len(spans))
            pairs = [(p, w) for p, w in zip(places, words, strict=True) if p >= 0 and w[0] < w[1]]
            yield i, [p for p, _ in pairs], [w for _, w in pairs]

    def windows(self, ids: Sequence[int]):
        """(start, end) in the tokens between the special ones, and the ids, of each window."""
        for start, end in cut_windows(len(ids) - 2, self.size, max(1, self.size // 2)):
            yield (start, end), ids[:1] + ids[start + 1 : end + 1] + ids[-1:]

    def samples(self, sentences: Sequence[Sentence]) -> list[tuple]:
        """((token_ids, segment_ids), labels) of each window; -1 for tokens that have no tag.

        An entity that a window's border cuts has none there: it is whole in the next window.
        """
        numbers, found = {tag: i for i, tag in enumerate(self.tags)}, []
        for sentence, (ids, places, units) in zip(sentences, self.units(sentences), strict=True):
            labels = np.full(len(ids), -1)
            entities = align(sentence.entities, units).entities
            tags = encode_tags(entities, len(units), self.scheme)
            labels[places] = [numbers[tag] for tag in tags]
            for (start, end), window in self.windows(ids):
                own = labels.copy()
                for border in (start + 1, end + 1):
                    for e in entities:
                        if places[e.start] < border <= places[e.end - 1]:
                            own[places[e.start] : places[e.end - 1] + 1] = -1
                own = [-1, *own[start + 1 : end + 1].tolist(), -1]
                found.append(((window, [0] * len(window)), own))
        return found

    def predict(self, sentences: Sequence[Sentence]) -> list[list[LabelledSpan]]:
        """Entities of each text, in characters."""
        units = list(self.units(sentences))
        cut = [(n, *w) for n, (ids, _, _) in enumerate(units) for w in self.windows(ids)]
        cut.sort(key=lambda item: len(item[2]))
        parts: list[list] = [[] for _ in units]
        for some in chunks(cut, 4 * self.batch_size):
            rows = DataGenerator(
                [((ids, [0] * len(ids)),) for _, _, ids in some],
                4 * self.batch_size,
                encode=lambda row: row,
                shuffle=False,
                buckets=list(range(16, self.size + 2, 16)) + [self.size + 2],
            )
            scores = np.asarray(self.model.predict_on_batch(rows[0][0]), "float32")
            for (n, place, _), row in zip(some, scores, strict=True):
                parts[n].append((place, row[1:]))
        scores = []
        for part, (_, places, _) in zip(parts, units, strict=True):
            part.sort(key=lambda item: item[0])
            merged = merge_windows([row for _, row in part], [place for place, _ in part])
            scores.append(merged[np.array(places, int) - 1])
        found = zip(self.paths(scores), units, strict=True)
        return [locate_entities(decode_tags(tags, self.scheme), u[2]) for tags, u in found]

    def paths(self, scores: Sequence[np.ndarray]) -> list[list[str]]:
        """The best tags for scores (T, C) of each text; none for a text without units."""
        tags: list[list[str]] = [[] for _ in scores]
        order = sorted(
            (n for n, row in enumerate(scores) if len(row)), key=lambda n: len(scores[n])
        )
        for some in chunks(order, 256):
            longest = len(scores[some[-1]])
            batch = np.zeros((len(some), longest, len(self.tags)), "float32")
            mask = np.zeros((len(some), longest), bool)
            for row, n in enumerate(some):
                batch[row, : len(scores[n])], mask[row, : len(scores[n])] = scores[n], True
            for n, path in zip(some, self.decode(batch, mask), strict=True):
                tags[n] = [self.tags[i] for i in path[: len(scores[n])]]
        return tags

    def fit(self, train: Sequence[Sentence], loss, evaluate, options, seed=None) -> float:
        """Train and keep the best epoch; returns the seconds of a step of the last epoch."""
        rows = DataGenerator(
            self.samples(train),
            self.batch_size,
            encode=lambda row: row,
            shuffle=True,
            seed=options.seed if seed is None else seed,
        )
        optimizer = common.adamw(options.learning_rate, options.epochs * len(rows))
        self.model.compile(optimizer, loss)
        callbacks = [timer := EpochTimer(), Evaluator(evaluate)]
        self.model.fit(rows, epochs=options.epochs, verbose=2, callbacks=callbacks)
        return timer.seconds / len(rows)


class EpochTimer(keras.callbacks.Callback):
    """Seconds of the training of the last epoch, without what is done at its end."""

    seconds = 0.0

    def on_epoch_begin(self, epoch, logs=None):
        self.started = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        self.seconds = time.perf_counter() - self.started


def chunks(items: Sequence, size: int) -> list[Sequence]:
    """Parts of `size` items."""
    return [items[start : start + size] for start in range(0, len(items), size)]


def entity_tags(sentences: Iterable[Sentence], scheme: str) -> list[str]:
    """The tags for the types of entities that occur."""
    return tag_names(sorted({e.label for s in sentences for e in s.entities}), scheme)


def longest_match(train: Sequence[Sentence], test: Sequence[Sentence]) -> list[list[LabelledSpan]]:
    """Baseline: entities of the training text where they stand, the longest from left to right."""
    counts: dict[str, collections.Counter] = collections.defaultdict(collections.Counter)
    for text, entities, _ in train:
        for start, end, label in entities:
            counts[text[start:end]][label] += 1
    labels = {name: count.most_common(1)[0][0] for name, count in counts.items()}
    longest, found = max(map(len, labels), default=0), []
    for text, _, words in test:
        places = range(len(text)) if words is None else [start for start, _ in words]
        ends = range(1, len(text) + 1) if words is None else {end for _, end in words}
        found.append([])
        for start in places:
            if found[-1] and start < found[-1][-1].end:
                continue
            for end in range(min(len(text), start + longest), start, -1):
                if end in ends and text[start:end] in labels:
                    found[-1].append(LabelledSpan(start, end, labels[text[start:end]]))
                    break
    return found


def unknown_share(tagger: Tagger, sentences: Sequence[Sentence]) -> float:
    """The share of the tokens that the vocabulary does not have."""
    tokenizer, found = tagger.tokenizer, [ids[1:-1] for ids, _, _ in tagger.units(sentences)]
    unknown = tokenizer.vocab.get(tokenizer.token_unk)
    count = sum(map(len, found))
    return sum(i == unknown for ids in found for i in ids) / count if count else 0.0


def round_trip(tagger: Tagger, sentences: Sequence[Sentence]) -> str:
    """How many sentences and entities come back from their own tags, and why others do not."""
    whole = total = kept = 0
    reasons: dict[str, list] = collections.defaultdict(list)
    for sentence, (_, _, units) in zip(sentences, tagger.units(sentences), strict=True):
        entities, lost = align(sentence.entities, units)
        tags = encode_tags(entities, len(units), tagger.scheme)
        back = set(locate_entities(decode_tags(tags, tagger.scheme, strict=True), units))
        total, kept = total + len(sentence.entities), kept + len(back & set(sentence.entities))
        whole += back == set(sentence.entities)
        for entity, reason in lost:
            reasons[reason].append((sentence.text[entity.start : entity.end], entity.label))
    why = "".join(f"; {reason}: {len(some)}, e.g. {some[0]}" for reason, some in reasons.items())
    return f"{whole} of {len(sentences)} sentences, {kept} of {total} entities come back{why}"
