"""Tasks behind HTTP: one route a task, embeddings, rankings, and a page to try them.

It needs `pip install bert4keras[serve]`. docs/serving.md shows its use.
"""

from __future__ import annotations

try:
    import fastapi  # noqa: F401
    import prometheus_client  # noqa: F401
    import uvicorn  # noqa: F401
except ImportError as error:
    raise ImportError(
        f"the server needs packages that are not installed ({error}): pip install bert4keras[serve]"
    ) from error

from .app import create_app
from .directories import open_tasks
from .server import make_server, run
from .settings import ServerSettings

__all__ = ["ServerSettings", "create_app", "make_server", "open_tasks", "run"]
