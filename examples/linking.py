"""What entity linking reads: a knowledge base and texts as of CCKS 2019, and AIDA-CoNLL."""

from __future__ import annotations

import json
import lzma
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from bert4keras.decoding import AliasTrie
from bert4keras.metrics import linking_scores

NIL = "NIL"


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


def opened(path: Path) -> Iterator[str]:
    """The lines of a file, *.xz too, without their ends."""
    try:
        with (lzma.open if path.suffix == ".xz" else open)(path, "rt", encoding="utf-8") as lines:
            yield from (line.rstrip("\n") for line in lines)
    except (OSError, UnicodeDecodeError, lzma.LZMAError) as error:
        sys.exit(f"{path} cannot be read: {error}")


def objects(path: Path, needed: tuple[str, ...]) -> Iterator[dict]:
    """The json objects of a file, one a line; each must have the keys `needed`."""
    for number, line in enumerate(opened(path), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            sys.exit(f"{path}, line {number}: not json: {error}")
        missing = [key for key in needed if not isinstance(row, dict) or key not in row]
        if missing:
            sys.exit(f"{path}, line {number}: no {', '.join(missing)} in {line[:100]}")
        yield row


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
        for row in objects(path, ("subject_id", "subject", "alias", "data")):
            entity = str(row["subject_id"])
            names = [row["subject"], *row["alias"]]
            self.names[entity] = list(dict.fromkeys(name for name in names if name.strip()))
            facts = [(str(fact["predicate"]), str(fact["object"])) for fact in row["data"]]
            facts.sort(key=lambda fact: fact[0] in ("摘要", "abstract"))
            self.texts[entity] = "; ".join([row["subject"], *(": ".join(fact) for fact in facts)])
        if not self.names:
            sys.exit(f"{path} has no entity.")

    def candidates(self, entities: tuple[str, ...]) -> list[Candidate]:
        """What is known of some entities."""
        return [Candidate(entity, self.texts[entity]) for entity in entities]


def read_ccks(path: Path, limit: int | None = None) -> list[Text]:
    """Texts with their mentions, which have no candidates yet, as of CCKS 2019.

    A mention whose offset does not fit its text is an error, with file and line.
    """
    found = []
    for row in objects(path, ("text", "mention_data")):
        mentions = []
        for item in row["mention_data"]:
            start, name = int(item["offset"]), item["mention"]
            if row["text"][start : start + len(name)].casefold() != name.casefold():
                sys.exit(f"{path}: {name!r} does not stand at {start} of {row['text']!r}")
            mentions.append(Mention(start, start + len(name), [], str(item["kb_id"])))
        found.append(Text(row["text"], "", mentions))
    return found[:limit] if found else sys.exit(f"{path} has no text.")


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
    found = []
    for row in objects(path, ("doc", "split", "mentions")):
        if row["split"] != split:
            continue
        sentences, of = documents[row["doc"] - 1], {}
        for item in row["mentions"]:
            if item["gold"] is None or item["span"] is None:
                continue
            number, first, last = item["span"]
            tokens = sentences[number]
            start = sum(len(token) + 1 for token in tokens[:first])
            end = start + len(" ".join(tokens[first:last]))
            total = sum(cand[1] + 1 for cand in item["cands"])
            candidates = [
                Candidate(title, title.replace("_", " "), math.log((links + 1) / total))
                for title, links, *_ in item["cands"]
            ]
            of.setdefault(number, []).append(Mention(start, end, candidates, item["gold"]))
        for number, mentions in of.items():
            topic = " ".join(sentences[0]) if number else ""
            found.append(Text(" ".join(sentences[number]), topic, mentions))
    return found[:limit] if found else sys.exit(f"{path} has no document of {split}.")


def conll_documents(directory: Path, split: str) -> list[list[list[str]]]:
    """The tokens of each sentence of each document of a CoNLL file."""
    paths = [directory / f"eng.{split}{ending}" for ending in ("", ".xz")]
    path = next((path for path in paths if path.exists()), None)
    if path is None:
        sys.exit(f"{directory} has no eng.{split} or eng.{split}.xz.")
    documents: list[list[list[str]]] = []
    tokens: list[str] = []
    for line in [*opened(path), ""]:
        if line.startswith("-DOCSTART-"):
            documents.append([])
        elif line.strip():
            tokens.append(line.split()[0])
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


def load(options) -> tuple[list[list[Text]], list[list[Text]]]:
    """The texts of the three splits as they are given, and with candidates."""
    if options.aida:
        splits = ("train", "testa", "testb")
        gold = [read_aida(options.aida, options.conll, s, options.limit) for s in splits]
        return gold, gold
    base = KnowledgeBase(options.kb)
    trie = AliasTrie(base.names)
    gold = [read_ccks(getattr(options, s), options.limit) for s in ("train", "valid", "test")]
    spans = [[(m.start, m.end) for m in text.mentions] for text in gold[0]]
    dropped = trie.prune([text.text for text in gold[0]], spans)
    print(f"{len(trie)} names; dropped, being mostly ordinary words: {', '.join(dropped) or '-'}")
    return gold, [with_candidates(texts, base, trie) for texts in gold]


def scores(gold: list[Text], texts: list[Text], entities: list[str]) -> dict[str, float]:
    """Micro precision, recall and F1 of place and entity; NIL is no entity."""
    entities = iter(entities)
    found = [[(m.start, m.end, next(entities)) for m in text.mentions] for text in texts]
    wanted = [[(m.start, m.end, m.gold) for m in text.mentions] for text in gold]
    known = [[[x for x in row if x[2] != NIL] for row in rows] for rows in (found, wanted)]
    return dict(zip(("precision", "recall", "f1"), linking_scores(*known), strict=False))
