"""The verbs that print tables: leaderboard, distance, ranks, audits, fronts, the papers' tables, explain."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from datasets.errors import InputError
from results.names.store import EXPERIMENT, default_uri
from results.tables.layout import SMALL, TABLES, Scope, layout, only

if TYPE_CHECKING:
    from results.distance.gaps import Arrays
    from results.runs.groups import Group
    from results.tables.measured import MeasuredTable
    from results.tables.text_table import TextTable

FORMATS = ("markdown", "latex", "csv")
NARROWED = ("dataset", "backbone", "regime", "method")
ALL = {"tru-tables": [name for name in TABLES if name.startswith("tru-")]}
LEADERBOARD = "leaderboard"


def add(verbs: argparse._SubParsersAction[argparse.ArgumentParser], store: argparse.ArgumentParser) -> None:
    """Register the verbs. Nothing heavy is imported for it."""
    output = argparse.ArgumentParser(add_help=False)
    output.add_argument("--format", choices=FORMATS, default="markdown", help="default: %(default)s")
    output.add_argument("--out", type=Path, help="file to write (default: standard output)")
    shared = [store, output]
    one = verbs.add_parser(LEADERBOARD, parents=[*shared, _narrowed()], help="all that the store holds")
    one.set_defaults(run=leaderboard)
    one = verbs.add_parser("distance", parents=[*shared, _narrowed()], help="distance to gold, row by row")
    one.set_defaults(run=distance)
    one = verbs.add_parser("ranks", parents=[*shared, _narrowed()], help="mean ranks over settings")
    one.set_defaults(run=ranks)
    one = verbs.add_parser("stream", parents=[*shared, _narrowed()], help="latency and break-even of streams")
    one.set_defaults(run=stream)
    one = verbs.add_parser("sensitivity", parents=[*shared, _narrowed()], help="gaps to gold by who leaves")
    one.set_defaults(run=sensitivity)
    one = verbs.add_parser("audits", parents=[*shared, _narrowed()], help="every audit figure by method")
    one.add_argument(
        "--audit", action="append", help="only cells run with this preset, e.g. full (repeatable)"
    )
    one.set_defaults(run=audits)
    one = verbs.add_parser("fronts", parents=shared, help="what tuning found: trade-off fronts")
    one.add_argument("--also", action="append", default=[], metavar="URI", help="another store (repeatable)")
    one.set_defaults(run=fronts)
    for name in [*TABLES, *ALL]:
        one = verbs.add_parser(name, parents=[*shared, _scope()], help=f"{name.replace('-', ' ')}")
        one.add_argument(
            "--missing", action="store_true", help="only print the command that fills what is missing"
        )
        one.set_defaults(run=tables, tables=ALL.get(name, [name]))
    one = verbs.add_parser("explain", parents=[store, _scope()], help="where a number comes from")
    one.add_argument("table", choices=[LEADERBOARD, *TABLES])
    one.add_argument("row", help="labels joined by slashes, e.g. mgcn/baby/user/tru")
    one.add_argument("column", help='title or metric, e.g. "test recall@20"')
    one.set_defaults(run=explain)


def _narrowed() -> argparse.ArgumentParser:
    """Options that keep a part of the store."""
    narrowed = argparse.ArgumentParser(add_help=False)
    for label in NARROWED:
        narrowed.add_argument(f"--{label}", action="append", help=f"only this {label} (repeatable)")
    return narrowed


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
        "--request", action="append", type=int, help="deletion request, regime.seed (repeatable; default 0)"
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
        tuple(options.request) if options.request else own.requests,
        dict(own.overrides) | dict(text.split("=", 1) for text in options.override),
        own.options,
        own.poison,
    )


def leaderboard(options: argparse.Namespace) -> int:
    """Every row of the store."""
    from results.tables.leaderboard import leaderboard as made

    rows = _rows(options)
    return _nothing(options) if not rows else _print([made(rows)], options)


def distance(options: argparse.Namespace) -> int:
    """List distances, then gaps and closeness."""
    from results.distance.rows import distances_of
    from results.tables.distance_table import gap_table, list_table

    rows = _rows(options)
    if not rows:
        return _nothing(options)
    return _print([list_table(rows, distances_of(options.uri)), gap_table(rows, _arrays(options))], options)


def ranks(options: argparse.Namespace) -> int:
    """Mean ranks over the settings of the store; 1 where no setting has scores."""
    from results.distance.ranks import ranks as ranked
    from results.tables.ranks_table import ranks_table

    rows = _rows(options)
    if not rows:
        return _nothing(options)
    found = ranked(rows)
    code = _print([ranks_table(found)], options)
    return code if found.scores else 1


def stream(options: argparse.Namespace) -> int:
    """Every row that served a stream of requests; 1 where none did."""
    from results.tables.stream_table import stream_table

    table = stream_table(_rows(options))
    if not table.rows:
        print(f"no stream in experiment {options.experiment} of {options.uri}", file=sys.stderr)
        return 1
    return _print([table], options)


def sensitivity(options: argparse.Namespace) -> int:
    """Gaps to gold by sampler; 1 where no method was run with two samplers."""
    from results.tables.sensitivity_table import sensitivity_table

    table = sensitivity_table(_rows(options))
    if not table.rows:
        print(
            f"no method with two samplers in experiment {options.experiment} of {options.uri}",
            file=sys.stderr,
        )
        return 1
    return _print([table], options)


def audits(options: argparse.Namespace) -> int:
    """Every audit figure of the store."""
    from results.tables.audit_table import audit_table

    table = audit_table(_rows(options, options.audit))
    if not table.rows:
        print(
            f"no finished cell with an audit in experiment {options.experiment} of {options.uri}",
            file=sys.stderr,
        )
        return 1
    return _print([table], options)


def fronts(options: argparse.Namespace) -> int:
    """What tuning found."""
    from results.runs.frame import trials
    from results.runs.settings import variants
    from results.tables.fronts import fronts as made

    uris = dict.fromkeys([options.uri, *options.also])
    found = [run for uri in uris for run in trials(uri, options.experiment) if run.finished]
    if not found:
        print(f"no trial of experiment {options.experiment} in {', '.join(uris)}", file=sys.stderr)
        return 1
    return _print([made(found, variants(found))], options)


def tables(options: argparse.Namespace) -> int:
    """Tables of papers, or the command that fills them."""
    from results.formats.long_csv import to_csv
    from results.tables.missing import commands, missing_cells, one_command
    from results.tables.printed import text_table

    made = _made(options, options.tables)
    fixed = _store_overrides(options)
    if options.missing:
        cells = missing_cells(made)
        print(one_command(cells, fixed) if cells else "# nothing is missing")
        return 0
    if options.format == "csv":
        return _write("\n".join(to_csv(table) for table in made), options.out)
    return _print([text_table(table, commands(missing_cells([table]), fixed)) for table in made], options)


def explain(options: argparse.Namespace) -> int:
    """Where a number of the leaderboard or of a paper's table is from."""
    from results.runs.frame import runs
    from results.tables.explain import explain as account
    from results.tables.measured import measure
    from results.tables.ranking import rank

    if options.table == LEADERBOARD:
        return _explain_row(options)
    found, arrays = runs(options.uri, options.experiment), _arrays(options)
    table = measure(only(layout(options.table, _scope_of(options)), options.row), found, arrays)
    return _write(account(rank(table, arrays), options.row, options.column), None)


def _explain_row(options: argparse.Namespace) -> int:
    from results.distance.rows import distances_of
    from results.tables.explain_row import explain_row

    rows = _rows(options)
    if not rows:
        return _nothing(options)
    lists = distances_of(options.uri)
    return _write(explain_row(rows, options.row, options.column, lists, _arrays(options)), None)


def _rows(options: argparse.Namespace, presets: list[str] | None = None) -> list[Group]:
    """The rows that are asked for; gaps and marks need gold and the original, whatever methods are shown."""
    from results.distance.rows import rows
    from unlearning import REFERENCE_METHODS

    wanted = {label: getattr(options, label, None) for label in NARROWED}
    asked = {label: names for label, names in wanted.items() if names}
    needed = {**asked, "method": [*asked["method"], *REFERENCE_METHODS]} if "method" in asked else asked
    return rows(options.uri, options.experiment, needed, presets)


def _made(options: argparse.Namespace, names: list[str]) -> list[MeasuredTable]:
    from results.runs.frame import runs
    from results.tables.measured import measure
    from results.tables.ranking import rank

    scope, found, arrays = _scope_of(options), runs(options.uri, options.experiment), _arrays(options)
    return [rank(measure(layout(name, scope), found, arrays), arrays) for name in names]


def _arrays(options: argparse.Namespace) -> Arrays:
    """Reads per-user values of runs, each once."""
    from functools import cache

    from results.runs.frame import per_user

    return cache(lambda run_id: per_user(options.uri, run_id))


def _store_overrides(options: argparse.Namespace) -> list[str]:
    """What a command needs to record into the store of this table."""
    fixed = [f"tracking.uri={options.uri}"] if options.uri != default_uri() else []
    return fixed + ([f"tracking.experiment={options.experiment}"] if options.experiment != EXPERIMENT else [])


def _nothing(options: argparse.Namespace) -> int:
    print(f"no finished cell in experiment {options.experiment} of {options.uri}", file=sys.stderr)
    return 1


def _print(tables: list[TextTable], options: argparse.Namespace) -> int:
    from results.formats.written import written

    return _write("\n".join(written(table, options.format) for table in tables), options.out)


def _write(text: str, out: Path | None) -> int:
    if out is None:
        print(text, end="")
        return 0
    from bench.disk.files import write_text

    write_text(out, text)
    return 0
