"""One cell: the setting (data, request, graphs, original, gold), unlearning, measuring, and its record."""

__all__ = ["run", "setting", "unlearn", "workshop"]
