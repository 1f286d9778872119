"""Studies of fits in runs: artifacts, terminal, and what a loaded result knows."""

import json

import numpy as np
import pandas as pd
import pytest

import polyreg
from experiments.fit import main
from polyreg.errors import PolyregError
from tests.runs.test_fit import artifact
