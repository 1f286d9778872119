"""Models as MLflow keeps them, without a pickle, and the polynomial behind one."""

import inspect
import json
import re
import tempfile
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import torch
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema, TensorSpec
from mlflow.types.schema import AnyType
from mlflow.utils.logging_utils import suppress_logs

from polyreg import predictor
from polyreg.inference import Answer
from polyreg.polynomial import Polynomial, read
from polyreg.tracking.store import line, require_store

# Of `model` and of `predictor`: what `load` reads.
DOCUMENT, SERVED = Path("extra_files/polyreg.json"), Path("artifacts/polyreg.json")
# What follows polyreg/predictor.py in the file that MLflow runs to load the model.
PREDICTOR = """

import json
from pathlib import Path

import mlflow


class Model(mlflow.pyfunc.PythonModel):
    def load_context(self, context):
        document = Path(context.artifacts["document"]).read_text(encoding="utf-8")
        self.predictor = Predictor(json.loads(document))

    def predict(self, model_input: pd.DataFrame, params: dict | None = None):
        try:
            return self.predictor.predict(model_input, **(params or {}))
        except ValueError as error:  # a server answers 400 with its line
            raise mlflow.MlflowException.invalid_parameter_value(str(error)) from error


mlflow.models.set_model(Model())
"""


def save_module(folder: Path, module: torch.nn.Module, document: dict, example: np.ndarray) -> None:
    dtype = np.dtype(str(next(module.parameters()).dtype).removeprefix("torch."))
    version = torch.__version__.partition("+")[0]
    with tempfile.TemporaryDirectory() as aside:
        file = Path(aside) / DOCUMENT.name
        file.write_text(json.dumps(document))
        mlflow.pytorch.save_model(
            module.to("cpu"),
            folder,
            input_example=example.astype(dtype),
            signature=ModelSignature(
                inputs=Schema([TensorSpec(dtype, (-1, example.shape[1]))]),
                outputs=Schema([TensorSpec(dtype, (-1, 1))]),
            ),
            pip_requirements=[f"torch=={version}", f"numpy=={np.__version__}"],
            serialization_format="pt2",
            extra_files=[str(file)],
        )


def save_predictor(folder: Path, document: dict, example: pd.DataFrame) -> None:
    """Save what polyreg.predictor makes of `document` as an MLflow model, without a pickle.

    example: some rows, whose columns are the variables. Their type is MLflow's `any`: a column of
    its type double refuses int64, and `any` leaves it to the model to name the column that is bad.
    """
    with tempfile.TemporaryDirectory() as temporary:
        code, known = (Path(temporary) / name for name in ("predictor.py", "polyreg.json"))
        source = inspect.getsource(predictor)
        code.write_text(source + PREDICTOR, encoding="utf-8")
        known.write_text(json.dumps(document), encoding="utf-8")
        numbers = [ColSpec(DataType.double, name) for name in ("prediction", "low", "high")]
        with suppress_logs("mlflow.pyfunc", re.compile("Validating input example")):
            mlflow.pyfunc.save_model(
                path=folder,
                python_model=code,
                artifacts={"document": str(known)},
                signature=ModelSignature(
                    inputs=Schema([ColSpec(AnyType(), name) for name in example.columns]),
                    outputs=Schema([*numbers, ColSpec(DataType.boolean, "extrapolated")]),
                    params=ParamSchema([ParamSpec("interval", DataType.string, "prediction")]),
                ),
                input_example=example,
                pip_requirements=[
                    f"mlflow=={mlflow.__version__}",
                    f"numpy=={np.__version__}",
                    f"pandas=={pd.__version__}",
                ],
            )


def load(model_uri: str) -> Polynomial | Answer:
    """The polynomial behind a logged model: coefficients, domain, prediction.

    A fit's has standard errors and intervals besides. Raises ValueError where there is none.
    model_uri: what MLflow takes, like runs:/<run id>/model or models:/<name>/1; and
    models:/<name>@latest, which it does not: it keeps that alias for its own models:/<name>/latest
    """
    if model_uri.startswith(("runs:", "models:")):
        require_store(mlflow.get_tracking_uri())
    model_uri = re.sub("^(models:/[^/@]+)@latest$", r"\1/latest", model_uri)
    with tempfile.TemporaryDirectory() as there:  # MLflow's own would stay
        try:
            folder = Path(mlflow.artifacts.download_artifacts(model_uri, dst_path=there))
        except Exception as error:  # MLflow's, or that of whatever store the address means
            raise ValueError(f"no model at {model_uri}: {line(error)}") from error
        known = [folder / path for path in (DOCUMENT, SERVED) if (folder / path).is_file()]
        if not known:
            raise ValueError(f"{model_uri} was not saved by polyreg; mlflow.pyfunc can load it")
        document = json.loads(known[0].read_text())
    return read(document)
