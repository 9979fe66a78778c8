"""Content addresses: a hash over everything that determines what a stage makes."""

from __future__ import annotations

import hashlib
import json
from typing import Any

STAGE_VERSIONS = {"data": 1, "request": 1, "item_graph": 1, "model": 1, "cell": 1, "trial": 1}


def canonical(content: Any) -> str:
    """JSON with sorted keys and no white space: equal content, equal text."""
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def digest(stage: str, content: dict[str, Any]) -> str:
    """The key of ``content`` at ``stage``: 24 hexadecimal digits."""
    text = canonical({"stage": stage, "version": STAGE_VERSIONS[stage], **content})
    return hashlib.sha256(text.encode()).hexdigest()[:24]
