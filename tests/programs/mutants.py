"""``python -m tests.programs.mutants``: break each guarantee on purpose and print which tests notice.

Every mutant replaces one passage of the source in a copy of the checkout and runs its guards, which are part
of ``make test``. A mutant that no guard kills ends the program with exit code 1. ``--only NAME`` runs one.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.house import ROOT

LEAKAGE, COSTS = "tests/leakage/test_pipeline.py", "tests/leakage/test_costs.py"
SHARDS = "tests/unlearning/test_shard_methods.py"
STEP = "tests/unlearning/second_order/test_step.py"
SOLVERS = "tests/unlearning/second_order/test_solvers.py"
CHALLENGE = "tests/unlearning/test_challenge_methods.py"
CLOSED = "tests/models/test_closed_form.py"
SENDING, CHECKPOINT = "tests/bench/record/test_sending.py", "tests/bench/train/test_checkpoint.py"
HOSTILE = "tests/bench/test_hostile.py"
STREAMS = "tests/leakage/test_streams.py"
SENSITIVE = "tests/datasets/streams/test_sensitive.py"


@dataclass(frozen=True)
class Mutant:
    """One broken guarantee: ``old`` becomes ``new`` in ``file``; ``guards`` must notice."""

    name: str
    file: str
    old: str
    new: str
    guards: tuple[str, ...] = (LEAKAGE,)


MUTANTS = (
    Mutant(
        "a request leaves kept answers of those it touches",
        "unlearning/llm/kept.py",
        "                file.unlink(missing_ok=True)\n            gone",
        "                pass\n            gone",
        ("tests/unlearning/llm/test_kept.py",),
    ),
    Mutant(
        "a server's Retry-After is ignored",
        "unlearning/llm/http.py",
        "if wanted is not None:",
        "if False:",
        ("tests/unlearning/llm/test_http.py",),
    ),
    Mutant(
        "retrieval sees the full history",
        "unlearning/cragru.py",
        "RetainedHistory(retain)",
        "RetainedHistory(problem.full)",
        ("tests/unlearning/test_cragru.py",),
    ),
    Mutant(
        "lists without an answer are not counted",
        "unlearning/rag/reranker.py",
        "self._fallbacks = before + count",
        "pass",
        ("tests/unlearning/test_cragru.py",),
    ),
    Mutant(
        "one field of the text makes an item sensitive",
        "datasets/streams/category.py",
        "_signals(text, found) >= signals",
        "_signals(text, found) >= 1",
        (SENSITIVE,),
    ),
    Mutant(
        "a keyword counts inside a word",
        "datasets/streams/category.py",
        "(?:{alternatives})(?!\\w)",
        "(?:{alternatives})",
        (SENSITIVE,),
    ),
    Mutant(
        "those who ask a category away leave",
        "datasets/streams/sensitive.py",
        "Named(pairs=sensitive[:, torch.isin(sensitive[0], part)])",
        "Named(users=part)",
        (SENSITIVE,),
    ),
    Mutant(
        "a sensitive stream stops short of the asked share",
        "datasets/streams/sensitive.py",
        "(reached < wanted).sum()) + 1]",
        "(reached < wanted).sum())]",
        (SENSITIVE,),
    ),
    Mutant(
        "gold is trained on the full data",
        "bench/cell/setting.py",
        'self.graphs.attach(read if role == "original" else request.apply(read))',
        "self.graphs.attach(read)",
    ),
    Mutant(
        "the method is not bound to the retain set",
        "bench/cell/unlearn.py",
        'if options.graph_at_unlearning != "full":',
        "if False:",
    ),
    Mutant(
        "the evaluated model is not bound to the graph it names",
        "bench/cell/unlearn.py",
        "if options.graph_at_evaluation != options.graph_at_unlearning:",
        "if True:\n                bound_to['retain'] = problem.full\n            if True:",
    ),
    Mutant(
        "evaluation masks by the full training pairs",
        "bench/measure/yardstick.py",
        'RETAINED | FORGOTTEN if graph == "full" else RETAINED',
        "RETAINED | FORGOTTEN",
    ),
    Mutant(
        "forgotten pairs stay in the retain sampler",
        "unlearning/base.py",
        "return TripleSampler(self.retain.train, self.retain.train,",
        "return TripleSampler(self.full.train, self.full.train,",
    ),
    Mutant(
        "training selects its epoch on test pairs",
        "bench/train/loop.py",
        "ValidationProbe(data.train, data.valid,",
        "ValidationProbe(data.train, data.test,",
    ),
    Mutant(
        "a method is lent the test pairs",
        "bench/cell/unlearn.py",
        "lent = setting.without_test()",
        "lent = setting",
    ),
    Mutant(
        "the request is drawn from the training seed",
        "bench/cell/setting.py",
        "return read, draw(self._config.regime, read)",
        "return read, draw(dataclasses.replace(self._config.regime, seed=self._config.seed + 7), read)",
    ),
    Mutant(
        "the speed-up has its clocks swapped",
        "bench/cell/pipeline.py",
        "{SPEEDUP: gold.seconds_to_best / online,",
        "{SPEEDUP: online / gold.seconds_to_best,",
        (COSTS,),
    ),
    Mutant(
        "the speed-up to gold's best epoch is that to its end and the other way round",
        "bench/cell/pipeline.py",
        "{SPEEDUP: gold.seconds_to_best / online, SPEEDUP_TO_END: gold.seconds / online}",
        "{SPEEDUP: gold.seconds / online, SPEEDUP_TO_END: gold.seconds_to_best / online}",
        (COSTS,),
    ),
    Mutant(
        "a clock leaves out the binding",
        "bench/cell/unlearn.py",
        "                model.bind(bound_to[options.graph_at_unlearning])",
        "                with watch.paused():\n"
        "                    model.bind(bound_to[options.graph_at_unlearning])",
        (COSTS,),
    ),
    Mutant(
        "a clock runs on while an epoch is evaluated",
        "bench/cell/recorder.py",
        "with self._watch.paused():",
        "if True:",
        (COSTS, "tests/bench/machine/test_timing.py"),
    ),
    Mutant(
        "a contended clock is not marked",
        "bench/cell/pipeline.py",
        "share is not None and share < CONTENDED_BELOW",
        "share is not None and share < 0",
        (COSTS,),
    ),
    Mutant(
        "withdrawn items are targets",
        "bench/measure/targets.py",
        "return pairs[:, ~torch.isin(pairs[1], retain.withdrawn_items)]",
        "return pairs",
        (LEAKAGE, "tests/bench/measure/test_targets.py"),
    ),
    Mutant(
        "withdrawn items are candidates whatever was asked",
        "bench/measure/yardstick.py",
        'candidates == "all" or not retain.withdrawn_items.numel()',
        "True",
        (LEAKAGE, "tests/bench/measure/test_targets.py"),
    ),
    Mutant(
        "stored lists are those of another order of users",
        "bench/measure/yardstick.py",
        '"items": lists.items[users, :HEADLINE_K]',
        '"items": lists.items[users.flip(0), :HEADLINE_K]',
    ),
    Mutant(
        "the users of stored lists follow from the request",
        "bench/measure/yardstick.py",
        "self._listed = listed_users(full, lists)",
        "self._listed = listed_users(retain, lists)",
        ("tests/bench/cell/test_pipeline.py", "tests/bench/measure/test_one_pass.py"),
    ),
    Mutant(
        "users are not sorted down to where their masks end",
        "bench/measure/one_pass.py",
        "top_items(offered, k + longest)",
        "top_items(offered, k + longest - 1)",
        ("tests/bench/measure/test_one_pass.py",),
    ),
    Mutant(
        "held-out pairs of users without a training pair stay",
        "bench/planning/dataset.py",
        "return without_cold_users(_checked(reader), reader.name)",
        "return _checked(reader)",
        ("tests/bench/planning/test_cold_users.py",),
    ),
    Mutant(
        "fixed epochs select an epoch nevertheless",
        "bench/train/loop.py",
        '(_Last(), "fixed")',
        '(_Best(model), "fixed")',
        ("tests/bench/train/test_train.py",),
    ),
    Mutant(
        "withdrawn items keep their content",
        "datasets/requests.py",
        "features={m: x.index_fill(0, items, 0.0) for m, x in data.features.items()},",
        "features=dict(data.features),",
        (LEAKAGE, "tests/leakage/test_methods_and_backbones.py"),
    ),
    Mutant(
        "tuned options are ignored",
        "bench/config/compose.py",
        "tuned = [_tuned(*pair, config_dir) for pair",
        "tuned = [_tuned(*pair, config_dir)[:0] for pair",
        ("tests/bench/config/test_tuned.py::test_the_command_line_wins",),
    ),
    Mutant(
        "tuned options of other data are taken",
        "bench/config/tuned.py",
        "if source.data != data:",
        "if False:",
        (
            "tests/bench/config/test_tuned.py::test_other_data_is_refused_in_one_sentence_before_anything_starts",
        ),
    ),
    Mutant(
        "the code behind tuned options is not compared",
        "bench/config/tuned.py",
        'OTHER_CODE: source.code != code_digest("method", config.method.name),',
        "OTHER_CODE: False,",
        ("tests/bench/config/test_tuned.py::test_what_was_tuned_otherwise_is_said_in_the_plan",),
    ),
    Mutant(
        "options may be reported on the request they were tuned on",
        "bench/config/tuned.py",
        "SAME_REQUEST: source.request == request,",
        "SAME_REQUEST: False,",
        ("tests/bench/config/test_tuned.py::test_what_was_tuned_otherwise_is_said_in_the_plan",),
    ),
    Mutant(
        "a row does not say by which rule it was tuned",
        "results/tables/leaderboard.py",
        "(*group.tunes, *group.flags, *left)",
        "(*group.flags, *left)",
        ("tests/results/tables/test_tuned_rows.py",),
    ),
    Mutant(
        "tuning takes forgetting past gold for free",
        "bench/measure/selection.py",
        "forget = abs(candidate.forget_recall - aim.forget_recall) / unit",
        "forget = max(candidate.forget_recall - aim.forget_recall, 0.0) / unit",
        ("tests/bench/measure/test_selection.py",),
    ),
    Mutant(
        "tuning takes utility past gold for free",
        "bench/measure/selection.py",
        "valid = abs(candidate.valid_recall - aim.valid_recall) / unit",
        "valid = max(aim.valid_recall - candidate.valid_recall, 0.0) / unit",
        ("tests/bench/measure/test_selection.py",),
    ),
    Mutant(
        "trials take nothing from the budget of seconds",
        "bench/tune/loop.py",
        "spent += step.method_seconds",
        "spent += 0.0",
        ("tests/bench/tune/test_tune.py::test_every_method_has_the_same_budget_of_trials_and_of_seconds",),
    ),
    Mutant(
        "the budget of seconds counts measuring",
        "bench/tune/loop.py",
        "method_seconds=step.trial.clock_beside(prepared))",
        "method_seconds=step.trial.seconds)",
        ("tests/bench/tune/test_tune.py::test_every_method_has_the_same_budget_of_trials_and_of_seconds",),
    ),
    Mutant(
        "no suggestion of a tune is random",
        "bench/tune/loop.py",
        "explore=self.plan.explores(number, spent)",
        "explore=False",
        ("tests/bench/tune/test_tune.py::test_half_of_every_methods_suggestions_are_random",),
    ),
    Mutant(
        "a tune runs on any request",
        "bench/tune/__main__.py",
        "if config.regime.seed != TUNED_REQUEST:",
        "if False:",
        ("tests/bench/tune/test_tune.py::test_user_errors_are_one_sentence",),
    ),
    Mutant(
        "gold of one seed is measured five times",
        "bench/tune/loop.py",
        "for seed in range(first, first + self.plan.seeds)]",
        "for seed in [first] * self.plan.seeds]",
        (
            "tests/bench/tune/test_target.py::test_gold_is_measured_over_five_training_seeds_of_the_same_request",
        ),
    ),
    Mutant(
        "gold-free tuning trains gold",
        "bench/tune/run.py",
        'gold=plan.target == "gold"',
        "gold=True",
        ("tests/bench/tune/test_target.py::test_gold_free_tuning_is_called_so_and_trains_no_gold",),
    ),
    Mutant(
        "gold's key forgets the request",
        "bench/planning/keys.py",
        'else digest("model", {"data": data, "request": request, **backbone})',
        'else digest("model", {"data": data, "role": "gold", **backbone})',
        ("tests/bench/planning/test_keys.py",),
    ),
    Mutant(
        "a cell's key forgets the code of its method",
        "bench/planning/keys.py",
        '"code": code_digest("method", config.method.name),\n            "evaluate"',
        '"evaluate"',
        ("tests/bench/planning/test_keys.py",),
    ),
    Mutant(
        "per-user arrays are those of another split",
        "bench/measure/yardstick.py",
        'arrays[f"{split}/users"] = splits[split].users.cpu()',
        'arrays[f"{split}/users"] = splits["valid"].users.cpu()',
    ),
    Mutant(
        "audits are fed the original as the unlearned model",
        "bench/cell/pipeline.py",
        "return run_audits(kinds, {**models, **references}, context)",
        'return run_audits(kinds, {**models, "": setting.original.model, **references}, context)',
    ),
    Mutant(
        "every method can reach gold",
        "bench/cell/unlearn.py",
        "return copied if method in REFERENCE_METHODS else refused",
        "return copied",
    ),
    Mutant(
        "reference systems get gold itself and no copy",
        "bench/cell/unlearn.py",
        "return Trained(copy.deepcopy(gold.model), record",
        "return Trained(gold.model, record",
    ),
    Mutant(
        "what a method changes in place goes unnoticed",
        "bench/cell/unlearn.py",
        "if self._lent.digest(problem, thorough) != before:",
        "if False:",
    ),
    Mutant(
        "validation pairs of forgotten users stay",
        "datasets/requests.py",
        "valid=data.valid[:, ~self.owns(data.valid)],",
        "valid=data.valid,",
    ),
    Mutant(
        "all shards are trained again",
        "unlearning/shard_training.py",
        "first = first_touched(state.partition, problem.full, problem.retain, shard, reads_content)",
        "first = 0",
        (SHARDS,),
    ),
    Mutant(
        "a shard sees pairs of others",
        "unlearning/shards.py",
        "mine = there & (self.labels[places] == shard)",
        "mine = there & (self.labels[places] <= shard)",
        (SHARDS,),
    ),
    Mutant(
        "the state of shards keeps forgotten pairs",
        "unlearning/shard_training.py",
        "kept = state.partition.within(problem.retain.train)",
        "kept = state.partition",
        (SHARDS,),
    ),
    Mutant(
        "a slice starts from fresh weights",
        "unlearning/shard_training.py",
        "start = made[max(made)] if made else None",
        "start = None",
        ("tests/unlearning/test_sisa.py",),
    ),
    Mutant(
        "a combiner is drawn from the generator of the request",
        "unlearning/receraser.py",
        "problem.retain, partition, state.models(), state.seed)",
        "problem.retain, partition, state.models(), problem.generator.initial_seed())",
        (SHARDS,),
    ),
    Mutant(
        "removal from a closed form has its sign reversed",
        "models/ridge.py",
        "torch.cat([-before.new_ones(len(before)), after.new_ones(len(after))])",
        "torch.cat([before.new_ones(len(before)), -after.new_ones(len(after))])",
        (CLOSED,),
    ),
    Mutant(
        "emptied items stay in the rows that are taken out",
        "models/ease.py",
        "dense_rows(was, some).masked_fill(emptied, 0.0), dense_rows(is_now, some)",
        "dense_rows(was, some), dense_rows(is_now, some)",
        (CLOSED,),
    ),
    Mutant(
        "patched counts keep nothing of a touched user",
        "models/itemknn.py",
        " - cooccurrences(was, users) + cooccurrences(is_now, users)",
        " - cooccurrences(was, users)",
        (CLOSED,),
    ),
    Mutant(
        "anchors of the greedy partition do not move",
        "unlearning/greedy_assignment.py",
        "return torch.where(held > 0, counts.t() @ vectors / held.clamp(min=1), before)",
        "return before",
        ("tests/unlearning/test_partitions.py",),
    ),
    Mutant(
        "the influence step has its sign reversed",
        "unlearning/second_order/method.py",
        "place.move(delta + noise(",
        "place.move(-delta + noise(",
        (STEP,),
    ),
    Mutant(
        "solvers leave the curvature out",
        "unlearning/second_order/solvers.py",
        "return self.product(vector) + self.damping * vector",
        "return self.damping * vector",
        (SOLVERS, STEP),
    ),
    Mutant(
        "Gauss-Newton products forget how the loss bends",
        "unlearning/second_order/curvature.py",
        "factor * loss.bend(self._margins.detach())",
        "factor * torch.ones_like(self._margins)",
        ("tests/unlearning/second_order/test_curvature.py",),
    ),
    Mutant(
        "conjugate gradients go on where curvature is not positive",
        "unlearning/second_order/solvers.py",
        "if curvature <= 0:",
        "if False:",
        (SOLVERS,),
    ),
    Mutant(
        "a series that runs away is followed",
        "unlearning/second_order/solvers.py",
        'elif not size < (runaway or float("inf")) * best.residual:',
        "elif False:",
        (SOLVERS,),
    ),
    Mutant(
        "nobody is affected by a removed edge",
        "unlearning/second_order/method.py",
        "mask = self.affected(scene) if scene.spills else nobody(triples)",
        "mask = nobody(triples)",
        (STEP,),
    ),
    Mutant(
        "the gradient of the affected is that of one graph only",
        "unlearning/second_order/method.py",
        "            g -= slope(*spill)",
        "            g -= 0 * slope(*spill)",
        (STEP,),
    ),
    Mutant(
        "the trust region is ignored",
        "unlearning/second_order/method.py",
        "return delta * factor, factor",
        "return delta, factor",
        (STEP,),
    ),
    Mutant(
        "the Gaussian mechanism divides",
        "unlearning/second_order/method.py",
        "options.bound * math.sqrt(",
        "options.bound / math.sqrt(",
        (STEP,),
    ),
    Mutant(
        "an operator is trained by the layers after it",
        "unlearning/gnndelete.py",
        "z.detach() if self.options.layerwise else z",
        "z",
        ("tests/unlearning/test_gnndelete.py",),
    ),
    Mutant(
        "operators act on every node",
        "unlearning/deletion_operators.py",
        "z.index_copy(0, rows, F.embedding(rows, z) @ self.operators[layer - 1])",
        "z @ self.operators[layer - 1]",
        ("tests/unlearning/test_gnndelete.py",),
    ),
    Mutant(
        "Kookmin redraws bystanders in the whole table",
        "unlearning/kookmin.py",
        'if self.options.scope == "touched_rows":',
        "if False:",
        (CHALLENGE,),
    ),
    Mutant(
        "the repair budget samples forgotten pairs",
        "unlearning/repair_budget.py",
        "retained, generator = problem.retain.train, problem.generator",
        "retained, generator = problem.full.train, problem.generator",
        (CHALLENGE,),
    ),
    Mutant(
        "a method looks at validation pairs while it runs",
        "unlearning/rrl.py",
        "max_valid_loss: Annotated[float, Field(ge=0, le=1)] | None = None",
        "max_valid_loss: Annotated[float, Field(ge=0, le=1)] | None = 0.01",
        ("tests/unlearning/test_every_method.py::test_no_method_looks_at_validation_pairs_on_request",),
    ),
    Mutant(
        "a record in the spool does not count as finished",
        "bench/record/finished.py",
        "{**spool.waiting(tracking), **found.finished}",
        "found.finished",
        (f"{SENDING}::test_a_finished_cell_is_kept_sent_and_confirmed",),
    ),
    Mutant(
        "a record that was sent before is sent as another run",
        "bench/record/sending.py",
        "return found[-1] if found else None",
        "return None",
        (f"{SENDING}::test_cut_at_every_call_it_is_there_once",),
    ),
    Mutant(
        "a cell that another run finished is recorded again",
        "bench/record/sending.py",
        "if not kept.forced and _finished_elsewhere(store, kept):",
        "if False:",
        (f"{SENDING}::test_a_cell_that_another_run_finished_is_not_recorded_again",),
    ),
    Mutant(
        "an edited record is sent",
        "bench/record/local/spool.py",
        'if found["sha256"] != _digest(whole):',
        "if False:",
        (f"{SENDING}::test_a_damaged_record_is_set_aside_and_the_cell_is_due",),
    ),
    Mutant(
        "a broken connection is the fault of the cell",
        "bench/record/local/faults.py",
        "if isinstance(error, OSError | http.client.HTTPException):",
        "if False:",
        ("tests/bench/record/test_reach.py::test_faults_of_network_and_store",),
    ),
    Mutant(
        "cells are locked in the cache",
        "bench/cli.py",
        'spool.lock_of(settings.tracking, f"cell-{cell.keys.cell}")',
        'settings.cache.dir / "locks" / f"cell-{cell.keys.cell}.lock"',
        ("tests/bench/sweep/test_resume.py::test_a_cell_runs_once_although_the_cache_is_deleted_meanwhile",),
    ),
    Mutant(
        "a resumed training draws from fresh generators",
        "bench/train/checkpoint.py",
        'torch.set_rng_state(tensors["generator.torch"])',
        "pass",
        (CHECKPOINT,),
    ),
    Mutant(
        "a resumed training has a fresh optimiser",
        "bench/train/checkpoint.py",
        'optimiser.load_state_dict({**optimiser.state_dict(), "state": state})',
        "pass",
        (CHECKPOINT,),
    ),
    Mutant(
        "a resumed training forgets its best epoch",
        "bench/train/loop.py",
        'self.kept.take(best, **facts["kept"])',
        "pass",
        (CHECKPOINT,),
    ),
    Mutant(
        "a damaged training state is gone on with",
        "bench/train/checkpoint.py",
        'if told["sha256"] != _digest(tensors):',
        "if False:",
        (CHECKPOINT,),
    ),
    Mutant(
        "a folder that is no cache is tidied up",
        "bench/cache/care.py",
        "    if not is_claimed(cache):\n        return []",
        "    if False:\n        return []",
        ("tests/bench/cache/test_cache_care.py::test_a_folder_that_was_there_before_is_no_cache",),
    ),
    Mutant(
        "pruning takes another store than the harness",
        "bench/cache/care.py",
        'os.environ.get("MLFLOW_TRACKING_URI", "sqlite:///mlflow.db")',
        '"sqlite:///mlflow.db"',
        ("tests/bench/cache/test_cache_care.py::test_unreferenced_takes_the_store_of_the_environment",),
    ),
    Mutant(
        "pointers of an item graph are followed unchecked",
        "datasets/mmrec.py",
        "stored.check_format(full_check=True)",
        "pass",
        (f"{HOSTILE}::test_one_sentence[a pointer of 10^6 in an item graph]",),
    ),
    Mutant(
        "a data set may be called anything",
        "bench/config/schema.py",
        'check_name(f"{group}.name", getattr(cell, group).name)',
        "pass",
        (f"{HOSTILE}::test_one_sentence[a data set that leaves its folder]",),
    ),
    Mutant(
        "ids are allocated whatever they need",
        "datasets/size.py",
        "if needed > there:",
        "if False:",
        ("tests/datasets/test_size.py",),
    ),
    Mutant(
        "names end cells of Markdown tables",
        "results/formats/markdown.py",
        'return re.sub(r"[|`\\[\\]\\\\]", lambda found: f"\\\\{found[0]}", line(text))',
        "return line(text)",
        ("tests/results/test_hostile_strings.py",),
    ),
    Mutant(
        "a bundle without artifacts is written",
        "results/runs/bundle.py",
        "if PER_USER not in paths:",
        "if False:",
        ("tests/results/runs/test_bundle.py::test_a_folder_of_artifacts_that_moved_is_noticed",),
    ),
    Mutant(
        "a request of a stream is lent the data from before the first",
        "bench/stream/pipeline.py",
        "before, after = rest.data, rest.without(request)",
        "before, after = stream.full, rest.without(request)",
        (STREAMS,),
    ),
    Mutant(
        "a method's state does not reach its next request",
        "bench/cell/unlearn.py",
        "if number == 0 else (state, 0.0)",
        "if number == 0 else (None, 0.0)",
        (STREAMS, "tests/bench/stream/test_equalities.py"),
    ),
    Mutant(
        "each request of a stream starts from the original",
        "bench/stream/pipeline.py",
        "model = CachedModel(so_far.model, stream.original.record, found=True)",
        "model = CachedModel(copy.deepcopy(stream.original.model), stream.original.record, found=True)",
        (STREAMS, "tests/bench/stream/test_resume.py"),
    ),
    Mutant(
        "every checkpoint of a stream has the gold model of the last",
        "bench/stream/setting.py",
        "self._keys.golds[place])",
        "self._keys.golds[-1])",
        ("tests/bench/stream/test_equalities.py",),
    ),
    Mutant(
        "a request that was late is forgotten nevertheless",
        "bench/stream/pipeline.py",
        "        if not in_time:\n",
        "        if False:\n",
        ("tests/bench/stream/test_figures.py",),
    ),
    Mutant(
        "an interrupted stream loses the state of its method",
        "unlearning/base.py",
        'return model, state if packed.figures["has_state"] else None',
        "return model, None",
        ("tests/bench/stream/test_resume.py",),
    ),
)


def broken_copy(mutant: Mutant, folder: Path) -> Path:
    """A copy of the checkout with the mutant in it. Raises ``ValueError`` where its passage is not unique."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    for name in listed.stdout.splitlines():
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    target = folder / mutant.file
    target.write_text(mutated(mutant, target.read_text(encoding="utf-8")), encoding="utf-8")
    return folder


def mutated(mutant: Mutant, text: str) -> str:
    """The source with the mutant in it. Raises ``ValueError`` where its passage is not there exactly once."""
    if text.count(mutant.old) != 1:
        raise ValueError(
            f"mutant {mutant.name!r}: its passage stands {text.count(mutant.old)} times in {mutant.file}"
        )
    return text.replace(mutant.old, mutant.new)


def killers(mutant: Mutant, first: bool) -> list[str]:
    """The guards that fail on the mutant; only the first one where that is enough."""
    with tempfile.TemporaryDirectory() as place:
        folder = broken_copy(mutant, Path(place))
        command = [sys.executable, "-m", "pytest", "-q", "-n0", "-p", "no:cacheprovider", "--tb=no", "-rfE"]
        done = subprocess.run(
            [*command, *(["-x"] if first else []), *mutant.guards],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(folder)},
            capture_output=True,
            text=True,
        )
    if done.returncode < 0:  # the process itself died
        return [f"signal {-done.returncode}"]
    lines = [line for line in done.stdout.splitlines() if line.startswith(("FAILED ", "ERROR "))]
    return [line.split(" - ")[0].partition(" ")[2] for line in lines]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the mutants; 1 if one survives."""
    parser = argparse.ArgumentParser("python -m tests.programs.mutants", description=__doc__)
    parser.add_argument("--only", help="the mutant whose name contains this")
    parser.add_argument("--first", action="store_true", help="stop at the first test that kills")
    options = parser.parse_args(arguments)
    survivors = 0
    print("| mutant | killed by |\n|---|---|", flush=True)
    for mutant in MUTANTS:
        if options.only is None or options.only in mutant.name:
            found = killers(mutant, options.first)
            survivors += not found
            named = ", ".join(f"`{name.rpartition('::')[2]}`" for name in found[:3]) or "**nothing**"
            more = f" and {len(found) - 3} more" if len(found) > 3 else ""
            print(f"| {mutant.name} | {named}{more} |", flush=True)
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
