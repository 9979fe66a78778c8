"""Hostile configurations and damaged data files for so many minutes; exit code 1 at the first traceback.

python -m tests.programs.fuzz --minutes 20
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from tests.fuzzing import check_damage, check_overrides, damages, overrides

ROUND = 200


def drawn(check: Callable[..., None], number: int, **strategies: Any) -> None:
    """One round of examples, other ones for every number. Raises what hypothesis has made small."""
    calm = settings(max_examples=ROUND, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    seed(number)(calm(given(**strategies)(check)))()


def main() -> int:
    """Draw until the time is over."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    deadline, rounds = time.monotonic() + 60 * options.minutes, 0
    with tempfile.TemporaryDirectory() as name:
        shop = Path(name) / "shop"

        def configuration(drawn: list[str], multirun: bool) -> None:
            check_overrides(drawn, multirun)

        def data(damage: Any) -> None:
            check_damage(shop, damage)

        while time.monotonic() < deadline:
            number = options.seed + rounds
            drawn(configuration, number, drawn=overrides(), multirun=st.booleans())
            drawn(data, number, damage=damages())
            rounds += 1
            print(f"{rounds * ROUND} configurations and {rounds * ROUND} data sets: no traceback", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
