"""From MLflow's runs to rows: cells, requests and seeds, what counts, statistics, artifacts, bundles."""

__all__ = ["artifacts", "at", "bundle", "frame", "groups", "identity", "retire", "settings", "statistics"]
