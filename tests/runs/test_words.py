"""Columns of words by the command: what is said, recorded, predicted and refused."""

import json
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import CliRunner

import polyreg
from experiments.compare import main as compare
from experiments.fit import main as fit
from experiments.invert import main as invert
from experiments.predict import main as predict
from polyreg.config import FitConfig
from polyreg.errors import Refused
from polyreg.tables import Table
from tests.conftest import artifact, only_run
from tests.unit.inference.test_surface import CODING, chemreact
from tests.unit.least_squares.test_words import table

ASKED = ("--data", "t.csv", "--target", "y", "--features", "u,site", "--degree", "2")


@pytest.fixture
def rows(store) -> pd.DataFrame:
    frame = table(80).assign(note="free text")
    frame.to_csv("t.csv", index=False)
    return frame


def ran(main, *arguments, code=0) -> str:
    told = CliRunner().invoke(main, arguments)
    assert told.exit_code == code, told.output
    return told.output


def test_a_block_of_words_in_a_response_surface_needs_no_more_than_its_name(store):
    frame, block = chemreact()
    frame.assign(block=np.where(block, "second", "first")).to_csv("chem.csv", index=False)
    features = ("--features", "Time,Temp,block")
    said = ran(fit, "--data", "chem.csv", "--target", "Yield", *features, "--degree", "2")
    assert "lack of fit against replicates: F = 0.5307 on 3 and 4, p = 0.69" in said
    assert "stationary point: Time = 86.86 ± 0.15, Temp = 176.67 ± 0.21, a maximum" in said
    assert "levels of block: first (base), second; they differ (F = 2612 on 1 and 7" in said
    assert "block=second is 1 where block is second, else 0 (base first)" in said
    run = only_run()
    found = polyreg.load(f"runs:/{run.info.run_id}/model")
    point = found.stationary_point(coding=CODING)
    np.testing.assert_allclose(point.x, [86.86148, 176.67190], atol=5e-6)
    np.testing.assert_allclose(point.eigenvalues, [-1.3186949, -0.9233027], atol=5e-8)
    assert found.lack_of_fit[:2] == pytest.approx((0.53071, 0.68509), abs=5e-6)
    assert artifact(run, "plots/contour.png").read_bytes().startswith(b"\x89PNG")


def test_a_run_tells_the_levels_by_keys_that_mlflow_takes(rows):
    said = ran(fit, *ASKED, "--interact", "site")
    assert "features u, site; not used: w, note" in said and "offsets (F = " in said
    assert "degree 2 against 1: F = " in said
    run = only_run()
    assert run.info.run_name == "t.csv · y ~ u + site · degree 2 · own curves by site"
    assert run.data.params["features"] == "u,site" and run.data.params["interact"] == "site"
    assert {"coef/site_B", "coef/u:site_C", "std_error/u.2:site_B"} <= run.data.metrics.keys()
    assert run.data.metrics["degree"] == 2
    document = json.loads(artifact(run, "coefficients.json").read_text())
    assert [row["term"] for row in document["terms"]][:3] == ["1", "site=B", "site=C"]
    sample = json.loads(artifact(run, "sample.json").read_text())
    assert sample["names"] == ["u", "site"] and {x[1] for x in sample["x"]} == {0, 1, 2}
    said = ran(fit, *ASKED) + ran(compare, "--last", "2")
    assert "y ~ u + site" in said and "interact" in said
    assert "these runs have 2: u, site" in Path("comparison.html").read_text()


def test_new_rows_are_predicted_and_words_that_are_not_known_are_told(rows):
    ran(fit, *ASKED)
    model = f"runs:/{only_run().info.run_id}/model"
    new = pd.DataFrame({"site": ["B", "D", " A", None, "C"], "u": [1.0, 1, 20, 1, None]})
    new.to_csv("new.csv", index=False)
    said = ran(predict, "--model", model, "--data", "new.csv", "--out", "p.csv")
    assert "2 without a level that the fit knows of site, marked known = false" in said
    assert "1 outside the range" in said and "1 without a prediction, for lack of a value" in said
    got, found = pd.read_csv("p.csv"), polyreg.load(model)
    assert got.known.tolist() == [True, False, True, False, True]
    wanted = np.array(found.predict(new[:3:2], "prediction"))
    assert pytest.approx(wanted) == got.loc[[0, 2], ["prediction", "low", "high"]].to_numpy().T
    assert got.prediction[[1, 3, 4]].isna().all()
    served = mlflow.pyfunc.load_model(model).predict(new[:4])
    assert served.prediction.to_numpy() == pytest.approx(got.prediction[:4], nan_ok=True)
    module = mlflow.pytorch.load_model(model)
    answer = module(torch.tensor([[1.0, 1], [20, 0]])).detach().numpy()[:, 0]
    assert answer == pytest.approx(got.prediction[[0, 2]])
    new.to_parquet("new.parquet")
    ran(predict, "--model", model, "--data", "new.parquet", "--out", "p.parquet")
    assert pd.read_parquet("p.parquet").known.tolist() == got.known.tolist()
    said = ran(invert, "--model", model, "--data", "t.csv", "--out", "i.csv", code=2)
    assert "x from y is of one variable; this fit has several: u, site; of each level" in said
    ran(predict, "--model", model, "--data", "p.csv", "--out", "q.csv", code=2)


def test_words_that_nobody_named_are_left_out_and_told(rows):
    said = ran(fit, "--data", "t.csv", "--target", "y", "--degree", "1")
    assert "note: no features: site (text), note (text)" in said and "site=" not in said


def test_the_plan_names_the_levels_and_a_wrong_option_leaves_no_run(rows):
    said = ran(fit, *ASKED, "--dry-run")
    assert "features   u, site; not used" in said and "5: 1, site=B, site=C, u, u^2" in said
    for more, told in (
        (("--by", "note"), "Error: --by cannot be had with words, and site among"),
        (("--interact", "note"), "Error: --interact note is no column of words among"),
        (("--through", "0:1"), "Error: --through 0:1 cannot be had with words"),
    ):
        said = ran(fit, *ASKED, *more, code=2)
        assert said.splitlines()[-1].startswith(told), said
    said = ran(fit, *ASKED[:4], "--features", "site", "--by", "note", code=2)
    assert "--by cannot be had with words" in said
    with pytest.raises(Refused, match="--engine ray cannot be had with words"):
        Table.of(FitConfig(data="t.csv", target="y", features=("u", "site"), engine="ray"))
    assert mlflow.search_runs(search_all_experiments=True).empty


def test_words_and_functions_of_columns_go_together(rows):
    rows.assign(v=rows.u + 3).to_csv("t.csv", index=False)
    ran(fit, *ASKED[:4], "--features", "log(v),site", "--degree", "1")
    found = polyreg.load(f"runs:/{only_run().info.run_id}/model")
    design = pd.get_dummies(rows.site, drop_first=True, dtype=float).assign(z=np.log(rows.u + 3))
    wanted = np.linalg.lstsq(np.c_[np.ones(80), design], rows.y, rcond=None)[0]
    assert found.coefficients == pytest.approx(wanted, rel=1e-9)
    new = pd.DataFrame({"v": [2.0], "site": ["C"]})
    assert found.predict(new)[0] == pytest.approx(wanted @ [1, 0, 1, np.log(2)], rel=1e-9)
