"""The predictor as a model where there is no polyreg, and behind a server."""

import json
import math
import os
import platform
import re
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, DataType, Schema

import polyreg
from polyreg.config import FitConfig
from polyreg.least_squares.fitting import fit
from polyreg.polynomials.predictor import Predictor
from polyreg.tables.rows import InMemory
from polyreg.tracking.models import save_model
from tests.support.processes import WITHOUT_POLYREG, model_server
from tests.unit.polynomials.test_predictor import (
    COLUMNS,
    EPS,
    ODD,
    agree,
    document,
    framed,
    module_of,
    trained,
)
from tests.unit.polynomials.test_result import answered


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> dict:
    """Answers and trainings, each with its folder; and the environment of their processes."""
    rng = np.random.default_rng(6)
    x = rng.normal(size=(80, len(ODD)))
    odd = fit(
        InMemory(list(x.T), x.sum(1) + rng.normal(size=80), names=ODD),
        FitConfig(data="m", target="y", degree=1),
    )
    made = {"fit": answered(variables=2), "trained": trained([1.0, 2.0, 3.0]), "odd": odd}
    site = np.array([*"ABC" * 10])
    frame = pd.DataFrame({"u": x[:30, 0], "site": site, "y": x[:30, 1] + (site == "B")})
    words = polyreg.fit(frame, target="y", features=["u", "site"], degree=1)
    root = tmp_path_factory.mktemp("models")
    for name, found in (made | {"words": words}).items():
        (root / name).mkdir()
        example = np.arange(2.0 * len(found.variables)).reshape(2, -1)
        example = found.example() if found.levels else example
        save_model(module_of(found), found, example, root / name)
    blocker = tmp_path_factory.mktemp("blocker")
    (blocker / "sitecustomize.py").write_text(
        WITHOUT_POLYREG + "sys.modules.update(torch=None, scipy=None)\n"
    )
    environment = {
        **os.environ,
        "PYTHONPATH": str(blocker),
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
        "MLFLOW_TRACKING_URI": f"sqlite:///{root}/mlflow.db",
    }
    return {"made": made, "root": root, "environment": environment, "words": words}


def test_saving_is_silent_and_takes_nothing_from_the_working_folder(
    saved, tmp_path, monkeypatch, capfd
):
    monkeypatch.chdir(tmp_path)
    for name in ("uv.lock", "pyproject.toml"):  # which MLflow would copy
        Path(name).write_text("")
    found = saved["made"]["trained"]
    Path("model").mkdir()
    save_model(module_of(found), found, np.array([[0.0], [1.0]]), tmp_path / "model")
    assert capfd.readouterr() == ("", "")
    assert sorted(str(f.relative_to("model")) for f in Path("model").rglob("*.*")) == [
        "artifacts/polyreg.json",
        "conda.yaml",
        "data/model.pt2",
        "input_example.json",
        "predictor.py",
        "python_env.yaml",
        "requirements.txt",
        "serving_input_example.json",
    ]
    assert not [
        word for word in (str(tmp_path), "/tmp") if word in Path("model/MLmodel").read_text()
    ]


def test_it_asks_for_the_versions_that_made_it_and_for_no_more(saved):
    folder = saved["root"] / "fit"
    lines = (folder / "requirements.txt").read_text().split()
    known = {"mlflow": mlflow, "numpy": np, "pandas": pd, "torch": torch}
    wanted = [f"{name}=={module.__version__.partition('+')[0]}" for name, module in known.items()]
    assert lines == wanted
    assert yaml.safe_load((folder / "conda.yaml").read_text())["dependencies"][-1] == {
        "pip": wanted
    }
    python = yaml.safe_load((folder / "python_env.yaml").read_text())
    assert python["python"] == platform.python_version()
    assert python["dependencies"] == ["-r requirements.txt"]
    assert not [f for f in folder.rglob("*") if f.suffix in (".pkl", ".pth")]
    assert mlflow.pyfunc.get_model_dependencies(str(folder)) == str(folder / "requirements.txt")


def test_both_flavours_are_in_one_folder_and_agree(saved, monkeypatch):
    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
    for name, found in saved["made"].items():
        folder = str(saved["root"] / name)
        assert set(mlflow.models.get_model_info(folder).flavors) == {"pytorch", "python_function"}
        module, served = mlflow.pytorch.load_model(folder), mlflow.pyfunc.load_model(folder)
        x = np.random.default_rng(2).uniform(-1, 0.75, size=(7, len(found.variables)))
        eps = EPS if found.truth is None else 2.0**-23
        for rows in (x, x[:1]):
            y = module(torch.from_numpy(rows)).detach().numpy()
            by_name = served.predict(framed(found.variables, rows))
            assert y.shape == (len(rows), 1)
            np.testing.assert_allclose(y[:, 0], by_name.prediction, rtol=64 * eps, atol=64 * eps)


def test_an_x_of_another_shape_is_refused_by_the_module_with_the_shape_it_wants(saved):
    module = mlflow.pytorch.load_model(str(saved["root"] / "fit"))
    with pytest.raises(
        RuntimeError, match=r"number of dimensions .*expected .*, 2\]\), got .*\[4\]"
    ):
        module(torch.zeros(4))
    with pytest.raises(RuntimeError, match=r"shape\[1\] to be equal to 2, but got 3"):
        module(torch.zeros(4, 3))
    assert module(torch.zeros(0, 2)).shape == (0, 1)


def test_its_example_is_one_that_it_takes(saved, server):
    for name in saved["made"]:
        folder = str(saved["root"] / name)
        served, about = mlflow.pyfunc.load_model(folder), mlflow.models.Model.load(folder)
        example = about.load_input_example(folder)
        assert list(example) == list(saved["made"][name].variables) and len(example) == 2
        pd.testing.assert_frame_equal(served.input_example, example)
        question = json.loads(about.get_serving_input(folder))
        pd.testing.assert_frame_equal(pd.DataFrame(**question["dataframe_split"]), example)
        if name == "fit":  # the server's
            agree(ask(server, question), saved["made"][name], example.to_numpy(), "prediction")
        else:
            assert np.isfinite(served.predict(example).prediction).all()


@pytest.mark.parametrize("interval", ["prediction", "confidence"])
def test_rows_without_names_are_taken_in_the_order_of_the_variables(saved, interval):
    x = np.random.default_rng(1).uniform(-2, 3, size=(50, 2))
    served = mlflow.pyfunc.load_model(str(saved["root"] / "fit"))
    expected = served.predict(framed("ab", x), {"interval": interval}).reset_index(drop=True)
    for rows in (x, x.tolist(), np.asfortranarray(x), x.astype(object), list(map(tuple, x))):
        found = served.predict(rows, params={"interval": interval})
        pd.testing.assert_frame_equal(found, expected)
    whole = np.array([[1, 2], [3, -4]])
    by_name = served.predict(pd.DataFrame(whole, columns=["a", "b"]))
    for rows in (whole, whole.tolist(), whole.astype(np.float32)):
        pd.testing.assert_frame_equal(served.predict(rows), by_name)
    named = np.array([(2, 1), (-4, 3)], dtype=[("b", float), ("a", float)])  # by their names
    pd.testing.assert_frame_equal(served.predict(named), by_name)
    for none in ([], np.zeros((0, 2))):
        assert list(served.predict(none)) == COLUMNS and len(served.predict(none)) == 0
    one = mlflow.pyfunc.load_model(str(saved["root"] / "trained"))
    by_name = one.predict(pd.DataFrame({"x": [0.25, 0.5]}))
    for rows in (np.array([0.25, 0.5]), [0.25, 0.5], np.array([[0.25], [0.5]]), [[0.25], [0.5]]):
        pd.testing.assert_frame_equal(one.predict(rows), by_name)


@pytest.mark.parametrize(
    "rows, said",
    [
        (np.zeros((2, 3)), "a row of 3 numbers; x is (N, 2), its columns a, b"),
        (np.zeros((2, 1)), "a row of 1 number; x is (N, 2), its columns a, b"),
        (np.zeros(2), "a row of 1 number; x is (N, 2), its columns a, b"),
        ([1.0, 2.0], "a row of 1 number; x is (N, 2), its columns a, b"),
        ([[1.0, 2.0], [1.0]], "a row of 1 number; x is (N, 2), its columns a, b"),
        ([[1.0, 2.0, 3.0]], "a row of 3 numbers; x is (N, 2), its columns a, b"),
        (np.zeros((2, 2, 1)), "Must pass 2-d input. shape=(2, 2, 1)"),
        ([[1.0, "one"]], "column 'b', row 1: 'one' is no finite number"),
        ([[1.0, [1, 2]]], "column 'b', row 1: [1, 2] is no finite number"),
        (np.array([[1.0, math.nan]]), "column 'b', row 1: nan is no finite number"),
    ],
)
def test_rows_of_another_width_are_refused_in_one_line(saved, rows, said):
    served = mlflow.pyfunc.load_model(str(saved["root"] / "fit"))
    with pytest.raises(mlflow.MlflowException, match=f"^{re.escape(said)}$"):
        served.predict(rows)
    with pytest.raises(ValueError, match=f"^{re.escape(said)}$"):
        Predictor(document(saved["made"]["fit"])).predict(rows)


@pytest.mark.parametrize("rows", [lambda x: x, lambda x: x.to_dict("list"), pd.DataFrame.to_dict])
def test_columns_are_matched_by_name_in_any_order_with_others_beside_them(saved, rows):
    served = mlflow.pyfunc.load_model(str(saved["root"] / "fit"))
    x = np.random.default_rng(3).uniform(-1, 1, size=(5, 2))
    expected = served.predict(framed("ab", x)).reset_index(drop=True)
    for names in (["a", "b"], ["b", "a"], ["z", "b", "a"]):
        given = framed("ab", x).assign(z="text")[names].reset_index(drop=True)
        given = rows(given) if rows is not pd.DataFrame.to_dict else given.to_dict("records")
        found = served.predict(given).reset_index(drop=True)
        pd.testing.assert_frame_equal(found, expected)


@pytest.mark.parametrize(
    "names, missing, columns",
    [
        (["u", "v"], "['a', 'b']", "u, v"),
        (["a", "v"], "['b']", "a, v"),
        (["A", "B"], "['a', 'b']", "A, B"),
        ([0, 1], "['a', 'b']", "0, 1"),
    ],
)
def test_columns_of_other_names_are_refused_in_one_line(saved, names, missing, columns):
    served = mlflow.pyfunc.load_model(str(saved["root"] / "fit"))
    rows = pd.DataFrame([[0.5, 2.0], [1.0, 3.0]], columns=names)
    said = f"Model is missing inputs {missing}; the variables are a, b, the columns {columns}"
    for given in (rows, rows.to_dict("list"), rows.to_dict("records")):
        with pytest.raises(mlflow.MlflowException, match=f"^{re.escape(said)}$"):
            served.predict(given)


def test_the_module_takes_columns_by_position_in_the_order_that_the_metadata_tells(saved):
    for name, found in saved["made"].items():
        folder = str(saved["root"] / name)
        names = list(found.variables)
        about = mlflow.models.get_model_info(folder)
        assert about.metadata["columns"]["pytorch"] == {"by position": names}
        assert about.metadata["columns"]["python_function"] == {"by name": names}
        inputs = about.signature.inputs.input_names()
        either = [found.target] if len(names) == 1 else []  # which is there to be inverted
        assert inputs == names + either
        x = np.random.default_rng(4).uniform(-1, 1, size=(5, len(names)))
        module = mlflow.pytorch.load_model(folder)
        y = module(torch.from_numpy(x)).detach().numpy()[:, 0]
        eps = EPS if found.truth is None else 2.0**-23
        np.testing.assert_allclose(y, found.predict(x), rtol=64 * eps, atol=64 * eps)
        with pytest.raises(RuntimeError, match="to be a tensor"):  # names would be lost
            module(framed(names, x))


OTHER = """
import mlflow
class Other(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return model_input
mlflow.models.set_model(Other())
"""


def test_other_models_are_asked_as_before(saved, tmp_path):
    mlflow.pyfunc.load_model(str(saved["root"] / "fit"))
    (tmp_path / "other.py").write_text(OTHER)
    mlflow.pyfunc.save_model(
        tmp_path / "other",
        python_model=tmp_path / "other.py",
        signature=ModelSignature(Schema([ColSpec("double", "a")])),
        input_example=pd.DataFrame({"a": [1.0]}),
        pip_requirements=["mlflow"],
    )
    other = mlflow.pyfunc.load_model(str(tmp_path / "other"))
    assert other.predict(pd.DataFrame({"a": [1.0]})).a.tolist() == [1.0]
    with pytest.raises(mlflow.MlflowException, match="missing inputs"):
        other.predict(np.zeros((2, 1)))


def test_its_signature_is_one_that_spark_takes(saved):
    """spark_udf takes the columns by name, all of them required, and gives a struct of scalars."""
    signature = mlflow.models.get_model_info(str(saved["root"] / "odd")).signature
    assert signature.inputs.required_input_names() == ODD
    outputs = {c.name: c.type for c in signature.outputs.inputs}
    numbers = dict.fromkeys(COLUMNS[:3], DataType.double)
    assert outputs == numbers | {"extrapolated": DataType.boolean}


def test_a_fresh_process_without_polyreg_loads_it_without_a_pickle_and_predicts(saved):
    code = f"""
import json, sys
for name in ("polyreg", "torch", "scipy"):
    try:
        __import__(name)
        raise SystemExit(name + " is here")
    except ImportError:
        pass
import mlflow, numpy as np, pandas as pd
events = []
sys.addaudithook(lambda event, _: events.append(event) if event.startswith("pickle") else None)
names = ("fit", "trained", "odd", "words")
models = {{n: mlflow.pyfunc.load_model("{saved["root"]}/" + n) for n in names}}
assert events == [], events
import pickle
pickle.loads(pickle.dumps(print))  # the hook does hear it
assert events
new = pd.DataFrame({{"b": [0, 2], "label": ["u", "v"], "a": [0.5, 7.0]}})
fitted = models["fit"].predict(new)
odd = pd.DataFrame(np.arange({2 * len(ODD)}).reshape(2, -1), columns={ODD!r})
print(json.dumps({{
    "fit": fitted.values.tolist(), "columns": list(fitted),
    "mean": models["fit"].predict(new, params={{"interval": "confidence"}}).values.tolist(),
    "dict": models["fit"].predict({{"a": [0.5, 7.0], "b": [0, 2]}}).values.tolist(),
    "trained": models["trained"].predict(pd.DataFrame({{"x": [-1, 2]}})).to_dict("list"),
    "odd": models["odd"].predict(odd[odd.columns[::-1]]).values.tolist(),
    "words": models["words"].predict(pd.DataFrame({{"site": ["B", "D"], "u": 2}})).to_dict("list"),
}}))
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=saved["environment"], capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    x, fitted = np.array([[0.5, 0], [7, 2]]), saved["made"]["fit"]
    assert found["columns"] == COLUMNS and found["dict"] == found["fit"]
    for form, interval in (("fit", "prediction"), ("mean", "confidence")):
        agree(pd.DataFrame(found[form], columns=COLUMNS), fitted, x, interval)
    assert [row[3] for row in found["fit"]] == [False, True]
    expected = saved["made"]["trained"].predict([-1.0, 2.0])
    np.testing.assert_allclose(found["trained"]["prediction"], expected, rtol=1e-14)
    assert found["trained"]["low"] == [None, None]
    expected = saved["words"].predict([[2, "B"]])[0]
    assert found["words"]["prediction"] == [pytest.approx(expected, rel=1e-14), None]
    assert found["words"]["known"] == [True, False]
    odd = pd.DataFrame(found["odd"], columns=COLUMNS)
    agree(odd, saved["made"]["odd"], np.arange(2.0 * len(ODD)).reshape(2, -1), "prediction")


@pytest.fixture(scope="module")
def server(saved):
    with model_server(str(saved["root"] / "fit"), **saved["environment"]) as address:
        yield address


def ask(server, question, kind="application/json") -> pd.DataFrame:
    """Its answer, if that is JSON by the letter: no NaN."""
    body = question if isinstance(question, str) else json.dumps(question)
    request = urllib.request.Request(f"{server}/invocations", body.encode(), {"Content-Type": kind})
    with urllib.request.urlopen(request, timeout=30) as answer:
        text = answer.read().decode()
    answers = json.loads(text, parse_constant=lambda token: pytest.fail(f"{token} in {text}"))
    return pd.DataFrame(answers["predictions"])


ROWS = [{"a": 1, "b": 0.5}, {"a": 2, "b": 7}]
INTS = [{"a": 1, "b": 0}, {"a": 2, "b": 7}]


def forms(rows: list[dict]) -> dict:
    """The same rows as every form of JSON that MLflow documents."""
    names = list(rows[0])
    lists = {name: [row[name] for row in rows] for name in names}
    data = [list(row.values()) for row in rows]
    return {
        "split": {"dataframe_split": {"columns": names, "data": data}},
        "split with index": {"dataframe_split": {"columns": names, "data": data, "index": [5, 6]}},
        "records": {"dataframe_records": rows},
        "instances": {"instances": rows},
        "instances by column": {"instances": lists},
        "inputs": {"inputs": rows},
        "inputs by column": {"inputs": lists},
    }


@pytest.mark.parametrize("rows", [ROWS, INTS, [{"label": "u", **row} for row in ROWS]])
@pytest.mark.parametrize("form", forms(ROWS))
def test_the_server_takes_every_form_of_json_with_ints_and_other_columns(server, saved, form, rows):
    shuffled = [dict(reversed(row.items())) for row in rows]
    x = np.array([[row["a"], row["b"]] for row in rows], dtype=float)
    for interval in ("prediction", "confidence"):
        question = forms(shuffled)[form] | {"params": {"interval": interval}}
        agree(ask(server, question), saved["made"]["fit"], x, interval)
    found = ask(server, forms(shuffled)[form])
    agree(found, saved["made"]["fit"], x, "prediction")
    assert list(found) == COLUMNS and found.extrapolated.tolist() == [False, True]


@pytest.mark.parametrize("form", ["inputs", "instances"])
def test_the_server_takes_rows_without_names_in_the_order_of_the_variables(server, saved, form):
    for rows in (ROWS, INTS):
        data = [[row["a"], row["b"]] for row in rows]
        for interval in ("prediction", "confidence"):
            question = {form: data, "params": {"interval": interval}}
            x = np.array(data, dtype=float)
            agree(ask(server, question), saved["made"]["fit"], x, interval)


def refused(server, question, kind="application/json") -> str:
    """What the server says besides its 400, the last line of it."""
    with pytest.raises(urllib.error.HTTPError) as caught:
        ask(server, question, kind)
    with caught.value as error:
        answer = json.load(error)
    assert error.code == 400 and "stack_trace" not in answer, answer
    return answer["message"].splitlines()[-1]


@pytest.mark.parametrize("value", ["one", "1.5", None, math.nan, math.inf, 10**400, [1, 2]])
@pytest.mark.parametrize("form", forms(ROWS))
def test_the_server_names_the_column_and_row_of_what_is_no_number_and_lives_on(server, form, value):
    said = refused(server, forms([{"a": 1, "b": 0.5}, {"a": 1, "b": value}])[form])
    if form == "instances" and isinstance(value, str | list):
        # MLflow makes an array of the column first: all of it text, or no array at all.
        assert "column 'b', row 1: '0.5' is no" in said or "inhomogeneous shape" in said
    else:
        assert said.startswith("Error: column 'b', row 2: ")
        assert said.endswith(" is no finite number")
    assert len(ask(server, {"inputs": ROWS})) == 2


@pytest.mark.parametrize("form", forms(ROWS))
def test_the_server_names_a_column_that_is_missing_and_lives_on(server, form):
    assert "Model is missing inputs ['b']" in refused(server, forms([{"a": 1}, {"a": 2}])[form])
    assert len(ask(server, {"inputs": ROWS})) == 2


@pytest.mark.parametrize(
    "question, said",
    [
        ({"inputs": [[1, 2, 3]]}, "a row of 3 numbers; x is (N, 2), its columns a, b"),
        ({"inputs": [1, 2]}, "a row of 1 number; x is (N, 2), its columns a, b"),
        ({"instances": [[1], [2]]}, "a row of 1 number; x is (N, 2), its columns a, b"),
        ({"dataframe_split": {"data": [[1, 2]]}}, "missing inputs ['a', 'b']"),
        ({"inputs": ROWS, "params": {"interval": "wide"}}, "prediction, confidence; got 'wide'"),
        ({"inputs": ROWS, "params": {"interval": 7}}, "'interval'"),
        ({"dataframe_records": [{"a": 1, "b": 2}, {"a": 1}]}, "column 'b', row 2"),
        ({"rows": ROWS}, "dataframe_split"),
        ("no json", "no json"),
    ],
)
def test_the_server_answers_other_mistakes_in_words_and_lives_on(server, question, said):
    with pytest.raises(urllib.error.HTTPError) as caught:
        ask(server, question)
    with caught.value as error:
        assert error.code == 400 and said in json.load(error)["message"]
    assert len(ask(server, {"inputs": ROWS})) == 2


def test_what_overflows_is_null_in_the_servers_json(server):
    found = ask(server, {"inputs": [{"a": 1e300, "b": 0}, ROWS[0]]})
    assert found.loc[0, COLUMNS[:3]].isna().all() and found.extrapolated[0]
    assert np.isfinite(found.prediction[1])


def test_csv_is_refused_by_the_server_which_lives_on(server):
    """MLflow reads CSV by the schema's types, and has none for `any`."""
    with pytest.raises(urllib.error.HTTPError) as caught:
        ask(server, "a,b\n1,2\n", "text/csv")
    with caught.value as error:
        assert error.code == 400 and "CSV" in json.load(error)["message"]
    assert len(ask(server, {"inputs": ROWS})) == 2
