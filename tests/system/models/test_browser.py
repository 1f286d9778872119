"""What people see, in a real browser: MLflow's pages of six runs, and the comparison's own."""

import json
import re
import time
from io import BytesIO
from pathlib import Path
from urllib.parse import quote

import mlflow
import numpy as np
import pytest
from click.testing import CliRunner
from matplotlib.image import imread

from experiments import compare, train
from polyreg.reports.chart import (
    Chart,
    Coefficients,
    Column,
    Comparison,
    Curve,
    Estimate,
    Group,
    Run,
    Sweep,
    Table,
    Term,
    Warned,
)
from polyreg.reports.comparison import page
from polyreg.reports.panels import Panel
from tests.conftest import TOLD
from tests.support.processes import free_port, mlflow_server, until

pytest.importorskip("selenium", reason="selenium is not here: pip install selenium")
from selenium.common.exceptions import TimeoutException
from selenium.webdriver import ActionChains, Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

CHROMIUM, DRIVER = Path("/usr/bin/chromium"), Path("/usr/bin/chromedriver")
pytestmark = pytest.mark.skipif(
    not (CHROMIUM.exists() and DRIVER.exists()),
    reason="no browser here: apt-get install chromium chromium-driver",
)
ARGUMENTS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",  # as if there were no network
)  # fmt: skip
PHONE, WIDE = (390, 844), (1920, 1080)


@pytest.fixture(scope="module")
def six(tmp_path_factory, made_store) -> Path:
    """A folder with a store of six trainings and their comparison; ids in runs.json."""
    folder = tmp_path_factory.mktemp("six")
    (folder / "mlflow.db").write_bytes(made_store.read_bytes())
    with pytest.MonkeyPatch.context() as patch:
        for name in TOLD:
            patch.delenv(name, raising=False)
        patch.chdir(folder)
        mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
        ids = []
        for degree in range(1, 7):
            arguments = ["--degree", str(degree), "--noise", "1", "--device", "cpu"]
            ids.append(made(train.main, *arguments, "--max-steps", "600"))
        page = made(compare.main, "--runs", ",".join(ids))
        mlflow.set_tracking_uri(None)
    (folder / "runs.json").write_text(json.dumps({"runs": ids, "page": page}))
    return folder


def made(main, *arguments: str) -> str:
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    return re.search(r"^run +(\w{32})$", result.output, re.MULTILINE)[1]


RATES, MOMENTA = ("0.001", "0.003", "0.01", "0.03", "0.1"), ("0", "0.5", "0.9", "0.99")
LONG = "columns " + "temperature_of_the_inlet, " * 8 + "x" * 80


@pytest.fixture(scope="module")
def made_up(tmp_path_factory) -> Path:
    """A folder with pages of made-up comparisons: a sweep of 5 seeds each, 40 runs, long names."""
    folder = tmp_path_factory.mktemp("made_up")
    grid = [f"rate {rate} · momentum {momentum}" for momentum in MOMENTA for rate in RATES]
    names = {
        "sweep": grid,
        "forty": [f"{name} · batch size {size}" for size in (16, 32) for name in grid],
        "long": [f"{LONG}{k}" for k in range(5)],
    }
    for kind, called in names.items():
        seeds = 1 if kind == "forty" else 5
        text = page.render(comparison(called, seeds, is_sweep=kind == "sweep"))
        (folder / f"{kind}.html").write_text(text, encoding="utf-8")
    return folder


def comparison(names: list[str], seeds: int, is_sweep: bool) -> Comparison:
    """Groups of so many seeds, with curves, coefficients and tables; some have FAILED."""
    x = np.linspace(-1, 1, 41)
    groups, curves, columns = [], [Curve(None, x, x)], {"steps": [], "loss/gap": []}
    for k, name in enumerate(names):
        status = ["FAILED" if (k, j) == (1, 0) else "FINISHED" for j in range(seeds)]
        runs = [
            Run(f"seed {j}", f"degree 1 · {name}", f"{k:016}{j:016}", "training", ended, "2026")
            for j, ended in enumerate(status)
        ]
        groups.append(Group(name, runs, "A", 0 if is_sweep else None))
        curves.append(Curve(k, x, x + k, x + k - 0.2, x + k + 0.2))
        if seeds > 1:
            curves += [Curve(k, x, x + k + j / 10, run=j) for j in range(seeds)]
        for value in columns.values():
            value.append(float(k + 1))
    numbers = [
        Column(
            name, values, [0.5] * len(names), [[v] * seeds for v in values], frozenset({0}), "least"
        )
        for name, values in columns.items()
    ]
    estimates = [Estimate(k, k, k - 0.5, k + 0.5, 0.5) for k in range(len(names))]
    swept = []
    if is_sweep:
        shape = len(MOMENTA), len(RATES)
        at = np.arange(len(names)).reshape(shape)
        blank = [[""] * len(RATES)] * len(MOMENTA)
        axes = ("momentum", "rate"), MOMENTA, RATES
        panels = [
            Panel("steps to converge", title, *axes, 100.0 * (at + 1), at * 1.0, blank, at)
            for title in ("noise 0.5", "noise 1")
        ]
        rows = [name.replace("rate ", "").split(" · momentum ") for name in names]
        swept = [Sweep("Sweep of rate", panels, ["rate", "momentum"], rows, range(len(names)))]
    return Comparison(
        f"Comparison of {len(names)} groups", "noise 1 · at most 600 steps", groups,
        [Warned("Other tables.", ["A: 1, 2"])], ["2 runs are left out."], swept,
        [Chart("y against x", ("x", "y"), curves)],
        [Coefficients("Coefficients", [Term("x", [("truth", 1.0)], estimates)])],
        [Table("Final metrics", numbers)],
    )  # fmt: skip


@pytest.fixture(scope="module")
def ui(six):
    """The address of a real `mlflow ui` on that store."""
    store = ("--backend-store-uri", f"sqlite:///{six}/mlflow.db")
    with mlflow_server(six, "ui", free_port(), *store) as address:
        yield f"{address}/"


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    options = ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for argument in ARGUMENTS:
        options.add_argument(argument)
    options.add_argument(f"--user-data-dir={tmp_path_factory.mktemp('profile')}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = Chrome(options=options, service=Service(str(DRIVER)))
    yield driver
    driver.quit()


def opened(browser, address: str, size=WIDE, dark: bool = False, seconds: float = 30):
    """The page in a window of that size; what it logged before is forgotten."""
    width, height = size
    phone = {"mobile": width < 500, "deviceScaleFactor": 1}
    metrics = {"width": width, "height": height, **phone}
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
    browser.get("about:blank")
    browser.get_log("browser")
    browser.get(address)

    def until(script: str):
        """What a script says, once that is true."""
        try:
            return WebDriverWait(browser, seconds).until(lambda b: b.execute_script(script))
        except TimeoutException as error:
            said = browser.get_log("browser")
            raise AssertionError(f"not true at {browser.current_url}: {script}; {said}") from error

    return until


def test_mlflow_lists_the_runs(browser, six, ui):
    ids = json.loads((six / "runs.json").read_text())["runs"]
    until = opened(browser, ui + "#/experiments/1/runs")
    until("return document.querySelectorAll('a[href*=\"/runs/\"]').length >= 7")
    links = browser.execute_script(
        "return [...document.querySelectorAll('a[href*=\"/runs/\"]')].map("
        "a => [a.getAttribute('href').split('/').pop(), a.textContent])"
    )
    listed = {run_id: name for run_id, name in links if run_id in ids}
    assert listed == {
        run: f"degree {k} · noise 1 · at most 600 steps" for k, run in enumerate(ids, 1)
    }


def address_of(ids: list[str], page: str, **more) -> str:
    parts = {"runs": ids, "experiments": ["1"], **more}
    return f"#/{page}?" + "&".join(f"{key}={quote(json.dumps(v))}" for key, v in parts.items())


def test_mlflow_compares_the_runs_and_draws_a_line_each(browser, six, ui):
    ids = json.loads((six / "runs.json").read_text())["runs"]
    until = opened(browser, ui + address_of(ids, "compare-runs"))
    until("return document.querySelector('.gl-canvas-context') !== null")
    assert "Comparing 6 Runs" in until("return document.querySelector('h1, h2, h3').textContent")
    deadline = time.monotonic() + 20
    while (lines := drawn_lines(browser)) != 6 and time.monotonic() < deadline:
        time.sleep(0.3)
    assert lines == 6


def drawn_lines(browser) -> int:
    """Lines across a column right of the first axis of the parallel coordinates."""
    canvas = browser.find_element("css selector", ".gl-canvas-context")
    pixels = imread(BytesIO(canvas.screenshot_as_png))[..., :3]
    # A tenth of the way between the axes, whose ends the plot's margins leave free.
    column = pixels[:, int(pixels.shape[1] * 0.2) : int(pixels.shape[1] * 0.2) + 1]
    inked = (np.ptp(column, axis=2) > 0.08).any(axis=1)
    return int((np.diff(inked.astype(int)) == 1).sum())


def test_mlflow_draws_six_learning_curves(browser, six, ui):
    ids = json.loads((six / "runs.json").read_text())["runs"]
    more = {"metric": "loss/gap", "plot_metric_keys": ["loss/gap"]}
    until = opened(browser, ui + address_of(ids, "metric", **more) + "&x_axis=step")
    until(f"return {WIDE_CURVES}.length >= 12")  # MLflow draws a smoothed one over each
    ends = browser.execute_script(f"return {WIDE_CURVES}.map(path => path.getBBox().width)")
    assert len(ends) == 12 and np.allclose(ends[::2], ends[1::2])
    steps = [mlflow_steps(six, run_id) for run_id in ids]
    assert np.allclose(
        np.array(ends[::2]) / max(ends), (np.array(steps) - 1) / (max(steps) - 1), atol=1e-3
    )


WIDE_CURVES = (
    "[...document.querySelectorAll('.scatterlayer path.js-line')].filter("
    "path => path.getBBox().width > 5 && path.getBBox().height > 5)"
)


def mlflow_steps(folder: Path, run_id: str) -> int:
    history = mlflow.MlflowClient(f"sqlite:///{folder}/mlflow.db")
    return max(point.step for point in history.get_metric_history(run_id, "loss/gap"))


def test_mlflow_opens_a_plot(browser, six, ui):
    run = json.loads((six / "runs.json").read_text())["runs"][2]
    until = opened(browser, ui + f"#/experiments/1/runs/{run}/artifacts/plots/fit.png")
    sizes = until(
        "const found = [...document.querySelectorAll('img[src^=blob]')].filter("
        "i => i.complete && i.naturalWidth); return found.length && "
        "[found[0].naturalWidth, found[0].naturalHeight]"
    )
    assert sizes == [770, 462]  # 7 x 4.2 inches at 110 dots


def test_mlflow_opens_the_comparison_and_its_script_runs_there(browser, six, ui):
    run = json.loads((six / "runs.json").read_text())["page"]
    until = opened(browser, ui + f"#/experiments/1/runs/{run}/artifacts/comparison.html")
    until("return document.querySelector('iframe.mlflow-html-iframe') !== null")
    browser.switch_to.frame(browser.find_element("css selector", "iframe.mlflow-html-iframe"))
    try:
        until("return document.querySelectorAll('path.line').length > 12")
        assert until("return document.querySelector('h1').textContent") == "Comparison of 6 runs"
        shown = "return getComputedStyle(document.querySelector('.scripted')).display"
        assert until(shown) == "flex"  # which is none without the script
    finally:
        browser.switch_to.default_content()
    assert [e for e in browser.get_log("browser") if "blob:" in e["message"]] == []


PAGES = ("six", "sweep", "forty", "long")


@pytest.mark.parametrize("size", [PHONE, WIDE])
@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("name", PAGES)
def test_the_comparison_fits_its_window_and_reports_no_error(browser, request, name, size, dark):
    folder = request.getfixturevalue("six" if name == "six" else "made_up")
    file = folder / ("comparison.html" if name == "six" else f"{name}.html")
    until = opened(browser, file.as_uri(), size, dark)
    assert until("return innerWidth") == size[0]
    assert until("return document.documentElement.scrollWidth") <= size[0]
    paper = until("return getComputedStyle(document.body).backgroundColor")
    assert paper == ("rgb(18, 22, 28)" if dark else "rgb(255, 255, 255)")
    boxes = until(
        "return [...document.querySelectorAll('.run:not(.own) > path.line')].map("
        "p => [p.getBoundingClientRect().width, p.getBoundingClientRect().height])"
    )
    count = {"six": 12, "sweep": 20, "forty": 40, "long": 5}[name]  # of six a fit and a curve each
    assert len(boxes) == count and np.min(boxes) > 5
    small = until(
        "return Math.min(...[...document.querySelectorAll('body *')].filter(e => e.offsetHeight "
        "&& e.childElementCount == 0 && e.textContent.trim()).map("
        "e => parseFloat(getComputedStyle(e).fontSize)))"
    )
    assert small >= 12
    assert browser.get_log("browser") == []


@pytest.mark.parametrize("size", [PHONE, WIDE])
@pytest.mark.parametrize("name", ["sweep", "forty", "long"])
def test_no_name_is_cut(browser, made_up, name, size):
    opened(browser, (made_up / f"{name}.html").as_uri(), size)
    chips = browser.execute_script(
        "return [...document.querySelectorAll('.chip')].map(chip => {"
        "  const name = chip.querySelector('.name'), box = chip.getBoundingClientRect();"
        "  const parts = [...name.getClientRects()];"
        "  return [name.textContent, getComputedStyle(name).textOverflow,"
        "    [chip, ...chip.children].every(e => e.scrollWidth <= e.clientWidth + 1"
        "      && e.scrollHeight <= e.clientHeight + 1),"
        "    parts.every(r => r.left >= box.left && r.right <= box.right"
        "      && r.top >= box.top && r.bottom <= box.bottom)]})"
    )
    heads = browser.execute_script(
        "return [...document.querySelectorAll('.of-groups tbody th')].filter(e => e.offsetHeight)"
        ".filter(e => e.querySelector('.who')).map(e => [e.querySelector('.name').textContent,"
        " [...e.querySelector('.name').getClientRects()].every("
        "   r => r.right <= e.getBoundingClientRect().right)])"
    )
    said = {"sweep": "rate 0.001 · momentum 0", "long": f"{LONG}0"}.get(name, "rate 0.001")
    assert chips[0][0].startswith(said)
    for text, overflow, has_room, is_inside in chips:
        assert overflow == "clip" and has_room and is_inside and "…" not in text
    assert len({text for text, *_ in chips}) == len(chips)
    assert [text for text, _ in heads] == 2 * [text for text, *_ in chips]
    assert all(is_inside for _, is_inside in heads)


def is_seen(browser, pattern: str) -> bool:
    """Whether all that a pattern finds is drawn, or none of it is."""
    script = (
        "return [...document.querySelectorAll(arguments[0])].map("
        "e => getComputedStyle(e).display !== 'none')"
    )
    [seen] = set(browser.execute_script(script, pattern))
    return seen


def shown(browser) -> list[int]:
    """The groups whose curves are drawn."""
    return browser.execute_script(
        "return [...document.querySelectorAll('.chart g.run:not(.own)')].filter("
        "g => getComputedStyle(g).display !== 'none').map(g => Number(/ r(\\d+)/.exec("
        "' ' + g.className.baseVal)[1]))"
    )


def test_on_a_phone_each_of_forty_names_can_be_reached(browser, made_up):
    opened(browser, (made_up / "forty.html").as_uri(), PHONE)
    bar = browser.find_element("css selector", "nav")
    assert bar.size["height"] < 0.25 * PHONE[1]
    browser.execute_script("document.querySelector('.charts').scrollIntoView()")
    for k in (39, 0, 20):
        browser.find_element("id", f"c{k}").click()  # which scrolls within the bar
        assert not is_seen(browser, f"g.r{k}")
        inside = browser.execute_script(
            "const a = document.querySelector('.chips').getBoundingClientRect(),"
            f" b = document.getElementById('c{k}').getBoundingClientRect();"
            "const middle = (b.top + b.bottom) / 2; return a.top < middle && middle < a.bottom"
        )
        assert inside
    before = browser.execute_script("return document.querySelector('.chips').clientHeight")
    browser.find_element("css selector", ".fold").click()
    after = browser.execute_script("return document.querySelector('.chips').clientHeight")
    assert after > 3 * before and bar.size["height"] < PHONE[1]
    assert browser.get_log("browser") == []


@pytest.mark.parametrize("size", [PHONE, WIDE])
def test_a_group_opens_into_its_runs_and_closes(browser, made_up, size):
    opened(browser, (made_up / "sweep.html").as_uri(), size)
    assert not is_seen(browser, ".own")
    browser.find_element("css selector", "#k0 .open").click()
    assert is_seen(browser, "g.w0") and is_seen(browser, "tr.w0") and not is_seen(browser, ".w1")
    browser.find_element("id", "c0").click()
    assert not is_seen(browser, "g.w0") and is_seen(browser, "tr.w0")
    browser.find_element("id", "c0").click()
    browser.find_element("css selector", ".the-runs .open").click()  # the same, in a table
    assert not is_seen(browser, ".own")
    browser.find_element("id", "each").click()
    assert is_seen(browser, ".own")
    assert browser.get_log("browser") == []


def test_heat_maps_that_have_room_are_whole(browser, tmp_path):
    found = comparison([f"rate {rate}" for rate in RATES], 5, is_sweep=False)
    one = np.arange(2)[None]
    names = ("", "rate"), [""], RATES[:2]
    panels = [
        Panel(metric, title, *names, one + 1.0, one * 0.1, [["", ""]], one)
        for metric in ("steps to converge", "distance")
        for title in ("noise 0.5", "noise 1")
    ]
    swept = Sweep("Sweep of rate", panels, ["rate"], [["0.1"]], [0])
    file = tmp_path / "narrow.html"
    file.write_text(page.render(found._replace(sweeps=[swept])), encoding="utf-8")
    for size in (PHONE, WIDE):
        opened(browser, file.as_uri(), size)
        hidden = browser.execute_script(
            "return [...document.querySelectorAll('.map .scroll')].map("
            "e => [e.scrollWidth - e.clientWidth, e.scrollHeight - e.clientHeight])"
        )
        assert len(hidden) == 2 and np.max(hidden) <= 1


@pytest.mark.parametrize("size", [PHONE, (700, 844), (1400, 900)])
def test_heat_maps_of_several_panels_are_whole_below_one_another(browser, tmp_path, size):
    found = comparison([f"rate {rate}" for rate in RATES], 5, is_sweep=False)
    at = np.full((4, 3), -1)
    panels = [
        Panel(metric, f"noise {noise}", ("rate", "degree"), RATES[:4], ["1", "2", "3"],
              at + 100.0, at + 2.0, [["not converged"] * 3] * 4, at)
        for metric in ("steps to converge", "distance")
        for noise in (0, 0.5, 1, 2)
    ]  # fmt: skip
    swept = Sweep("Sweep of rate", panels, ["rate"], [["0.1"]], [0])
    file = tmp_path / "panels.html"
    file.write_text(page.render(found._replace(sweeps=[swept])), encoding="utf-8")
    opened(browser, file.as_uri(), size)
    hidden = browser.execute_script(
        "return [...document.querySelectorAll('.map .scroll')].map("
        "e => [e.scrollWidth - e.clientWidth, e.scrollHeight - e.clientHeight])"
    )
    assert len(hidden) == 2 and np.max(hidden) <= 1


def test_all_cells_of_combinations_stand_to_the_right(browser, tmp_path):
    found = comparison([f"rate {rate}" for rate in RATES], 5, is_sweep=False)
    rows = [["auto", "sgd", "-", "12"], ["0.1", "adam", "-", "-"]]
    swept = Sweep("Sweep", [], ["rate", "optimizer", "diverged", "steps"], rows, [0, 1])
    file = tmp_path / "rows.html"
    file.write_text(page.render(found._replace(sweeps=[swept])), encoding="utf-8")
    opened(browser, file.as_uri())
    aligned = browser.execute_script(
        "return [...document.querySelectorAll('.combinations :is(td, thead th + th)')].map("
        "e => getComputedStyle(e).textAlign)"
    )
    assert aligned == ["right"] * 12


def test_names_of_runs_have_room(browser, made_up):
    opened(browser, (made_up / "long.html").as_uri(), (1400, 900))
    browser.find_element("id", "each").click()
    high = browser.execute_script(
        "return [...document.querySelectorAll('.the-runs td.title')].map(e => e.offsetHeight)"
    )
    assert len(high) == 30 and max(high) <= 14 * 22  # of 310 letters


def tap(browser, element) -> None:
    """Click on it where it is not under the bar."""
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
    element.click()


@pytest.mark.parametrize("size", [PHONE, WIDE])
def test_a_tap_on_a_combination_shows_its_curves_alone_and_another_all(browser, made_up, size):
    until = opened(browser, (made_up / "sweep.html").as_uri(), size)
    cells = browser.find_elements("css selector", ".heat .pick")
    assert len(cells) == 40 and [cell.get_attribute("role") for cell in cells[:2]] == ["button"] * 2
    band = "return getComputedStyle(document.querySelector('g.r7 .band')).display !== 'none'"
    assert not browser.execute_script(band)  # of 20, no band could be told from the others
    tap(browser, cells[7])
    assert shown(browser) == [7] and until(band)
    top = until("return document.querySelector('#curves h2').getBoundingClientRect().top")
    bar = until("return document.querySelector('nav').getBoundingClientRect().bottom")
    assert bar <= top < bar + 60  # not under the bar
    pressed = [c.get_attribute("data-group") for c in cells if "picked" in c.get_attribute("class")]
    assert pressed == ["7", "7"]  # in both panels
    tap(browser, cells[7])
    assert shown(browser) == list(range(20))
    cells[3].send_keys(Keys.ENTER)
    assert shown(browser) == [3]
    cells[3].send_keys(Keys.SPACE)
    assert shown(browser) == list(range(20))
    tap(browser, browser.find_elements("css selector", ".combinations tbody td")[9])  # fifth row
    assert shown(browser) == [4]
    assert browser.get_log("browser") == []


def test_the_label_of_curves_that_end_together_speaks_of_those_that_are_ticked(browser, tmp_path):
    x = np.linspace(0, 1, 5)
    found = comparison([f"rate {k}" for k in range(4)], 1, is_sweep=False)
    together = Chart("t", ("x", "y"), [Curve(k, x, x) for k in range(4)])
    file = tmp_path / "together.html"
    file.write_text(page.render(found._replace(charts=[together])), encoding="utf-8")
    opened(browser, file.as_uri())
    label = browser.find_element("css selector", ".end.shared")
    assert (label.text, label.get_attribute("title")) == ("1-4", "1, 2, 3, 4")
    browser.find_element("id", "c0").click()
    assert (label.text, label.get_attribute("title")) == ("2 +2", "2, 3, 4")
    browser.find_element("id", "c1").click()
    browser.find_element("id", "c2").click()
    key = browser.find_element("css selector", "#k3 i").value_of_css_property("background-color")
    line = label.value_of_css_property("border-bottom-color").replace("rgb(", "rgba(")
    assert label.text == "4" and line.rstrip(")") in key.replace("rgb(", "rgba(")  # its own colour
    browser.find_element("id", "all").click()
    assert label.text == "1-4"
    browser.find_element("id", "all").click()
    assert not label.is_displayed()


def test_without_its_script_the_boxes_still_work(browser, made_up):
    text = (made_up / "sweep.html").read_text(encoding="utf-8")
    bare = made_up / "bare.html"
    bare.write_text(re.sub("script-src '[^']*'", "script-src 'none'", text), encoding="utf-8")
    opened(browser, bare.as_uri())
    assert not browser.find_element("id", "all").is_displayed()
    browser.find_element("css selector", ".heat .pick").click()
    assert not is_seen(browser, "g.r0")
    browser.find_element("css selector", "#k1 .open").click()
    assert is_seen(browser, "g.w1")


def test_a_box_takes_its_run_out_of_the_charts_and_a_pointer_reads_the_others(browser, six):
    until = opened(browser, (six / "comparison.html").as_uri())
    hidden = "return getComputedStyle(document.querySelector('g.r2')).display === 'none'"
    assert not browser.execute_script(hidden)
    browser.find_element("id", "c2").click()
    assert until(hidden)
    plot = browser.find_element("css selector", ".chart .plot")
    ActionChains(browser).move_to_element(plot).perform()
    said = until(TOLD_LINES)
    assert [line[0] or line[2] for line in said] == ["truth", "1", "2", "4", "5", "6"]
    x = float(until("return document.querySelector('.tip .at').textContent")[3:])
    truth = float(said[0][1])
    assert np.isclose(truth, 0.9 + 0.5 * x + 3 * x**2 + 2.4 * x**3, rtol=1e-4)
    browser.find_element("id", "all").click()  # not all are on, so all come on
    assert not browser.execute_script(hidden)
    browser.find_element("id", "all").click()
    assert browser.execute_script(hidden)
    assert browser.get_log("browser") == []


TOLD_LINES = (
    "const tip = document.querySelector('.tip:not([hidden])');"
    "return tip && [...tip.querySelectorAll('.told')].map(line => "
    "['number', 'value', 'name'].map(part => line.querySelector('.' + part).textContent))"
)


@pytest.mark.parametrize("size", [PHONE, WIDE])
def test_a_pointer_reads_groups_by_number_and_name_not_each_run(browser, made_up, size):
    until = opened(browser, (made_up / "long.html").as_uri(), size)
    browser.find_element("id", "each").click()
    browser.find_element("id", "c1").click()
    plot = browser.find_element("css selector", ".chart .plot")
    ActionChains(browser).move_to_element(plot).perform()
    said = until(TOLD_LINES)
    assert [line[0] for line in said] == ["", "1", "3", "4", "5"]
    assert [line[2] for line in said] == ["truth", *(f"{LONG}{k}" for k in (0, 2, 3, 4))]
    x = float(until("return document.querySelector('.tip .at').textContent")[3:])
    assert np.isclose(float(said[2][1].split()[0]), x + 2, rtol=1e-4)
    assert until("return document.documentElement.scrollWidth") <= size[0]


@pytest.mark.parametrize("size", [PHONE, (1400, 700)])
@pytest.mark.parametrize("block", ["start", "center", "end"])
def test_of_many_curves_a_pointer_reads_the_nearest_within_the_window(
    browser, made_up, size, block
):
    until = opened(browser, (made_up / "forty.html").as_uri(), size)
    plot = browser.find_element("css selector", ".chart .plot")
    browser.execute_script(f"arguments[0].scrollIntoView({{block: '{block}'}})", plot)
    x, y = (
        f"const b = document.querySelector('.chart .plot').getBoundingClientRect(); return {part}"
        for part in ("b.x + 0.7 * b.width", "b.y + 0.75 * b.height")
    )
    event = {"type": "mouseMoved", "x": until(x), "y": until(y)}
    browser.execute_cdp_cmd("Input.dispatchMouseEvent", event)
    said = until(TOLD_LINES)
    assert len(said) == (8 if size == PHONE else 12)
    values = [float(value.split()[0]) for _, value, _ in said]
    scale = page.scales(comparison(["n"] * 40, 1, is_sweep=False).charts[0])[1]
    off = np.abs(scale.at(np.array(values)) - 0.25)
    assert np.all(np.diff(off) > -1e-3) and off[0] < 0.02
    left, top, right, bottom = until(
        "const b = document.querySelector('.tip:not([hidden])').getBoundingClientRect();"
        "return [b.left, b.top, b.right, b.bottom]"
    )
    bar = until("return document.querySelector('nav').getBoundingClientRect().bottom")
    assert left >= 0 and right <= size[0] and max(bar, 0) <= top and bottom <= size[1]


def test_an_error_in_a_script_would_be_seen(browser, tmp_path):
    page = tmp_path / "broken.html"
    page.write_text("<!DOCTYPE html><link rel=icon href=data:,><script>nothing.at.all</script>")
    opened(browser, page.as_uri())
    [said] = until(lambda: browser.get_log("browser"), 30)  # the driver hears of it by and by
    assert "nothing is not defined" in said["message"]
