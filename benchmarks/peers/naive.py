"""The tutorial's loop, tracked the obvious way: a call a step, inferred requirements."""

import mlflow
import numpy as np
import torch
import torch.nn.functional as F

TRUTH = torch.tensor([[0.5], [3.0], [2.4]])


def batch(size=32):
    x = torch.randn(size, 1)
    features = torch.cat([x**k for k in range(1, 4)], dim=1)
    return features, features @ TRUTH + 0.9


torch.manual_seed(0)
mlflow.set_experiment("naive")
model = torch.nn.Linear(3, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
with mlflow.start_run():
    mlflow.log_params({"degree": 3, "learning_rate": 1e-3, "batch_size": 32})
    step, loss = 0, torch.inf
    while loss >= 1e-3:
        features, y = batch()
        output = F.mse_loss(model(features), y)
        optimizer.zero_grad()
        output.backward()
        optimizer.step()
        step, loss = step + 1, output.item()
        mlflow.log_metric("loss", loss, step=step)
    example = batch(2)[0].numpy()
    prediction = model(torch.from_numpy(example)).detach().numpy()
    mlflow.pytorch.log_model(
        model,
        name="model",
        input_example=example,
        signature=mlflow.models.infer_signature(np.asarray(example), prediction),
    )
