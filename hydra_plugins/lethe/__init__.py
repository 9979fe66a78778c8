"""What Lethe plugs into Hydra, which takes plug-ins from the package ``hydra_plugins`` alone.

The classes are those of ``bench/sweep``; the configurations under ``conf/hydra`` name them as they are
called here.
"""

from __future__ import annotations

from bench.sweep import planned, ray


class PlannedSweeper(planned.PlannedSweeper):
    """See ``bench/sweep/planned.py``."""


class RayLauncher(ray.RayLauncher):
    """See ``bench/sweep/ray.py``."""
