"""Which store is read where none is named."""

from __future__ import annotations

import os

STORE, EXPERIMENT = "sqlite:///mlflow.db", "lethe"


def default_uri() -> str:
    """The address of MLflow's own variable, else a file in the current folder."""
    return os.environ.get("MLFLOW_TRACKING_URI", STORE)
