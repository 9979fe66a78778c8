"""Names under which results are recorded in MLflow; readers of the store rely on them."""

from __future__ import annotations

from collections.abc import Mapping

CELL_KEY_TAG = "lethe.cell_key"
CODE_TAG = "lethe.code."
"""Of cells, before the name of a part: digest of its code (``bench/planning/code.py``)."""
DATA_KEY_TAG, REQUEST_KEY_TAG, GOLD_KEY_TAG = "lethe.data_key", "lethe.request_key", "lethe.gold_key"
"""Of cells: keys of the data set, of the deletion request, and of the gold model they are held against."""
RECORD_TAG = "lethe.record"
"""Of a run that was sent from the spool: the id of its record there (``bench/record/local/spool.py``)."""
GOLD_KEYS_TAG = "lethe.gold_keys"
"""Of cells that serve a stream: keys of the gold models of all checkpoints, separated by spaces."""
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
"""Of deterministic cells: whether dense products had the same bits on any number of threads where they ran:
``yes``, or ``but for`` and the shapes that had not."""
TUNED_TAG = "tuned"
"""``true`` of cells whose options were tuned."""
TUNED_RULE_TAG, TUNED_TRIALS_TAG, TUNED_SECONDS_TAG = "tuned.rule", "tuned.trials", "tuned.seconds"
"""What choosing them is called, and the trials and seconds of the method's clock behind them."""
TUNED_REMARKS_TAG = "tuned.remarks"
"""What has to be said about them (``bench/config/tuned.py``), with semicolons between; absent without any."""
TRIAL_KEY_TAG, OUTCOME_TAG, PREPARED_TAG = "lethe.trial_key", "lethe.outcome", "lethe.prepared"
"""Of a tuning trial: its key, how it ended (``measured`` or ``diverged``), and what it had prepared."""
TARGET_KEY_TAG = "lethe.target_key"
"""Of a tune: the key of what its trials are held against."""
MODEL_CLASS_TAG, MODEL_FOLDER = "lethe.model_class", "model"
"""Of cells that keep their unlearned model: the name of its class, and the artifact folder with its files."""
MODEL_CELL, MODEL_EMBEDDINGS = "cell.json", "embeddings.safetensors"
MODEL_WEIGHTS = "weights.safetensors"
"""Configuration, final representations, parameters and buffers (``bench/objects/saved.py``)."""
REQUEST_FILE = "request.safetensors"
"""Artifact of every cell: what had to be forgotten, ``users`` [U], ``items`` [I] and ``forget`` [2, F], as
dense ids."""

LATENCY_MEAN, LATENCY_TOTAL = "stream/latency_mean", "stream/latency_total"
"""Of cells that serve a stream: seconds per request, and of all requests so far."""

TEST_RECALL = "test/recall_at_20"
VALID_RECALL = "valid/recall_at_20"
FORGET_RECALL = "forget/recall_at_20"
RETAIN_RECALL = "retain/recall_at_20"
SPEEDUP, SPEEDUP_TO_END = "time/speedup_to_best", "time/speedup"
"""Gold's seconds to its best epoch, or to the end of its patience, over the method's."""
CONTENDED = "time/contended"
"""1 where the clock of a speed-up had to share its processors, 0 where none had, absent where unknown."""
OFFLINE_SECONDS = "time/offline_seconds"
STEPS, PROPAGATIONS = "cost/unlearn_steps", "cost/unlearn_propagations"
"""What a method's work is without a device: gradient steps, and products of a graph operator."""
BREAK_EVEN = "cost/break_even_requests"
"""Requests after which a method's preparation has paid off; absent where it never does."""
SECONDS_PER_LIST, BASE_SECONDS_PER_LIST = "serve/seconds_per_list", "serve/base_seconds_per_list"
"""Of a method that serves lists itself: what a list takes, and what one of the recommender behind it."""
BREAK_EVEN_LISTS = "cost/break_even_lists"
"""Served lists after which retraining would have been cheaper."""
NOT_APPLICABLE_TAG = "lethe.not_applicable."
"""Of cells, before the beginning of the names of metrics that make no sense for their model: why."""
MIA_BALANCED_ACCURACY = "audit/membership/balanced_accuracy"
"""MLflow allows no ``@`` in metric names: ``recall_at_20`` is printed as recall@20."""

HEADLINES = (TEST_RECALL, RETAIN_RECALL, FORGET_RECALL, MIA_BALANCED_ACCURACY, SPEEDUP)
"""What tables show first, and what is logged first: a run's page in MLflow lists metrics as they came."""


def not_applicable(tags: Mapping[str, str], metric: str) -> str:
    """Why a metric makes no sense for the model of a run with these tags, "" where none says so."""
    stated = {
        tag.removeprefix(NOT_APPLICABLE_TAG): why for tag, why in tags.items() if NOT_APPLICABLE_TAG in tag
    }
    return next((why for name, why in stated.items() if f"{metric}/".startswith(_beginning(name))), "")


def _beginning(name: str) -> str:
    """Of the metrics that a tag is about; a role ends in an underscore and is part of a longer word."""
    return name if name.endswith("_") else f"{name}/"
