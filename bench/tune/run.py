"""Running a tune: the trials that are missing, their records in MLflow, the file with the choice."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

import yaml

from bench.cell.run import setting_tags
from bench.config.schema import Choice, TunedFrom, as_json
from bench.config.source import code_digest
from bench.config.tuned import setting_digest, write_tuned
from bench.disk.locks import held
from bench.disk.space import require_space
from bench.machine.devices import describe
from bench.measure.selection import Figures, Selected, Target
from bench.planning.keys import repair_identity
from bench.record.local.parameters import parameters
from bench.record.local.spool import lock_of
from bench.record.names import KIND_TAG, TARGET_KEY_TAG, TRIAL_KEY_TAG, TUNED_RULE_TAG
from bench.record.progress import reporting
from bench.record.store import Store, provenance
from bench.tune.loop import Step, Tuning, method_seconds, total_seconds
from bench.tune.record import (
    Trial,
    log_trial,
    recorded_target,
    recorded_trials,
    target_metrics,
    tuning,
)
from bench.tune.report import print_steps
from bench.tune.trial import TrialPipeline

log = logging.getLogger(__name__)


def run_tune(tune: Tuning) -> bool:
    """Run what is missing, choose, record and write; False where every trial diverged.

    Of several processes with the same tune one runs, and the others then find its trials.
    """
    config = tune.config
    name = f"tune-{tune.key_of(config.method)}"
    with held(lock_of(config.tracking, name), f"tuning {config.label}"):
        return _Run(tune.with_recorded(recorded_trials(config.tracking))).run()


def run_trial(
    store: Store,
    pipeline: TrialPipeline,
    method: Choice,
    name: str,
    tags: Mapping[str, str],
    aim: Figures,
    number: int,
    target: str = "gold",
) -> Trial:
    """Run one trial and record it as an MLflow run of its own.

    Args:
        store: the experiment of the trials.
        name: of the run, after the label of the setting.
        tags: of the run, with its trial key.
        aim: what its figures are aimed at.
        number: its place in the order of trials.
        target: the name of what is aimed at.
    """
    config = dataclasses.replace(pipeline.config, method=method)
    device = dataclasses.asdict(describe(pipeline.device))
    every = {**tags, KIND_TAG: "trial", **{f"device.{key}": str(value) for key, value in device.items()}}
    run_id = store.start(f"{pipeline.config.label} {name}", every)
    try:
        with store.heartbeat(run_id):
            store.log(run_id, params={**parameters(config), "trial.number": number})
            trial = pipeline.attempt(method)
            log_trial(store, run_id, trial, aim, target)
        store.finish(run_id)
    except BaseException as error:
        stopped = isinstance(error, KeyboardInterrupt | SystemExit)
        store.fail(run_id, error, "KILLED" if stopped else "FAILED")
        raise
    return trial


class _Run:
    """One tune under its lock, with its parent run in MLflow."""

    def __init__(self, tune: Tuning) -> None:
        self._tune, self._config = tune, tune.config
        self._store = Store(tuning(tune.config.tracking))
        self._tags = setting_tags(tune.cell)

    def run(self) -> bool:
        store, config = self._store, self._config
        for line in store.close_lost():
            log.info("left over from a process that died, marked as killed: %s", line)
        tags = {**self._tags, KIND_TAG: "tune", TUNED_RULE_TAG: self._tune.plan.label}
        self._parent = store.start(f"tune {config.label}", tags)
        try:
            with store.heartbeat(self._parent), reporting(config.label, config.cache.dir / "progress"):
                require_space(config.cache.dir)
                done = self._run()
            store.finish(self._parent)
        except BaseException as error:
            stopped = isinstance(error, KeyboardInterrupt | SystemExit)
            store.fail(self._parent, error, "KILLED" if stopped else "FAILED")
            raise
        return done

    def _run(self) -> bool:
        tune, plan = self._tune, self._tune.plan
        self._pipeline = TrialPipeline(tune.cell, gold=plan.target == "gold")
        original = self._pipeline.reference("original")
        self._store.log(self._parent, params={**parameters(self._config), **_flat_plan(tune)})
        self._target = self._measured_target()
        steps = []
        for step in tune.steps(self._target, self._trial):
            steps.append(step)
            log.info("trial %d of %d: %s", len(steps), plan.budget, _in_words(step))
        selected = tune.selected(steps, self._target)
        print_steps(tune, steps, selected, original, self._target)
        self._store.log(self._parent, metrics=self._metrics(steps, original, selected))
        if selected is None:
            log.error("all %d trials diverged: nothing is written", len(steps))
            return False
        values = {**tune.fixed, **steps[selected.candidate.number].values}
        source, content = self._source(steps), self._provenance(steps, selected)
        file = write_tuned(self._config, plan.target, values, source, content)
        written = {"method": values, "tuning": as_json(source), "provenance": content}
        self._store.log_json(self._parent, "tuned.json", written)
        log.info("written: %s", file)
        return True

    def _measured_target(self) -> Target:
        """What the trials are held against: measured once for all methods of the setting."""
        tune = self._tune
        target = recorded_target(self._config.tracking, tune.target_key)
        if target is None:
            target = self._pipeline.target(tune.target_cells, tune.plan)
        for name in ("valid_recall", "forget_recall"):
            spread = None if target.spread is None else getattr(target.spread, name)
            if spread is not None and spread < getattr(target.unit, name):
                log.warning(
                    "%s: its standard deviation over %d seeds is %.2g, so that least_unit=%g is its unit",
                    *(name, tune.plan.seeds, spread, tune.plan.least_unit),
                )
        tags = {TARGET_KEY_TAG: tune.target_key}
        self._store.log(self._parent, metrics=target_metrics(target), tags=tags)
        return target

    def _trial(self, number: int, key: str, method: Choice) -> Trial:
        """Run and record one trial."""
        tags = {**self._tags, TRIAL_KEY_TAG: key, "mlflow.parentRunId": self._parent}
        aim, name = self._target.aim, f"trial {number}"
        target = self._tune.plan.target
        return run_trial(self._store, self._pipeline, method, name, tags, aim, number, target)

    def _metrics(
        self, steps: Sequence[Step], original: Figures, selected: Selected | None
    ) -> dict[str, float]:
        metrics = {f"original/{name}_at_20": value for name, value in dataclasses.asdict(original).items()}
        metrics["tuning/seconds"] = total_seconds(steps)
        metrics["tuning/seconds_now"] = total_seconds([step for step in steps if not step.found])
        metrics["tuning/method_seconds"] = method_seconds(steps)
        metrics["tuning/trials"] = len(steps)
        metrics["tuning/diverged"] = sum(step.candidate is None for step in steps)
        metrics["tuning/repeated"] = sum(step.repeats is not None for step in steps)
        setting = self._pipeline.setting
        metrics["train/original_seconds"] = setting.original.record.seconds
        if self._tune.plan.target == "gold":
            metrics["train/gold_seconds"] = setting.gold.record.seconds
        if selected is not None:
            metrics["tuning/wrecked"] = float(selected.wrecked)
            metrics["chosen/loss"] = selected.loss
            metrics["chosen/valid_recall_at_20"] = selected.candidate.valid_recall
            metrics["chosen/forget_recall_at_20"] = selected.candidate.forget_recall
        return metrics

    def _source(self, steps: Sequence[Step]) -> TunedFrom:
        """What cells that take the chosen values check and record."""
        config, keys = self._config, self._tune.cell.keys
        return TunedFrom(
            rule=self._tune.plan.label,
            trials=len(steps),
            seconds=round(method_seconds(steps), 3),
            data=keys.data,
            request=keys.request,
            code=code_digest("method", config.method.name),
            setting=setting_digest(config),
        )

    def _provenance(self, steps: Sequence[Step], selected: Selected) -> dict[str, Any]:
        """Where the chosen values come from, for people."""
        config, plan, chosen, target = self._config, self._tune.plan, selected.candidate, self._target
        return {
            "trial": chosen.number,
            "loss": selected.loss,
            "wrecked": selected.wrecked,
            "chosen": _figures(chosen.valid_recall, chosen.forget_recall),
            **{
                part: None if each is None else _figures(each.valid_recall, each.forget_recall)
                for part, each in (("aim", target.aim), ("unit", target.unit), ("spread", target.spread))
            },
            "units": plan.units_in_words,
            "diverged": sum(step.candidate is None for step in steps),
            "wall_clock_seconds": round(total_seconds(steps), 3),
            "device": dataclasses.asdict(describe(self._pipeline.device)),
            **dataclasses.asdict(plan),
            "seed": config.seed,
            "regime": as_json(config.regime),
            **repair_identity(config),
            "fixed": self._tune.fixed,
            "optuna": version("optuna"),
            "commit": provenance()["lethe.commit"],
            "keys": dataclasses.asdict(self._tune.cell.keys),
            "target_key": self._tune.target_key,
            "mlflow_run": self._parent,
        }


def _figures(valid: float, forget: float) -> dict[str, float]:
    return {"valid_recall_at_20": valid, "forget_recall_at_20": forget}


def _flat_plan(tune: Tuning) -> dict[str, Any]:
    plan = {f"tune.{name}": value for name, value in dataclasses.asdict(tune.plan).items()}
    return plan | {f"space.{option}": entry.in_words() for option, entry in tune.space.items()}


def _in_words(step: Step) -> str:
    figures = step.trial.figures
    text = (
        "" if figures is None else f", valid {figures.valid_recall:.4f}, forget {figures.forget_recall:.4f}"
    )
    values = yaml.safe_dump(step.values, default_flow_style=True, width=1000).strip()
    return f"{step.state}{text}, {step.seconds:.1f} s {values}"
