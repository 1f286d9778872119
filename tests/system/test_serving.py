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
x = [[-1.0], [0.0], [2.0]]
print(json.dumps({{
    "tensor": model(torch.tensor(x)).tolist(),
    "one": model(torch.tensor([[2.0]])).tolist(),
    "float64": model(torch.tensor(x, dtype=torch.float64)).tolist(),
    "many": list(model(torch.zeros(1000, 1)).shape),
    "numpy": served.predict(np.array(x, dtype=np.float32)).tolist(),
    "numpy one": served.predict(np.array([[2.0]], dtype=np.float32)).tolist(),
    "frame": np.asarray(served.predict(pd.DataFrame({{"x": [-1.0, 0.0, 2.0]}}))).tolist(),
}}))
""")
    expected = polyreg.load(elsewhere).predict([[-1.0], [0.0], [2.0]])
    eps = np.finfo(np.float32).eps
    for form in ("tensor", "float64", "numpy", "frame"):
        np.testing.assert_allclose(answers[form], expected, rtol=16 * eps, atol=16 * eps)
    assert answers["one"] == answers["numpy one"] == [answers["tensor"][2]]
    assert answers["many"] == [1000, 1]


@pytest.fixture
def server(elsewhere):
    with model_server(elsewhere) as address:
        yield address


def test_mlflow_models_serve_answers(server, elsewhere):
    def ask(question) -> list:
        request = urllib.request.Request(
            f"{server}/invocations",
            json.dumps(question).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            predictions = json.load(answer)["predictions"]
        return np.array([list(p.values()) if isinstance(p, dict) else p for p in predictions])

    [expected] = polyreg.load(elsewhere).predict([[1.0]])
    split = {"columns": ["x"], "data": [[1.0], [2.0], [1.0]]}
    assert ask({"inputs": [[1.0]]})[0] == pytest.approx(expected, rel=1e-6)
    framed = ask({"dataframe_split": split})
    assert framed.shape == (3, 1) and framed[0] == framed[2] == pytest.approx(expected, rel=1e-6)
    with pytest.raises(urllib.error.HTTPError, match="400"):
        ask({"inputs": [["one"]]})
    assert ask({"inputs": [[1.0]]})[0] == pytest.approx(expected, rel=1e-6)
