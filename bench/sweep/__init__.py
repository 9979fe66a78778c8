"""Many cells: the sweep's parent run, launchers, the live view, the table at its end."""

__all__ = ["launch", "orphans", "planned", "ray", "sweep"]
