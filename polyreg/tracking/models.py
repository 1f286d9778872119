"""A run's model as MLflow's: one folder, two flavours, no pickle; and what polyreg reads of it."""

import inspect
import json
import platform
import re
import tempfile
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import torch
from mlflow.models import Model, ModelSignature
from mlflow.models.model import MLMODEL_FILE_NAME
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from mlflow.store.artifact.models_artifact_repo import ModelsArtifactRepository
from mlflow.store.artifact.runs_artifact_repo import RunsArtifactRepository
from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema
from mlflow.types.schema import AnyType

from polyreg.errors import Refused
from polyreg.inference import inversion
from polyreg.polynomials import predictor
from polyreg.polynomials.result import Result
from polyreg.polynomials.variables import variable, words
from polyreg.tracking.store import line, reading, require_store

# What `load` reads: of a model, and of those that were saved before the two flavours were one.
SERVED, DOCUMENT = Path("artifacts/polyreg.json"), Path("extra_files/polyreg.json")
MODULE = Path("data/model.pt2")  # where mlflow.pytorch looks for it
CODE, CONDA, PYTHON = "predictor.py", "conda.yaml", "python_env.yaml"
# What follows polyreg/predictor.py in the file that MLflow runs to load the model.
PREDICTOR = '''

import functools
import json
from pathlib import Path

import mlflow


class Model(mlflow.pyfunc.PythonModel):
    def load_context(self, context):
        document = Path(context.artifacts["document"]).read_text(encoding="utf-8")
        self.predictor = Predictor(json.loads(document))

    def predict(self, model_input: pd.DataFrame, params: dict | None = None):
        params = dict(params or {})
        inverse = {name: params.pop(name, None) for name in ("inverse", "branch", "replicates")}
        try:
            if inverse["inverse"]:
                interval, branch = params.get("interval", "prediction"), inverse["branch"] or 0
                count = inverse["replicates"] or 1
                return inverted_frame(self.predictor, model_input, interval, branch, count)
            return self.predictor.predict(model_input, **params)
        except ValueError as error:  # a server answers 400 with its line
            raise mlflow.MlflowException.invalid_parameter_value(str(error)) from error

    def with_names(self, data, inverse=False):
        names = [self.predictor.outcome.column] if inverse else self.predictor.columns
        try:
            data = with_names(data, names)
        except ValueError as error:
            raise mlflow.MlflowException.invalid_parameter_value(str(error)) from error
        given = names_of(data)
        missing = [name for name in names if name not in given]
        what = "target is" if inverse else "variables are"
        if missing and given:  # MLflow says so with all of the data in its error
            raise mlflow.MlflowException.invalid_parameter_value(
                f"Model is missing inputs {missing}; the {what} {', '.join(names)}, "
                f"the columns {', '.join(map(str, given))[:200]}"
            )
        return data


def names_of(data):
    """Of a table, a dict of columns, or a list of rows as dicts; none of anything else."""
    if isinstance(data, pd.DataFrame | dict):
        return list(data)
    if isinstance(data, list) and all(isinstance(row, dict) for row in data):
        return list(dict.fromkeys(name for row in data for name in row))
    return []


def take_rows_without_names():
    """Let models like the one above be asked with an array or with lists.

    MLflow looks for the signature's names before a model sees the data, and has no signature for
    "columns by name, or rows in their order". So they are named before it looks; what is asked of
    other models is not touched.
    """
    plain = mlflow.pyfunc.PyFuncModel.predict
    if hasattr(plain, "names_rows"):
        return

    @functools.wraps(plain)
    def predict(self, data, *arguments, **options):
        asked = getattr(self._model_impl, "python_model", None)
        if hasattr(asked, "with_names"):
            params = options.get("params") or (arguments[0] if arguments else None) or {}
            data = asked.with_names(data, bool(params.get("inverse")))
        return plain(self, data, *arguments, **options)

    predict.names_rows = True
    mlflow.pyfunc.PyFuncModel.predict = predict


take_rows_without_names()
mlflow.models.set_model(Model())
'''


def save_model(module: torch.nn.Module, result: Result, example: np.ndarray, folder: Path) -> None:
    """Write an MLflow model of two flavours into an empty folder.

    pytorch: the module, on the CPU, as a program of torch.export: x (N, D) to y (N, 1).
    python_function: what predictor.py makes of the result's document: columns by name to
    prediction, low, high and extrapolated. The signature is this one's.
    A tensor has no names: the module takes columns by position, in the order of result.columns,
    which the signature and the metadata `columns` tell; of a column of words the place among its
    levels, from 0, which are in the metadata `levels`.

    example (at least 2, D): an x. MLflow's own save_model takes one flavour, and looks through
    every installed package for each, which took half a second.
    """
    names = list(result.columns)
    about = Model(
        signature=_signature(result),
        saved_input_example_info=write_example(_with_words(result, example), folder),
        metadata={
            "columns": {"pytorch": {"by position": names}, "python_function": {"by name": names}}
        }
        | ({"levels": {c: list(w) for c, w in result.levels.items()}} if result.levels else {}),
    )
    version = write_module(module, example, folder)
    about.add_flavor("pytorch", model_data=str(MODULE.parent), pytorch_version=version, code=None)
    document = write(folder / SERVED, json.dumps(result.to_dict()))
    write(folder / CODE, model_code())
    write_environment(folder)
    mlflow.pyfunc.add_to_model(
        about,
        loader_module="mlflow.pyfunc.loaders.code_model",
        model_code_path=CODE,
        artifacts={"document": {"path": SERVED.as_posix(), "uri": document.name}},
        conda_env=CONDA,
        python_env=PYTHON,
        streamable=False,
    )
    about.model_size_bytes = sum(f.stat().st_size for f in folder.rglob("*") if f.is_file())
    about.save(folder / MLMODEL_FILE_NAME)


def _with_words(result: Result, example: np.ndarray) -> pd.DataFrame:
    """Rows (N, C) by name, with words in place of the numbers of levels."""
    found = pd.DataFrame(example, columns=[*result.columns])
    for name, levels in result.levels.items():
        found[name] = [levels[int(code)] for code in found[name]]
    return found


def model_code() -> str:
    """The file that loads the model: variables, what predicts, what inverts, and MLflow's class."""
    parts = [inspect.getsource(part) for part in (variable, words, predictor, inversion)]
    own = [re.sub(r"^from polyreg[^(\n]*(\([^)]*\))?$", "", part, flags=re.M) for part in parts]
    return "\n\n".join(own) + PREDICTOR


def _signature(result: Result) -> ModelSignature:
    """Columns of MLflow's type `any`: its double refuses int64, and `any` leaves it to the model
    to name the column that is bad. After a fit with weights, their column may be there or not:
    MLflow keeps a column that is not in the signature from the model. Of one variable either x or
    the target is there, by what is asked for; the model says which is missing.
    """
    either = len(result.variables) == 1
    inputs: list[Any] = [ColSpec(AnyType(), n, required=not either) for n in result.columns]
    more = [result.target_column] if either else []
    more += [result.weighted_by] if result.weighted_by else []
    for name in dict.fromkeys(more):
        if name not in result.columns:
            inputs.append(ColSpec(AnyType(), name, required=False))
    numbers = [ColSpec(DataType.double, name) for name in ("prediction", "low", "high")]
    flags = ["extrapolated"] + ["known"] * bool(result.levels)
    return ModelSignature(
        inputs=Schema(inputs),
        outputs=Schema([*numbers, *(ColSpec(DataType.boolean, name) for name in flags)]),
        params=ParamSchema(
            [
                ParamSpec("interval", DataType.string, "prediction"),
                ParamSpec("band", DataType.string, "pointwise"),
                ParamSpec("inverse", DataType.boolean, False),
                ParamSpec("branch", DataType.integer, 0),
                ParamSpec("replicates", DataType.integer, 1),
            ]
        ),
    )


def write_example(rows: pd.DataFrame, folder: Path) -> dict[str, str]:
    """Some rows, as MLflow keeps them, and as its server takes them  ->  what MLmodel says of it"""
    split = rows.to_dict("split", index=False)
    example = write(folder / "input_example.json", json.dumps(split))
    served = json.dumps({"dataframe_split": split})
    question = write(folder / "serving_input_example.json", served)
    return {
        "artifact_path": example.name,
        "serving_input_path": question.name,
        "type": "dataframe",
        "pandas_orient": "split",
    }


def write_module(module: torch.nn.Module, example: np.ndarray, folder: Path) -> str:
    """Export for any number of rows  ->  the version of torch."""
    dtype = next(module.parameters()).dtype
    program = torch.export.export(
        module.to("cpu"),
        (torch.from_numpy(example).to(dtype),),
        dynamic_shapes=({0: torch.export.Dim.DYNAMIC},),
    )
    # With an example in it, torch 2.13 adds guards, and a vector is an IndexError in one of those;
    # without, an x of another shape is refused with the shape that was expected. The public setter
    # takes None, of which torch writes an empty record that MLflow does not know for no pickle.
    program._example_inputs = ()  # type: ignore[assignment]
    (folder / MODULE).parent.mkdir()
    torch.export.save(program, folder / MODULE)
    return str(torch.__version__)


def write_environment(folder: Path) -> None:
    """What `mlflow models serve` installs, where it makes an environment."""
    versions = {"mlflow": mlflow.__version__, "numpy": np.__version__, "pandas": pd.__version__}
    versions["torch"] = torch.__version__.partition("+")[0]  # a CPU wheel's label is in no index
    wanted = [f"{package}=={version}" for package, version in versions.items()]
    python = platform.python_version()
    write(folder / "requirements.txt", "\n".join(wanted))
    conda = [f"python={python}", "pip", {"pip": wanted}]
    packages = {"name": "mlflow-env", "channels": ["conda-forge"], "dependencies": conda}
    write(folder / CONDA, json.dumps(packages, indent=2))  # JSON is YAML
    build, own = ["pip", "setuptools", "wheel"], ["-r requirements.txt"]
    needs = {"python": python, "build_dependencies": build, "dependencies": own}
    write(folder / PYTHON, json.dumps(needs, indent=2))


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def _require_files(model_uri: str) -> None:
    """Raise Refused where MLflow knows a model, and none of its files are where they should be.

    As where the folder of a store was moved: MLflow keeps whole paths.
    """
    try:
        place = _place(model_uri)
        found = place and get_artifact_repository(place).list_artifacts()
    except Exception:  # there is no such model
        return
    if place and not found:
        raise Refused(
            f"{model_uri}: MLflow expects its files at {place}, and there are none; if that folder "
            "was moved, give its new path instead: `--model <folder>`, in Python "
            'polyreg.load("<folder>")'
        )


def _place(model_uri: str) -> str:
    """Where the files of a model of a run or of the registry should be; "" of any other address."""
    if model_uri.startswith("models:/"):
        return ModelsArtifactRepository(model_uri).repo.artifact_uri
    if not model_uri.startswith("runs:/"):
        return ""
    run_id, name = RunsArtifactRepository.parse_runs_uri(model_uri)
    with reading() as client:
        experiment = client.get_run(run_id).info.experiment_id
        models = client.search_logged_models([experiment], f"source_run_id = '{run_id}'")
    return next((m.artifact_location for m in models if m.name == (name or "").strip("/")), "")


def load(model_uri: str) -> Any:
    """The Result behind a logged model: coefficients, errors, domain, prediction.

    Of a fit with --by the Results, a mapping from a group's key to its Result.

    model_uri: what MLflow takes, like runs:/<run id>/model or models:/<name>/1; and
    models:/<name>@latest, which it does not: it keeps that alias for its own models:/<name>/latest

    A folder that holds a model is taken as well, wherever it was moved.

    Raises PolyregError, a ValueError, where there is no model, or one of somebody else's.

    >>> import mlflow, polyreg, tempfile
    >>> mlflow.set_tracking_uri(f"sqlite:///{tempfile.mkdtemp()}/mlflow.db")
    >>> with mlflow.start_run() as run:
    ...     polyreg.log_result(polyreg.fit([0, 1, 2, 3, 4], [1, 2, 5, 10, 17], degree=2))
    >>> polyreg.load(f"runs:/{run.info.run_id}/model").equation()
    'y = 1.0 + 1.0*x^2'
    """
    if Path(model_uri).is_dir():  # of any name; MLflow refuses some
        return _read(Path(model_uri), model_uri)
    if model_uri.startswith(("runs:", "models:")):
        require_store(mlflow.get_tracking_uri())
    model_uri = re.sub("^(models:/[^/@]+)@latest$", r"\1/latest", model_uri)
    with tempfile.TemporaryDirectory() as there:  # MLflow's own would stay
        try:
            folder = Path(mlflow.artifacts.download_artifacts(model_uri, dst_path=there))
        except Exception as error:  # MLflow's, or that of whatever store the address means
            raise Refused(f"no model at {model_uri}: {line(error)}") from error
        if not (folder / MLMODEL_FILE_NAME).is_file():
            _require_files(model_uri)
        return _read(folder, model_uri)


def _read(folder: Path, model_uri: str) -> Any:
    from polyreg.tracking.many import read_groups  # which saves by what is here

    if many := read_groups(folder):
        return many
    known = [folder / path for path in (SERVED, DOCUMENT) if (folder / path).is_file()]
    if known:
        return Result.from_dict(json.loads(known[0].read_text()))
    if not (folder / MLMODEL_FILE_NAME).is_file():
        raise Refused(f"no model at {model_uri}: it has no file {MLMODEL_FILE_NAME}")
    raise Refused(f"{model_uri} was not saved by polyreg; mlflow.pyfunc can load it")
