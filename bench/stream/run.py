"""Running a cell that serves a stream, and recording it: one MLflow run whose steps are requests served."""

from __future__ import annotations

from bench.cell.run import announce, counts_of, keep, named, recorded, train_model, training_metrics
from bench.measure.lists import LISTS_FILE
from bench.planning.planner import PlannedCell
from bench.record.names import HEADLINES, NOT_APPLICABLE_TAG, REQUEST_FILE
from bench.record.progress import phase
from bench.record.sending import Recording
from bench.stream.pipeline import StreamPipeline, StreamResult
from bench.stream.setting import StreamSettingStage

REQUESTS_FILE = "requests.json"
"""Artifact: every request with what it named and what serving it took, and whether it was served in time."""
PER_REQUEST = ("seconds", "examples", "peak_memory")
"""What of each request is a curve."""


def run_stream(cell: PlannedCell) -> str:
    """Run a planned cell that serves a stream, and record it. Returns the MLflow run id.

    What it keeps between two requests goes once the run is finished.
    """
    pipelines: list[StreamPipeline] = []

    def work(recording: Recording) -> None:
        pipeline = StreamPipeline(cell)
        pipelines.append(pipeline)
        announce(recording, cell, pipeline.setting.device)
        result = pipeline.run()
        phase("recording")
        _keep(recording, result, cell)

    run_id = recorded(cell, work)
    pipelines[0].kept.remove()
    return run_id


def train_stream_model(cell: PlannedCell) -> None:
    """Train the model that ``run.stage`` names, if it is not in the cache yet."""
    train_model(cell, StreamSettingStage)


def _keep(recording: Recording, result: StreamResult, cell: PlannedCell) -> None:
    metrics = counts_of(result.asked, cell.summary)
    metrics |= training_metrics("original", result.original) | training_metrics("gold", result.gold)
    notes = {f"note.{key}": str(value) for key, value in result.notes.items()}
    notes |= {NOT_APPLICABLE_TAG + name: why for name, why in result.last.not_applicable.items()}
    files = {
        "per_user.safetensors": result.last.per_user,
        LISTS_FILE: result.last.lists,
        "audits.safetensors": result.audit_arrays,
        REQUEST_FILE: named(result.asked),
    }
    documents = {REQUESTS_FILE: [one.to_json() for one in result.served]}
    keep(recording, cell, metrics, _curves(result), notes, files, documents, result.model)


def _curves(result: StreamResult) -> dict[str, list[tuple[int, float]]]:
    """Every figure by name over the number of requests served; MLflow shows the last."""
    names = dict.fromkeys((*HEADLINES, *(name for own in result.metrics.values() for name in own)))
    curves = {
        name: [(step, float(own[name])) for step, own in sorted(result.metrics.items()) if name in own]
        for name in names
    }
    curves |= {
        f"request/{name}": [(one.number, float(getattr(one, name))) for one in result.served]
        for name in PER_REQUEST
    }
    return {name: curve for name, curve in curves.items() if curve}
