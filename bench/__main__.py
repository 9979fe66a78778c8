"""``python -m bench``: see ``bench.cli``. Here, and nowhere else, running and presenting meet."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from bench.cli import USER_ERROR, main
from datasets.errors import InputError

if TYPE_CHECKING:
    from bench.sweep.sweep import EndedSweep


def present(ended: EndedSweep) -> None:
    """Bring MLflow's own pages up to date."""
    from results.mlflow_ui.command import after_sweep

    after_sweep(ended)


def export(arguments: list[str]) -> int:
    """``python -m bench export``: what the owner of a deletion request gets."""
    from results.deletion.command import main as write

    try:
        return write(arguments)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return USER_ERROR


if __name__ == "__main__":
    if sys.argv[1:2] == ["export"]:
        sys.exit(export(sys.argv[2:]))
    sys.exit(main(present=present))
