"""Report of entities that a tagger cannot be trained to give back, and why."""

from __future__ import annotations

import collections
from collections.abc import Collection, Sequence
from typing import NamedTuple

from ..alignment import Lost
from ..base import TaskError
from ..labelled_span import LabelledSpan
from .tokens import TextTokens


class LabelReport(NamedTuple):
    """Entities of labelled texts that the model's labels do not tell exactly.

    Attributes:
        total: number of entities.
        dropped: (number of the sample, characters, `Lost`) of each that differs or is left out.
    """

    total: int
    dropped: list[tuple[int, str, Lost]]

    def __str__(self) -> str:
        counts = collections.Counter(lost.reason for _, _, lost in self.dropped)
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
    """The entities of a sample, as `LabelledSpan`, once they are found to be right."""


def check_entities(
    text: str,
    entities: Sequence[tuple[int, int, str]],
    labels: Collection[str] | None,
    number: int,
) -> Entities:
    """Entities of a sample as `LabelledSpan`.

    Args:
        text: the text.
        entities: (start, end, label) triples, or anything with a `span`, as `Entity`.
        labels: the known ones; None: any.
        number: of the sample, for the message.

    Raises:
        TaskError: an entity outside of the text, of an unknown label, or no such triple.
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
                f"sample {number}: {entity!r} is no entity; give (start, end, label)."
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


def lost_entities(
    tokens: TextTokens, entities: Entities, nested: bool, touching: bool = True
) -> list[Lost]:
    """The entities of one text that its labels do not tell exactly.

    Args:
        tokens: the text.
        entities: in characters.
        nested: the labels tell entities that overlap.
        touching: the labels tell two entities of one type that stand next to each other.
    """
    alignment = tokens.align(entities, nested)
    lost, before = list(alignment.lost), None
    for entity in alignment.entities:
        first, last = tokens.tokens_of(entity.start, entity.end)
        reason = None
        if not any(start <= first and last < end for start, end in tokens.windows):
            reason = "longer than a window"
        elif not touching and before == (entity.start, entity.label):
            reason = "touches another"
        before = entity.end, entity.label
        if reason:
            span = tokens.units[entity.start][0], tokens.units[entity.end - 1][1]
            lost.append(Lost(LabelledSpan(*span, entity.label), reason))
    return lost
