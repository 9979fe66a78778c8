"""Verbs of ``python -m results`` that print tables, account for numbers, and move or retire runs."""

__all__ = ["runs", "tables"]
