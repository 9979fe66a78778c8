"""What holds for every test: one CPU thread each, because the tests themselves run side by side."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

from bench.machine.process import prepare_process

# Before torch is imported, and for child processes.
os.environ.setdefault("OMP_NUM_THREADS", "1")
prepare_process(deterministic=True)

import pytest  # noqa: E402
import torch  # noqa: E402


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--config-dir``, as of ``python -m bench``: where the configuration of a plug-in under test is."""
    parser.addoption("--config-dir", default=None, help="folder of configurations of a plug-in under test")


@pytest.fixture
def config_dir(request: pytest.FixtureRequest) -> str | None:
    """The extra folder of configurations, if one is given."""
    given = request.config.getoption("--config-dir")
    return None if given is None else str(given)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """One thread, put back after a test that changes it."""
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _copied_stores(monkeypatch: pytest.MonkeyPatch) -> None:
    """New stores are copies of one; how one is made is tested in processes (``tests/bench/sweep``)."""
    if "bench.record.store" in sys.modules:
        from tests.bench.empty_store import copied

        monkeypatch.setattr("bench.record.store._create", copied)
