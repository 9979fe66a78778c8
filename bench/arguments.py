"""The command line as Hydra reads it: parsed before Hydra runs, and handed on to a Hydra application.

Hydra parses its flags within ``hydra.main`` and offers no way to ask for them beforehand, which planning
needs. This is the only module that imports from Hydra's internals (tests/bench/test_arguments.py holds it to
the version that is pinned).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import Any

from hydra._internal.utils import get_args_parser


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    """Hydra's flags by name and the ``overrides``, which may stand on both sides of a flag."""
    known: argparse.Namespace = get_args_parser().parse_intermixed_args(list(arguments))
    return known


def in_one_piece(arguments: Sequence[str], overrides: Sequence[str]) -> list[str]:
    """The arguments as Hydra itself wants them: its flags first, then all ``overrides`` among them."""
    return [argument for argument in arguments if argument not in overrides] + list(overrides)


def run_application(application: Callable[[], Any], arguments: Sequence[str]) -> int:
    """Run what ``hydra.main`` made, as if it were started with these arguments; its exit code."""
    before = sys.argv
    sys.argv = [before[0], *arguments]
    try:
        application()
    except SystemExit as stop:
        return int(stop.code or 0)
    finally:
        sys.argv = before
    return 0
