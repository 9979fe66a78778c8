"""``python -m bench.doctor``: is everything in place? Each finding that is not comes with its remedy.

Exit code 0 if nothing is broken, else 1. Warnings break nothing.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib.util
import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distributions, version
from pathlib import Path

from rich.console import Console

from bench.cache.care import damage, entries
from bench.config.compose import CONFIG_DIR, expand
from bench.config.schema import CellConfig, DatasetChoice, as_json
from bench.machine.process import (
    BIT_EQUAL_PRODUCTS,
    THREADS,
    differing_products,
    is_intel,
    prepare_process,
)
from bench.planning.dataset import reader_of, summary_of
from bench.planning.keys import data_key, used_data_key
from bench.record.names import KIND_TAG
from datasets.errors import InputError

MARKS = {"ok": "[green]ok[/]     ", "warning": "[yellow]warning[/]", "broken": "[red]broken[/] "}
OPTIONAL = {"ray": "launch=ray", "hydra-submitit-launcher": "launch=slurm"}
RESERVE_BYTES = 1 << 30


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. ``state``: ok, warning or broken; ``remedy`` unless ok."""

    what: str
    state: str
    text: str
    remedy: str = ""


Check = Callable[[CellConfig], Iterator[Finding]]


def environment(config: CellConfig) -> Iterator[Finding]:
    """Python, where it runs from, and the packages' versions."""
    ok = sys.version_info >= (3, 11)
    text = f"Python {platform.python_version()} on {platform.platform()}"
    yield Finding("python", "ok" if ok else "broken", text, "install Python 3.11 or newer")
    from bench.record.store import PACKAGES, provenance

    found = provenance()
    yield Finding("code", "ok", f"commit {found['lethe.commit']} in {CONFIG_DIR.parent}")
    yield Finding("packages", "ok", ", ".join(f"{name} {version(name)}" for name in PACKAGES))
    for name, use in OPTIONAL.items():
        try:
            yield Finding("extras", "ok", f"{name} {version(name)}: {use} works")
        except PackageNotFoundError:
            yield Finding("extras", "ok", f"{name} is not installed: no {use}")


def clashes(config: CellConfig) -> Iterator[Finding]:
    """The Hugging Face package that shares the name ``datasets``."""
    spec = importlib.util.find_spec("datasets")
    origin = Path(spec.origin) if spec is not None and spec.origin else None
    ours = CONFIG_DIR.parent / "datasets" / "__init__.py"
    if origin != ours:
        remedy = "start from the checkout, or install it with pip install -e ."
        yield Finding("datasets", "broken", f"import datasets finds {origin}, not {ours}", remedy)
    if any((d.metadata["Name"] or "").lower() == "datasets" for d in distributions()):
        text = "Hugging Face's package datasets is installed and shares its name with ours"
        remedy = "use an environment of its own for Lethe: what imports Hugging Face's here gets ours"
        yield Finding("datasets", "warning", text, remedy)
    elif origin == ours:
        yield Finding("datasets", "ok", "the name is ours alone")


def device(config: CellConfig) -> Iterator[Finding]:
    """The device that ``device`` resolves to."""
    from bench.machine.devices import describe, resolve

    try:
        info = describe(resolve(config.device))
    except InputError as error:
        yield Finding("device", "broken", str(error), "use device=auto or device=cpu")
        return
    yield Finding(
        "device", "ok", f"device={config.device} is {info.type} ({info.name}), {info.threads} threads"
    )
    yield equal_bits()
    if info.type == "cpu" and Path("/proc/driver/nvidia").exists():
        yield Finding(
            "device",
            "warning",
            "there is an NVIDIA driver, but torch does not see a GPU",
            "install the CUDA build of torch that fits the driver",
        )


def equal_bits() -> Finding:
    """What run.deterministic=true can promise about other numbers of threads."""
    differing = differing_products()
    if not differing:
        text = f"run.deterministic=true: the same bits on {THREADS[0]} to {THREADS[-1]} threads"
        return Finding("equal bits", "ok", text)
    text = (
        f"run.deterministic=true: bits depend on the number of threads in products of {'; '.join(differing)}"
    )
    remedy = "keep run.threads the same where bits are compared"
    if is_intel():
        remedy = f"set MKL_CBWR={BIT_EQUAL_PRODUCTS} before Python starts, or {remedy}"
    return Finding("equal bits", "warning", text, remedy)


def data(config: CellConfig) -> Iterator[Finding]:
    """Every configured data set, wherever its files are: key over its checksums, and counts."""
    if not config.data_root.is_dir():
        text = f"data_root={config.data_root} does not exist"
        yield Finding("data", "warning", text, "only synthetic data can be used: set LETHE_DATA or data_root")
    for name, dataset in _configured(config).items():
        cell = dataclasses.replace(config, dataset=dataset)
        folder = _folder_of(cell)
        if folder is None:
            yield Finding("data", "ok", f"{name}: a layout, whose folder is named with the command")
        elif not folder.is_dir():
            yield Finding("data", "ok", f"{name}: not there, {folder} is no folder")
        else:
            try:
                yield Finding("data", "ok", _counts(cell))
            except InputError as error:
                yield Finding("data", "broken", f"{name}: {error}", "put the right files in place")


def tracking(config: CellConfig) -> Iterator[Finding]:
    """The MLflow store: reachable, and what is in it."""
    from mlflow.exceptions import MlflowException

    from bench.record.owner import why_gone
    from bench.record.store import Store

    try:
        runs = Store(config.tracking).runs("")
    except (MlflowException, OSError) as error:
        remedy = "start the server (docs/tracking-server.md), or correct MLFLOW_TRACKING_URI"
        yield Finding("tracking", "broken", f"{config.tracking.uri}: {error}"[:300], remedy)
        return
    states = [run.info.status for run in runs if run.data.tags.get(KIND_TAG) == "cell"]
    text = ", ".join(f"{states.count(state)} {state}" for state in sorted(set(states))) or "no runs yet"
    where = f"{config.tracking.uri}, experiment {config.tracking.experiment}"
    yield Finding("tracking", "ok", f"{where}: cells: {text}")
    lost = sum(run.info.status == "RUNNING" and why_gone(run.data.tags) is not None for run in runs)
    if lost:
        text = f"{lost} runs are marked RUNNING but their process is gone"
        yield Finding("tracking", "warning", text, "the next sweep marks them as killed")


def cache(config: CellConfig) -> Iterator[Finding]:
    """The cached models, their checksums, and the disk."""
    folder = config.cache.dir
    found = entries(folder)
    bad = [entry.folder.name for entry in found if entry.is_set_aside or damage(entry)]
    size = sum(entry.size for entry in found) / 1e6
    yield Finding("cache", "ok", f"{len(found)} models and item graphs, {size:.1f} MB in {folder}")
    if bad:
        remedy = "they are made again when needed; python -m bench.cache prune removes what was set aside"
        yield Finding("cache", "warning", f"{len(bad)} damaged: {', '.join(bad)}", remedy)
    free = shutil.disk_usage(folder if folder.exists() else Path.cwd()).free
    state = "ok" if free > RESERVE_BYTES else "warning"
    remedy = "free some space, or set cache.dir to another disk"
    yield Finding("disk", state, f"{free / 1e9:.1f} GB free", remedy)


CHECKS: tuple[Check, ...] = (environment, clashes, device, data, tracking, cache)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run all checks on the configuration that the given overrides make."""
    parser = argparse.ArgumentParser(
        "python -m bench.doctor", description="Check that everything is in place."
    )
    parser.add_argument(
        "overrides", nargs="*", help="for example data_root=/data tracking.uri=http://host:5000"
    )
    options = parser.parse_args(sys.argv[1:] if arguments is None else arguments)
    console = Console()
    os.environ.setdefault(
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1"
    )  # a dead server is a finding, not worth minutes
    prepare_process(deterministic=True)
    try:
        (config,) = expand(options.overrides, multirun=False)
    except InputError as error:
        console.print(f"error: {error}", highlight=False)
        return 1
    findings = [finding for check in CHECKS for finding in check(config)]
    for finding in findings:
        console.print(
            f"{MARKS[finding.state]} {finding.what:9}", finding.text, highlight=False, soft_wrap=True
        )
        if finding.state != "ok":
            console.print(f"{'':17} remedy: {finding.remedy}", highlight=False, soft_wrap=True)
    return 1 if any(finding.state == "broken" for finding in findings) else 0


def _configured(config: CellConfig) -> dict[str, DatasetChoice]:
    """The data sets under ``conf/dataset`` that are files, and the one that the command chooses."""
    found = {}
    for file in sorted((CONFIG_DIR / "dataset").glob("*.yaml")):
        (cell,) = expand([f"dataset={file.stem}", "backbone=lightgcn", "method=original"], multirun=False)
        found[file.stem] = cell.dataset
    if config.dataset not in found.values():
        found["the data set of this command"] = config.dataset
    return {name: dataset for name, dataset in found.items() if dataset.reader != "synthetic"}


def _folder_of(cell: CellConfig) -> Path | None:
    """Where the files of a data set are looked for; None where its configuration names no folder."""
    stated = as_json(cell.dataset.options)
    if stated.get("path"):
        return Path(str(stated["path"]))
    folder = stated.get("folder")
    return cell.data_root / str(folder) if folder else None


def _counts(cell: CellConfig) -> str:
    reader = reader_of(cell)
    key = data_key(cell, reader.identity())
    counts = summary_of(reader, key, cell.cache.dir)
    splits = f"{counts.train}/{counts.valid}/{counts.test}"
    content = ", ".join(f"{name} {shape[1]}-d" for name, shape in counts.features.items()) or "no content"
    size = f"{counts.num_users} users, {counts.num_items} items, {splits} pairs"
    return f"{reader.name}: {size}, {content}; data key {used_data_key(key, counts)}"


if __name__ == "__main__":
    sys.exit(main())
