import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import mlflow
import pytest

ROOT = Path(__file__).parent.parent
TOLD = ("MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_ID", "MLFLOW_EXPERIMENT_NAME", "MLFLOW_TRACKING_URI")


@pytest.fixture(scope="session")
def made_store(tmp_path_factory) -> Path:
    """A store whose schema is there already: making it takes two seconds."""
    path = tmp_path_factory.mktemp("store") / "mlflow.db"
    with pytest.MonkeyPatch.context() as there:
        there.chdir(path.parent)  # or a test's artifacts might come to lie in ours
        mlflow.MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Iterator[Path]:
    """An empty working folder, with MLflow told nothing and no pickle allowed."""
    for name in TOLD:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
    # Subprocesses: the `python` of MLproject is this one.
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)
    monkeypatch.chdir(tmp_path)
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/mlflow.db")
    yield tmp_path
    mlflow.set_tracking_uri("")


@pytest.fixture
def store(folder, made_store) -> Path:
    """That folder with an empty store in it."""
    shutil.copy(made_store, folder / "mlflow.db")
    return folder


def only_run(experiment: str = "polyreg"):
    [run] = mlflow.search_runs(experiment_names=[experiment], output_format="list")
    return run


def artifact(run, path: str) -> Path:
    return Path(mlflow.artifacts.download_artifacts(f"runs:/{run.info.run_id}/{path}"))
