"""Names of what is written for MLflow's pages. Readers of results take runs of the kind ``cell`` only."""

from __future__ import annotations

from results.names.titles import TITLES

AGGREGATE, FOLDER, SWEEP = "aggregate", "aggregates", "sweep"
"""Values of ``lethe.kind``: the mean of a group of cells, the run that holds these together, a sweep."""
AGGREGATE_KEY_TAG = "lethe.aggregate_key"
"""Which group an aggregate is of. Stable: by it the aggregate is found again."""
CONTENT_TAG, WRITTEN_TAG = "lethe.aggregate_content", "lethe.aggregate_written"
"""Digest of what an aggregate says, set when all of it is written; and when that was, in milliseconds."""
NOTE_TAG = "mlflow.note.content"
PARENT_TAG = "mlflow.parentRunId"
DEVIATION, BETWEEN = "std/", "std_requests/"
"""Before the name of a metric: its standard deviation over seeds within a request, and that of the means of
requests."""
REQUESTS, SEEDS = "requests", "seeds"
FLAGS_TAG = "code"
"""What has to be said about the code of a group's runs."""
FOLDER_NAME = "means over requests and seeds"
AS_TRAINING = "workflowType=machine_learning"
"""In an address: pages for the training of models. Without it a new browser shows those for GenAI."""
NOTE_LIMIT = 7500
"""Characters of a description: MLflow cuts the value of a run's tag at 8000."""


def title(name: str) -> str:
    """The printed form of a label."""
    return TITLES.get(name, name)


def run_link(experiment_id: str, run_id: str) -> str:
    """Where MLflow's pages show a run, from any other of its pages."""
    return f"#/experiments/{experiment_id}/runs/{run_id}?{AS_TRAINING}"
