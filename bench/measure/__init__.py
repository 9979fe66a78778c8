"""What is measured on a model:
targets, full ranking, the yardstick of a request, likeness of lists, the selection rule, marks.
"""

__all__ = ["evaluate", "lists", "marks", "selection", "targets", "yardstick"]
