"""What entity linking reads: a knowledge base and texts as of CCKS 2019, and AIDA-CoNLL."""

from __future__ import annotations

import math
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import common
import numpy as np

from bert4keras.data import read_json_rows, read_lines
from bert4keras.tasks.linking import AliasTrie, linking_scores

NIL = "NIL"
_TOKEN = re.compile(r"[0-9A-Za-z\u00c0-\u024f]+|\S")


class Candidate(NamedTuple):
    """An entity that a name may mean.

    `text` describes it. `prior` is the logarithm of its share among the candidates before the text
    is read (of links to it, say), 0 where nothing is known.
    """

    entity: str
    text: str
    prior: float = 0.0


class Mention(NamedTuple):
    """A name in a text, characters `[start, end)`, what it may mean and what it does mean."""

    start: int
    end: int
    candidates: list[Candidate]
    gold: str = NIL


class Text(NamedTuple):
    """A text, what it is about (a headline, or nothing), and its mentions."""

    text: str
    topic: str
    mentions: list[Mention]


def lines_of(path: Path) -> Iterator[str]:
    """The lines of a file, *.xz too, without their ends."""
    with common.exits():
        yield from read_lines(path)


def objects(path: Path, read: Callable[[dict], Any]) -> Iterator:
    """What `read` makes of the json object of each line; a line that it cannot read is named."""
    with common.exits():
        rows = read_json_rows(path)
    for where, row in rows:
        try:
            made = read(row)
        except KeyError as error:
            sys.exit(f"{where}: no {error} in {str(row)[:100]}")
        except (ArithmeticError, AttributeError, IndexError, TypeError, ValueError) as error:
            sys.exit(f"{where}: {error}")
        yield made


class KnowledgeBase:
    """Entities by id, as of CCKS 2019: subject_id, subject, alias, data of predicate and object.

    Args:
        path: a file of one json object a line.

    Attributes:
        names: for each id the subject and its aliases.
        texts: for each id its facts, "predicate: object; ...", those called abstract last, since
            they are long and may be cut.
    """

    def __init__(self, path: Path):
        self.names: dict[str, list[str]] = {}
        self.texts: dict[str, str] = {}
        for entity, names, text in objects(path, self._entity):
            if entity in self.names:
                sys.exit(f"{path}: the subject_id {entity!r} occurs twice.")
            self.names[entity], self.texts[entity] = names, text
        if not self.names:
            sys.exit(f"{path} has no entity.")

    @staticmethod
    def _entity(row: dict) -> tuple[str, list[str], str]:
        if not isinstance(row["alias"], list):
            raise ValueError(f"alias is a list of names, not {row['alias']!r}")
        if not isinstance(row["subject"], str) or type(row["subject_id"]) not in (str, int):
            raise ValueError(f"no subject or subject_id: {str(row)[:100]}")
        names = [row["subject"], *row["alias"]]
        names = list(dict.fromkeys(name for name in names if name.strip()))
        facts = [(str(fact["predicate"]), str(fact["object"])) for fact in row["data"]]
        facts.sort(key=lambda fact: fact[0] in ("摘要", "abstract"))
        text = "; ".join([row["subject"], *(": ".join(fact) for fact in facts)])
        return str(row["subject_id"]), names, text

    def candidates(self, entities: tuple[str, ...]) -> list[Candidate]:
        """What is known of some entities."""
        return [Candidate(entity, self.texts[entity]) for entity in entities]


class WordVectors:
    """Vectors of words, and which word each character of a text is in, by maximal matching.

    Args:
        path: a line a word, "word 0.1 -0.2 ...", the text format of word2vec; *.xz too.

    Attributes:
        vectors: float32 (words + 1, width), row 0 for no word.
    """

    def __init__(self, path: Path):
        self._numbers: dict[str, int] = {}
        rows = []
        for number, line in enumerate(lines_of(path), 1):
            word, *values = line.rstrip(" \r").split(" ")
            sizes = number == 1 and len(values) == 1 and (word + values[0]).isdecimal()
            if sizes or not word:
                continue
            try:
                with np.errstate(over="ignore"):  # becomes infinite, which is refused
                    rows.append(np.array(values, "float32"))
            except ValueError as error:
                sys.exit(f"{path}, line {number}: {error}")
            if not values or len(values) != len(rows[0]):
                sys.exit(f"{path}, line {number}: {len(values)} numbers for {word!r}")
            if not np.isfinite(rows[-1]).all():
                sys.exit(f"{path}, line {number}: a number of {word!r} is not finite")
            self._numbers.setdefault(word, len(rows))
        if not rows:
            sys.exit(f"{path} has no word.")
        self.vectors = np.stack([np.zeros_like(rows[0]), *rows])
        self._trie = AliasTrie({word: [word] for word in self._numbers})

    def numbers(self, text: str) -> np.ndarray:
        """For each character the row of its word, 0 if there is none: int32 (len(text),)."""
        found = np.zeros(len(text), "int32")
        for mention in self._trie.find(text):
            found[mention.start : mention.end] = self._numbers[mention.candidates[0]]
        return found


def read_ccks(path: Path, limit: int | None = None) -> list[Text]:
    """Texts with their mentions, which have no candidates yet, as of CCKS 2019.

    A mention whose offset does not fit its text is an error, with file and line.
    """
    found = list(objects(path, _ccks_text))
    return found[:limit] if found else sys.exit(f"{path} has no text.")


def _ccks_text(row: dict) -> Text:
    mentions = []
    if not isinstance(row["text"], str):
        raise ValueError(f"text is no string: {str(row)[:100]}")
    for item in row["mention_data"]:
        start, name, entity = int(item["offset"]), item["mention"], str(item["kb_id"])
        there = row["text"][max(0, start) : start + len(name)]
        if start < 0 or not name or there.casefold() != name.casefold():
            raise ValueError(f"{name!r} does not stand at {start} of {row['text']!r}")
        mentions.append(Mention(start, start + len(name), [], entity))
    return Text(row["text"], "", mentions)


def read_aida(path: Path, conll: Path, split: str, limit: int | None = None) -> list[Text]:
    """Sentences of AIDA-CoNLL whose mentions have candidates and a gold one among the titles.

    Args:
        path: documents of one json object a line: doc (1 is the first of the training file),
            split, mentions of span (sentence, first and last token + 1), gold and cands, each
            (title, in-links, out-links, type), the most linked first.
        conll: directory with eng.train, eng.testa and eng.testb, *.xz too.
        split: "train", "testa" or "testb".

    Returns:
        The sentences, the first of a document as the topic of the others.
    """
    documents = [d for name in ("train", "testa", "testb") for d in conll_documents(conll, name)]

    def texts(row: dict) -> list[Text]:
        number, found = row["doc"], {}
        if row["split"] != split:
            return []
        if not 0 < number <= len(documents):
            raise ValueError(f"there is no document {number} of {len(documents)}")
        sentences = documents[number - 1]
        for item in row["mentions"]:
            known = item["gold"] is not None and item["span"] is not None
            if known and item["cands"]:
                found.setdefault(item["span"][0], []).append(_aida_mention(item, sentences))
        return [
            Text(" ".join(sentences[k]), " ".join(sentences[0]) if k else "", mentions)
            for k, mentions in found.items()
        ]

    found = [text for some in objects(path, texts) for text in some]
    return found[:limit] if found else sys.exit(f"{path} has no document of {split}.")


def _aida_mention(item: dict, sentences: list[list[str]]) -> Mention:
    number, first, last = item["span"]
    if not (0 <= number < len(sentences) and 0 <= first < last <= len(sentences[number])):
        raise ValueError(f"the document has no tokens {item['span']}")
    tokens = sentences[number]
    start = sum(len(token) + 1 for token in tokens[:first])
    end = start + len(" ".join(tokens[first:last]))
    total = sum(cand[1] + 1 for cand in item["cands"])
    candidates = [
        Candidate(title, title.replace("_", " "), math.log((links + 1) / total))
        for title, links, *_ in item["cands"]
    ]
    return Mention(start, end, candidates, item["gold"])


def conll_documents(directory: Path, split: str) -> list[list[list[str]]]:
    """The tokens of each sentence of each document of a CoNLL file."""
    paths = [directory / f"eng.{split}{ending}" for ending in ("", ".xz")]
    path = next((path for path in paths if path.exists()), None)
    if path is None:
        sys.exit(f"{directory} has no eng.{split} or eng.{split}.xz.")
    documents: list[list[list[str]]] = []
    tokens: list[str] = []
    for number, line in enumerate([*lines_of(path), ""], 1):
        if line.startswith("-DOCSTART-"):
            documents.append([])
        elif line.strip():
            if not documents:
                sys.exit(f"{path}, line {number}: a token before the first -DOCSTART-")
            tokens.append(line.split(" ")[0].split("\t")[0])
        elif tokens:
            documents[-1].append(tokens)
            tokens = []
    return documents


def with_candidates(texts: list[Text], base: KnowledgeBase, trie: AliasTrie) -> list[Text]:
    """The texts with the mentions that the trie finds, each with its gold entity or NIL."""
    found = []
    for text in texts:
        gold = {(m.start, m.end): m.gold for m in text.mentions}
        mentions = [
            Mention(m.start, m.end, base.candidates(m.candidates), gold.get(m[:2], NIL))
            for m in trie.find(text.text)
        ]
        found.append(text._replace(mentions=mentions))
    return found


def check_options(parser, options) -> None:
    """Refuse files that do not belong together, such as one's own texts with the shipped base."""
    if bool(options.aida) != bool(options.conll):
        parser.error("--aida and --conll need each other")
    if options.aida:
        parser.refuse(["train", "valid", "test", "kb"], True, "with --aida, which has these parts")
    elif "kb" not in parser.given and parser.given & {"train", "valid", "test"}:
        parser.error("texts of one's own need the --kb that knows their entities")
    elif "kb" in parser.given and "train" not in parser.given:
        parser.error("--kb needs the texts that it belongs to: --train")


def load(options) -> tuple[list[list[Text]], list[list[Text]]]:
    """The texts of the three splits as they are given, and with candidates."""
    if options.aida:
        names = {"train": "train", "valid": "testa", "test": "testb"}
        parts = {s: read_aida(options.aida, options.conll, name) for s, name in names.items()}
        origin = {split: f"of {options.aida}, {name}" for split, name in names.items()}
        gold = common.shown(options, parts, origin)
        return gold, gold
    base = KnowledgeBase(options.kb)
    trie = AliasTrie(base.names)
    gold = common.splits(options, read_ccks)
    spans = [[(m.start, m.end) for m in text.mentions] for text in gold[0]]
    dropped = trie.prune([text.text for text in gold[0]], spans)
    print(f"{len(trie)} names; dropped, being mostly ordinary words: {', '.join(dropped) or '-'}")
    return gold, [with_candidates(texts, base, trie) for texts in gold]


def tokens(text: str) -> list[tuple[int, int]]:
    """Start and end of each character of a text, of words in Latin letters and of numbers."""
    return [token.span() for token in _TOKEN.finditer(text)]


def shared_tokens(text: str, description: str) -> np.ndarray:
    """Which tokens of a text, and which pairs of them, a description has, too.

    Returns:
        float32 (T, 2), 1 at the first token of what both have.
    """
    own, others = (_TOKEN.findall(part.lower()) for part in (text, description))
    columns = []
    for n in (1, 2):
        runs = {tuple(others[i : i + n]) for i in range(len(others) - n + 1)}
        columns.append([tuple(own[i : i + n]) in runs for i in range(len(own))])
    return np.array(columns, "float32").T


def frequent_tokens(texts: list[Text], count: int) -> list[str]:
    """Tokens met at least so often in the texts without their names, and in the descriptions.

    So the names of the training texts are as unknown to a model as those it will meet.
    """
    known = {c.text for text in texts for m in text.mentions for c in m.candidates}
    counts = Counter(token for text in known for token in _TOKEN.findall(text))
    for text in texts:
        ends = [0, *(place for m in text.mentions for place in m[:2]), None]
        for start, end in zip(ends[::2], ends[1::2], strict=True):
            counts.update(_TOKEN.findall(text.text[start:end]))
    return sorted(token for token, times in counts.items() if times >= count)


def likely(found: list[tuple[str, float]], threshold: float) -> list[str]:
    """Of pairs of an entity and its probability the entities likely enough, NIL for the others."""
    return [entity if chance >= threshold else NIL for entity, chance in found]


def best_threshold(
    gold: list[Text], texts: list[Text], found: list[tuple[str, float]]
) -> tuple[float, dict[str, float]]:
    """The probability that links should have for the highest F1, and the scores with it."""
    tried = [(t / 20, scores(gold, texts, likely(found, t / 20))) for t in range(1, 20)]
    return max(tried, key=lambda pair: pair[1]["f1"])


def scores(gold: list[Text], texts: list[Text], entities: list[str]) -> dict[str, float]:
    """Micro F1, precision and recall of place and entity; NIL is no entity."""
    entities = iter(entities)
    found = [[(m.start, m.end, next(entities)) for m in text.mentions] for text in texts]
    wanted = [[(m.start, m.end, m.gold) for m in text.mentions] for text in gold]
    known = [[[x for x in row if x[2] != NIL] for row in rows] for rows in (found, wanted)]
    score = linking_scores(*known)
    # F1 first: the first one chooses the epoch.
    return {name: getattr(score, name) for name in ("f1", "precision", "recall")}
