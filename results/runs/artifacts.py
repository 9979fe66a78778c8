"""Curves and arrays behind the numbers of a run: trajectories over seconds, training curves, audit arrays."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from safetensors.numpy import load_file

from bench.measure.lists import LISTS_FILE
from bench.record.names import FORGET_RECALL, VALID_RECALL
from results.runs.frame import client_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

AUDITS = "audits.safetensors"


def trajectory(uri: str, run_id: str) -> list[dict[str, float]]:
    """Points of an unlearning run: ``seconds``, validation and forget recall@20 after each epoch.

    Read from the metrics and not from the artifact, which is a hundred times slower to get. Empty where
    the run logged none.
    """
    return _joined(uri, run_id, "curve/unlearn", ("seconds", VALID_RECALL, FORGET_RECALL))


def training_curve(uri: str, run_id: str, role: str) -> list[dict[str, float]]:
    """Points of training ``original`` or ``gold``: ``seconds`` and ``valid_recall_at_20``."""
    return _joined(uri, run_id, f"curve/{role}", ("seconds", "valid_recall_at_20"))


def over_steps(uri: str, run_id: str, metric: str) -> list[tuple[int, float]]:
    """The values of a metric by step; of a cell that serves a stream the steps are requests served."""
    history = client_of(uri).get_metric_history(run_id, metric)
    return sorted({point.step: float(point.value) for point in history}.items())


def audit_arrays(uri: str, run_id: str) -> dict[str, NDArray[np.generic]]:
    """Arrays of a run's audits by ``<audit>/<role>/<array>``; empty where it has none."""
    return arrays_of(uri, run_id, AUDITS)


def arrays_of(uri: str, run_id: str, name: str) -> dict[str, NDArray[np.generic]]:
    """The arrays of one artifact of a run by name; empty where it has no such artifact."""
    client = client_of(uri)
    if name not in {artifact.path for artifact in client.list_artifacts(run_id)}:
        return {}
    with tempfile.TemporaryDirectory() as folder:
        return dict(load_file(Path(client.download_artifacts(run_id, name, folder))))


def ranked_lists(uri: str, run_id: str) -> dict[str, NDArray[np.generic]]:
    """The lists of a run as ``bench.measure.lists`` says; empty where it has none."""
    return arrays_of(uri, run_id, LISTS_FILE)


def _joined(uri: str, run_id: str, prefix: str, names: tuple[str, ...]) -> list[dict[str, float]]:
    """One point per step of the first curve, with the values that the others have at that step."""
    client = client_of(uri)
    curves = {
        name: {
            point.step: float(point.value) for point in client.get_metric_history(run_id, f"{prefix}/{name}")
        }
        for name in names
    }
    steps = sorted(curves[names[0]])
    return [{name: curve[step] for name, curve in curves.items() if step in curve} for step in steps]
