"""The model artifact, in fresh processes that cannot import polyreg and may not unpickle."""

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request

import mlflow
import numpy as np
import pytest
from click.testing import CliRunner

import polyreg
from experiments.train import main
from tests.support.processes import WITHOUT_POLYREG, model_server


@pytest.fixture
def elsewhere(store, monkeypatch):
    """A trained run's model URI, in a folder whose Pythons find no polyreg."""
    assert CliRunner().invoke(main, []).exit_code == 0
    [run] = mlflow.search_runs(experiment_names=["polyreg"], output_format="list")
    blocker = store / "blocker"
    blocker.mkdir()
    (blocker / "sitecustomize.py").write_text(WITHOUT_POLYREG)
    monkeypatch.setenv("PYTHONPATH", str(blocker))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{store}/mlflow.db")
    assert os.environ["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] == "false"
    return f"runs:/{run.info.run_id}/model"


def python(code: str):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_a_fresh_process_without_polyreg_loads_and_predicts(elsewhere):
    answers = python(f"""
import json
try:
    import polyreg
    raise SystemExit("polyreg is here")
except ImportError:
    pass
import sys
import mlflow, numpy as np, pandas as pd, torch
pickles = []
sys.addaudithook(lambda event, _: pickles.append(event) if event.startswith("pickle") else None)
model = mlflow.pytorch.load_model("{elsewhere}")
served = mlflow.pyfunc.load_model("{elsewhere}")
assert pickles == [], pickles
def predicted(x):
    return served.predict(x)[["prediction"]].values.tolist()
x = [[-1.0], [0.0], [2.0]]
print(json.dumps({{
    "tensor": model(torch.tensor(x)).tolist(),
    "one": model(torch.tensor([[2.0]])).tolist(),
    "float64": model(torch.tensor(x, dtype=torch.float64)).tolist(),
    "many": list(model(torch.zeros(1000, 1)).shape),
    "numpy": predicted(np.array(x, dtype=np.float32)),
    "numpy float64": predicted(np.array(x)),
    "vector": predicted(np.array(x)[:, 0]),
    "lists": predicted(x),
    "numpy one": predicted(np.array([[2.0]])),
    "frame": predicted(pd.DataFrame({{"y": "text", "x": [-1, 0, 2]}})),
}}))
""")
    expected = polyreg.load(elsewhere).predict([[-1.0], [0.0], [2.0]])[:, None]
    eps = np.finfo(np.float32).eps
    for form in ("tensor", "float64"):
        np.testing.assert_allclose(answers[form], expected, rtol=16 * eps, atol=16 * eps)
    for form in ("numpy", "numpy float64", "vector", "lists", "frame"):
        np.testing.assert_allclose(answers[form], expected, rtol=1e-14, atol=1e-14)
    np.testing.assert_allclose(answers["numpy one"], expected[2:], rtol=1e-14)
    assert answers["one"] == [answers["tensor"][2]]
    assert answers["many"] == [1000, 1]


@pytest.fixture
def server(elsewhere):
    with model_server(elsewhere) as address:
        yield address


def ask(server, question) -> list[dict]:
    request = urllib.request.Request(
        f"{server}/invocations",
        json.dumps(question).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)["predictions"]


def test_mlflow_models_serve_answers(server, elsewhere):
    [expected] = polyreg.load(elsewhere).predict([[1.0]])
    [one] = ask(server, {"inputs": [[1.0]]})
    assert list(one) == ["prediction", "low", "high", "extrapolated"]
    assert one["prediction"] == pytest.approx(expected, rel=1e-14)
    split = {"columns": ["y", "x"], "data": [["a", 1.0], ["b", 2.0], ["c", 1]]}
    framed = [row["prediction"] for row in ask(server, {"dataframe_split": split})]
    assert len(framed) == 3 and framed[0] == framed[2] == pytest.approx(expected, rel=1e-14)
    with pytest.raises(urllib.error.HTTPError, match="400"):
        ask(server, {"inputs": [["one"]]})
    [again] = ask(server, {"inputs": [[1.0]]})
    assert again == one


def test_a_registered_model_is_served_by_its_name_and_refuses_a_wrong_column(store, monkeypatch):
    said = CliRunner().invoke(main, ["--register-as", "my cubic"]).output
    assert said.splitlines()[-1] == "registered my cubic version 1"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{store}/mlflow.db")
    expected = polyreg.load("models:/my cubic/1").predict([1.0])
    with model_server("models:/my cubic/1") as server:
        with pytest.raises(urllib.error.HTTPError, match="400") as caught:
            ask(server, {"dataframe_records": [{"u": 1.0}]})
        with caught.value as error:
            assert "missing inputs ['x']" in json.load(error)["message"]
        [found] = ask(server, {"dataframe_records": [{"x": 1}]})
        assert found["prediction"] == pytest.approx(expected[0], rel=1e-14)
