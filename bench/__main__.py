"""``python -m bench``: see ``bench.cli``. Here, and nowhere else, running and presenting meet."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from bench.cli import main

if TYPE_CHECKING:
    from bench.sweep.sweep import EndedSweep


def present(ended: EndedSweep) -> None:
    """Bring MLflow's own pages up to date."""
    from results.mlflow_ui.command import after_sweep

    after_sweep(ended)


if __name__ == "__main__":
    sys.exit(main(present=present))
