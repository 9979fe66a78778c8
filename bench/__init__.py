"""The harness: configuration, cache, training, unlearning, evaluation, tracking.

From Python: ``bench.run``, ``bench.plan`` and ``bench.load`` (``bench/api.py``).
"""

import sys
from pathlib import Path

CHECKOUT = str(Path(__file__).resolve().parents[1])
if CHECKOUT not in sys.path:
    # An editable install is asked last: an empty folder ``models`` where somebody works would come before it,
    # but not before a package with an ``__init__`` anywhere on the path.
    sys.path.append(CHECKOUT)

from bench.api import load, plan, run  # noqa: E402

__all__ = ["load", "plan", "run"]
