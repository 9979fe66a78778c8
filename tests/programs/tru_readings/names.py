"""Tags by which the trials of the study are known in MLflow."""

from __future__ import annotations

STUDY, STUDY_TAG = "tru-readings", "study"
CODE_TAG, BUDGET_TAG, READING_TAG, LIMIT_TAG = "study.code", "study.budget", "study.reading", "study.limit"
"""Digest of the method's code; trials of the search; the reading as JSON; the name of the limit."""
WIDE = "_wide"
"""Ending of data sets that are another one with wider features."""


def printed_as(dataset: str) -> str:
    """The data set of the paper that a data set stands for."""
    return dataset.removesuffix(WIDE)
