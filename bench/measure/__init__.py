"""What is measured on a model:
full ranking, distance to gold, the yardstick of a request, the selection rule.
"""

__all__ = ["evaluate", "lists", "selection", "yardstick"]
