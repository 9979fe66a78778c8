"""``provenance.json``: sources with checksums, every option, the counts of every step.

Nothing in it depends on when or where the command ran, so that equal input gives equal bytes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from datasets.prepare.sources.options import PrepareOptions

NOT_CONTENT = ("out", "memory_gib", "threads", "overwrite", "register")
"""Options that change nothing in the data set."""

LIBRARIES = ("numpy", "duckdb", "pyarrow", "scipy", "torch")


def told_options(options: PrepareOptions) -> dict[str, Any]:
    """The options by group as JSON-able values, files by name only."""
    plain: dict[str, Any] = TypeAdapter(PrepareOptions).dump_python(options, mode="json")
    for key in NOT_CONTENT:
        del plain[key]
    del plain["features"]["cache"]
    plain["source"]["files"] = [Path(path).name for path in plain["source"]["files"]]
    plain["items"]["files"] = [Path(path).name for path in plain["items"]["files"]]
    if plain["items"]["images"] is not None:
        plain["items"]["images"] = Path(plain["items"]["images"]).name
    given = plain["features"]["given"]
    plain["features"]["given"] = {modality: Path(path).name for modality, path in sorted(given.items())}
    for key in ("text_model", "image_model"):
        if plain["features"][key] is not None:
            plain["features"][key] = Path(plain["features"][key]).name
    return plain


def told_source(path: Path, digest: str, role: str) -> dict[str, Any]:
    """One source file."""
    return {"file": path.name, "role": role, "bytes": path.stat().st_size, "sha256": digest}


def provenance(
    options: PrepareOptions,
    sources: list[dict[str, Any]],
    counts: Mapping[str, Mapping[str, Any]],
    features: Mapping[str, Mapping[str, Any]],
) -> dict[str, Any]:
    """The whole of it."""
    return {
        "made_by": "python -m datasets prepare",
        "options": told_options(options),
        "sources": sources,
        "counts": {stage: dict(notes) for stage, notes in counts.items()},
        "features": {modality: dict(notes) for modality, notes in features.items()},
        "versions": {name: version(name) for name in LIBRARIES},
    }


def same_request(folder: Path, told: Mapping[str, Any]) -> bool:
    """Whether ``folder`` was prepared from the same sources with the same options and libraries."""
    try:
        known = json.loads((folder / "provenance.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    keys = ("options", "sources", "versions")
    return isinstance(known, dict) and all(known.get(key) == told[key] for key in keys)
