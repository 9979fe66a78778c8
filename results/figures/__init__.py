"""Figures for papers, drawn from what MLflow holds."""
