"""One content store:
trained models and item graphs by key, and the care for them. Deleting it loses no result.
"""

__all__ = ["care", "content", "item_graphs", "models"]
