"""Entities and their names."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable, Iterator

from .mentions import AliasTrie, Mention
from .samples import LinkedText


@dataclasses.dataclass(frozen=True)
class Entity:
    """Something a name may mean.

    Attributes:
        id: unique in its knowledge base.
        name: what it is called where it is described.
        names: all names by which texts mention it.
        facts: pairs of a property and its value.
        description: a sentence or more; what comes last of `text`, which may be cut.
    """

    id: str
    name: str
    names: tuple[str, ...]
    facts: tuple[tuple[str, str], ...] = ()
    description: str = ""

    @functools.cached_property
    def text(self) -> str:
        """All that is known, as one text: "name; property: value; ...; description"."""
        facts = (f"{key}: {value}" for key, value in self.facts)
        return "; ".join([self.name, *facts, *([self.description] if self.description else [])])


class KnowledgeBase:
    """Entities, found by their id and by their names.

    Args:
        entities: the entities.

    Raises:
        ValueError: no entity, or two of one id.
    """

    def __init__(self, entities: Iterable[Entity]):
        self._entities: dict[str, Entity] = {}
        for entity in entities:
            if entity.id in self._entities:
                raise ValueError(f"the entity id {entity.id!r} occurs twice.")
            self._entities[entity.id] = entity
        if not self._entities:
            raise ValueError("a knowledge base needs an entity at least.")

    def __len__(self) -> int:
        return len(self._entities)

    def __iter__(self) -> Iterator[Entity]:
        return iter(self._entities.values())

    def __contains__(self, entity: str) -> bool:
        return entity in self._entities

    def __getitem__(self, entity: str) -> Entity:
        return self._entities[entity]

    def __repr__(self) -> str:
        return f"KnowledgeBase({len(self)} entities)"

    @functools.cached_property
    def names(self) -> AliasTrie:
        """The names of all entities."""
        return AliasTrie({entity.id: entity.names for entity in self})

    def find(self, text: str) -> list[Mention]:
        """The names in a text from left to right, each with the entities it may mean."""
        return self.names.find(text)

    def candidates(self, name: str) -> tuple[str, ...]:
        """Ids of the entities that have a name."""
        return self.names.candidates(name)

    def without_common_names(
        self, samples: Iterable[LinkedText], ratio: float = 5.0
    ) -> tuple[KnowledgeBase, list[str]]:
        """Leave out names that are nearly always ordinary words, such as a film called "Today".

        Args:
            samples: texts whose links are all known.
            ratio: a name goes if (wrong + 1) / (right + 1), of the places where it was found, is
                at least this.

        Returns:
            (a knowledge base, the names left out).
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
