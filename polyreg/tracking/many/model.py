"""The model of many groups as MLflow's: one folder, two flavours, no pickle, rows told by key."""

import inspect
import json
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
from mlflow.models import Model, ModelSignature
from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema
from mlflow.types.schema import AnyType

from polyreg.groups import Results, curves
from polyreg.groups.module import GroupedModel
from polyreg.polynomials.predictor import Predictions
from polyreg.tracking import models

DOCUMENT, ARRAYS = Path("artifacts/groups.json"), Path("artifacts/groups.npz")
# What follows polyreg/groups/curves.py and Predictions in the file that MLflow runs to load the
# model.
PREDICTOR = """

import json
from pathlib import Path

import mlflow


class Model(mlflow.pyfunc.PythonModel):
    def load_context(self, context):
        document = json.loads(Path(context.artifacts["document"]).read_text(encoding="utf-8"))
        with np.load(context.artifacts["arrays"]) as arrays:
            self.curves = Curves(document, document["keys"], dict(arrays))

    def predict(self, model_input: pd.DataFrame, params: dict | None = None):
        try:
            return Predictions(self.curves.predict(model_input, **(params or {})))
        except ValueError as error:  # a server answers 400 with its line
            raise mlflow.MlflowException.invalid_parameter_value(str(error)) from error


mlflow.models.set_model(Model())
"""


def save_groups(results: Results, folder: Path) -> None:
    """Write an MLflow model of two flavours into an empty folder.

    pytorch: rows (N, 2), the group's row in groups.parquet, from 0, and x, to y (N, 1).
    python_function: columns by name, the key's and the variable, to prediction, low, high,
    extrapolated and known.
    """
    words, keys, arrays = results.document()
    fitted = np.flatnonzero(results.solved.degrees >= 0)[:3]
    x = results.solved.low[fitted]
    rows = {name: [keys[g][d] for g in fitted] for d, name in enumerate(results.by)}
    example = pd.DataFrame(rows | {results.variable: x})
    about = Model(
        signature=_signature(results),
        saved_input_example_info=models.write_example(example, folder),
        metadata={
            "columns": {
                "pytorch": {"by position": ["row of groups.parquet", results.variable]},
                "python_function": {"by name": [*results.by, results.variable]},
            }
        },
    )
    several = np.stack([fitted, x], axis=1).astype(float)
    several = np.concatenate([several, several])  # export takes one row for a constant
    version = models.write_module(GroupedModel(results), several, folder)
    about.add_flavor(
        "pytorch", model_data=str(models.MODULE.parent), pytorch_version=version, code=None
    )
    document = models.write(folder / DOCUMENT, json.dumps(words | {"keys": keys}))
    np.savez(folder / ARRAYS, **arrays)
    code = "\n\n".join([inspect.getsource(curves), inspect.getsource(Predictions)])
    models.write(folder / models.CODE, f"{code}{PREDICTOR}")
    models.write_environment(folder)
    mlflow.pyfunc.add_to_model(
        about,
        loader_module="mlflow.pyfunc.loaders.code_model",
        model_code_path=models.CODE,
        artifacts={
            "document": {"path": DOCUMENT.as_posix(), "uri": document.name},
            "arrays": {"path": ARRAYS.as_posix(), "uri": ARRAYS.name},
        },
        conda_env=models.CONDA,
        python_env=models.PYTHON,
        streamable=False,
    )
    about.model_size_bytes = sum(f.stat().st_size for f in folder.rglob("*") if f.is_file())
    about.save(folder / models.MLMODEL_FILE_NAME)


def read_groups(folder: Path) -> Results | None:
    """The Results of a model's folder; None where it is of one polynomial."""
    if not (folder / DOCUMENT).is_file():
        return None
    words: dict[str, Any] = json.loads((folder / DOCUMENT).read_text(encoding="utf-8"))
    with np.load(folder / ARRAYS) as arrays:
        return Results.from_document(words, words["keys"], dict(arrays))


def _signature(results: Results) -> ModelSignature:
    inputs: list[Any] = [ColSpec(AnyType(), name) for name in (*results.by, results.variable)]
    weighed = results.config.weighed_by
    if weighed and weighed not in (*results.by, results.variable):
        inputs.append(ColSpec(AnyType(), weighed, required=False))
    numbers = [ColSpec(DataType.double, name) for name in ("prediction", "low", "high")]
    flags = [ColSpec(DataType.boolean, name) for name in ("extrapolated", "known")]
    return ModelSignature(
        inputs=Schema(inputs),
        outputs=Schema([*numbers, *flags]),
        params=ParamSchema([ParamSpec("interval", DataType.string, "prediction")]),
    )
