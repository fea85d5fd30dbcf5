"""Entity linker with a pretrained encoder that scores all candidates of a mention in one row."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import keras
import numpy as np

from ...data import DataGenerator, pack_candidates
from ...masks.base import input_layer_name
from ...tokenizers.base import TokenizerBase
from ..base import Encoded, TaskError, register_task
from ..finite import as_scores
from ..windows import bare_tokens
from .candidate_ranking import CandidateRanking
from .knowledge_base import KnowledgeBase
from .linker import LinkedMention, Linker, probabilities
from .mentions import Mention
from .samples import Document

CANDIDATES, STARTS, FEATURES = (
    input_layer_name("candidate_ids"),
    "Candidate-Starts",
    "Candidate-Features",
)
ROW = 512  # maximum tokens of a row; further candidates go into further rows


@dataclasses.dataclass(frozen=True)
class Ranking:
    """Mention with its candidates, encoded.

    Attributes:
        mention: the mention.
        context: token ids of the name and of the text around it.
        texts: token ids of each candidate.
        features: (K, 2): prior of each candidate; 1 if its name is that of the text.
    """

    mention: Mention
    context: list[int]
    texts: list[list[int]]
    features: np.ndarray

    def parts(self) -> Iterator[range]:
        """Split the candidates into rows."""
        room, begin, used = max(ROW - len(self.context), ROW // 2), 0, 0
        for place, ids in enumerate(self.texts):
            if used + len(ids) > room and place > begin:
                yield range(begin, place)
                begin, used = place, 0
            used += len(ids)
        yield range(begin, len(self.texts))


@register_task
class EntityLinker(Linker):
    """Linker of the names in a text to the entities of a knowledge base.

    Names are given, or found by longest match. For each name the encoder reads the text around it
    once, followed by all candidates, each of which sees the text and itself
    (`application="shared_prefix"`); an empty candidate means "none of these" (NIL).

    Args:
        tokenizer, model: of `Task`. The model's output is scores (B, K) of the K candidates. Its
            inputs are those of the encoder, `Candidate-Starts` (B, K) and, optionally,
            `Candidate-Features` (B, K, 2).
        knowledge_base: the entities.
        description: maximum tokens of an entity's `KnowledgeBaseEntity.text`.
        nil: True if a name may mean no entity of the knowledge base.
        negatives: number of wrong candidates per name in training, drawn anew in each epoch.
        threshold: minimum probability of a linked entity.
        maxlen: maximum tokens of the text around a name and of one candidate together.

    Raises:
        TaskError: options that do not fit one another or the model.

    Example:
        >>> base = read_knowledge_base("kb.jsonl")
        >>> linker = EntityLinker.build("minilm-l6", base)
        >>> linker.model.compile("adam", linker.loss)
        >>> linker.model.fit(linker.batches(read_linked_texts("train.jsonl"), shuffle=True))
        >>> linker("Profits at Torrin rose.")
        [LinkedMention(start=11, end=17, text='Torrin', entity='83', score=0.98, ...)]
    """

    extra_inputs: ClassVar = {CANDIDATES: 0, STARTS: 0, FEATURES: 0.0}
    loss = staticmethod(CandidateRanking.loss)

    def __init__(
        self,
        tokenizer: TokenizerBase,
        model: keras.Model,
        knowledge_base: KnowledgeBase,
        description: int = 32,
        nil: bool = True,
        negatives: int = 4,
        threshold: float = 0.0,
        maxlen: int | None = None,
    ):
        super().__init__(tokenizer, model, knowledge_base, threshold, maxlen)
        if isinstance(model.output, (list, tuple, dict)) or len(model.output.shape) != 2:
            raise TaskError("the model must have one output, scores of the candidates (B, K).")
        if not {CANDIDATES, STARTS} <= set(self.encoder.inputs):
            raise TaskError(
                f"the model has the inputs {', '.join(self.encoder.inputs)}, but needs "
                f"{CANDIDATES} and {STARTS}: use an encoder with application='shared_prefix' and a "
                "CandidateRanking."
            )
        if description < 3 or self.maxlen - description < 8:
            raise TaskError(
                f"description={description} must be at least 3 and leave 8 of "
                f"maxlen={self.maxlen} tokens for the text."
            )
        if negatives < 1:
            raise TaskError(f"negatives={negatives} must be at least 1.")
        self.description, self.nil, self.negatives = description, bool(nil), negatives
        self._texts: dict[str | None, list[int]] = {}  # token ids of entities, cached

    @classmethod
    def build(
        cls,
        checkpoint: Any,
        knowledge_base: KnowledgeBase,
        description: int = 32,
        nil: bool = True,
        negatives: int = 4,
        threshold: float = 0.0,
        maxlen: int | None = None,
        tokenizer: TokenizerBase | None = None,
        dropout: float = 0.1,
        **options: Any,
    ) -> EntityLinker:
        """Put a new `CandidateRanking` on a pretrained encoder.

        Args:
            checkpoint: a directory, `hf://org/name`, a named checkpoint, or a `Backbone` built
                with `application="shared_prefix"`, which needs `tokenizer`.
            knowledge_base, description, nil, negatives, threshold, maxlen: of the class.
            tokenizer: replaces the checkpoint's own.
            dropout: rate before the ranking.
            **options: of `build_transformer_model`.
        """
        from ..pretrained import open_encoder

        tokenizer, bert = open_encoder(
            checkpoint, tokenizer, {"application": "shared_prefix", **options}
        )
        starts = keras.Input((None,), dtype="int32", name=STARTS)
        features = keras.Input((None, 2), name=FEATURES)
        head = CandidateRanking(dropout_rate=dropout, name="Candidate-Ranking")
        scores = head([bert.output, starts, features])
        model = keras.Model([*bert.inputs, starts, features], scores)
        return cls(tokenizer, model, knowledge_base, description, nil, negatives, threshold, maxlen)

    def encode(self, sample: str | Document) -> Encoded:
        """Encode a text, or a `Document`: one or more rows for each of its mentions."""
        rankings = self.rank(self.read_document(sample))
        rows = [self._row(r, part) for r in rankings if r.texts for part in r.parts()]
        return Encoded(sample, rows, extra=rankings)

    def rank(self, document: Document) -> list[Ranking]:
        """Encode the mentions of a text and their candidates."""
        ids, offsets = bare_tokens(self.tokenizer, document.text) if document.mentions else ([], [])
        topic = bare_tokens(self.tokenizer, document.topic)[0] if document.mentions else []
        starts, ends = (np.array([span[k] for span in offsets], "int64") for k in (0, 1))
        rankings = []
        for mention in document.mentions or ():
            first = int(np.searchsorted(ends, mention.start, "right"))
            behind = max(first, int(np.searchsorted(starts, mention.end, "left")))
            context = self._context(ids[:first], ids[first:behind], ids[behind:], topic)
            entities = [self.knowledge_base[c] for c in mention.candidates or ()]
            name = document.text[mention.start : mention.end].casefold()
            priors = mention.priors or [0.0] * len(entities)
            known = [[p, e.name.casefold() == name] for p, e in zip(priors, entities, strict=True)]
            texts = [self._text(entity.id) for entity in entities]
            features = np.array(known, "float32").reshape(-1, 2)
            rankings.append(Ranking(mention, context, texts, features))
        return rankings

    def _context(
        self, left: list[int], name: list[int], right: list[int], topic: list[int]
    ) -> list[int]:
        """Return token ids: the name, the topic, and as much text around the name as fits."""
        start, end = self.tokenizer.cls_token_id, self.tokenizer.sep_token_id
        mark = [] if end is None else [end]
        room = self.maxlen - self.description - 1 - 2 * len(mark)
        name = name[: room // 4]  # it occurs twice: at the start and in the text
        room = max(0, room - 2 * len(name) - len(mark))
        topic = topic[: room // 3]
        room -= len(topic)
        before = max(room // 2, room - len(right))
        left = left[-before:] if before else []
        right = right[: room - len(left)]
        begin = [] if start is None else [start]
        return [*begin, *name, *mark, *topic, *mark, *left, *name, *right, *mark]

    def _text(self, entity: str | None) -> list[int]:
        """Return the token ids of an entity; for None those of NIL."""
        if entity not in self._texts:
            text = "" if entity is None else self.knowledge_base[entity].text
            ids = self.tokenizer.encode(text, maxlen=self.description, truncate=True)[0]
            if not self.tokenizer.encode("")[0]:  # its score is read from its first token
                ids = [self.tokenizer.sep_token_id or 0, *ids[: self.description - 1]]
            self._texts[entity] = list(ids)
        return self._texts[entity]

    def _row(self, ranking: Ranking, chosen: Sequence[int]) -> tuple[Any, ...]:
        """Return the model inputs for NIL, if the task has it, and some candidates."""
        texts = [self._text(None)] if self.nil else []
        row = pack_candidates(ranking.context, [*texts, *(ranking.texts[k] for k in chosen)])
        features = ranking.features[list(chosen)]
        if self.nil:
            features = np.concatenate([np.zeros((1, 2), "float32"), features])
        return self.encoder.select(
            row.token_ids,
            row.segment_ids,
            **{
                CANDIDATES.replace("-", "_"): row.candidate_ids,
                STARTS.replace("-", "_"): row.starts,
                FEATURES.replace("-", "_"): features,
            },
        )

    def batches(
        self,
        samples: Sequence[tuple[Any, Any]],
        batch_size: int = 16,
        shuffle: bool = False,
        seed: int = 0,
        **options: Any,
    ) -> DataGenerator:
        """Make batches of mentions for `model.fit`, each with `negatives` wrong candidates.

        Args:
            samples: pairs (text or `Document`, its links), such as `LinkedText`.
            batch_size, shuffle, seed, **options: of `DataGenerator`.

        Raises:
            TaskError: a link outside its text or to an unknown entity, or no mention to learn from.
        """
        rows = [pair for sample, links in samples for pair in self._taught(sample, links)]
        if not rows:
            raise TaskError("no mention of the samples has two candidates to choose from.")
        draw = random.Random(seed)

        def row(pair: tuple[Ranking, str | None]) -> tuple[Any, Any]:
            ranking, gold = pair
            candidates = ranking.mention.candidates
            right = [k for k, entity in enumerate(candidates) if entity == gold]
            wrong = [k for k, entity in enumerate(candidates) if entity != gold]
            likely = wrong[: 2 * self.negatives]  # candidates are sorted, most probable first
            chosen = right + draw.sample(likely, min(len(likely), self.negatives))
            label = 0 if not right else int(self.nil)
            inputs = [np.asarray(values) for values in self._row(ranking, chosen)]
            return self._structured(inputs), np.array(label, "int32")

        options = {"pad_value": self.encoder.padding, "cache": False, **options}
        return DataGenerator(rows, batch_size, encode=row, shuffle=shuffle, seed=seed, **options)

    def _taught(self, sample: Any, links: Any) -> Iterator[tuple[Ranking, str | None]]:
        """Yield the mentions of a sample that can be trained on, and their entities."""
        document = self.read_document(sample)
        gold = self.gold_links(links, document.text)
        for ranking in self.rank(document):
            entity = gold.get(ranking.mention[:2])
            known = ranking.mention.candidates or ()
            if len(known) + self.nil > 1 and (entity in known or self.nil):
                yield ranking, entity

    def decode(self, outputs: Sequence[np.ndarray], encoded: Encoded) -> list[LinkedMention]:
        outputs, answers = iter(outputs), []
        document = encoded.sample
        text = document if isinstance(document, str) else document.text
        for ranking in encoded.extra:
            scores, nothing = [], []
            for part in ranking.parts() if ranking.texts else ():
                row = as_scores(next(outputs), "scores")[: len(part) + self.nil]
                nothing = [float(score) for score in row[: self.nil]]
                scores += [float(score) for score in row[self.nil :]]
            chances = probabilities([*nothing, *scores]) if scores else []
            nil = chances[0] if nothing else None
            answers.append(self.answer(ranking.mention, text, chances[len(nothing) :], nil))
        return answers

    def get_config(self) -> dict[str, Any]:
        own = {"description": self.description, "nil": self.nil, "negatives": self.negatives}
        return {**super().get_config(), **own}
