"""Content-addressed keys: a hash over everything that determines a stage's content.

``data -> request -> original | gold -> cell``. Each key covers the ones before it, the resolved
sub-configuration, the seeds, the digest of the code that is chosen by name, and a version constant
per stage, raised whenever the shared code of that stage changes what it computes.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cache
from typing import Any

from bench.config import CellConfig, Choice, as_json
from bench.source import audit_digest, code_digest, module_digest

STAGE_VERSIONS = {"data": 1, "request": 1, "item_graph": 1, "model": 1, "cell": 1, "trial": 1, "prepared": 1}


def canonical(content: Any) -> str:
    """JSON with sorted keys and no white space: equal content, equal text."""
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def digest(stage: str, content: dict[str, Any]) -> str:
    """The key of ``content`` at ``stage``: 24 hexadecimal digits."""
    text = canonical({"stage": stage, "version": STAGE_VERSIONS[stage], **content})
    return hashlib.sha256(text.encode()).hexdigest()[:24]


@dataclass(frozen=True)
class CellKeys:
    """The keys of one cell."""

    data: str
    request: str
    original: str
    gold: str
    cell: str


def data_key(config: CellConfig, identity: dict[str, Any]) -> str:
    """Key of a data set; ``identity`` is what its reader says determines the content."""
    reader = config.dataset.reader
    return digest("data", {"reader": reader, "code": code_digest("reader", reader), "identity": identity})


def cell_keys(config: CellConfig, data: str, request_file: str, device: str) -> CellKeys:
    """All keys of a cell.

    Args:
        config: the cell.
        data: the data key.
        request_file: checksum of the explicit request list, "" without one.
        device: device type (cpu, cuda, mps): weights differ between types, and so do times.
    """
    request = digest("request", {"data": data, "regime": {**as_json(config.regime), "file": request_file}})
    backbone = {
        "backbone": config.backbone.identity(),
        "code": code_digest("backbone", config.backbone.name),
        "train": as_json(config.train),
        "seed": config.seed,
        "deterministic": config.run.deterministic,
        "device": device,
    }
    original = digest("model", {"data": data, **backbone})
    gold = digest("model", {"data": data, "request": request, **backbone})
    if config.regime.name == "none":
        gold = original
    cell = digest(
        "cell",
        {
            "original": original,
            "gold": gold,
            "method": config.method.identity(),
            "code": code_digest("method", config.method.name),
            "evaluate": as_json(config.evaluate),
            "audit": as_json(config.audit),
            **audit_identity(config),
            **repair_identity(config),
            **({} if config.tuning_seconds is None else {"tuning_seconds": config.tuning_seconds}),
        },
    )
    return CellKeys(data, request, original, gold, cell)


def audit_identity(config: CellConfig) -> dict[str, Any]:
    """The audits' part of a key: their code; empty without audits, so that their absence changes no key."""
    names = config.audit.audits
    return {"audit_code": {name: audit_digest(name) for name in names}} if names else {}


def repair_identity(config: CellConfig) -> dict[str, Any]:
    """The repair stage's part of a key; empty where no stage runs, so that its absence changes no key."""
    repair = config.applied_repair
    if repair.batches == 0:
        return {}
    content = {"batches": repair.batches, "learning_rate": repair.learning_rate, "code": _repair_code()}
    return {"repair": content}


@cache
def _repair_code() -> str:
    return module_digest("unlearning.reverse_repair")


def prepared_key(original: str, method: Choice, device: dict[str, Any]) -> str:
    """Key of what a method prepares before any request.

    Args:
        original: key of the model that it starts from.
        method: with the options that preparing reads; the others at their defaults.
        device: hardware and threads: a recorded time may only meet times of the same.
    """
    code = code_digest("method", method.name)
    content = {"original": original, "method": method.identity(), "code": code, "device": device}
    return digest("prepared", content)


def trial_key(config: CellConfig, keys: CellKeys, method: Choice) -> str:
    """Key of a tuning trial: what determines the validation figures of a cell, and nothing else.

    Args:
        config: of the setting.
        keys: of a cell of the setting.
        method: what is tried.
    """
    return digest(
        "trial",
        {
            "original": keys.original,
            "gold": keys.gold,
            "method": method.identity(),
            "code": code_digest("method", method.name),
            **repair_identity(config),
        },
    )
