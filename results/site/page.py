"""The page from its parts: template, style, scripts and the document, in one file without network.

What comes from the store reaches the page as JSON only: in it every ``<``, ``>`` and ``&`` is written as
an escape, so no name can end the script or start a tag; the scripts set texts, never HTML. A content
security policy with the digests of style and script forbids everything else, the network included.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
SCRIPTS = ("core.js", "table.js", "panel.js", "axes.js", "plots.js", "audits.js", "site.js")
"""In the order in which they need each other."""
ESCAPED = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"}


def page(document: Mapping[str, Any]) -> str:
    """The whole page as HTML. The same document gives the same bytes."""
    style = _part("site.css")
    script = '"use strict";\n(() => {\n' + "\n".join(_part(name) for name in SCRIPTS) + "})();\n"
    parts = {
        "style": style,
        "script": script,
        "style_digest": _digest(style),
        "script_digest": _digest(script),
        "data": embedded(document),
    }
    # One pass: what a part contains is never taken for a place.
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], _part("index.html"))


def embedded(document: Mapping[str, Any]) -> str:
    """The document as JSON that is safe inside a script element, keys sorted."""
    text = json.dumps(document, sort_keys=True, allow_nan=False, separators=(",", ":"))
    return re.sub("[<>&]", lambda found: ESCAPED[found[0]], text)


def _part(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
