"""From MLflow's runs to frames: cells, groups over seeds, statistics, artifacts, bundles."""

__all__ = ["artifacts", "bundle", "frame", "groups", "settings", "statistics"]
