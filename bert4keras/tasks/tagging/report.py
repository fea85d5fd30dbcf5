"""Report of the entities that a tagger's labels do not express exactly, with the reasons."""

from __future__ import annotations

import collections
from collections.abc import Collection, Sequence
from typing import NamedTuple

from ..alignment import DroppedEntity
from ..base import TaskError
from ..labelled_span import LabelledSpan
from .tokens import TextTokens


class LabelReport(NamedTuple):
    """Entities of labelled texts that the model's labels do not express exactly.

    Attributes:
        total: number of all entities.
        dropped: (index of the sample, the entity's text, `DroppedEntity`) for each entity that is
            changed or left out.
    """

    total: int
    dropped: list[tuple[int, str, DroppedEntity]]

    def __str__(self) -> str:
        counts = collections.Counter(entity.reason for _, _, entity in self.dropped)
        text = f"{len(self.dropped)} of {self.total} entities cannot be told exactly"
        if not self.dropped:
            return text
        why = ", ".join(f"{n} {reason}" for reason, n in counts.most_common())
        number, name, (entity, reason) = self.dropped[0]
        return (
            f"{text} ({why}). The first: {name[:40]!r} ({entity.label}) at {entity.start} to "
            f"{entity.end} in sample {number}: {reason}."
        )


class Entities(list):
    """Entities of a sample, as `LabelledSpan`, that `check_entities` has checked."""


def check_entities(
    text: str,
    entities: Sequence[tuple[int, int, str]],
    labels: Collection[str] | None,
    number: int,
) -> Entities:
    """Return the entities of a sample as `LabelledSpan`.

    Args:
        text: the text.
        entities: (start, end, label) triples, or objects with such a `span`, like `Entity`.
        labels: allowed labels; None allows any.
        number: index of the sample, for error messages.

    Raises:
        TaskError: an entity outside the text, with an unknown label, or of another form.
    """
    if isinstance(entities, Entities):
        return entities
    found = Entities()
    for entity in entities:
        try:
            start, end, label = getattr(entity, "span", entity)
            inside = 0 <= start < end <= len(text)
        except (TypeError, ValueError):
            raise TaskError(
                f"sample {number}: {entity!r} is not an entity; use (start, end, label)."
            ) from None
        if not inside:
            raise TaskError(
                f"sample {number}: the entity {(start, end, label)} does not lie within its text "
                f"of {len(text)} characters, {text[:40]!r}."
            )
        if labels is not None and label not in labels:
            raise TaskError(
                f"sample {number}: the entity {(start, end, label)} has an unknown label; the "
                f"labels are {', '.join(labels)}."
            )
        found.append(LabelledSpan(int(start), int(end), label))
    return found


def dropped_entities(
    tokens: TextTokens, entities: Entities, nested: bool, touching: bool = True
) -> list[DroppedEntity]:
    """Return the entities of one text that its labels do not express exactly.

    Args:
        tokens: the text.
        entities: in characters.
        nested: True if the labels can express overlapping entities.
        touching: True if the labels can separate two adjacent entities of one type.
    """
    alignment = tokens.align(entities, nested)
    dropped, before = list(alignment.dropped), None
    for entity in alignment.entities:
        first, last = tokens.tokens_of(entity.start, entity.end)
        reason = None
        if not any(start <= first and last < end for start, end in tokens.windows):
            reason = "longer than a window"
        elif not touching and before == (entity.start, entity.label):
            reason = "touches another"
        before = entity.end, entity.label
        if reason:
            span = tokens.spans[entity.start][0], tokens.spans[entity.end - 1][1]
            dropped.append(DroppedEntity(LabelledSpan(*span, entity.label), reason))
    return dropped
