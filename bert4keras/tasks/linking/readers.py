"""Readers of knowledge bases and of texts with links.

The package's own formats have one JSON object per line:

    {"id": "7", "name": "Paris", "names": ["Paris"], "facts": [["kind", "city"]],
     "description": "..."}                     only `id` and `name` are needed
    {"text": "In Paris.", "topic": "...", "links": [{"start": 3, "end": 8, "entity": "7"}]}
                                               entity null: not in the knowledge base
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from ...data import DataFileError, read_json_rows, read_lines
from .knowledge_base import KnowledgeBase, KnowledgeBaseEntity
from .mentions import Mention
from .samples import Document, Link, LinkedText

NIL = "NIL"  # in files of CCKS: the entity is not in the knowledge base
_ABSTRACT = ("摘要", "abstract")  # predicates of CCKS whose object is the description
_PARTS = ("train", "testa", "testb")
_Made = TypeVar("_Made")


def read_knowledge_base(path: str | Path, encoding: str | None = None) -> KnowledgeBase:
    """Read entities, in the format of this module or of CCKS 2019.

    CCKS 2019 has the keys subject_id, subject, alias and data, a list of predicate and object.

    Raises:
        DataFileError: a line that cannot be read, two entities with one id, or no entities; the
            message names file and line.
    """
    entities = _objects(path, _entity, encoding)
    try:
        return KnowledgeBase(entities)
    except ValueError as error:
        raise DataFileError.at(path, None, error) from None


def write_knowledge_base(base: KnowledgeBase, path: str | Path) -> None:
    """Write entities in the format of this module."""
    with Path(path).open("w", encoding="utf-8", newline="\n") as file:
        for entity in base:
            row: dict[str, Any] = {"id": entity.id, "name": entity.name, "names": entity.names}
            row |= {"facts": entity.facts} if entity.facts else {}
            row |= {"description": entity.description} if entity.description else {}
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


def read_linked_texts(path: str | Path, encoding: str | None = None) -> list[LinkedText]:
    """Read texts and their links, in the format of this module or of CCKS 2019.

    CCKS 2019 has the keys text and mention_data, a list of mention, offset and kb_id.

    Raises:
        DataFileError: a line that cannot be read, a link outside its text, or no texts; the message
            names file and line.
    """
    found = _objects(path, _linked_text, encoding)
    if not found:
        raise DataFileError.at(path, None, "it has no texts")
    return found


def read_aida(
    path: str | Path, conll: str | Path, part: str, encoding: str | None = None
) -> tuple[list[LinkedText], KnowledgeBase]:
    """Read AIDA-CoNLL: sentences of CoNLL-2003 whose mentions have candidates and one gold title.

    Args:
        path: one JSON object per document: doc (1 is the first of the training file), split, and
            mentions with span (sentence, first token, last token + 1), gold, and cands, each
            (title, in-links, out-links, type), most linked first.
        conll: directory with eng.train, eng.testa and eng.testb, optionally with the suffix .xz.
        part: "train", "testa" or "testb".
        encoding: of all these files.

    Returns:
        The sentences, with the first of a document as topic of the others; and a knowledge base of
        the titles of all parts.

    Raises:
        DataFileError: a line that cannot be read; the message names file and line.
    """
    documents = [d for name in _PARTS for d in read_conll_documents(conll, name, encoding)]

    def texts(row: dict[str, Any]) -> tuple[set[str], list[LinkedText]]:
        titles = {cand[0] for item in row["mentions"] for cand in item["cands"]}
        if row["split"] != part:
            return titles, []
        if not 0 < row["doc"] <= len(documents):
            raise ValueError(f"there is no document {row['doc']} of {len(documents)}")
        return titles, _aida_sentences(row["mentions"], documents[row["doc"] - 1])

    rows = _objects(path, texts, encoding)
    found = [text for _, some in rows for text in some]
    if not found:
        raise DataFileError.at(path, None, f"it has no documents of {part}")
    titles = sorted(set().union(*(some for some, _ in rows)))
    names = {title: title.replace("_", " ") for title in titles}
    return found, KnowledgeBase(
        KnowledgeBaseEntity(title, name, (name,)) for title, name in names.items()
    )


def read_conll_documents(
    directory: str | Path, part: str, encoding: str | None = None
) -> list[list[list[str]]]:
    """Read the tokens of each sentence of each document of a CoNLL file.

    Args:
        directory: contains eng.PART or eng.PART.xz.
        part: such as "train".
        encoding: of the file.
    """
    paths = [Path(directory) / f"eng.{part}{ending}" for ending in ("", ".xz", ".gz")]
    path = next((path for path in paths if path.exists()), None)
    if path is None:
        raise DataFileError.at(directory, None, f"it has no eng.{part} or eng.{part}.xz")
    documents: list[list[list[str]]] = []
    tokens: list[str] = []
    for number, line in enumerate([*read_lines(path, encoding), ""], 1):
        if line.startswith("-DOCSTART-"):
            documents.append([])
        elif line.strip():
            if not documents:
                raise DataFileError.at(path, number, "a token before the first -DOCSTART-")
            tokens.append(line.split(" ")[0].split("\t")[0])
        elif tokens:
            documents[-1].append(tokens)
            tokens = []
    return documents


def read_word_vectors(
    path: str | Path, encoding: str | None = None
) -> tuple[list[str], np.ndarray]:
    """Read word vectors in the text format of word2vec: one line "word 0.1 -0.2 ..." per word.

    Returns:
        The words, and their vectors, float32 (words, width).

    Raises:
        DataFileError: no words, a line of another width, or something that is not a number; the
            message names the line.
    """
    rows: dict[str, np.ndarray] = {}
    width = None
    for number, line in enumerate(read_lines(path, encoding), 1):
        word, *values = line.rstrip(" \r").split(" ")
        sizes = number == 1 and len(values) == 1 and (word + values[0]).isdecimal()
        if sizes or not word:
            continue
        try:
            with np.errstate(over="ignore"):  # an infinite number is refused below
                vector = np.array(values, "float32")
        except ValueError as error:
            raise DataFileError.at(path, number, error) from None
        width = width or len(values)
        if not values or len(values) != width:
            raise DataFileError.at(path, number, f"{len(values)} numbers for {word!r}")
        if not np.isfinite(vector).all():
            raise DataFileError.at(path, number, f"a number of {word!r} is not finite")
        rows.setdefault(word, vector)
    if not rows:
        raise DataFileError.at(path, None, "it has no words")
    return list(rows), np.stack(list(rows.values()))


def _objects(
    path: str | Path, read: Callable[[dict[str, Any]], _Made], encoding: str | None
) -> list[_Made]:
    """Convert the JSON object of each line with `read`."""
    made = []
    for where, row in read_json_rows(path, encoding):
        try:
            made.append(read(row))
        except KeyError as error:
            raise DataFileError(f"{where}: no {error} in {str(row)[:100]}") from None
        except (ArithmeticError, AttributeError, IndexError, TypeError, ValueError) as error:
            raise DataFileError(f"{where}: {error}") from None
    return made


def _entity(row: dict[str, Any]) -> KnowledgeBaseEntity:
    if "subject_id" in row or "alias" in row:
        return _ccks_entity(row)
    name = _string(row, "name")
    names = row.get("names", [name])
    facts = row.get("facts", [])
    facts = list(facts.items()) if isinstance(facts, dict) else facts
    pairs = tuple((str(key), str(value)) for key, value in facts)
    return KnowledgeBaseEntity(
        _id(row, "id"), name, _names(names), pairs, str(row.get("description", ""))
    )


def _ccks_entity(row: dict[str, Any]) -> KnowledgeBaseEntity:
    if not isinstance(row["alias"], list):
        raise ValueError(f"alias must be a list of names, not {row['alias']!r}")
    subject = _string(row, "subject")
    facts = [(str(fact["predicate"]), str(fact["object"])) for fact in row["data"]]
    known = tuple(fact for fact in facts if fact[0] not in _ABSTRACT)
    described = "; ".join(": ".join(fact) for fact in facts if fact[0] in _ABSTRACT)
    return KnowledgeBaseEntity(
        _id(row, "subject_id"), subject, _names([subject, *row["alias"]]), known, described
    )


def _linked_text(row: dict[str, Any]) -> LinkedText:
    text = _string(row, "text")
    if "mention_data" in row or "links" not in row:
        return LinkedText(text, tuple(_ccks_link(item, text) for item in row["mention_data"]))
    links = []
    for item in row["links"]:
        start, end, entity = item["start"], item["end"], item.get("entity")
        if type(start) is not int or type(end) is not int or not 0 <= start < end <= len(text):
            raise ValueError(f"a link from {start} to {end} in a text of {len(text)} characters")
        links.append(Link(start, end, None if entity is None else str(entity)))
    topic = row.get("topic")
    return LinkedText(Document(text, str(topic)) if topic else text, tuple(links))


def _ccks_link(item: dict[str, Any], text: str) -> Link:
    start, name, entity = int(item["offset"]), item["mention"], str(item["kb_id"])
    there = text[max(0, start) : start + len(name)]
    if start < 0 or not name or there.casefold() != name.casefold():
        raise ValueError(f"{name!r} is not at {start} of {text!r:.100}")
    return Link(start, start + len(name), None if entity == NIL else entity)


def _aida_sentences(mentions: list[dict], sentences: list[list[str]]) -> list[LinkedText]:
    found: dict[int, list[tuple[Mention, Link]]] = {}
    for item in mentions:
        known = item["gold"] is not None and item["span"] is not None
        if known and item["cands"]:
            found.setdefault(item["span"][0], []).append(_aida_mention(item, sentences))
    texts = []
    for number, pairs in found.items():
        topic = " ".join(sentences[0]) if number else ""
        document = Document(" ".join(sentences[number]), topic, tuple(m for m, _ in pairs))
        texts.append(LinkedText(document, tuple(link for _, link in pairs)))
    return texts


def _aida_mention(item: dict[str, Any], sentences: list[list[str]]) -> tuple[Mention, Link]:
    number, first, last = item["span"]
    if not (0 <= number < len(sentences) and 0 <= first < last <= len(sentences[number])):
        raise ValueError(f"the document has no tokens {item['span']}")
    tokens = sentences[number]
    start = sum(len(token) + 1 for token in tokens[:first])
    end = start + len(" ".join(tokens[first:last]))
    total = sum(cand[1] + 1 for cand in item["cands"])
    priors = tuple(math.log((links + 1) / total) for _, links, *_ in item["cands"])
    candidates = tuple(title for title, *_ in item["cands"])
    return Mention(start, end, candidates, priors), Link(start, end, item["gold"])


def _string(row: dict[str, Any], key: str) -> str:
    if not isinstance(row[key], str):
        raise ValueError(f"{key} must be a string, not {row[key]!r:.60}")
    return row[key]


def _id(row: dict[str, Any], key: str) -> str:
    if type(row[key]) not in (str, int):
        raise ValueError(f"{key} must be a string or an integer, not {row[key]!r:.60}")
    return str(row[key])


def _names(names: Iterable[Any]) -> tuple[str, ...]:
    """Return the distinct names that are not blank."""
    if isinstance(names, str) or not all(isinstance(name, str) for name in names):
        raise ValueError(f"names must be a list of strings, not {names!r:.60}")
    return tuple(dict.fromkeys(name for name in names if name.strip()))
