"""Polynomial least squares as an estimator of scikit-learn."""

from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from polyreg.api.arguments import config_of, in_python
from polyreg.api.functions import fit
from polyreg.config import FitConfig
from polyreg.errors import Refused
from polyreg.least_squares.minimum_norm import minimum_norm
from polyreg.polynomials import terms
from polyreg.polynomials.result import Result
from polyreg.tables import in_memory


class PolynomialRegressor(RegressorMixin, BaseEstimator):
    """Exact polynomial least squares as a scikit-learn regressor.

    Minimizes sum_i w_i (y_i - p(x_i))^2 over polynomials p of total degree at most `degree` in all
    features, as polyreg.fit does, whose options these are; pipelines, cross-validation, grid
    search and clone take it as any estimator.

    fit(X, y, sample_weight=None): X (N, D), y (N,), sample_weight (N,), 0 leaves a row out
    predict(X)  ->  (N,), float64
    More terms than rows, and constant features, which polyreg.fit refuses, get the polynomial of
    least norm, as in scikit-learn's LinearRegression; `result_.notes` says so.
    After a fit `result_` is the Result, and `coef_` (K,) and `terms_` its coefficients of the
    powers of X, the constant first.

    Raises ValueError where scikit-learn's checks or polyreg.fit refuse the data.

    Source: scikit-learn's "Developing scikit-learn estimators".

    >>> from polyreg import PolynomialRegressor
    >>> model = PolynomialRegressor(degree=2).fit([[0], [1], [2], [3]], [1, 3, 9, 19])
    >>> model.predict([[4]])
    array([33.])
    """

    def __init__(
        self,
        degree: int | str = 3,
        *,
        max_degree: int = 15,
        folds: int = 10,
        interaction_degree: int = 0,
        intercept: bool = True,
        ridge: float = 0.0,
        precision: str = "auto",
        level: float = 0.95,
        seed: int = 0,
        loss: str = "squares",
        criterion: str = "cv",
    ):
        self.degree = degree
        self.max_degree = max_degree
        self.folds = folds
        self.interaction_degree = interaction_degree
        self.intercept = intercept
        self.ridge = ridge
        self.precision = precision
        self.level = level
        self.seed = seed
        self.loss = loss
        self.criterion = criterion

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> "PolynomialRegressor":
        X, y = validate_data(self, X, y, dtype=np.float64, y_numeric=True)
        if sample_weight is not None:
            sample_weight = _check_sample_weight(sample_weight, X, dtype=np.float64)
            if (sample_weight < 0).any():
                least = float(sample_weight.min())
                raise Refused(f"sample_weight must not be negative; its least is {least:g}")
            kept = sample_weight > 0
            X, y, sample_weight = X[kept], y[kept], sample_weight[kept]
        names = getattr(self, "feature_names_in_", ())
        with in_python():
            self.result_ = self._fitted(X, y, sample_weight, tuple(names))
        return self

    def _fitted(self, x: np.ndarray, y: np.ndarray, weights: Any, names: Any) -> Result:
        """By polyreg.fit; of least norm where it would refuse what an estimator has to take."""
        options = self.get_params() | {"device": "cpu"}
        config = config_of(FitConfig, options | {"data": "memory", "target": "y"})
        interaction = config.interaction_degree or x.shape[1]
        size = terms.count(x.shape[1], config.top_degree, interaction)
        is_constant = (x.min(axis=0) == x.max(axis=0)).any()
        if config.degree != "auto" and (
            len(x) < size or (is_constant and config.intercept and config.top_degree)
        ):
            rows = in_memory(x, y, weights=weights, features=names)
            named: dict[str, Any] = {"target": rows.target, "features": rows.names}
            config = replace(config, weights=rows.weights or "", **named)
            return minimum_norm(rows, config)
        return fit(x, y, weights=weights, features=names, **options)

    def predict(self, X: Any) -> np.ndarray:
        check_is_fitted(self)
        return self.result_.predict(validate_data(self, X, dtype=np.float64, reset=False))

    @property
    def coef_(self) -> np.ndarray:
        return self.result_.coefficients

    @property
    def terms_(self) -> list[str]:
        return self.result_.terms
