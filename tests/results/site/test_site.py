"""The leaderboard page: its content, its safety, and its use in a headless Chromium."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from bench.record.names import FORGET_RECALL, TEST_RECALL
from results.__main__ import main as command
from results.runs.groups import grouped
from results.site.content import document
from results.site.page import page
from tests.results.made import EVIL, SEEDS, STEPS, cell, cells, rows, trajectory
from tests.results.site import browser
from tests.results.store import record, store, table_cell

VARIANT = {"method.gate": "False"}


def made() -> str:
    """The page of the known cells, of one variant, and of a method with a hostile name."""
    special = [cell("tru", seed, params=VARIANT) for seed in (0, 1)] + [cell(EVIL, 0)]
    variants = {run.run_id: "gate=False" for run in special[:2]}
    return page(document(rows(special, variants), trajectory))


def data_of(text: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    assert found is not None
    content: dict[str, Any] = json.loads(found[1])
    return content


def row_of(
    content: dict[str, Any], method: str, backbone: str = "mgcn", regime: str = "user"
) -> dict[str, Any]:
    wanted = (method, backbone, regime, "")
    (row,) = [r for r in content["rows"] if (r["method"], r["backbone"], r["regime"], r["options"]) == wanted]
    return dict(row)


def test_numbers_are_mean_and_deviation_with_their_runs() -> None:
    row = row_of(data_of(made()), "tru")
    test = row["metrics"][TEST_RECALL]
    assert test["summary"]["mean"] == pytest.approx(0.28)
    assert test["summary"]["deviation"] == pytest.approx(0.01)
    assert [(one["request"], one["seed"]) for one in test["values"]] == [(0, 0), (0, 1), (0, 2)]
    assert test["gap"]["value"] == pytest.approx(-0.01)
    assert test["gap"]["low"] < -0.01 < test["gap"]["high"]
    assert test["gap"]["over"] == ["seeds", "gold's seeds"]
    assert test["gap"]["units"] == pytest.approx(1.0)
    assert row["over"] == "1 request x 3 seeds"
    run = row["runs"][test["values"][0]["run"]]
    assert (run["commit"], run["device"], run["threads"]) == ("c0ffee", "test device", "1")
    assert row["gold_figures"]["audit/membership/balanced_accuracy"] == 0.525
    assert row["marks"][FORGET_RECALL] == "best"


def test_published_values_are_beside_the_paper_s_cells_and_ablations_only() -> None:
    content = data_of(made())
    printed = row_of(content, "tru")["published"]
    assert printed[TEST_RECALL][0]["value"] == 0.0944
    assert "Table 1" in printed[TEST_RECALL][0]["source"]
    assert row_of(content, "tru", backbone="lightgcn")["published"] == {}
    (ablation,) = [row for row in content["rows"] if row["options"]]
    assert [one["value"] for one in ablation["published"][FORGET_RECALL]] == [0.0746]


def test_the_latest_run_of_a_seed_counts_and_what_is_no_number_is_shown_as_such() -> None:
    broken = cell("tru", 0, test__recall_at_20=float("nan"))
    content = data_of(page(document(grouped([broken], {}), trajectory)))
    found = content["rows"][0]["metrics"][TEST_RECALL]
    assert (found["summary"], found["values"][0]["value"]) == (None, None)


def test_requests_are_a_dimension_and_the_page_says_how_many() -> None:
    runs = [
        cell(
            method, seed, params={"regime.seed": request}, test__recall_at_20=int(request) / 10 + STEPS[seed]
        )
        for method in ("retrain", "tru")
        for request in ("0", "1")
        for seed in (0, 1)
    ]
    row = data_of(page(document(grouped(runs, {}), trajectory)))["rows"][1]
    found = row["metrics"][TEST_RECALL]["summary"]
    assert (row["over"], row["cells"], row["requests"]) == ("2 requests x 2 seeds", 4, [0, 1])
    assert (found["mean"], found["between"]) == (pytest.approx(0.045), pytest.approx(0.1 / 2**0.5))
    assert found["deviation"] == pytest.approx(0.01 / 2**0.5)


def test_mean_ranks_stand_on_the_page_with_their_diagram() -> None:
    more = [
        cell("reset", seed, backbone, regime, forget__recall_at_20=0.5)
        for backbone in ("mgcn", "lightgcn")
        for regime in ("user", "interaction")
        for seed in SEEDS
    ]
    found = data_of(page(document(rows(more), trajectory)))["ranks"]
    assert [(row["method"], row["rank"], row["missing"]) for row in found["rows"]] == [
        ("tru", 1.0, 0),
        ("mmrecun", 2.0, 0),
        ("reset", 3.0, 0),
    ]
    assert found["picture"].startswith("data:image/svg+xml;base64,")
    assert "Friedman: p" in found["verdict"]


def test_without_a_speed_up_the_page_says_why() -> None:
    content = data_of(made())
    assert row_of(content, "original")["without_speed_up"] == "original: nothing is unlearned"
    assert row_of(content, "tru")["without_speed_up"] == ""


def test_the_same_runs_give_the_same_bytes() -> None:
    assert made() == made()
    shuffled = page(document(grouped(cells()[::-1], {}), trajectory))
    assert shuffled == page(document(rows(), trajectory))


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def test_a_hostile_name_stays_text_and_the_page_loads_nothing() -> None:
    text = made()
    tags = _Tags()
    tags.feed(text)
    assert sum(tag == "script" for tag, _ in tags.found) == 2
    assert row_of(data_of(text), EVIL)["method"] == EVIL
    assert EVIL not in text
    assert not [attrs for _, attrs in tags.found if "src" in attrs]
    links = [str(attrs["href"]) for _, attrs in tags.found if "href" in attrs]
    assert all(link.startswith(("#", "data:")) for link in links)


def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    uri, out = f"sqlite:///{tmp_path}/mlflow.db", tmp_path / "site" / "index.html"
    assert command(["site", "--uri", uri, "--out", str(out)]) == 1
    assert "no finished cell" in capsys.readouterr().err
    record(store(uri), table_cell(0, "tru"), {TEST_RECALL: 0.25})
    assert command(["site", "--uri", uri, "--out", str(out)]) == 0
    first = out.read_bytes()
    row = data_of(first.decode())["rows"][0]
    assert row["metrics"][TEST_RECALL]["summary"]["mean"] == pytest.approx(0.25)
    assert row["options"] == ""
    assert command(["site", "--uri", uri, "--out", str(out)]) == 0
    assert out.read_bytes() == first


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The page of the known cells, open."""
    if browser.CHROMIUM is None or browser.DRIVER is None:
        pytest.skip(browser.WHY_NOT)
    pytest.importorskip(
        "selenium", reason="selenium is not installed: pip install -e '.[test]' runs this test"
    )
    file = tmp_path_factory.mktemp("site") / "index.html"
    file.write_text(made(), encoding="utf-8")
    with browser.chromium() as opened:
        opened.file = file.as_uri()
        yield opened


@pytest.fixture
def open_page(driver: Any) -> Iterator[Any]:
    """A fresh page at the size of a desk; whatever a test does, nothing may be written on the console."""
    resize(driver, 1280)
    still = {"features": [{"name": "prefers-reduced-motion", "value": "reduce"}]}
    driver.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", still
    )  # a page that glides is clicked beside the mark
    driver.get(driver.file)
    yield driver
    assert driver.get_log("browser") == []


def resize(driver: Any, width: int) -> None:
    size = {"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": width < 500}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


def all_of(driver: Any, selector: str) -> list[Any]:
    return list(driver.find_elements("css selector", selector))


def one_of(driver: Any, selector: str) -> Any:
    return driver.find_element("css selector", selector)


def press(driver: Any, *keys: str) -> None:
    from selenium.webdriver.common.action_chains import ActionChains

    ActionChains(driver).send_keys(*keys).perform()


def texts(driver: Any, column: int) -> list[str]:
    """Texts of a column of the leaderboard."""
    script = (
        "return [...document.querySelectorAll('#leaderboard-table tbody tr')].map(r => r.cells[%d].innerText)"
    )
    return [str(text) for text in driver.execute_script(script % column)]


def column_of(driver: Any, title: str) -> int:
    return [button.text for button in all_of(driver, "#leaderboard-table thead button")].index(title)


def choose(driver: Any, label: str, value: str) -> None:
    from selenium.webdriver.support.ui import Select

    Select(driver.find_element("xpath", f"//label[text()='{label}']/select")).select_by_value(value)


def test_page_sorts_by_click_and_by_keyboard(open_page: Any) -> None:
    from selenium.webdriver.common.keys import Keys

    column = column_of(open_page, "test recall@20")
    unsorted = texts(open_page, column)
    header = "#leaderboard-table th[aria-sort] button[data-key='test/recall_at_20']"

    def values() -> list[float]:
        return [float(text.split()[0]) for text in texts(open_page, column)]

    one_of(open_page, header).click()
    assert values() == sorted(values(), reverse=True)
    assert all_of(open_page, "th[aria-sort='descending']") != []
    press(open_page, Keys.ENTER)  # the header that was clicked still has the focus
    assert values() == sorted(values())
    assert len(all_of(open_page, "#leaderboard-table th[aria-sort='ascending']")) == 1
    press(open_page, Keys.SPACE)
    assert texts(open_page, column) == unsorted


def test_page_filters_everything(open_page: Any) -> None:
    every = len(texts(open_page, 0))
    assert every == 2 * 2 * 4 + 2
    assert len(all_of(open_page, "#trade-off-plots figure")) == 4
    choose(open_page, "Backbone", "lightgcn")
    assert set(texts(open_page, column_of(open_page, "Backbone"))) == {"LightGCN"}
    assert len(all_of(open_page, "#trade-off-plots figure")) == 2
    chip = one_of(open_page, ".chip[data-method='tru']")
    chip.click()
    assert chip.get_attribute("aria-pressed") == "false"
    assert "TRU" not in texts(open_page, 0)
    choose(open_page, "Backbone", "")
    choose(open_page, "Options", "variants")
    assert texts(open_page, 0) == []
    choose(open_page, "Options", "")
    one_of(open_page, "#search").send_keys("mmrecun user")
    assert texts(open_page, 0) == ["MMRecUn", "MMRecUn"]
    choose(open_page, "Numbers", "gap")
    assert texts(open_page, column_of(open_page, "test recall@20")) == ["-0.0400", "-0.0400"]
    choose(open_page, "Numbers", "units")
    assert texts(open_page, column_of(open_page, "test recall@20")) == ["4 \u03c3", "4 \u03c3"]


def test_plot_shows_points_and_gold_s_band_and_opens_them_by_keyboard(open_page: Any) -> None:
    from selenium.webdriver.common.keys import Keys

    first = one_of(open_page, "#trade-off-plots figure")
    assert len(first.find_elements("css selector", ".point")) == 4
    assert len(first.find_elements("css selector", "rect.gold")) == 2
    (stop,) = first.find_elements("css selector", ".point[tabindex='0']")
    open_page.execute_script("arguments[0].focus()", stop)
    first_text = one_of(open_page, "#tip").text
    assert "test recall@20 0.3500 ±0.0100" in first_text
    press(open_page, Keys.ARROW_RIGHT)
    assert one_of(open_page, "#tip").text != first_text
    press(open_page, Keys.ENTER)
    assert "forget recall@20" in one_of(open_page, "#panel h2").text
    press(open_page, Keys.ESCAPE)
    assert all_of(open_page, "#panel[open]") == []
    assert "Retrain" in str(open_page.switch_to.active_element.get_attribute("aria-label"))
    assert len(all_of(open_page, "#cost-plots figure .point")) > 0
    assert len(all_of(open_page, "#trajectories-plots figure:first-child path.way")) == 2 * 2 * 3


def test_panel_shows_where_a_number_comes_from(open_page: Any) -> None:
    from selenium.webdriver.common.keys import Keys

    choose(open_page, "Options", "defaults")
    one_of(open_page, "#search").send_keys("mgcn user")
    row = "//*[@id='leaderboard-table']//tbody/tr[th//*[text()='TRU']]"
    number = open_page.find_element("xpath", f"{row}//button[@data-metric='test/recall_at_20']")
    number.send_keys(Keys.ENTER)
    shown = one_of(open_page, "#panel").text
    for wanted in (
        "0.2800 ±0.0100",
        "1 request x 3 seeds",
        "1 of 0.01",
        "c0ffee",
        "test device",
        "run-mgcn-user-tru-0-[]",
        "0.0944",
        "Table 1",
    ):
        assert wanted in shown
    assert "python -m bench -m dataset=baby backbone=mgcn regime=user method=tru seed=0,1,2" in shown
    press(open_page, Keys.ESCAPE)
    assert all_of(open_page, "#panel[open]") == []
    assert open_page.switch_to.active_element == number


def test_audits_stand_beside_gold(open_page: Any) -> None:
    choose(open_page, "Audit", "membership")
    assert "gold 0.5250" in one_of(open_page, "#audits-table").text
    choose(open_page, "Audit", "representation")
    assert "shift to original" in one_of(open_page, "#audits-table thead").text


def test_page_fits_a_phone(open_page: Any) -> None:
    resize(open_page, 390)
    open_page.get(open_page.file)
    script = "const page = document.documentElement; return [page.scrollWidth, page.clientWidth]"
    scroll, width = open_page.execute_script(script)
    assert scroll <= width == 390
    box = one_of(open_page, "#leaderboard-table")
    assert open_page.execute_script("return arguments[0].scrollWidth > arguments[0].clientWidth", box)
    one_of(open_page, "#leaderboard-table .value").click()
    assert open_page.execute_script("return document.getElementById('panel').offsetWidth") <= 390


def test_theme_follows_the_system_and_the_button(open_page: Any) -> None:
    def background() -> str:
        return str(open_page.execute_script("return getComputedStyle(document.body).backgroundColor"))

    dark = {"features": [{"name": "prefers-color-scheme", "value": "dark"}]}
    light_colour = background()
    open_page.execute_cdp_cmd("Emulation.setEmulatedMedia", dark)
    open_page.get(open_page.file)
    dark_colour = background()
    assert dark_colour != light_colour
    one_of(open_page, "#theme").click()
    assert background() == light_colour
    open_page.execute_script("localStorage.clear()")
    open_page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_a_hostile_name_does_nothing_in_a_browser(open_page: Any) -> None:
    assert EVIL in texts(open_page, 0)
    assert open_page.execute_script("return window.broken === undefined")
