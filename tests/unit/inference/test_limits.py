"""Decision, detection and quantification limits, against DIN 32645's example and the definition."""

import numpy as np
import pytest

import polyreg
from polyreg.errors import PolyregError

X = np.arange(1, 11) * 0.05  # DIN 32645
Y = [3060, 3522, 3707, 4280, 5058, 5510, 5703, 6205, 7156, 7178]
LINE = polyreg.fit(X, Y, degree=1)


def test_the_standards_example_has_its_limits():
    assert LINE.coefficients == pytest.approx([2480.8667, 9661.9394], abs=5e-5)
    found = LINE.limits(alpha=0.01, beta=0.01, k=3)
    assert round(found.decision, 4) == 0.0698
    assert found.detection == pytest.approx(0.1396254, abs=5e-8)
    assert found.quantification == pytest.approx(0.2119500, abs=5e-8)
    assert LINE.limits(0.05, 0.05).detection_by_bands == pytest.approx(0.0865629, abs=5e-8)
    x = LINE.inverse(3500, "delta", level=0.99)
    assert (x.x, x.high - x.x) == (
        pytest.approx(0.1054792, abs=5e-8),
        pytest.approx(0.07434, abs=5e-6),
    )
    assert any("x = 0 is below the calibration" in note for note in found.notes)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("kind", ["1/x", "known", "equal"])
def test_limits_of_a_parabola_are_where_its_bands_are(kind, sign):
    """By the bands of Result.predict at the levels that one-sided chances mean."""
    rng = np.random.default_rng(0)
    x = np.linspace(0.5, 10, 30)
    y = sign * (1 + x + 0.02 * x**2 + 0.05 * rng.normal(size=30))
    said = {"1/x": {"weights": "1/x"}, "known": {"sigma": np.full(30, 0.05)}, "equal": {}}[kind]
    fit = polyreg.fit(x, y, degree=2, **said)
    own = {"sigma": 0.05} if kind == "known" else {}
    found = fit.limits(0.02, 0.1, 3, **own)
    at = {"weights": 1 / 0.5} if kind == "1/x" else own  # the weight of the least x
    upper, lower = (2, 1) if sign > 0 else (1, 2)
    critical = fit.predict(0.0, "prediction", level=0.96, **at)[upper]
    assert found.y_decision == pytest.approx(critical, rel=1e-12)
    assert fit.predict(found.decision) == pytest.approx(critical, rel=1e-12)
    x = found.detection_by_bands
    at = {"weights": 1 / max(x, 0.5)} if kind == "1/x" else own
    assert fit.predict(x, "prediction", level=0.8, **at)[lower] == pytest.approx(critical)
    x = found.quantification
    at = {"weights": 1 / max(x, 0.5)} if kind == "1/x" else own
    if kind == "1/x":
        fit = polyreg.fit(
            np.linspace(0.5, 10, 30), y, degree=2, weights=1 / np.linspace(0.5, 10, 30)
        )
    half = fit.inverse(fit.predict(x), "delta", level=0.98, **at)
    assert half.high - half.x == pytest.approx(x / 3, rel=1e-9)


def test_readings_that_are_averaged_lower_the_limits():
    assert LINE.limits(replicates=4).decision < LINE.limits().decision


REFUSED = {
    "alpha": (dict(alpha=0.5), "alpha must be between 0 and 0.5; got 0.5"),
    "beta": (dict(beta=0.0), "beta must be between 0 and 0.5; got 0"),
    "k": (dict(k=1.0), "k must be above 1; got 1"),
    "sigma": (dict(sigma=-1.0), "sigma must be finite and above 0; got -1"),
}


@pytest.mark.parametrize("asked, said", REFUSED.values(), ids=REFUSED)
def test_a_chance_that_is_none_is_refused(asked, said):
    with pytest.raises(PolyregError, match=said):
        LINE.limits(**asked)


def test_limits_need_errors_the_blank_and_its_uncertainty():
    x = np.arange(1.0, 9.0)
    with pytest.raises(PolyregError, match=r"need the uncertainty of a reading .* give sigma"):
        polyreg.fit(x, x + 0.1 * np.cos(x), degree=1, sigma=np.ones(8)).limits()
    with pytest.raises(PolyregError, match="need the standard errors"):
        polyreg.fit(x, x + np.cos(x), degree=1, ridge=1.0).limits()
    turned = polyreg.fit(x, (x - 0.5) ** 2 + 0.01 * np.cos(x), degree=2)
    with pytest.raises(PolyregError, match="the blank, x = 0, is not on the monotone piece"):
        turned.limits()
