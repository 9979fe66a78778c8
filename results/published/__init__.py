"""The papers' numbers as checked data."""

__all__ = ["numbers"]
