"""What is measured on a model:
full ranking, distance to gold, the yardstick of a request, the selection rule, marks.
"""

__all__ = ["evaluate", "marks", "selection", "yardstick"]
