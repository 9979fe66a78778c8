"""``python -m bench.tune``: trials of a method's options on one setting, on validation data alone."""

__all__ = ["record"]
