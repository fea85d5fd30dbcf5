"""Pages of the server, a demonstration and a list of routes; they load nothing from elsewhere."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_PAGE = Path(__file__).with_name("page.html")
_INLINE = re.compile(r"<(script|style)>(.*?)</\1>", re.DOTALL)
_PAGE_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
code, pre { font-family: ui-monospace, monospace; background: #f2f4f7; border-radius: 4px; }
code { padding: 0 .25em; } pre { padding: .75rem; overflow: auto; white-space: pre-wrap; }
table { border-collapse: collapse; } td, th { text-align: left; padding: .15rem .75rem .15rem 0; }
@media (prefers-color-scheme: dark) { body { background: #14171a; color: #e6e8ea; }
  code, pre { background: #23282d; } a { color: #8ab4f8; } }
"""


def read_page() -> str:
    """Return the page at "/"."""
    return _PAGE.read_text(encoding="utf-8")


def content_security_policy(page: str) -> str:
    """Return a policy that allows the scripts and styles in a page, and nothing from elsewhere.

    They are named by their hashes, so that a script which got into the page by a text does not run.
    """
    hashes: dict[str, list[str]] = {"script": [], "style": []}
    for kind, text in _INLINE.findall(page):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")
        hashes[kind].append(f"'sha256-{digest}'")
    allowed = [
        f"{kind}-src {' '.join(found) or chr(39) + 'none' + chr(39)}"
        for kind, found in hashes.items()
    ]
    return "; ".join(
        [
            "default-src 'self'",
            *allowed,
            "img-src 'self' data:",  # for the empty icon
            "object-src 'none'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        ]
    )


def routes_page(openapi: Mapping[str, Any]) -> str:
    """Return a page that lists the routes of an OpenAPI description, with an example of each."""
    parts = [
        f"<!doctype html><html lang='en'><head><meta charset='utf-8'><title>Routes</title>"
        f"<meta name='viewport' content='width=device-width'><style>{_PAGE_STYLE}</style></head>"
        "<body>"
        "<h1>Routes</h1><p>The same for programs: <a href='/openapi.json'>/openapi.json</a> "
        "(OpenAPI). Try the tasks: <a href='/'>/</a>.</p>"
    ]
    for path, methods in openapi["paths"].items():
        for method, route in methods.items():
            parts.append(_route(path, method.upper(), route, openapi))
    return "".join(parts) + "</body></html>"


def _route(path: str, method: str, route: Mapping[str, Any], openapi: Mapping[str, Any]) -> str:
    lines = [f"<h2><code>{method} {html.escape(path)}</code></h2>"]
    lines += [
        f"<p>{html.escape(route[name])}</p>" for name in ("summary", "description") if name in route
    ]
    content = route.get("requestBody", {}).get("content", {}).get("application/json")
    if content is None:
        return "".join([*lines, f"<pre>curl localhost:8000{html.escape(path)}</pre>"])
    schema = _resolved(content["schema"], openapi)
    required, example = schema.get("required", ()), {}
    lines.append("<table><tr><th>field</th><th>type</th><th></th></tr>")
    for name, field in schema["properties"].items():
        note = field.get("description", "") + (" (required)" if name in required else "")
        cells = (
            f"<code>{name}</code>",
            html.escape(_type_in_words(field, openapi)),
            html.escape(note),
        )
        lines.append(f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>")
        if "examples" in field:
            example[name] = field["examples"][0]
        elif nested := _example_of(field, openapi):
            example[name] = nested
    body = json.dumps(example, ensure_ascii=False)
    command = f"curl localhost:8000{path} -H 'Content-Type: application/json' \\\n  -d '{body}'"
    return "".join([*lines, f"</table><pre>{html.escape(command, quote=False)}</pre>"])


def _resolved(schema: Mapping[str, Any], openapi: Mapping[str, Any]) -> Mapping[str, Any]:
    if "$ref" not in schema:
        return schema
    return openapi["components"]["schemas"][schema["$ref"].rpartition("/")[2]]


def _example_of(field: Mapping[str, Any], openapi: Mapping[str, Any]) -> dict[str, Any]:
    """Return the examples of the fields of an object, such as a table."""
    for part in field.get("anyOf", (field,)):
        fields = _resolved(part, openapi).get("properties", {}) if "$ref" in part else {}
        if found := {name: one["examples"][0] for name, one in fields.items() if "examples" in one}:
            return found
    return {}


def _type_in_words(field: Mapping[str, Any], openapi: Mapping[str, Any]) -> str:
    """Return a schema in words: `text or list of text`."""
    if "anyOf" in field:
        parts = [
            _type_in_words(part, openapi) for part in field["anyOf"] if part.get("type") != "null"
        ]
        return " or ".join(dict.fromkeys(parts))
    if "$ref" in field:
        return "{" + ", ".join(_resolved(field, openapi)["properties"]) + "}"
    if "enum" in field:
        return " or ".join(map(json.dumps, field["enum"]))
    if field.get("type") == "array":
        return f"list of {_type_in_words(field.get('items', {}), openapi)}"
    return {"string": "text"}.get(field.get("type", ""), field.get("type", "anything"))
