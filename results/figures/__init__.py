"""Figures for papers, drawn from what MLflow holds."""

__all__ = ["command", "ranks", "registry", "source", "written"]
