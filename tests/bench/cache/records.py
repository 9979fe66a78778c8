"""Entries of the cache with another content, as the cache itself would have written it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bench.cache.store import sealed


def rewrite(record: Path, **changes: Any) -> None:
    """Change a ``record.json`` and what it says about itself."""
    record.write_text(json.dumps(sealed({**json.loads(record.read_text()), **changes})))


def edit(record: Path, **changes: Any) -> None:
    """Change a ``record.json`` as an editor would."""
    record.write_text(json.dumps({**json.loads(record.read_text()), **changes}))
