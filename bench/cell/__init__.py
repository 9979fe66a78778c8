"""One cell: the setting (data, request, graphs, original, gold), unlearning, measuring, and its record."""

__all__ = ["pipeline", "run", "setting", "unlearn", "workshop"]
