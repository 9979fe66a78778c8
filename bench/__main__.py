"""``python -m bench``: see ``bench.cli``. Here, and nowhere else, running and presenting meet."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

# Threads that wait in a loop starve each other as soon as one core is busy with something else: a
# training step was seen to take 40 times as long. Read when torch is imported, so set before.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from bench.cli import main

if TYPE_CHECKING:
    from bench.sweep import EndedSweep


def present(ended: EndedSweep) -> None:
    """Bring MLflow's own pages up to date."""
    from results.mlflow_ui.command import after_sweep

    after_sweep(ended)


if __name__ == "__main__":
    sys.exit(main(present=present))
