"""Content-addressed keys: a hash over everything that determines a stage's content.

``data -> request -> original | gold -> cell``. Each key covers the ones before it, the resolved
sub-configuration, the seeds, and digests of the code that computes it (``bench.planning.code``): of what is
chosen by name and of the harness's own stage.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.cache.content import digest
from bench.config.schema import CellConfig, Choice, as_json
from bench.config.source import code_digest, module_digest
from bench.planning.code import stage_digest
from bench.planning.request import Outline, regime_of
from datasets.validation import DataSummary


@dataclass(frozen=True)
class CellKeys:
    """The keys of one cell; of a stream ``gold`` is that of the last checkpoint and ``golds`` are all."""

    data: str
    request: str
    original: str
    gold: str
    cell: str
    golds: tuple[str, ...] = ()


def data_key(config: CellConfig, identity: dict[str, Any]) -> str:
    """Key of a data set; ``identity`` is what its reader says determines the content."""
    reader = config.dataset.reader
    return digest("data", {"reader": reader, "code": code_digest("reader", reader), "identity": identity})


def used_data_key(key: str, summary: DataSummary) -> str:
    """Key of what is used of a data set: another one where pairs of it are dropped (``datasets.cold``)."""
    dropped = summary.valid_of_cold_users + summary.test_of_cold_users
    return digest("data", {"read": key, "code": module_digest("datasets.cold")}) if dropped else key


def cell_keys(
    config: CellConfig, data: str, request_file: str, device: str, stream: Outline | None = None
) -> CellKeys:
    """All keys of a cell.

    Args:
        config: the cell.
        data: the data key.
        request_file: checksum of the explicit request list, "" without one.
        device: device type (cpu, cuda, mps): weights differ between types, and so do times.
        stream: the outline of its stream, where it has one.
    """
    request = request_key(config, data, request_file)
    backbone = _trained_identity(config, device)
    original = digest("model", {"data": data, **backbone})
    golds = tuple(gold_key(config, data, asked, device) for asked in stream.asked) if stream else ()
    gold = golds[-1] if golds else digest("model", {"data": data, "request": request, **backbone})
    if not regime_of(config.regime).forgets:
        gold = original
    cell = digest(
        "cell",
        {
            "original": original,
            "gold": gold,
            "method": config.method.identity(),
            "code": code_digest("method", config.method.name),
            "evaluate": config.evaluate.identity(),
            **harness_identity(),
            "audit": as_json(config.audit),
            **audit_identity(config),
            **repair_identity(config),
            **({} if config.tuning is None else {"tuning": as_json(config.tuning)}),
            **_stream_identity(config, request, golds),
        },
    )
    return CellKeys(data, request, original, gold, cell, golds)


def request_key(config: CellConfig, data: str, request_file: str) -> str:
    """Key of the request, or of the stream of requests, that a cell faces."""
    if not config.stream.streams:
        drawn = {**as_json(config.regime), "file": request_file}
        return digest("request", {"data": data, "regime": drawn, "code": stage_digest("request")})
    drawn = {**as_json(config.stream), "file": request_file}
    del drawn["max_seconds"]  # limits the method, not what is asked
    code = code_digest("stream", config.stream.name), stage_digest("request")
    return digest("stream", {"data": data, "stream": drawn, "code": code})


def gold_key(config: CellConfig, data: str, asked: str, device: str) -> str:
    """Key of the gold model beside whatever leaves the same data.

    Args:
        asked: digest of all that was asked (``bench.planning.request.content_of``).
    """
    return digest("model", {"data": data, "asked": asked, **_trained_identity(config, device)})


def _trained_identity(config: CellConfig, device: str) -> dict[str, Any]:
    return {
        "backbone": config.backbone.identity(),
        "code": code_digest("backbone", config.backbone.name),
        "train": as_json(config.train),
        "train_code": stage_digest("train"),
        "seed": config.seed,
        "deterministic": config.run.deterministic,
        "device": device,
    }


def _stream_identity(config: CellConfig, request: str, golds: tuple[str, ...]) -> dict[str, Any]:
    """The stream's part of a key; empty without one, so that its absence changes no key."""
    if not config.stream.streams:
        return {}
    limit = config.stream.max_seconds
    return {"stream": {"key": request, "golds": golds, "limit": limit, "code": stage_digest("stream")}}


def harness_identity() -> dict[str, str]:
    """The part of a key that says how the harness unlearns and measures."""
    return {f"{stage}_code": stage_digest(stage) for stage in ("unlearn", "measure")}


def audit_identity(config: CellConfig) -> dict[str, Any]:
    """The audits' part of a key: their code; empty without audits, so that their absence changes no key."""
    names = config.audit.audits
    return {"audit_code": {name: code_digest("audit", name) for name in names}} if names else {}


def repair_identity(config: CellConfig) -> dict[str, Any]:
    """The repair stage's part of a key; empty where no stage runs, so that its absence changes no key."""
    repair = config.applied_repair
    if repair.batches == 0:
        return {}
    return {
        "repair": {
            "batches": repair.batches,
            "learning_rate": repair.learning_rate,
            "code": stage_digest("repair"),
        }
    }


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
            **harness_identity(),
            "candidates": config.evaluate.candidates,
            **({"users": as_json(config.evaluate.users)} if config.evaluate.users.count else {}),
            **repair_identity(config),
        },
    )


def target_key(config: CellConfig, seeds: Sequence[CellKeys], rule: Mapping[str, Any]) -> str:
    """Key of what the trials of a setting are held against.

    Args:
        config: of the setting.
        seeds: of its cells, one per training seed whose models are measured.
        rule: the options of selection that say what is measured.
    """
    content: dict[str, Any] = {
        "request": seeds[0].request,
        "rule": dict(rule),
        **harness_identity(),
        "candidates": config.evaluate.candidates,
    }
    if rule["target"] == "gold":
        content["gold"] = [keys.gold for keys in seeds]
    else:
        content["original"] = [keys.original for keys in seeds]
        content["code"] = code_digest("method", "reset")
        content |= repair_identity(config)
    return digest("target", content)
