"""Digests of the code behind a cell, part by part: in its keys, and as tags of its run.

A part is what is chosen by name (``method``, ``backbone``, ``audit.<name>``) or a stage of the harness.
Readers of results compare the tags of runs with each other and with today's code. No torch in here.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from bench.config.registry import registry
from bench.config.schema import CellConfig
from bench.config.source import class_constant, code_digest, module_digest
from datasets.errors import InputError

STAGES = {
    "request": ("datasets.requests",),
    "train": ("bench.train.loop", "bench.cell.setting", "bench.cell.workshop"),
    "unlearn": ("bench.cell.unlearn", "bench.cell.recorder"),
    "measure": ("bench.measure.yardstick", "bench.cell.pipeline"),
    "repair": ("bench.cell.repair", "unlearning.reverse_repair"),
    "stream": ("bench.stream.pipeline", "bench.stream.setting", "bench.stream.served", "bench.stream.kept"),
}
"""The modules that each stage of the harness starts from."""
AUDIT = "audit."


@cache
def stage_digest(stage: str) -> str:
    """Digest of the code of a stage of the harness."""
    return module_digest(*STAGES[stage])


def code_of(config: CellConfig) -> dict[str, str]:
    """Digest by part of everything that computes the numbers of a cell."""
    found = {kind: code_digest(kind, getattr(config, kind).name) for kind in ("method", "backbone")}
    absent = {"repair"} if not config.applied_repair.batches else set()
    absent |= {"stream"} if not config.stream.streams else set()
    stages = [stage for stage in STAGES if stage not in absent]
    found |= {stage: stage_digest(stage) for stage in stages}
    return found | {AUDIT + name: code_digest("audit", name) for name in config.audit.audits}


def code_today(part: str, labels: Mapping[str, str]) -> str | None:
    """The digest that a run made now would have; None for what is not registered here.

    Args:
        labels: of the run, with ``method`` and ``backbone``.
    """
    if part in STAGES:
        return stage_digest(part)
    kind, _, name = part.partition(".")
    try:
        return code_digest(kind, name or labels[kind])
    except (InputError, ModuleNotFoundError):
        return None


@cache
def audit_part(audit: str) -> str:
    """The part that computes the metrics ``audit/<audit>/...``: audits are registered under other names."""
    for name in registry("audit"):
        if class_constant("audit", name, "name", default=name) == audit:
            return AUDIT + name
    return AUDIT + audit
