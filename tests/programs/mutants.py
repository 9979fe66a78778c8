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
STREAMS = "tests/leakage/test_streams.py"


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
        "bench/plan/dataset.py",
        "return without_cold_users(_checked(reader), reader.name)",
        "return _checked(reader)",
        ("tests/bench/plan/test_cold_users.py",),
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
        "cells = [cell + added for cell, added in zip(cells, tuned, strict=True)]",
        "cells = [cell + added[:0] for cell, added in zip(cells, tuned, strict=True)]",
        ("tests/bench/tune/test_tune.py",),
    ),
    Mutant(
        "gold's key forgets the request",
        "bench/plan/keys.py",
        'else digest("model", {"data": data, "request": request, **backbone})',
        'else digest("model", {"data": data, "role": "gold", **backbone})',
        ("tests/bench/plan/test_keys.py",),
    ),
    Mutant(
        "a cell's key forgets the code of its method",
        "bench/plan/keys.py",
        '"code": code_digest("method", config.method.name),\n            "evaluate"',
        '"evaluate"',
        ("tests/bench/plan/test_keys.py",),
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
        'return run_audits(kinds, {"": model, **references}, context)',
        'return run_audits(kinds, {"": setting.original.model, **references}, context)',
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
