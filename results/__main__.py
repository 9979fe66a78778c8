"""``python -m results``: tables, leaderboards and accounts of numbers, from what MLflow holds.

python -m results leaderboard                         every setting and method of the store
python -m results audits --regime user                every audit figure, a column per method
python -m results fronts                              trade-off fronts of what python -m bench.tune tried
python -m results tru-table-1 --format latex          a table of the paper beside what was measured
python -m results tru-tables --small                  all four on the synthetic set
python -m results tru-table-2 --missing               the command that fills what is missing
python -m results explain tru-table-1 mgcn/baby/user/tru "test recall@20"
python -m results bundle export runs.zip              runs in one file, for another machine
python -m results site                                everything as one HTML page
python -m results figures                             figures for papers, PDF and PNG
python -m results refresh                             means over seeds and descriptions in MLflow's pages
python -m results ui                                  open these pages
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from datasets.errors import InputError
from results.figures import command as figures
from results.mlflow_ui import command as mlflow_ui
from results.site import command as site
from results.tables.layout import SMALL, TABLES, Scope, layout, only

if TYPE_CHECKING:
    from results.tables.measured import MeasuredTable
    from results.tables.ranking import Comparison

STORE, EXPERIMENT = "sqlite:///mlflow.db", "lethe"
FORMATS = ("markdown", "latex", "csv")
NARROWED = ("dataset", "backbone", "regime", "method")
ALL = {"tru-tables": [name for name in TABLES if name.startswith("tru-")]}
USER_ERROR = 2


def main(arguments: list[str] | None = None) -> int:
    """Run the command line: 0, or 1 where there is nothing to show, or 2 where the input is wrong."""
    options = parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return USER_ERROR


def parser() -> argparse.ArgumentParser:
    """The command line. Nothing heavy is imported for it."""
    main_parser = argparse.ArgumentParser(
        prog="python -m results", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    verbs = main_parser.add_subparsers(required=True, metavar="TABLE or VERB")
    store = argparse.ArgumentParser(add_help=False)
    default = os.environ.get("MLFLOW_TRACKING_URI", STORE)
    store.add_argument("--uri", default=default, help="MLflow store (default: %(default)s)")
    store.add_argument("--experiment", default=EXPERIMENT, help="MLflow experiment (default: %(default)s)")
    output = argparse.ArgumentParser(add_help=False)
    output.add_argument("--format", choices=FORMATS, default="markdown", help="default: %(default)s")
    output.add_argument("--out", type=Path, help="file to write (default: standard output)")
    one = verbs.add_parser("leaderboard", parents=[store, output], help="all that the store holds")
    one.set_defaults(run=_leaderboard)
    one = verbs.add_parser("fronts", parents=[store, output], help="what tuning found: trade-off fronts")
    one.add_argument("--also", action="append", default=[], metavar="URI", help="another store (repeatable)")
    one.set_defaults(run=_fronts)
    one = verbs.add_parser("audits", parents=[store, output], help="every audit figure by method")
    for label in NARROWED:
        one.add_argument(f"--{label}", action="append", help=f"only this {label} (repeatable)")
    one.add_argument(
        "--audit", action="append", help="only cells run with this preset, e.g. full (repeatable)"
    )
    one.set_defaults(run=_audits)
    for name in [*TABLES, *ALL]:
        one = verbs.add_parser(name, parents=[store, output, _scope()], help=f"{name.replace('-', ' ')}")
        one.add_argument(
            "--missing", action="store_true", help="only print the command that fills what is missing"
        )
        one.set_defaults(run=_tables, tables=ALL.get(name, [name]))
    one = verbs.add_parser("explain", parents=[store, _scope()], help="where a number comes from")
    one.add_argument("table", choices=list(TABLES))
    one.add_argument("row", help="labels joined by slashes, e.g. mgcn/baby/user/tru")
    one.add_argument("column", help='title or metric, e.g. "test recall@20"')
    one.set_defaults(run=_explain)
    one = verbs.add_parser("bundle", parents=[store], help="move runs between machines and stores")
    one.add_argument("direction", choices=["export", "import"])
    one.add_argument("file", type=Path)
    one.set_defaults(run=_bundle)
    site.add(verbs, store)
    figures.add(verbs, store)
    mlflow_ui.add(verbs, store)
    return main_parser


def _scope() -> argparse.ArgumentParser:
    """Options that make a table for other data, backbones, seeds or settings than the paper's."""
    scope = argparse.ArgumentParser(add_help=False)
    scope.add_argument("--small", action="store_true", help="the synthetic set in place of the paper's data")
    scope.add_argument("--dataset", action="append", help="data set in place of the table's own (repeatable)")
    scope.add_argument(
        "--backbone", action="append", help="backbone in place of the table's own (repeatable)"
    )
    scope.add_argument(
        "--seed", action="append", type=int, help="training seed (repeatable; default 0, 1, 2)"
    )
    scope.add_argument(
        "--override",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="what its cells were run with beside their defaults, e.g. tuned=true (repeatable)",
    )
    return scope


def _scope_of(options: argparse.Namespace) -> Scope:
    own = SMALL if options.small else Scope()
    for text in options.override:
        if "=" not in text:
            raise InputError(f"--override {text} cannot be read: write key=value.")
    return Scope(
        tuple(options.dataset) if options.dataset else own.datasets,
        tuple(options.backbone) if options.backbone else own.backbones,
        tuple(options.seed) if options.seed else own.seeds,
        dict(own.overrides) | dict(text.split("=", 1) for text in options.override),
        own.options,
        own.poison,
    )


def _leaderboard(options: argparse.Namespace) -> int:
    from results.formats.written import written
    from results.runs.frame import runs
    from results.runs.settings import variants
    from results.tables.leaderboard import leaderboard, standings

    found = runs(options.uri, options.experiment)
    if not any(run.finished for run in found):
        print(f"no finished cell in experiment {options.experiment} of {options.uri}", file=sys.stderr)
        return 1
    board = leaderboard(standings(found, variants(run for run in found if run.finished)))
    return _write(written(board, options.format), options.out)


def _audits(options: argparse.Namespace) -> int:
    from results.formats.written import written
    from results.runs.frame import runs
    from results.runs.settings import variants
    from results.tables.audit_table import audit_table
    from results.tables.leaderboard import standings

    wanted = {label: getattr(options, label) for label in NARROWED if getattr(options, label)}
    found = [
        run
        for run in runs(options.uri, options.experiment)
        if run.finished
        and all(run.labels[label] in names for label, names in wanted.items())
        and (not options.audit or run.params.get("audit.name") in options.audit)
    ]
    table = audit_table(standings(found, variants(found)))
    if not table.rows:
        print(
            f"no finished cell with an audit in experiment {options.experiment} of {options.uri}",
            file=sys.stderr,
        )
        return 1
    return _write(written(table, options.format), options.out)


def _fronts(options: argparse.Namespace) -> int:
    from results.formats.written import written
    from results.runs.frame import trials
    from results.runs.settings import variants
    from results.tables.fronts import fronts

    uris = dict.fromkeys([options.uri, *options.also])
    found = [run for uri in uris for run in trials(uri, options.experiment) if run.finished]
    if not found:
        print(f"no trial of experiment {options.experiment} in {', '.join(uris)}", file=sys.stderr)
        return 1
    return _write(written(fronts(found, variants(found)), options.format), options.out)


def _tables(options: argparse.Namespace) -> int:
    from results.formats.written import written
    from results.tables.missing import commands, missing_cells, one_command
    from results.tables.text_table import text_table

    made = _made(options, options.tables)
    fixed = _store_overrides(options)
    if options.missing:
        cells = missing_cells([table for table, _ in made])
        print(one_command(cells, fixed) if cells else "# nothing is missing")
        return 0
    texts = []
    for table, comparisons in made:
        if options.format == "csv":
            from results.formats.long_csv import to_csv

            texts.append(to_csv(table, comparisons))
        else:
            texts.append(written(text_table(table, commands(missing_cells([table]), fixed)), options.format))
    return _write("\n".join(texts), options.out)


def _explain(options: argparse.Namespace) -> int:
    from results.runs.frame import runs
    from results.tables.explain import explain
    from results.tables.measured import measure

    found = runs(options.uri, options.experiment)
    table = measure(only(layout(options.table, _scope_of(options)), options.row), found)
    return _write(explain(table, options.row, options.column), None)


def _bundle(options: argparse.Namespace) -> int:
    from results.runs import bundle

    if options.direction == "export":
        count = bundle.export(options.uri, options.experiment, options.file)
        print(f"{count} cells written to {options.file}")
        return 0
    done = bundle.import_(options.uri, options.experiment, options.file)
    print(f"{done.added} cells added, {done.present} were there")
    return 0


def _made(options: argparse.Namespace, names: list[str]) -> list[tuple[MeasuredTable, list[Comparison]]]:
    from functools import cache

    from results.runs.frame import per_user, runs
    from results.tables.measured import measure
    from results.tables.ranking import rank

    scope, found = _scope_of(options), runs(options.uri, options.experiment)
    arrays = cache(lambda run_id: per_user(options.uri, run_id))
    return [rank(measure(layout(name, scope), found), arrays) for name in names]


def _store_overrides(options: argparse.Namespace) -> list[str]:
    """What a command needs to record into the store of this table."""
    elsewhere = options.uri != os.environ.get("MLFLOW_TRACKING_URI", STORE)
    fixed = [f"tracking.uri={options.uri}"] if elsewhere else []
    return fixed + ([f"tracking.experiment={options.experiment}"] if options.experiment != EXPERIMENT else [])


def _write(text: str, out: Path | None) -> int:
    if out is None:
        print(text, end="")
        return 0
    from bench.disk.files import write_text

    write_text(out, text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
