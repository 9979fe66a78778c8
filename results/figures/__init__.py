"""Figures for papers, drawn from what MLflow holds."""

__all__ = ["command", "drift", "ranks", "registry", "source", "written"]
