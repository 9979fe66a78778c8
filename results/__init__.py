"""From MLflow runs to what people read: frames and tables.

From Python: ``results.cells`` gives every finished cell of a store as a frame.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import bench  # noqa: F401  (puts the checkout on the path before anything else of it is imported)

if TYPE_CHECKING:
    import pandas as pd


def cells(uri: str | None = None, experiment: str | None = None) -> pd.DataFrame:
    """Every finished cell of a store, sorted by label; of one that was run again the latest run.

    Args:
        uri: the MLflow store; None: ``MLFLOW_TRACKING_URI``, else ``mlflow.db`` in the working folder.
        experiment: None: ``lethe``.

    Returns:
        A row per cell: ``run_id``, ``cell_key``, the labels ``dataset``, ``backbone``, ``regime``,
        ``method``, ``seed`` and ``request``, its ``variant`` (how its options differ from the defaults
        of its labels), every option (``method.epochs``), every metric (``test/recall_at_20``). Empty
        where there is none.
    """
    from bench.objects.frame import options_of
    from results.names.store import EXPERIMENT, default_uri
    from results.runs.frame import frame, latest, runs
    from results.runs.settings import variants

    found = latest(runs(uri or default_uri(), experiment or EXPERIMENT))
    names = variants(found)
    extra = {run.run_id: {"variant": names[run.run_id], **options_of(run.params)} for run in found}
    return frame(found, extra).astype({"seed": int})


__all__ = ["cells"]
