"""An audit in somebody else's package, as docs/audits.md prints it: found by its entry point and run."""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.cli import main
from bench.config.registry import registry
from bench.config.schema import TrackingConfig
from bench.config.source import code_digest, options_of
from bench.record.store import Store
from datasets.errors import InputError
from tests.bench.cells import ROOT, TINY
from tests.test_docs import code_blocks

PAGE = ROOT / "docs" / "audits.md"


def forget_what_is_registered() -> None:
    for cached in (registry, options_of, code_digest):
        cached.cache_clear()


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The package of the page, installed in a folder on the path."""
    (source,), (declared,) = code_blocks(PAGE, "python"), code_blocks(PAGE, "toml")
    found = re.match(r"# (\S+)\n", source)
    assert found is not None
    module = tmp_path / found.group(1)
    module.parent.mkdir()
    module.parent.joinpath("__init__.py").touch()
    module.write_text(source, encoding="utf-8")
    points = tomllib.loads(declared)["project"]["entry-points"]["lethe.audits"]
    info = tmp_path / "my_audits-1.0.dist-info"
    info.mkdir()
    info.joinpath("METADATA").write_text("Metadata-Version: 2.1\nName: my-audits\nVersion: 1.0\n")
    lines = "".join(f"{name} = {target}\n" for name, target in points.items())
    info.joinpath("entry_points.txt").write_text(f"[lethe.audits]\n{lines}")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    forget_what_is_registered()
    yield tmp_path
    forget_what_is_registered()
    for name in [name for name in sys.modules if name.partition(".")[0] == "my_audits"]:
        del sys.modules[name]


def test_the_audit_of_the_page_runs_with_its_option(package: Path) -> None:
    (command,) = (line for line in "".join(code_blocks(PAGE)).splitlines() if "coverage" in line)
    overrides = command.split()[3:]
    places = [f"cache.dir={package}/cache", f"tracking.uri=sqlite:///{package}/mlflow.db"]
    assert main([*TINY, *places, "backbone=lightgcn", "method=original", *overrides]) == 0
    (run,) = Store(TrackingConfig(f"sqlite:///{package}/mlflow.db")).runs("")
    assert run.data.params["audit.options.coverage.length"] == "10"
    assert (
        0 < run.data.metrics["audit/coverage/items"] == run.data.metrics["audit/coverage/original_items"] <= 1
    )


def test_its_options_are_checked_without_importing_it(package: Path) -> None:
    from bench.config.compose import expand

    overrides = ["audit.audits=[coverage]", "+audit.options.coverage.length=0"]
    with pytest.raises(InputError, match=r"audit\.options\.coverage\.length=0 is not valid"):
        expand(overrides, multirun=False)
    assert "my_audits.coverage" not in sys.modules


def test_without_its_package_it_is_not_registered() -> None:
    assert "coverage" not in registry("audit")
