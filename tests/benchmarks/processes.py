"""Measuring in a process of its own, so that peak memory is that of one thing alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

ALONE = "--alone"
"""The option that makes a benchmark measure here and print its result as JSON in the last line."""


def in_own_process(module: str, arguments: Sequence[str], threads: int) -> Any:
    """What ``python -m module --alone arguments`` prints as JSON in its last line."""
    command = [sys.executable, "-m", module, ALONE, f"--threads={threads}", *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "PASSIVE"}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])
