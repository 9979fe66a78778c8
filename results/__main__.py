"""``python -m results``: tables, leaderboards and accounts of numbers, from what MLflow holds.

python -m results leaderboard                         every setting and method of the store
python -m results distance                            how far from gold each row is, in gold's own spreads
python -m results stream                              latency, drift at the end and break-even of streams
python -m results sensitivity                         gaps to gold by who leaves: random, core, edge
python -m results ranks                               mean ranks of methods over settings
python -m results audits --regime user                every audit figure, a column per method
python -m results fronts                              trade-off fronts of what python -m bench.tune tried
python -m results tru-table-1 --format latex          a table of the paper beside what was measured
python -m results tru-tables --small                  all four on the synthetic set
python -m results tru-table-2 --missing               the command that fills what is missing
python -m results explain tru-table-1 mgcn/baby/user/tru "test recall@20"
python -m results explain leaderboard baby/mgcn/user/tru forget
python -m results retire RUN --reason TEXT            take runs out of all results
python -m results bundle export runs.zip              runs in one file, for another machine
python -m results site                                everything as one HTML page
python -m results figures                             figures for papers, PDF and PNG
python -m results refresh                             means and descriptions in MLflow's pages
python -m results ui                                  open these pages
"""

from __future__ import annotations

import argparse
import sys

from datasets.errors import InputError
from results.figures import command as figures
from results.mlflow_ui import command as mlflow_ui
from results.names.store import EXPERIMENT, default_uri
from results.site import command as site
from results.verbs import runs, tables

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
    store.add_argument("--uri", default=default_uri(), help="MLflow store (default: %(default)s)")
    store.add_argument("--experiment", default=EXPERIMENT, help="MLflow experiment (default: %(default)s)")
    for command in (tables, runs, site, figures, mlflow_ui):
        command.add(verbs, store)
    return main_parser


if __name__ == "__main__":
    sys.exit(main())
