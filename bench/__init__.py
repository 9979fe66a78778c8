"""The harness: configuration, cache, training, unlearning, evaluation, tracking.

From Python: ``bench.run``, ``bench.plan`` and ``bench.load`` (``bench/api.py``).
"""

from bench.api import load, plan, run

__all__ = ["load", "plan", "run"]
