import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

if "PYTEST_XDIST_WORKER" in os.environ:
    # As many workers as cores: torch's own threads, and those of its children, would wait for them.
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import mlflow
import pytest
from mlflow.tracking import fluent

ROOT = Path(__file__).parent.parent
LAYERS = ("unit", "runs", "system")  # the slowest last
TOLD = ("MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_ID", "MLFLOW_EXPERIMENT_NAME", "MLFLOW_TRACKING_URI")


def pytest_configure(config) -> None:
    if hasattr(config.option, "loadscopereorder"):  # of xdist: files in the order of below
        config.option.loadscopereorder = False


def pytest_collection_modifyitems(config, items) -> None:
    """A test's layer is its folder's. Where several run at once the longest files come first."""
    for item in items:
        item.add_marker(layer_of(item))
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: LAYERS.index(layer_of(item)), reverse=True)


def layer_of(item) -> str:
    return item.path.relative_to(ROOT / "tests").parts[0]


@pytest.fixture(scope="session")
def made_store(tmp_path_factory) -> Path:
    """A store whose schema is there already: making it takes two seconds."""
    path = tmp_path_factory.mktemp("store") / "mlflow.db"
    with pytest.MonkeyPatch.context() as there:
        there.chdir(path.parent)  # or a test's artifacts might come to lie in ours
        mlflow.MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


@contextmanager
def standing(folder: Path) -> Iterator[None]:
    """In that folder, with MLflow told of a store there alone, and no pickle allowed."""
    with pytest.MonkeyPatch.context() as here:
        for name in TOLD:
            here.delenv(name, raising=False)
        here.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
        # Subprocesses: the `python` of MLproject is this one.
        here.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)
        here.chdir(folder)
        mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
        yield
        mlflow.set_tracking_uri("")


@pytest.fixture
def folder(tmp_path) -> Iterator[Path]:
    """An empty working folder."""
    with standing(tmp_path):
        yield tmp_path


@pytest.fixture
def store(folder, made_store, monkeypatch) -> Path:
    """That folder with an empty store in it."""
    # What an earlier test said to set_experiment is of its own store.
    monkeypatch.setattr(fluent, "_active_experiment_id", None)
    shutil.copy(made_store, folder / "mlflow.db")
    return folder


def only_run(experiment: str = "polyreg"):
    [run] = mlflow.search_runs(experiment_names=[experiment], output_format="list")
    return run


def artifact(run, path: str) -> Path:
    return Path(mlflow.artifacts.download_artifacts(f"runs:/{run.info.run_id}/{path}"))
