"""What the Python interface hands out: cells as rows of a frame, unlearned models that were kept."""

__all__ = ["frame", "saved"]
