"""Knowledge base: entities and their names."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable, Iterator

from .mentions import AliasTrie, Mention
from .samples import LinkedText


@dataclasses.dataclass(frozen=True)
class KnowledgeBaseEntity:
    """Entity of a knowledge base.

    Attributes:
        id: unique in its knowledge base.
        name: its main name.
        names: all names by which texts mention it.
        facts: pairs (property, value).
        description: one or more sentences; the last part of `text`, which may be truncated.
    """

    id: str
    name: str
    names: tuple[str, ...]
    facts: tuple[tuple[str, str], ...] = ()
    description: str = ""

    @functools.cached_property
    def text(self) -> str:
        """All that is known of the entity: "name; property: value; ...; description"."""
        facts = (f"{key}: {value}" for key, value in self.facts)
        return "; ".join([self.name, *facts, *([self.description] if self.description else [])])


class KnowledgeBase:
    """Entities, accessible by id and by name.

    Args:
        entities: the entities.

    Raises:
        ValueError: no entities, or two with the same id.
    """

    def __init__(self, entities: Iterable[KnowledgeBaseEntity]):
        self._entities: dict[str, KnowledgeBaseEntity] = {}
        for entity in entities:
            if entity.id in self._entities:
                raise ValueError(f"the entity id {entity.id!r} occurs twice.")
            self._entities[entity.id] = entity
        if not self._entities:
            raise ValueError("a knowledge base needs at least one entity.")

    def __len__(self) -> int:
        return len(self._entities)

    def __iter__(self) -> Iterator[KnowledgeBaseEntity]:
        return iter(self._entities.values())

    def __contains__(self, entity: str) -> bool:
        return entity in self._entities

    def __getitem__(self, entity: str) -> KnowledgeBaseEntity:
        return self._entities[entity]

    def __repr__(self) -> str:
        return f"KnowledgeBase({len(self)} entities)"

    @functools.cached_property
    def names(self) -> AliasTrie:
        """Names of all entities."""
        return AliasTrie({entity.id: entity.names for entity in self})

    def find(self, text: str) -> list[Mention]:
        """Find the names in a text, from left to right, each with the entities it may mean."""
        return self.names.find(text)

    def candidates(self, name: str) -> tuple[str, ...]:
        """Return the ids of the entities with this name."""
        return self.names.candidates(name)

    def without_common_names(
        self, samples: Iterable[LinkedText], ratio: float = 5.0
    ) -> tuple[KnowledgeBase, list[str]]:
        """Drop names that are nearly always ordinary words, such as the film "Today".

        Args:
            samples: texts with all their links.
            ratio: drop a name if (wrong + 1) / (right + 1) is at least this; wrong and right count
                its occurrences outside and at links.

        Returns:
            (knowledge base, dropped names).
        """
        samples = list(samples)
        trie = AliasTrie({entity.id: entity.names for entity in self})
        spans = [[link[:2] for link in sample.links] for sample in samples]
        dropped = trie.prune([sample.text for sample in samples], spans, ratio)
        kept = (
            dataclasses.replace(e, names=tuple(name for name in e.names if name in trie))
            for e in self
        )
        return KnowledgeBase(kept), dropped
