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
from tests.conftest import TOLD
from tests.support.processes import free_port, mlflow_server, until

pytest.importorskip("selenium", reason="selenium is not here: pip install selenium")
from selenium.common.exceptions import TimeoutException
from selenium.webdriver import ActionChains, Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
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
        assert (
            until("return getComputedStyle(document.querySelector('.scripted')).display") == "block"
        )
    finally:
        browser.switch_to.default_content()
    assert [e for e in browser.get_log("browser") if "blob:" in e["message"]] == []


@pytest.mark.parametrize("size", [PHONE, WIDE])
@pytest.mark.parametrize("dark", [False, True])
def test_the_comparison_fits_its_window_and_reports_no_error(browser, six, size, dark):
    until = opened(browser, (six / "comparison.html").as_uri(), size, dark)
    assert until("return innerWidth") == size[0]
    assert until("return document.documentElement.scrollWidth") <= size[0]
    paper = until("return getComputedStyle(document.body).backgroundColor")
    assert paper == ("rgb(18, 22, 28)" if dark else "rgb(255, 255, 255)")
    boxes = until(
        "return [...document.querySelectorAll('.run > path.line')].map("
        "p => [p.getBoundingClientRect().width, p.getBoundingClientRect().height])"
    )
    assert len(boxes) == 12 and np.min(boxes) > 5  # a fit and a learning curve each
    small = until(
        "return Math.min(...[...document.querySelectorAll('body *')].filter(e => e.offsetHeight "
        "&& e.childElementCount == 0 && e.textContent.trim()).map("
        "e => parseFloat(getComputedStyle(e).fontSize)))"
    )
    assert small >= 12
    assert browser.get_log("browser") == []


def test_a_box_takes_its_run_out_of_the_charts_and_a_pointer_reads_the_others(browser, six):
    until = opened(browser, (six / "comparison.html").as_uri())
    hidden = "return getComputedStyle(document.querySelector('g.r2')).display === 'none'"
    assert not browser.execute_script(hidden)
    browser.find_element("id", "c2").click()
    assert until(hidden)
    plot = browser.find_element("css selector", ".chart .plot")
    ActionChains(browser).move_to_element(plot).perform()
    said = until("const tip = document.querySelector('.tip:not([hidden])'); "
                 "return tip && [...tip.children].map(line => line.textContent)")  # fmt: skip
    assert [line.partition(":")[0] for line in said] == ["truth", "1", "2", "4", "5", "6"]
    x = until("return parseFloat(document.querySelector('.tip').textContent.slice(3))")
    truth = float(said[0].partition(":")[2])
    assert np.isclose(truth, 0.9 + 0.5 * x + 3 * x**2 + 2.4 * x**3, rtol=1e-4)
    browser.find_element("id", "all").click()  # not all are on, so all come on
    assert not browser.execute_script(hidden)
    browser.find_element("id", "all").click()
    assert browser.execute_script(hidden)
    assert browser.get_log("browser") == []


def test_an_error_in_a_script_would_be_seen(browser, tmp_path):
    page = tmp_path / "broken.html"
    page.write_text("<!DOCTYPE html><link rel=icon href=data:,><script>nothing.at.all</script>")
    opened(browser, page.as_uri())
    [said] = until(lambda: browser.get_log("browser"), 30)  # the driver hears of it by and by
    assert "nothing is not defined" in said["message"]
