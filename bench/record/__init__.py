"""MLflow, the only record of what was measured: its store, its names, who runs a run, what is finished."""

__all__ = ["finished", "names", "owner", "progress", "sending", "store"]
