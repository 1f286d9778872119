"""The least that a tracked run of this kind costs: imports, one run, one batch, one small model."""

import mlflow
import numpy as np
import torch
from mlflow.entities import Metric
from mlflow.models import ModelSignature
from mlflow.types import Schema, TensorSpec

mlflow.set_experiment("bare")
with mlflow.start_run() as run:
    metrics = [Metric("loss", 1 / step, 0, step) for step in range(1, 101)]
    mlflow.MlflowClient().log_batch(run.info.run_id, metrics=metrics)
    column = Schema([TensorSpec(np.dtype("float32"), (-1, 1))])
    mlflow.pytorch.log_model(
        torch.nn.Sequential(torch.nn.Linear(1, 4), torch.nn.Linear(4, 1)),
        name="model",
        input_example=np.zeros((2, 1), dtype=np.float32),
        signature=ModelSignature(inputs=column, outputs=column),
        pip_requirements=["torch", "numpy"],
    )
