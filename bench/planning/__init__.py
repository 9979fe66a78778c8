"""What is due and what it costs:
keys, the checked data set, what is finished, the rehearsal, the dry run.
"""

__all__ = ["code", "dataset", "dry", "keys", "planner", "rehearsal", "request"]
