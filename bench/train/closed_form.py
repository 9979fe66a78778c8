"""Fitting a recommender in closed form, under the record that training leaves: one epoch without a step."""

from __future__ import annotations

from bench.machine.devices import describe
from bench.machine.timing import Stopwatch
from bench.measure.evaluate import ValidationProbe
from bench.train.record import TrainingRecord
from datasets.interactions import InteractionData
from models.closed_form import ClosedForm


def fit(model: ClosedForm, data: InteractionData, chunk_scores: int) -> TrainingRecord:
    """Fit ``model`` to ``data``; what it cost. Nothing is drawn, selected or iterated."""
    watch = Stopwatch(data.train.device)
    with watch.running():
        model.bind(data)
        model.fit(data)
    recall = ValidationProbe(data.train, data.valid, data.num_users, data.num_items, chunk_scores)(model)
    return TrainingRecord(
        seconds=watch.seconds,
        seconds_to_best=watch.seconds,
        warmup_seconds=0.0,
        epochs=1,
        best_epoch=1,
        best_recall=recall,
        steps=0,
        examples=data.train.shape[1],
        stopped_by="closed form",
        device=describe(data.train.device),
        curve=[{"epoch": 1, "valid_recall_at_20": recall, "seconds": watch.seconds}],
        propagations=watch.propagations,
        processor_share=watch.processor_share,
    )
