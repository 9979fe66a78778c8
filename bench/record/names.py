"""Names under which results are recorded in MLflow; readers of the store rely on them."""

from __future__ import annotations

CELL_KEY_TAG = "lethe.cell_key"
CODE_TAG = "lethe.code."
"""Of cells, before the name of a part: digest of its code (``bench/plan/code.py``)."""
DATA_KEY_TAG, REQUEST_KEY_TAG, GOLD_KEY_TAG = "lethe.data_key", "lethe.request_key", "lethe.gold_key"
"""Of cells: keys of the data set, of the deletion request, and of the gold model they are held against."""
RETIRED_TAG = "lethe.retired"
"""Of cells that were taken out of all results: why. They stay in the store, and count as not finished."""
KIND_TAG = "lethe.kind"
"""``cell`` or ``sweep``; in the experiment of the trials ``trial`` or ``tune``. What is made from cells for
MLflow's pages is of other kinds (``results/mlflow_ui/names.py``): nothing takes it for a cell."""
COMMAND_TAG, CELLS_FILE = "lethe.command", "cells.json"
"""Of a sweep: its command line, and the artifact that names its cells: label by cell key."""
FAILURE_TAG = "lethe.failure"
"""Why a run failed or was killed, in one sentence."""
OWNER_TAG, HEARTBEAT_TAG = "lethe.owner", "lethe.heartbeat"
"""The process that runs a run, and when it last said so (``bench/record/owner.py``)."""
THREAD_INVARIANT_TAG = "lethe.thread_invariant"
"""Of deterministic cells: whether products had the same bits on any number of threads where they ran."""
TUNED_TAG, TUNING_SECONDS_TAG = "tuned", "tuning_seconds"
"""Of cells whose options were tuned: that they were, and what finding them cost."""
TRIAL_KEY_TAG, OUTCOME_TAG = "lethe.trial_key", "lethe.outcome"
"""Of a tuning trial: its key, and how it ended (``measured`` or ``diverged``)."""

TEST_RECALL = "test/recall_at_20"
VALID_RECALL = "valid/recall_at_20"
FORGET_RECALL = "forget/recall_at_20"
RETAIN_RECALL = "retain/recall_at_20"
SPEEDUP = "time/speedup"
MIA_BALANCED_ACCURACY = "audit/membership/balanced_accuracy"
"""MLflow allows no ``@`` in metric names: ``recall_at_20`` is printed as recall@20."""

HEADLINES = (TEST_RECALL, RETAIN_RECALL, FORGET_RECALL, MIA_BALANCED_ACCURACY, SPEEDUP)
"""What tables show first, and what is logged first: a run's page in MLflow lists metrics as they came."""
