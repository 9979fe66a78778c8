"""Who leaves: gaps to gold by sampler, each against the gold models of its own request."""

from __future__ import annotations

from results.runs.frame import CellRun
from results.runs.groups import grouped
from results.tables.sensitivity_table import sensitivity_table
from results.tables.text_table import Text
from tests.results.made import cell

SHIFTS = {"random": 0.0, "core": 0.1, "edge": 0.2}


def run(method: str, sampler: str, ratio: str, test: float) -> CellRun:
    params = {"regime.sampler": sampler, "regime.ratio": ratio, "regime.count": "None"}
    made = cell(
        method, 0, params=params, test__recall_at_20=test, request__pairs=1000.0 + 9000 * (sampler == "core")
    )
    made.tags["lethe.request_key"] = f"{sampler} {ratio}"
    return made


def variants(runs: list[CellRun]) -> dict[str, str]:
    return {
        r.run_id: f"regime.ratio={r.params['regime.ratio']} regime.sampler={r.params['regime.sampler']}"
        for r in runs
    }


def test_each_gap_is_to_the_gold_of_its_own_request() -> None:
    runs = [run("retrain", sampler, "0.1", 0.3 + shift) for sampler, shift in SHIFTS.items()]
    runs += [run("tru", sampler, "0.1", 0.31 + 2 * shift) for sampler, shift in SHIFTS.items()]
    runs += [run("tru", "core", "0.2", 0.5)]  # one sampler alone compares with nothing
    table = sensitivity_table(grouped(runs, variants(runs)))
    ((labels, texts),) = table.rows
    assert labels == ("Baby", "MGCN", "user", "TRU", "", "0.1")
    by_title = dict(zip(table.header, texts, strict=True))
    found = [by_title["test recall@20", sampler] for sampler in SHIFTS]
    assert found == [Text("+0.0100"), Text("+0.1100"), Text("+0.2100")]
    assert [by_title["pairs", sampler].plain for sampler in SHIFTS] == ["1,000", "10,000", "1,000"]
