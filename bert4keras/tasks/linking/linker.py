"""Base of the entity linkers: mentions, knowledge base, threshold and metrics."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras

from ...data import DataFileError
from ...tokenizers.base import TokenizerBase
from ..base import Task, TaskError, answers_by_label
from .knowledge_base import KnowledgeBase
from .mentions import Mention
from .metrics import linking_scores
from .readers import read_knowledge_base, write_knowledge_base
from .samples import Document, Link

FILE = "knowledge_base.jsonl"


@dataclasses.dataclass(frozen=True)
class LinkedMention:
    """Name in a text and the entity it means.

    Attributes:
        start, end: characters `[start, end)` of the text.
        text: these characters.
        entity: id of the entity; None if it is not in the knowledge base (NIL).
        score: probability of the entity; for None, that no candidate is meant.
        candidates: probability of each candidate by its id, most probable first.
    """

    start: int
    end: int
    text: str
    entity: str | None
    score: float
    candidates: Mapping[str, float] = dataclasses.field(default_factory=dict)

    def __str__(self) -> str:
        others = answers_by_label(self.candidates)
        return f"{self.text} [{self.start}:{self.end}] -> {self.entity} {self.score:.3f} ({others})"


class Linker(Task):
    """Base of the entity linkers.

    Args:
        tokenizer, model, maxlen: of `Task`.
        knowledge_base: the entities.
        threshold: minimum probability of a linked entity.

    Raises:
        TaskError: a threshold outside [0, 1], or another object as knowledge base.
    """

    def __init__(
        self,
        tokenizer: TokenizerBase,
        model: keras.Model,
        knowledge_base: KnowledgeBase,
        threshold: float,
        maxlen: int | None,
    ):
        super().__init__(tokenizer, model, maxlen)
        if not isinstance(knowledge_base, KnowledgeBase):
            raise TaskError(f"knowledge_base must be a KnowledgeBase, not {knowledge_base!r:.60}.")
        if not 0 <= threshold <= 1:
            raise TaskError(f"threshold={threshold} must be a probability, from 0 to 1.")
        self.knowledge_base, self.threshold = knowledge_base, float(threshold)

    def read_document(self, sample: str | Document) -> Document:
        """Return a text with its mentions, found or given, and the candidates of each.

        Raises:
            TaskError: the sample is no text; a mention outside the text; an unknown candidate.
        """
        document = Document(sample) if isinstance(sample, str) else sample
        if not isinstance(document, Document) or not isinstance(document.text, str):
            raise TaskError(f"an entity linker reads a text or a Document, not {sample!r:.60}.")
        if document.mentions is None:
            mentions = self.knowledge_base.find(document.text)
        else:
            mentions = [self._checked(Mention(*m), document.text) for m in document.mentions]
        return dataclasses.replace(document, mentions=tuple(mentions))

    def _checked(self, mention: Mention, text: str) -> Mention:
        start, end, candidates, priors = mention
        if not 0 <= start < end <= len(text):
            raise TaskError(
                f"a mention at [{start}, {end}) is outside its text of {len(text)} characters: "
                f"{text!r:.60}."
            )
        if candidates is None:
            return mention._replace(candidates=self.knowledge_base.candidates(text[start:end]))
        unknown = [entity for entity in candidates if entity not in self.knowledge_base]
        if unknown:
            raise TaskError(
                f"the candidate {unknown[0]!r} of {text[start:end]!r} is not in the knowledge base."
            )
        if priors and len(priors) != len(candidates):
            raise TaskError(
                f"{len(priors)} priors for {len(candidates)} candidates; give one each."
            )
        return mention

    def gold_links(self, links: Iterable[Link], text: str) -> dict[tuple[int, int], str | None]:
        """Return the entity of each linked place (start, end) of a training sample.

        Raises:
            TaskError: a link outside the text, or to an unknown entity.
        """
        gold: dict[tuple[int, int], str | None] = {}
        for start, end, entity in links:
            if not 0 <= start < end <= len(text):
                raise TaskError(
                    f"the link {(start, end, entity)} is outside its text {text!r:.60}."
                )
            if entity is not None and entity not in self.knowledge_base:
                raise TaskError(
                    f"the link of {text[start:end]!r} to {entity!r}: the knowledge base has no "
                    "such entity. Use None for an entity that it does not have."
                )
            gold[start, end] = entity
        return gold

    def answer(
        self, mention: Mention, text: str, chances: Sequence[float], nothing: float | None = None
    ) -> LinkedMention:
        """Choose the entity of a mention.

        Args:
            mention: the mention, with candidates.
            text: the whole text.
            chances: probability of each candidate.
            nothing: probability of NIL; None: 1 minus that of the best candidate.
        """
        named = zip(mention.candidates or (), map(float, chances), strict=True)
        ranked = dict(sorted(named, key=lambda pair: -pair[1]))
        best, chance = next(iter(ranked.items()), (None, 0.0))
        nil = 1 - chance if nothing is None else float(nothing)
        if best is None or chance < self.threshold or (nothing is not None and nil > chance):
            best, chance = None, nil
        start, end = mention[:2]
        return LinkedMention(start, end, text[start:end], best, chance, ranked)

    def metrics(
        self, answers: Sequence[Sequence[LinkedMention]], labels: Sequence[Iterable[Link]]
    ) -> dict[str, float]:
        """Compute micro F1, precision and recall of (start, end, entity); NIL is ignored."""
        found = [
            [(m.start, m.end, m.entity) for m in row if m.entity is not None] for row in answers
        ]
        wanted = [[tuple(link) for link in links if link[2] is not None] for links in labels]
        score = linking_scores(found, wanted)
        return {name: getattr(score, name) for name in ("f1", "precision", "recall")}

    def tune_threshold(self, samples: Iterable[tuple[Any, Iterable[Link]]]) -> float:
        """Set the threshold to the value with the highest F1 on labelled samples; return it."""
        samples = list(samples)
        self.threshold = 0.0
        answers = self.predict([sample for sample, _ in samples])
        labels = [label for _, label in samples]

        def f1(threshold: float) -> float:
            kept = [[m for m in row if m.score >= threshold] for row in answers]
            return self.metrics(kept, labels)["f1"]

        self.threshold = max((step / 20 for step in range(20)), key=f1)
        return self.threshold

    def save_assets(self, directory: Path) -> None:
        try:
            write_knowledge_base(self.knowledge_base, directory / FILE)
        except UnicodeEncodeError as error:
            raise TaskError(
                f"the knowledge base has half of a surrogate pair near {error.object[:40]!r}. "
                "Correct that text."
            ) from None

    @classmethod
    def load_assets(cls, directory: Path) -> dict[str, Any]:
        try:
            return {"knowledge_base": read_knowledge_base(directory / FILE)}
        except DataFileError as error:
            raise TaskError(str(error)) from None

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "threshold": self.threshold}


def probabilities(scores: Sequence[float]) -> list[float]:
    """Return the softmax of some scores."""
    highest = max(scores)
    weights = [math.exp(score - highest) for score in scores]
    return [weight / sum(weights) for weight in weights]
