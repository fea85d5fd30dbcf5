"""The answer of a novelty detector."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Novelty:
    """The answer of a `NoveltyDetector`.

    Attributes:
        is_novel: the text is foreign: its score is above the threshold.
        score: novelty of the text, in the unit of the method; higher is more foreign.
        threshold: the score above which a text is foreign.
        p_value: share of known texts that are at least as foreign; `is_novel` if it is at most the
            detector's `false_alarm_rate`.
        label: the nearest label; None without labels, or if the method has none.
    """

    is_novel: bool
    score: float
    threshold: float
    p_value: float
    label: str | None = None

    def __str__(self) -> str:
        nearest = "" if self.label is None else f", nearest label {self.label}"
        sign = ">" if self.is_novel else "<="
        return (
            f"{'novel' if self.is_novel else 'known'} (p {self.p_value:.3f}, score "
            f"{self.score:.4g} {sign} {self.threshold:.4g}{nearest})"
        )
