"""All that polyreg says to MLflow; no other folder imports mlflow."""
# ruff: noqa: F401, I001 (a face of one line an import)

from polyreg.errors import Unreachable, Unsent
from polyreg.tracking.checkpoints import Checkpoints
from polyreg.tracking.history import BESIDES, Past, abandoned, children, close, curve, curves
from polyreg.tracking.history import file, interrupted, kill, known, past, search, text
from polyreg.tracking.metrics import CURVE_POINTS, Clock, filled, thinned
from polyreg.tracking.models import load, save_model
from polyreg.tracking.outbox import scratch
from polyreg.tracking.run import Run, active_run
from polyreg.tracking.start import send, start_run
from polyreg.tracking.store import use
