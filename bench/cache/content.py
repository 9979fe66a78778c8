"""Content addresses: a hash over everything that determines what a stage makes."""

from __future__ import annotations

import hashlib
import json
from typing import Any


def canonical(content: Any) -> str:
    """JSON with sorted keys and no white space: equal content, equal text."""
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def digest(stage: str, content: dict[str, Any]) -> str:
    """The key of ``content`` at ``stage``: 24 hexadecimal digits.

    ``content`` names the digest of the code that makes it: nobody has to raise a version by hand.
    """
    text = canonical({"stage": stage, **content})
    return hashlib.sha256(text.encode()).hexdigest()[:24]
