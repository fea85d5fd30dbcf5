"""Entity linker with the LSTM model of CCKS 2019, without a pretrained encoder."""

from __future__ import annotations

import dataclasses
import json
import math
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from ..._json import read_json
from ..._types import Tensor
from ...data import DataGenerator
from ...masks import Mask
from ...tokenizers import Tokenizer
from ...tokenizers.base import TokenizerBase
from ..base import Encoded, TaskError, register_task
from ..encoder import EncoderFacts
from .ccks2019 import CCKS2019Matching, CCKS2019Pointer, build_ccks2019
from .knowledge_base import KnowledgeBase
from .linker import LinkedMention, Linker
from .mentions import Mention, name_boundary_flags
from .samples import Document, LinkedText
from .words import WordFinder, frequent_tokens, shared_tokens, token_spans

WORDS = "words.json"
PAD, _UNKNOWN, _CAPITALIZED = "[PAD]", "[UNK]", "[CAPITALIZED]"  # ids 0, 1, 2
SPECIAL = (PAD, _UNKNOWN, _CAPITALIZED, "[CLS]", "[SEP]", "[MASK]")


@dataclasses.dataclass(frozen=True)
class MentionContext:
    """Mention with the tokens around it.

    Attributes:
        mention: the mention.
        tokens: the tokens, in lower case.
        spans: (start, end) of each token in characters of the text.
        inputs: token ids, flags of names and word ids, by the name of the model's input.
        place: int32 (2,), first and last token of the mention.
    """

    mention: Mention
    tokens: list[str]
    spans: list[tuple[int, int]]
    inputs: dict[str, np.ndarray]
    place: np.ndarray


@register_task
class CCKS2019Linker(Linker):
    """Entity linker with LSTMs over characters, without a pretrained encoder.

    The model decides which names in a text are mentions, and compares each mention with the
    entities of that name. It needs no data except its training texts.

    Args:
        tokenizer: its vocabulary has the tokens `SPECIAL`, then the model's tokens.
        model: from `build_ccks2019`.
        knowledge_base: the entities.
        description: maximum tokens of an entity's `KnowledgeBaseEntity.text`.
        threshold: minimum probability of a linked entity.
        maxlen: maximum tokens of the text around a name.
        words: words of the model's word vectors; empty if it has none.

    Raises:
        TaskError: options that do not fit one another or the model.

    Example:
        >>> linker = CCKS2019Linker.build(train, read_knowledge_base("kb.jsonl"))
        >>> linker.model.compile("adam", linker.loss)
        >>> linker.model.fit(linker.batches(train, shuffle=True))

    Source: Su Jianlin, https://kexue.fm/archives/6919.
    """

    def __init__(
        self,
        tokenizer: TokenizerBase,
        model: keras.Model,
        knowledge_base: KnowledgeBase,
        description: int = 48,
        threshold: float = 0.5,
        maxlen: int | None = None,
        words: Sequence[str] = (),
    ):
        super().__init__(tokenizer, model, knowledge_base, threshold, maxlen or 160)
        if description < 1:
            raise TaskError(f"description={description} must be at least 1.")
        if bool(words) != ("Text-Word" in self.encoder.inputs):
            raise TaskError(
                "words are required by a model with word vectors, and not allowed for others."
            )
        if _CAPITALIZED not in tokenizer.vocab or _UNKNOWN not in tokenizer.vocab:
            raise TaskError(f"the tokenizer's vocabulary lacks {_CAPITALIZED} or {_UNKNOWN}.")
        self.description = description
        self.words = WordFinder(words) if len(words) else None
        self._read: dict[str, tuple[list[str], dict[str, np.ndarray]]] = {}  # entities

    @classmethod
    def build(
        cls,
        samples: Iterable[LinkedText],
        knowledge_base: KnowledgeBase,
        word_vectors: tuple[Sequence[str], np.ndarray] | None = None,
        units: int = 32,
        min_count: int = 5,
        description: int = 48,
        threshold: float = 0.5,
        maxlen: int | None = None,
        dropout: float = 0.5,
    ) -> CCKS2019Linker:
        """Build a new model with the vocabulary of its training texts.

        Args:
            samples: training texts.
            knowledge_base, description, threshold, maxlen: of the class.
            word_vectors: words and their vectors, from `read_word_vectors`.
            units: width of each direction of the LSTMs that compare text and description.
            min_count: minimum number of occurrences of a token in the vocabulary.
            dropout: rate on the embedding and before the last layers.
        """
        known = frequent_tokens(samples, knowledge_base, min_count)
        tokenizer = Tokenizer([*SPECIAL, *(token for token in known if token not in SPECIAL)])
        words, vectors = word_vectors or ((), None)
        if vectors is not None:
            vectors = np.concatenate([np.zeros_like(vectors[:1]), vectors])
        model = build_ccks2019(tokenizer.vocab_size, 2, vectors, 2 * units, units, dropout=dropout)
        return cls(tokenizer, model, knowledge_base, description, threshold, maxlen, words)

    def read_encoder(self, model: keras.Model) -> EncoderFacts:
        names = tuple(tensor.name for tensor in model.inputs)
        if not {"Text-Token", "Text-Names", "Mention", "Description-Token"} <= set(names):
            raise TaskError(
                f"the model has the inputs {', '.join(names)}; build it with build_ccks2019."
            )
        padding = dict.fromkeys(names, 0)
        return EncoderFacts(names, 0, None, Mask(), padding, frozenset({"Mention"}))

    @property
    def loss(self) -> list[Callable[[Tensor, Tensor], Tensor]]:
        """Losses of mentions and of entities, for `model.compile`."""
        return [CCKS2019Pointer.loss, CCKS2019Matching.loss]

    def encode(self, sample: str | Document) -> Encoded:
        """Encode a text, or a `Document`: one row for each candidate of each of its names."""
        contexts = self.contexts(self.read_document(sample))
        rows = [self._row(c, entity) for c in contexts for entity in c.mention.candidates or ()]
        return Encoded(sample, rows, extra=contexts)

    def contexts(self, document: Document) -> list[MentionContext]:
        """Return the names of a text with the tokens around each."""
        spans = token_spans(document.text)
        starts, ends = (np.array([span[k] for span in spans], "int64") for k in (0, 1))
        numbers = self.words.numbers(document.text) if self.words else None
        made: dict[int, tuple[list[str], list[tuple[int, int]], dict[str, np.ndarray]]] = {}
        contexts = []
        for mention in document.mentions or ():
            first = int(np.searchsorted(ends, mention.start, "right"))
            behind = int(np.searchsorted(starts, mention.end, "left"))
            middle = (first + behind - self.maxlen) // 2
            begin = max(0, min(middle, len(spans) - self.maxlen))
            if begin not in made:
                made[begin] = self._window(document, spans[begin : begin + self.maxlen], numbers)
            tokens, part, inputs = made[begin]
            place = np.clip([first - begin, behind - 1 - begin], 0, max(0, len(part) - 1))
            contexts.append(MentionContext(mention, tokens, part, inputs, place.astype("int32")))
        return contexts

    def _window(
        self, document: Document, spans: list[tuple[int, int]], numbers: np.ndarray | None
    ) -> tuple[list[str], list[tuple[int, int]], dict[str, np.ndarray]]:
        """Return tokens, their spans and the model inputs of a part of a text."""
        tokens = [document.text[a:b] for a, b in spans]
        inside = [m[:2] for m in document.mentions or () if _is_inside(m[:2], spans)]
        inputs = {
            "Text-Token": self._ids(tokens),
            "Text-Names": name_boundary_flags(inside, spans),
        }
        if numbers is not None:
            inputs["Text-Word"] = numbers[[a for a, _ in spans]]
        return [token.lower() for token in tokens], spans, inputs

    def _ids(self, tokens: Sequence[str]) -> np.ndarray:
        """Return token ids; unknown tokens that begin with a capital have their own id."""
        vocab = self.tokenizer.vocab
        ids = [
            vocab.get(token, vocab[_CAPITALIZED if token[0].isupper() else _UNKNOWN])
            for token in tokens
        ]
        return np.array(ids, "int32")

    def _entity(self, entity: str) -> tuple[list[str], dict[str, np.ndarray]]:
        """Return the tokens of an entity's text and the model inputs; cached."""
        if entity not in self._read:
            text = self.knowledge_base[entity].text
            spans = token_spans(text)
            tokens = [text[a:b] for a, b in spans]
            inputs = {"Description-Token": self._ids(tokens)[: self.description]}
            if self.words:
                numbers = self.words.numbers(text)[[a for a, _ in spans]]
                inputs["Description-Word"] = numbers[: self.description]
            self._read[entity] = [token.lower() for token in tokens], inputs
        return self._read[entity]

    def _row(self, context: MentionContext, entity: str) -> tuple[Any, ...]:
        """Return the model inputs for a mention and an entity."""
        description, inputs = self._entity(entity)
        given = {**context.inputs, **inputs, "Mention": context.place}
        given["Text-Features"] = shared_tokens(context.tokens, description)
        return tuple(given[name] for name in self.encoder.inputs)

    def batches(
        self,
        samples: Sequence[tuple[Any, Any]],
        batch_size: int = 32,
        shuffle: bool = False,
        seed: int = 0,
        **options: Any,
    ) -> DataGenerator:
        """Make batches of mentions for `model.fit`, each with one entity of its name.

        The entity is drawn anew in each epoch: with probability 1/2 the right one.

        Args:
            samples: pairs (text or `Document`, its links), such as `LinkedText`.
            batch_size, shuffle, seed, **options: of `DataGenerator`.

        Raises:
            TaskError: a link outside its text or to an unknown entity, or no mention to learn from.
        """
        rows = [row for sample, links in samples for row in self._taught(sample, links)]
        if not rows:
            raise TaskError(
                "the samples have no link at a name of the knowledge base; nothing can be learned."
            )
        draw = random.Random(seed)

        def row(part: tuple[MentionContext, np.ndarray, str | None]) -> tuple[Any, Any]:
            context, flags, gold = part
            known = context.mention.candidates or ()
            wrong = [entity for entity in known if entity != gold]
            right = gold in known and (not wrong or draw.random() < 0.5)
            inputs = self._row(context, str(gold) if right else draw.choice(wrong))
            return self._structured(inputs), (flags, np.array(int(right), "int32"))

        options = {"pad_value": self.encoder.padding, "cache": False, **options}
        return DataGenerator(rows, batch_size, encode=row, shuffle=shuffle, seed=seed, **options)

    def _taught(
        self, sample: Any, links: Any
    ) -> Iterator[tuple[MentionContext, np.ndarray, str | None]]:
        """Yield the mentions of a sample, the flags of mentions around each, and its entity."""
        document = self.read_document(sample)
        gold = self.gold_links(links, document.text)
        named = {m[:2] for m in document.mentions or () if m[:2] in gold and m.candidates}
        for context in self.contexts(document):
            if context.mention[:2] in named:
                spans = [span for span in sorted(named) if _is_inside(span, context.spans)]
                flags = name_boundary_flags(spans, context.spans)
                yield context, flags, gold[context.mention[:2]]

    def decode(self, outputs: Sequence[Any], encoded: Encoded) -> list[LinkedMention]:
        """Return links for the names that the model predicts to be mentions."""
        document, outputs, answers = encoded.sample, iter(outputs), []
        text = document if isinstance(document, str) else document.text
        for context in encoded.extra:
            rows = [next(outputs) for _ in context.mention.candidates or ()]
            first, last = context.place.tolist()
            if rows and (first, last + 1) in CCKS2019Pointer.decode(rows[0][0][None])[0]:
                chances = [0.5 * (1 + math.tanh(float(same[0]) / 2)) for _, same in rows]
                answers.append(self.answer(context.mention, text, chances))
        return answers

    def save_assets(self, directory: Path) -> None:
        super().save_assets(directory)
        if self.words:
            text = json.dumps(self.words.words, ensure_ascii=False)
            (directory / WORDS).write_text(text + "\n", encoding="utf-8")

    @classmethod
    def load_assets(cls, directory: Path) -> dict[str, Any]:
        path = directory / WORDS
        words = read_json(path, TaskError, expected=list) if path.exists() else []
        if not all(isinstance(word, str) for word in words):
            raise TaskError(f"{path} must contain a list of strings.")
        return {**super().load_assets(directory), "words": words}

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "description": self.description}


def _is_inside(span: tuple[int, int], spans: Sequence[tuple[int, int]]) -> bool:
    """Return whether characters lie inside the tokens of a window."""
    return bool(spans) and spans[0][0] <= span[0] and span[1] <= spans[-1][1]
