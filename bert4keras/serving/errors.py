"""Errors of requests, all of them in one shape of JSON: that of OpenAI's API."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

_ERROR_TYPES = {401: "authentication_error", 404: "not_found_error", 429: "rate_limit_error"}
_SHOWN = 3  # wrong fields that a message names
CLIENT_LEFT = 499  # status for the log and the metrics; nobody reads such an answer


class ApiError(Exception):
    """Error that the client is told.

    Args:
        status: of HTTP.
        message: what is wrong, and the way out.
        param: name of the wrong field.
        code: short name of the error, for programs.
        headers: further headers of the answer.
    """

    def __init__(
        self,
        status: int,
        message: str,
        param: str | None = None,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
    ):
        super().__init__(message)
        self.status, self.headers = status, dict(headers or {})
        kind = _ERROR_TYPES.get(
            status, "server_error" if status >= 500 else "invalid_request_error"
        )
        self.content = {"error": {"message": message, "type": kind, "param": param, "code": code}}

    def response(self) -> Response:
        """Return the answer."""
        return JSONResponse(self.content, self.status, self.headers)

    def encoded(self) -> bytes:
        """Return the content of the answer."""
        return json.dumps(self.content, ensure_ascii=False).encode()


def install(app: FastAPI) -> None:
    """Let an app answer all its errors in this shape."""

    @app.exception_handler(ApiError)
    async def known(_: Request, error: ApiError) -> Response:
        return error.response()

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> Response:
        return _invalid(error.errors()).response()

    @app.exception_handler(HTTPException)
    async def refused(request: Request, error: HTTPException) -> Response:
        path, message = request.url.path, str(error.detail)
        if error.status_code == 404:
            message = f"there is no {path:.100}; GET /v1/tasks lists the tasks, /docs all routes."
        elif error.status_code == 400:  # FastAPI's message for what Python's parser gives up
            message = "the body is no JSON that can be read."
        elif error.status_code == 405:
            message = f"{request.method} is not allowed for {path:.100}; see /docs."
        return ApiError(error.status_code, message, headers=error.headers).response()

    @app.exception_handler(Exception)
    async def failed(_: Request, error: Exception) -> Response:
        return ApiError(500, "the server failed; its log has the reason.").response()


def _invalid(errors: Any) -> ApiError:
    """Return the error for a body that is no JSON, or has other fields."""
    first = errors[0]
    if first["type"] == "json_invalid":
        reason = (first.get("ctx") or {}).get("error", "wrong syntax")
        return ApiError(400, f"the body is no JSON: {reason} at character {first['loc'][-1]}.")
    found = dict.fromkeys(f"{_field_path(one['loc'])}{_fault(one)}" for one in errors)
    shown = "; ".join(list(found)[:_SHOWN]) + ("; ..." if len(found) > _SHOWN else "")
    return ApiError(422, shown + ".", param=_field_path(first["loc"]).removesuffix(": ") or None)


def _fault(error: Mapping[str, Any]) -> str:
    if len(error["loc"]) == 1 and error["type"].endswith(("attributes_type", "missing")):
        return "the body must be a JSON object, sent with the header Content-Type: application/json"
    return error["msg"].removeprefix("Value error, ")


def _field_path(loc: tuple[Any, ...]) -> str:
    """Return a place as `texts[3]: `; names of alternatives in a union are left out."""
    text = ""
    for part in loc[1:]:
        if isinstance(part, int):
            text += f"[{part}]"
        elif part.isidentifier() and part not in ("str", "int", "float", "bool"):
            text += f".{part}" if text else part
    return f"{text}: " if text else ""
