"""Every figure from known cells: what is drawn is what was measured, and the same bytes every time."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from bench.record.names import FORGET_RECALL, TEST_RECALL
from results.__main__ import main as command
from results.figures.base import Figure
from results.figures.exposure import ccdf
from results.figures.registry import FIGURES
from results.figures.source import Source
from results.figures.written import drawing, write
from results.runs.frame import CellRun
from tests.results.made import SEEDS, cell, rows, trajectory
from tests.results.store import record, store, table_cell

ROLE = "popularity/unlearned/"
EVERY = sorted(FIGURES)


def arrays(run_id: str) -> dict[str, np.ndarray]:
    shares = np.linspace(0.05, 0.15, 10) + (0.01 if "tru" in run_id else 0.0)
    counts = np.array([8, 4, 4, 2, 1, 0])
    return {
        f"{ROLE}exposure_by_decile": shares,
        f"{ROLE}forget_popularity": counts // 2,
        f"{ROLE}retain_popularity": counts,
    }


STREAM = {"stream.name": "users", "stream.seed": "0"}
CHECKPOINTS = (2, 4, 8)


def steps(run_id: str, metric: str) -> list[tuple[int, float]]:
    """Each run drifts by its seed's step; gold stays."""
    seed, slope = int(run_id.split("-")[4]), 0.0 if "-retrain-" in run_id else 0.01
    return [(served, 0.2 + 0.02 * seed + slope * served) for served in CHECKPOINTS]


def source(three: bool = False, streams: bool = False) -> Source:
    """The known cells with TRU's ablations, its grid over two by two values, and all curves.

    ``three``: with a third method, as a test of ranks needs. ``streams``: with cells that served one.
    """
    variants: dict[str, str] = {}
    more: list[CellRun] = []
    for part, seed in product(("gate", "scaling", "isolation"), (0, 1)):
        more.append(cell("tru", seed, params={f"method.{part}": "False"}, forget__recall_at_20=0.3))
        variants[more[-1].run_id] = f"{part}=False"
    for ratio, count in product((0.1, 0.5), (1, 5)):
        params = {"method.top_ratio": str(ratio), "method.statistics_batches": str(count)}
        more.append(cell("tru", 0, params=params, test__recall_at_20=ratio + count / 100))
        variants[more[-1].run_id] = f"statistics_batches={count} top_ratio={ratio}"
    gold = [{"seconds": 10.0 * step, "valid_recall_at_20": 0.1 * step} for step in (1, 2, 3)]
    more += [
        cell("reset", seed, backbone, regime, forget__recall_at_20=0.5)
        for backbone, regime, seed in product(("mgcn", "lightgcn"), ("user", "interaction"), SEEDS)
        if three
    ]
    more += [
        cell(method, seed, regime="user+users", params=STREAM)
        for method, seed in product(("retrain", "tru"), SEEDS)
        if streams
    ]
    found = rows(more, variants)
    return Source(
        tuple(found), trajectory=trajectory, gold_curve=lambda run_id: gold, arrays=arrays, steps=steps
    )


def pages(name: str) -> dict[str, Canvas]:
    with drawing():
        return dict(FIGURES[name].pages(source(three=name == "ranks", streams=FIGURES[name].streams)))


def bar(ax: Axes, gid: str) -> float:
    (found,) = [patch for patch in ax.patches if patch.get_gid() == gid]
    return float(found.get_width())  # type: ignore[attr-defined]


def line(ax: Axes, gid: str) -> tuple[np.ndarray, np.ndarray]:
    found = next(one for one in ax.lines if one.get_gid() == gid)
    return np.asarray(found.get_xdata()), np.asarray(found.get_ydata())


@pytest.mark.parametrize("name", EVERY)
def test_files_are_not_empty_and_the_same_every_time(name: str, tmp_path: Path) -> None:
    first, again = pages(name), pages(name)
    assert first.keys() == again.keys()
    with drawing():
        files = [path for page in first for path in write(tmp_path / "first", f"{name}_{page}", first[page])]
        page = list(first)[-1]
        last = list(write(tmp_path / "again", f"{name}_{page}", again[page]))
    assert files
    assert min(path.stat().st_size for path in files) > 2000
    assert {path.suffix for path in files} == {".pdf", ".png"}
    for path in last:
        assert path.read_bytes() == (tmp_path / "first" / path.name).read_bytes()


def test_bytes_do_not_depend_on_the_process(tmp_path: Path) -> None:
    code = (
        "from tests.results.figures.test_figures import pages\n"
        "from results.figures.written import drawing, write\n"
        "from pathlib import Path; import sys\n"
        "with drawing(): list(write(Path(sys.argv[1]), 'x', pages('trade-off')['mgcn']))"
    )
    seed = "2" if os.environ.get("PYTHONHASHSEED") == "1" else "1"
    surroundings = {**os.environ, "PYTHONHASHSEED": seed, "MPLBACKEND": "pdf"}
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "there")], check=True, env=surroundings)
    with drawing():
        here = list(write(tmp_path / "here", "x", pages("trade-off")["mgcn"]))
    for path in here:
        assert path.read_bytes() == (tmp_path / "there" / path.name).read_bytes()


@pytest.mark.parametrize("name", EVERY)
def test_missing_data_is_said_with_the_command_and_not_drawn(name: str) -> None:
    figure: Figure = FIGURES[name]
    bare = Source(())
    assert figure.pages(bare) == []
    assert figure.command(bare).startswith(
        "python -m bench -m dataset=baby backbone=mgcn regime=user method="
    )
    settings = "mgcn regime=user" if figure.streams else "lightgcn,mgcn regime=interaction,user"
    assert f"dataset=baby backbone={settings} method=" in figure.command(source(streams=True))


def test_drift_is_the_mean_over_runs_at_each_checkpoint_beside_golds_band() -> None:
    canvas = pages("drift")["mgcn"]
    ax = next(ax for ax in canvas.axes if ax.get_ylabel() == "test recall@20")
    served, means = line(ax, "tru")
    assert served.tolist() == list(CHECKPOINTS)
    assert means == pytest.approx([0.22 + 0.01 * one for one in CHECKPOINTS])
    assert line(ax, "retrain")[1] == pytest.approx([0.22] * 3)
    band = ax.collections[0].get_paths()[0].vertices[:, 1]
    assert (band.min(), band.max()) == pytest.approx((0.2, 0.24))


def test_trade_off_points_are_means_over_seeds() -> None:
    made = pages("trade-off")
    assert sorted(made) == ["lightgcn", "mgcn"]
    user = made["mgcn"].axes[1]
    assert user.get_title() == "Baby, MGCN, user"
    (x,), (y,) = line(user, "tru")
    assert (x, y) == pytest.approx((0.08, 0.28))


def test_speed_up_bars() -> None:
    ax = pages("speed-up")["mgcn"].axes[0]
    assert ax.get_xscale() == "log"
    assert (bar(ax, "tru"), bar(ax, "mmrecun")) == pytest.approx((50.0, 10.0))
    assert [text.get_text() for text in ax.get_yticklabels()] == ["TRU", "MMRecUn"]


def test_shift_by_module() -> None:
    ax = pages("parameter-shift")["mgcn"].axes[0]
    shifts, places = line(ax, "retrain")
    assert (shifts.tolist(), places.tolist()) == (pytest.approx([0.1, 1.1]), [0, 1])
    assert not [one for one in ax.lines if one.get_gid() == "original"]


def test_cka_matrices() -> None:
    canvas = pages("branch-similarity")["baby_mgcn_user"]
    (ax,) = [one for one in canvas.axes if one.get_title() == "TRU"]
    drawn = np.asarray(ax.images[0].get_array())
    assert drawn.diagonal() == pytest.approx([1, 1, 1])
    assert (drawn[1, 0], drawn[2, 0], drawn[2, 1]) == pytest.approx((0.208, 0.308, 0.408))
    assert "0.21" in [text.get_text() for text in ax.texts]


def test_exposure_and_popularity_curves() -> None:
    left, middle, right = pages("exposure")["baby_mgcn_user"].axes
    values, shares = line(left, "retain")
    assert (values.tolist(), shares.tolist()) == ([1, 2, 4, 8], pytest.approx([5 / 6, 4 / 6, 3 / 6, 1 / 6]))
    assert line(middle, "tru")[1] == pytest.approx(np.linspace(0.06, 0.16, 10))
    assert bar(right, "tru") == pytest.approx(0.48)


def test_ccdf_counts_items_without_pairs() -> None:
    values, shares = ccdf(np.array([2.0, 0.0, 1.0, 0.0]))
    assert (values.tolist(), shares.tolist()) == ([1, 2], [0.5, 0.25])


def test_radar_is_scaled_per_axis() -> None:
    ax = pages("radar")["mgcn"].axes[0]
    assert line(ax, "tru")[1].tolist() == [1.0] * 5
    assert line(ax, "mmrecun")[1].tolist() == [0.0] * 5


def test_trajectories_are_one_line_per_seed() -> None:
    canvas = pages("trajectories")["mgcn"]
    (forget,) = [ax for ax in canvas.axes if ax.get_ylabel() == "forget recall@20"][1:]
    seconds, recall = line(forget, "tru")
    assert (seconds.tolist(), recall.tolist()) == ([2.0, 4.0, 8.0], pytest.approx([0.5, 0.25, 0.5 / 3]))
    assert len([one for one in forget.lines if one.get_gid() == "tru"]) == 3
    assert line(canvas.axes[0], "gold")[1].tolist() == pytest.approx([0.1, 0.2, 0.3])


def test_heat_map_holds_its_grid_alone() -> None:
    test, _ = pages("heat-map")["baby_mgcn_user"].axes
    drawn = np.asarray(test.images[0].get_array())
    assert drawn == pytest.approx(np.array([[0.11, 0.51], [0.15, 0.55]]))
    assert [label.get_text() for label in test.get_xticklabels()] == ["0.1", "0.5"]


def test_ablation_bars() -> None:
    forget, test = pages("ablation")["baby_mgcn_user"].axes
    assert (bar(forget, "full"), bar(forget, "w/o ranking gate")) == pytest.approx((0.08, 0.3))
    assert bar(test, "full") == pytest.approx(0.28)
    assert forget.get_xlim()[1] > 0.1  # gold is in the picture


def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    uri, out = f"sqlite:///{tmp_path}/mlflow.db", tmp_path / "figures"
    place = store(uri)
    for method in ("retrain", "tru"):
        record(place, table_cell(0, method), {TEST_RECALL: 0.25, FORGET_RECALL: 0.1})
    assert command(["figures", "--uri", uri, "--out", str(out)]) == 0
    shown = capsys.readouterr()
    assert sorted(path.name for path in out.iterdir()) == ["trade-off_mgcn.pdf", "trade-off_mgcn.png"]
    assert "radar (" in shown.err
    assert f"tracking.uri={uri}" in shown.err
    assert command(["figures", "--uri", uri, "--only", "pie"]) == 2
    assert command(["figures", "--uri", uri, "--only", "radar", "--out", str(out)]) == 1
