"""Limits and times of the server."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class ServerSettings:
    """Limits and times of the server.

    Attributes:
        max_batch: largest number of texts in a batch.
        max_wait: seconds that a model waits at most for further texts before a batch.
        queue: largest number of texts that wait for a model; further requests are refused (429).
        queue_characters: largest number of characters of these texts together.
        max_streams: largest number of texts that a model generates at the same time in a stream.
        timeout: seconds until a request is answered with 504.
        body_timeout: seconds in which a request must have arrived, head and body each.
        max_body: largest number of bytes of a request (413).
        max_texts: largest number of texts of a request (413).
        max_characters: largest number of characters of the texts of a request (413).
        key: what clients must send as `Authorization: Bearer KEY`; None: nothing.

    Raises:
        ValueError: a value that is out of its range.
    """

    max_batch: int = 32
    max_wait: float = 0.005
    queue: int = 2048
    queue_characters: int = 20_000_000
    max_streams: int = 8
    timeout: float = 30.0
    body_timeout: float = 10.0
    max_body: int = 4 << 20
    max_texts: int = 1024
    max_characters: int = 200_000
    key: str | None = dataclasses.field(default=None, repr=False)

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.name == "key":
                continue
            least = 0 if field.name == "max_wait" else 1 if isinstance(field.default, int) else None
            if not value > 0 if least is None else not value >= least:
                wanted = "above 0" if least is None else f"at least {least}"
                raise ValueError(f"{field.name}={value} must be {wanted}.")
        if self.max_texts > self.queue:
            raise ValueError(
                f"max_texts={self.max_texts} is more than queue={self.queue}: a request of so many "
                "texts would never be taken."
            )
        if self.key is not None and not (self.key.isascii() and self.key.isprintable()):
            raise ValueError("the key must consist of printable ASCII characters.")
        if self.key is not None and not self.key.strip():
            raise ValueError("the key is empty; leave it out to take requests without one.")
