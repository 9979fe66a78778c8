"""One content store:
models, item graphs and other tensors by key, checked before use, and the care for them.
Deleting it loses no result.
"""

__all__ = ["care", "content", "item_graphs", "models", "prepared", "store"]
