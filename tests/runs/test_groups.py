"""Many curves in one run: what the command records, and what reads it back."""

import io
import json
import pickle
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import CliRunner
from mlflow.pyfunc.scoring_server import infer_and_parse_data, predictions_to_json

import polyreg
from experiments.compare import main as compare
from experiments.fit import main as fit
from experiments.invert import main as invert
from experiments.predict import main as predict
from polyreg.config_reading import CompareConfig
from polyreg.reports.comparison.compared import compared
from polyreg.reports.comparison.reading.runs import read
from tests.conftest import artifact, only_run

ASKED = ("--data", "t.csv", "--target", "y", "--features", "x", "--by", "sensor", "--degree", "1")


@pytest.fixture
def table(store):
    rng = np.random.default_rng(0)
    sensor = np.repeat(np.arange(1, 7), 10)
    x = np.tile(np.arange(10.0), 6)
    frame = pd.DataFrame({"sensor": sensor, "x": x, "y": sensor + 2 * x + rng.normal(0, 0.1, 60)})
    alike = pd.DataFrame({"sensor": [9, 9], "x": [1.0, 1.0], "y": [1.0, 2.0]})
    frame = pd.concat([frame, alike], ignore_index=True)
    frame.sample(frac=1, random_state=0).to_csv("t.csv", index=False)
    return frame


def ran(main, *arguments, code=0):
    told = CliRunner().invoke(main, arguments)
    assert told.exit_code == code, told.output
    return told.output


def test_one_run_has_the_table_the_model_and_quantiles_of_all_groups(table):
    said = ran(fit, *ASKED)
    assert "6 groups by sensor, 60 rows" in said
    assert "1 group without a polynomial" in said and "9 (2 rows tell only 1 of 2 terms" in said
    run = only_run()
    assert run.data.params["by"] == "sensor" and "by sensor" in run.info.run_name
    assert run.data.metrics["groups"] == 6 and run.data.metrics["groups_failed"] == 1
    told = pd.read_parquet(artifact(run, "groups.parquet")).set_index("sensor")
    assert run.data.metrics["coef/x/median"] == pytest.approx(told["coef/x"].median())
    shown = json.loads(artifact(run, "groups.json").read_text())
    assert len(shown["data"]) == 7 and shown["columns"][0] == "sensor"
    for key, rows in table[:60].groupby("sensor"):
        known = np.polyfit(rows.x, rows.y, 1)
        assert told.loc[key, ["coef/x", "coef/1"]].tolist() == pytest.approx(known, rel=1e-10)
    assert told.loc[9, "note"] == "2 rows tell only 1 of 2 terms apart"
    for plot in ("curves", "coefficients", "residuals"):
        assert artifact(run, f"plots/{plot}.png").read_bytes().startswith(b"\x89PNG")


def test_rows_are_predicted_and_readings_inverted_by_their_own_group(table):
    ran(fit, *ASKED)
    model = f"runs:/{only_run().info.run_id}/model"
    results = polyreg.load(model)
    assert list(results.failed) == [9] and sorted(results) == [1, 2, 3, 4, 5, 6]
    new = pd.DataFrame(
        {"sensor": [3, 4, 9, 77, 5], "x": [2.5, 20, 1, 1, None], "tag": list("abcde")}
    )
    new.to_csv("new.csv", index=False)
    said = ran(predict, "--model", model, "--data", "new.csv", "--out", "p.csv")
    assert "2 of a group that has no polynomial" in said and "1 outside the range" in said
    got = pd.read_csv("p.csv")
    assert got.known.tolist() == [True, True, False, False, True]
    assert got.extrapolated.tolist() == [False, True, False, False, False]
    for row, (key, x) in enumerate([(3, 2.5), (4, 20)]):
        known = [float(v[0]) for v in results[key].predict([x], "prediction")]
        assert got.loc[row, ["prediction", "low", "high"]].tolist() == pytest.approx(known)
    assert got.prediction[2:].isna().all() and got.tag.tolist() == list("abcde")
    numbers = torch.tensor([[-1.0, 2.5], [2.0, 2.5]], dtype=torch.float64)
    assert mlflow.pytorch.load_model(model)(numbers).isnan().tolist() == [[True], [False]]
    served = mlflow.pyfunc.load_model(model).predict(new[:4][["sensor", "x"]])
    assert served.prediction[:2].tolist() == pytest.approx(got.prediction[:2].tolist())
    assert served.known.tolist() == [True, True, False, False]
    pd.DataFrame({"sensor": [2, 77], "y": [11.0, 1.0]}).to_csv("read.csv", index=False)
    said = ran(invert, "--model", model, "--data", "read.csv", "--out", "x.csv")
    assert "1 of a group without a polynomial" in said
    back = pd.read_csv("x.csv")
    known = results[2].inverse(11.0)
    assert back.loc[0, ["x", "low", "high"]].tolist() == pytest.approx(
        [known.x, known.low, known.high]
    )
    assert np.isnan(back.x[1])
    assert "no column 'sensor'" in ran(
        predict, "--model", model, "--data", missing_key(new), "--out", "p.csv", code=2
    )


def test_what_a_server_answers_is_json_for_keys_of_any_kind(table):
    ran(fit, *ASKED, "--register-as", "fleet")
    served = mlflow.pyfunc.load_model("models:/fleet/1")
    asked = [{"sensor": key, "x": "2.5"} for key in (3, "3", 3.0, 77, "who", None, 9, True)]
    body = json.dumps({"dataframe_records": asked})
    rows = infer_and_parse_data(json.loads(body), served.metadata.get_input_schema())
    predictions_to_json(served.predict(rows), answer := io.StringIO())

    def refuse(word):
        raise AssertionError(f"{word} is no JSON")

    got = json.loads(answer.getvalue(), parse_constant=refuse)["predictions"]
    assert [one["known"] for one in got] == [True] * 3 + [False] * 5
    known = polyreg.load("models:/fleet/1")[3]
    assert {one["prediction"] for one in got[:3]} == {float(known.predict([2.5])[0])}
    assert got[3] == dict.fromkeys(("prediction", "low", "high")) | {
        "extrapolated": False,
        "known": False,
    }


def missing_key(new):
    new.drop(columns="sensor").to_csv("keyless.csv", index=False)
    return "keyless.csv"


def test_one_shape_for_all_groups_is_recorded_and_predicts_with_the_pooled_residual_sd(table):
    said = ran(fit, *ASKED, "--pool", "offset")
    assert "one shape of degree 1, own offsets: residual SD" in said
    assert "largest SD about the common shape" in said
    run = only_run()
    assert run.data.params["pool"] == "offset" and "pool offset" in run.info.run_name
    found = polyreg.fit("t.csv", target="y", features="x", by="sensor", degree=1, pool="offset")
    assert found.shape.df_resid == 62 - 8  # all 7 groups, that of two rows at one x too
    for name, value in (
        ("residual_sd", found.shape.residual_sd),
        ("r2", found.shape.r2),
        ("df_resid", 54),
        ("coef/x", found.common.estimate[0]),
        ("std_error/x", found.common.std_error[0]),
    ):
        assert run.data.metrics[name] == pytest.approx(value, rel=1e-12)
    assert "coef/x/median" not in run.data.metrics and "coef/1/median" in run.data.metrics
    told = pd.read_parquet(artifact(run, "groups.parquet")).set_index("sensor")
    assert told["coef/x"].nunique() == 1 and told["coef/1"].nunique() == 7
    shown = json.loads(artifact(run, "groups_common.json").read_text())
    assert shown["data"][0][0] == "x"
    model = f"runs:/{run.info.run_id}/model"
    new = pd.DataFrame({"sensor": [9, 3], "x": [8.0, 12.0]})
    got = mlflow.pyfunc.load_model(model).predict(new)
    assert got.known.all() and got.extrapolated.tolist() == [False, True]
    for row, key in enumerate([9, 3]):
        known = [float(v[0]) for v in found[key].predict([new.x[row]], "prediction")]
        assert got.loc[row, ["prediction", "low", "high"]].tolist() == pytest.approx(known)
    pd.DataFrame({"sensor": [9], "y": [11.0]}).to_csv("read.csv", index=False)
    ran(invert, "--model", model, "--data", "read.csv", "--out", "x.csv")
    back, known = pd.read_csv("x.csv"), found[9].inverse(11.0)
    assert back.loc[0, ["x", "low", "high"]].tolist() == pytest.approx(
        [known.x, known.low, known.high]
    )


def test_runs_of_many_curves_are_compared_by_their_medians(table):
    for degree in ("1", "2"):
        ran(fit, *ASKED[:-1], degree)
    head, *lines = ran(compare, "--last", "2").splitlines()[1:4]
    assert "groups" in head and "median residual_sd" in head and "median r2" in head
    assert len(lines) == 2 and all(" 6 " in line for line in lines)


def test_the_page_has_each_run_s_residuals_over_the_groups(table):
    table.assign(w=2.0).to_csv("t.csv", index=False)
    for degree, weights in (("1", ""), ("2", "w")):
        ran(fit, *ASKED[:-1], degree, "--weights", weights)
    said = ran(compare, "--last", "2", "--out", "page.html")
    assert [line.split()[4] for line in said.splitlines()[2:4]] == ["1", "1"]  # that failed
    page = Path("page.html").read_text()
    assert "residual SD of the groups, in ascending order" in page and "1 - R2 of the" in page
    assert "are not drawn: 1 of run 1, 1 of run 2" in page and "a y of weight 1" in page
    found = read(CompareConfig(last=2))
    for one in found.seen:
        told = pd.read_parquet(artifact(mlflow.get_run(one.past.id), "groups.parquet"))
        degree = int(one.past.params["degree"])
        for name in ("residual_sd", "coef/x", "coef/1"):
            known = np.nanquantile(told[name], np.arange(101) / 100)
            assert one.quantiles["values"][name] == pytest.approx(known.tolist(), rel=1e-12)
        assert ("coef/x^2" in one.quantiles["values"]) == (degree == 2)
    charts = compared(found).charts
    assert [chart.names[1] for chart in charts] == ["residual SD", "1 - R2"]
    for chart in charts:
        for curve in chart.curves:
            assert (np.diff(curve.y) >= 0).all() and (curve.x[0], curve.x[-1]) == (0, 100)
    [terms] = compared(found).coefficients
    assert [term.name for term in terms.terms] == ["1", "x", "x^2"]
    assert terms.terms[1].of(0).value == pytest.approx(found.seen[0].past.metrics["coef/x/median"])


def test_results_in_memory_are_compared_as_their_runs_are(table):
    made = [
        polyreg.fit(table, target="y", features="x", by="sensor", degree=degree)
        for degree in (1, 2)
    ]
    found = polyreg.compare(made)
    assert found.table()["degree"].tolist() == [1, 2]
    assert found.table()["groups"].tolist() == [6, 6]
    for degree in ("1", "2"):
        ran(fit, *ASKED[:-1], degree)
    runs = mlflow.search_runs(experiment_names=["polyreg"], output_format="list")
    stored = polyreg.compare([run.info.run_id for run in runs[::-1]])
    names = ["residual_sd/median", "r2/p5", "coef/x/median"]
    names = [name for name in names if name in stored.table()]
    pd.testing.assert_frame_equal(
        found.table()[names].reset_index(drop=True), stored.table()[names].reset_index(drop=True)
    )
    assert found.to_html().count("in ascending order") == stored.to_html().count(
        "in ascending order"
    )
    assert polyreg.compare(made[0]).table()["groups"].tolist() == [6]


def test_the_common_terms_of_one_shape_are_compared_with_their_intervals(table):
    made = [
        polyreg.fit(table, target="y", features="x", by="sensor", degree=2, pool=pool)
        for pool in ("none", "offset")
    ]
    page = polyreg.compare(made).to_html()
    assert "Of run 2, of one shape, it is the SD about the common shape" in page
    [terms] = polyreg.compare(made)._data.coefficients
    shape = made[1].common.set_index("term")
    for term in terms.terms:
        own, common = term.of(0), term.of(1)
        known = made[0].to_frame()[f"coef/{term.name}"].median()
        assert own.value == pytest.approx(known, rel=1e-12)
        if term.name == "1":
            assert common.value == pytest.approx(made[1].to_frame()["coef/1"].median(), rel=1e-12)
        else:
            assert [common.value, common.low, common.high] == [
                *shape.loc[term.name, ["estimate", "low", "high"]]
            ]


def test_a_run_without_its_quantiles_says_so(table):
    ran(fit, *ASKED)
    for content in ("{}", "[1]", None):
        file = Path(only_run().info.artifact_uri.removeprefix("file://"), "quantiles.json")
        file.unlink() if content is None else file.write_text(content)
        [one] = read(CompareConfig(last=1)).seen
        assert one.quantiles is None and one.notes == ["no quantiles.json, so no curve"]
        assert not compared(read(CompareConfig(last=1))).charts


def test_mlflow_shows_every_table_and_keeps_those_of_the_user(table):
    ran(fit, *ASKED)
    made = ["groups.json", "groups_tests.json", "groups_variation.json"]
    assert tables_of(only_run()) == made
    with mlflow.start_run() as mine:
        mlflow.log_table({"a": [1]}, "mine.json")
        polyreg.log_result(polyreg.fit("t.csv", target="y", features="x", by="sensor", degree=1))
    assert tables_of(mlflow.get_run(mine.info.run_id)) == ["mine.json", *made]
    assert mlflow.load_table("groups.json", run_ids=[mine.info.run_id])["sensor"].nunique() == 7


def tables_of(run) -> list[str]:
    return [table["path"] for table in json.loads(run.data.tags["mlflow.loggedArtifacts"])]


def test_a_plan_counts_rows_and_groups_and_leaves_no_run(table):
    said = ran(fit, *ASKED, "--dry-run")
    assert "62 rows" in said and "7 by sensor\n" in said
    table.loc[3, "y"] = None
    table.to_csv("t.csv", index=False)
    said = ran(fit, *ASKED, "--dry-run")
    assert "7 by sensor, 1 of them cannot be fitted: a missing or infinite value in row 4" in said
    assert mlflow.search_runs(experiment_names=["polyreg"], output_format="list") == []


def test_a_refusal_leaves_no_run(table):
    said = ran(fit, *ASKED, "--require-all", code=2)
    assert "--require-all: 1 of 7 groups cannot be fitted, the first 9" in said
    said = ran(fit, *ASKED, "--loss", "huber", code=2)
    assert "--by takes no --loss huber; leave it out, or fit each group's rows alone" in said
    said = ran(fit, *ASKED, "--diagnostics", code=2)
    assert "--by takes no --diagnostics; leave it out" in said
    assert mlflow.search_runs(experiment_names=["polyreg"], output_format="list") == []


def test_log_result_logs_to_somebody_s_run_what_the_command_logs(table):
    ran(fit, *ASKED)
    command = only_run()
    found = polyreg.fit("t.csv", target="y", features="x", by="sensor", degree=1)
    with mlflow.start_run() as mine:
        polyreg.log_result(found)
    run = mlflow.get_run(mine.info.run_id)
    timed = ("time/", "system/")
    own, theirs = (
        {k: v for k, v in r.data.metrics.items() if not k.startswith(timed)} for r in (run, command)
    )
    assert own == theirs and run.data.params["by"] == "sensor"
    assert run.data.tags["data.sha256"] == command.data.tags["data.sha256"]
    assert [i.dataset.digest for i in run.inputs.dataset_inputs] == [
        i.dataset.digest for i in command.inputs.dataset_inputs
    ]
    again = polyreg.load(f"runs:/{run.info.run_id}/model")
    assert again[3].to_dict() == found[3].to_dict()
    with mlflow.start_run() as other:
        polyreg.log_result(again)
    assert "data.sha256" not in mlflow.get_run(other.info.run_id).data.tags
    assert (
        pickle.loads(pickle.dumps(found))[2].coefficients.tolist() == found[2].coefficients.tolist()
    )
