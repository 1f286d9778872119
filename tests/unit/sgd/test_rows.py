"""Training on the rows of a table: batches, gap, bases and units, against numpy and torch."""

import math

import numpy as np
import pandas as pd
import pytest
import torch

import polyreg
from polyreg.api.rows import training_table
from polyreg.config import TrainConfig
from polyreg.errors import Diverged, PolyregError, Refused
from polyreg.reports.training import tolerance_of, way_out
from polyreg.sgd import checkpoint, descend, kernel, rates
from polyreg.sgd.kernel import Compiled
from polyreg.sgd.loops import Loop, Scan
from polyreg.sgd.rates import Rates
from polyreg.sgd.stream import SHUFFLED, Randomness, RowStream
from polyreg.sgd.training import Training

ROWS = 50


def table(noise: float = 0.1, scale: float = 1.0) -> pd.DataFrame:
    """Skewed x far from 0, and a y that no cubic is."""
    random = np.random.default_rng(3)
    x = 20 + random.gamma(2.0, 1.5, ROWS)
    y = np.sin(x / 2) + 0.3 * x + noise * random.normal(size=ROWS)
    return pd.DataFrame({"x": x, "y": scale * y})


def two_variables() -> pd.DataFrame:
    random = np.random.default_rng(5)
    a, b = random.uniform(-1, 3, 80), random.normal(100, 2, 80)
    return pd.DataFrame({"a": a, "b": b, "y": 2 + a * b - b**2 / 50 + random.normal(0, 0.1, 80)})


def made(frame: pd.DataFrame | None = None, **options) -> Training:
    """A training that has not begun."""
    config = TrainConfig(data="memory", target="y", **{"dtype": "float64"} | options)
    return Training(config, "cpu", training_table(config, table() if frame is None else frame))


def trained(frame: pd.DataFrame | None = None, stepper=None, **options) -> Training:
    training = made(frame, **options)
    for _ in descend.descend(training, stepper):
        pass
    return training


def order_of(seed: int, rows: int):
    """The rows in the order that they are taken, without end, by numpy alone."""
    shuffling = np.random.default_rng(np.random.SeedSequence(seed).spawn(4)[3])
    while True:  # some epochs at once
        epochs = np.array([range(rows)] * max(1, SHUFFLED // rows))
        yield from shuffling.permuted(epochs, axis=1).ravel()


def stream_of(batch_size: int, seed: int = 0) -> RowStream:
    config = TrainConfig(data="memory", target="y", batch_size=batch_size, seed=seed)
    rows = np.zeros((ROWS, 2), "float32"), np.zeros(ROWS, "float32")
    return RowStream(config, Randomness.of(seed), *rows)


@pytest.mark.parametrize("batch_size", [1, 7, 50, 120])
def test_every_row_is_seen_once_an_epoch_wherever_chunks_are_cut(batch_size):
    steps = math.ceil(4 * ROWS / batch_size)
    whole = stream_of(batch_size).order(steps)
    expected = order_of(0, ROWS)
    assert whole.tolist() == [next(expected) for _ in whole]
    for epoch in whole[: 4 * ROWS].reshape(4, ROWS):
        assert sorted(epoch) == list(range(ROWS))
    assert (whole[:ROWS] != whole[ROWS : 2 * ROWS]).any()
    cut = stream_of(batch_size)
    parts = [cut.order(1) for _ in range(steps)]
    assert np.concatenate(parts).tolist() == whole.tolist()
    other = stream_of(batch_size, seed=1).order(steps)
    assert other.tolist() != whole.tolist()


@pytest.mark.parametrize("place", [0, 1, 49, 50, 73, SHUFFLED - 70, 2 * SHUFFLED])
def test_a_stream_of_rows_goes_on_from_its_state(place):
    stream, later = stream_of(1), stream_of(1)
    if place:
        stream.order(place)
    later.state = stream.state
    assert later.order(130).tolist() == stream.order(130).tolist()


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_loss_gap_and_weights_are_those_of_a_loop_with_torch_and_numpy_on_the_same_batches(
    optimizer,
):
    frame, rate, steps, batch = table(), 0.01, 120, 16
    options = {"basis": "monomial", "learning_rate": rate, "batch_size": batch, "seed": 4}
    training = trained(
        frame, optimizer=optimizer, max_steps=steps, tolerance=1e-30, epochs=0, **options
    )
    x, y = frame.x.to_numpy(), frame.y.to_numpy()
    z = (x - x.mean()) / x.std()
    features = np.stack([z**k for k in range(4)], axis=1)
    best = np.polynomial.Polynomial.fit(x, y, 3)(x)
    start = np.random.default_rng(np.random.SeedSequence(4).spawn(4)[2])
    w = y.std() * start.uniform(-1 / 3**0.5, 1 / 3**0.5, size=4)
    w = torch.tensor(w, requires_grad=True)
    kind = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}[optimizer]
    stepper, order = kind([w], lr=rate), order_of(4, ROWS)
    losses, gaps = [], []
    for _ in range(steps):
        rows = [next(order) for _ in range(batch)]
        loss = (torch.from_numpy(features[rows]) @ w - torch.from_numpy(y[rows])).square().mean()
        stepper.zero_grad()
        loss.backward()
        stepper.step()
        losses.append(loss.item())
        gaps.append(np.mean((features @ w.detach().numpy() - best) ** 2))
    np.testing.assert_allclose(training.curve.loss, losses, rtol=1e-10)
    np.testing.assert_allclose(training.curve.gap, gaps, rtol=1e-9)
    learned = training.result()
    np.testing.assert_allclose(learned(x), features @ w.detach().numpy(), rtol=1e-12)
    powers = np.polynomial.Polynomial(learned.coefficients)  # of x itself, where they cancel
    np.testing.assert_allclose(powers(x), learned(x), rtol=1e-9)
    assert learned.nobs == ROWS and learned.domain == {"x": (x.min(), x.max())}


@pytest.mark.parametrize("frame", [table, two_variables])
@pytest.mark.parametrize(
    "options", [{}, {"basis": "monomial"}, {"momentum": 0.9}, {"optimizer": "adam"}]
)
def test_compiled_loop_scan_and_torch_take_the_same_steps_on_rows(options, frame):
    options = {"degree": 2, "max_steps": 90, "tolerance": 1e-30} | options
    ways = [Compiled, Loop] + ([] if "optimizer" in options else [Scan])
    runs = [trained(frame(), way, **options) for way in ways]
    for other in runs[1:]:
        np.testing.assert_allclose(other.curve.gap, runs[0].curve.gap, rtol=1e-8)
        np.testing.assert_allclose(other.curve.loss, runs[0].curve.loss, rtol=1e-8)
        np.testing.assert_allclose(other.result().weights, runs[0].result().weights, rtol=1e-6)


@pytest.mark.parametrize("scale", [1.0, 2.0**20])
@pytest.mark.parametrize("basis", ["auto", "monomial"])
def test_every_way_stops_at_the_same_step_of_its_falling_rate_whatever_the_unit_of_y(basis, scale):
    options = {"basis": basis, "degree": 2, "tolerance": 1e-5, "batch_size": 7}
    runs = [trained(table(scale=scale), way, **options) for way in (Compiled, Loop, Scan)]
    assert {run.curve.converged for run in runs} == {True}
    assert len({run.curve.steps for run in runs}) == 1 and runs[0].curve.steps > 20
    # The fit leaves under 5 % of the variance: below a tenth of the tolerance, no rate falls.
    coarse = [made(table(scale=scale), **options | {"tolerance": t}) for t in (1e-5, 0.5)]
    limits = [rates.falling(run.optimum, run.tolerance) for run in coarse]
    assert limits[0] < limits[1] == math.inf
    ways = [Rates([run])(np.full((1, 1), 1e-9), 1)[0, 0] for run in coarse]
    assert ways == [limits[0], 0.5 / 1e-9]


@pytest.mark.parametrize("frame, degrees", [(table, [0, 1, 3, 8, 12]), (two_variables, [1, 3])])
def test_the_basis_of_auto_is_orthonormal_over_the_rows_so_that_every_degree_trains(frame, degrees):
    for degree in degrees:
        training = trained(frame(), degree=degree, tolerance=1e-6, dtype="float32")
        phi = training.table.features.astype(float)
        np.testing.assert_allclose(phi.T @ phi / len(phi), np.eye(phi.shape[1]), atol=1e-5)
        assert (phi[:, 0] == 1).all()
        exact = made(frame(), degree=degree).table.features
        np.testing.assert_allclose(exact.T @ exact / len(phi), np.eye(phi.shape[1]), atol=1e-13)
        own = training.weights.double().numpy() - training.optimum.weights
        assert training.curve.gap[-1] == pytest.approx(own @ own, rel=1e-12)
        assert training.curve.converged and training.curve.steps < 4000


def test_powers_need_more_steps_than_auto_and_say_their_condition():
    auto, powers = (trained(basis=b, degree=5, max_steps=20_000) for b in ("auto", "monomial"))
    assert auto.curve.converged and auto.result().condition == 1
    assert powers.curve.steps > 20 * auto.curve.steps
    x = table().x
    z = np.stack([((x - x.mean()) / x.std(ddof=0)) ** k for k in range(6)], axis=1)
    assert powers.result().condition == pytest.approx(np.linalg.cond(z), rel=1e-9)


@pytest.mark.parametrize("basis", ["auto", "monomial"])
@pytest.mark.parametrize("frame", [lambda: table(noise=0), two_variables])
def test_training_long_enough_comes_to_the_exact_fit_in_the_units_of_the_data(frame, basis):
    options = {"basis": basis, "degree": 2, "tolerance": 1e-20}
    training = trained(frame(), batch_size=len(frame()), **options)  # all rows a step
    best = polyreg.fit(frame(), target="y", degree=2)
    learned = training.result()
    assert training.curve.converged and learned.terms == best.terms
    rows = frame()[list(learned.variables)].to_numpy()
    # A gap of 1e-20 of the variance leaves each row within 1e-10 sqrt(N) standard deviations.
    atol = 1e-10 * len(rows) ** 0.5 * frame().y.std()
    np.testing.assert_allclose(learned(rows), best(rows), rtol=0, atol=atol)
    np.testing.assert_allclose(learned.coefficients, best.coefficients, rtol=2e-4)
    assert np.isnan(learned.std_errors).all() and learned.truth is None
    document = learned.to_dict()
    assert polyreg.Result.from_dict(document).coefficients.tolist() == learned.coefficients.tolist()


@pytest.mark.parametrize("power", [-40, 40])
def test_units_of_y_change_no_step(power):
    scale = 2.0**power  # exact in float64
    plain, scaled = trained(tolerance=1e-4), trained(table(scale=scale), tolerance=1e-4)
    assert plain.curve.converged
    assert scaled.curve.gap.tolist() == (scale**2 * plain.curve.gap).tolist()
    y = table().y.to_numpy()
    assert plain.tolerance == pytest.approx(1e-4 * y.var(), rel=1e-12)
    # Adam's own 1e-8 is in units of y: it moves digits, not the number of steps.
    adam = [trained(table(scale=s), optimizer="adam", tolerance=1e-4) for s in (1.0, scale)]
    assert adam[1].curve.steps == pytest.approx(adam[0].curve.steps, rel=0.1) or power < 0


@pytest.mark.parametrize("epochs, batch_size, steps", [(1, 50, 1), (3, 32, 5), (2, 7, 15)])
def test_epochs_bound_the_steps(epochs, batch_size, steps):
    training = trained(epochs=epochs, batch_size=batch_size, tolerance=1e-30)
    assert training.curve.steps == training.max_steps == steps
    assert training.epochs == steps * batch_size / ROWS
    assert made(epochs=100, max_steps=9).max_steps == 9


@pytest.mark.parametrize("stepper", [Compiled, Loop, Scan])
def test_going_on_from_a_checkpoint_is_never_to_have_stopped(stepper, monkeypatch):
    for name in ("FIRST_SCAN", "SCAN", "CHUNK", "LOOP_CHUNK"):
        monkeypatch.setattr(descend, name, 37)
    monkeypatch.setattr(kernel, "UNCOMPILED", 0)
    options = {"max_steps": 200, "tolerance": 1e-30, "momentum": 0.5}
    alone, stopped, later = (made(**options) for _ in range(3))
    for _ in descend.descend(alone, stepper):
        pass
    for _ in descend.descend(stopped, stepper):
        if stopped.curve.steps >= 100:
            break
    assert checkpoint.unpack(checkpoint.pack(stopped, 1.5), later, stepper) == 1.5
    for _ in descend.descend(later, stepper):
        pass
    assert later.curve.gap.tolist() == alone.curve.gap.tolist()
    assert later.weights.tolist() == alone.weights.tolist()


def test_a_training_that_ends_short_of_the_optimum_says_so_among_its_notes():
    frame = table()
    frame["id"] = "a"
    short = polyreg.train(data=frame, target="y", max_steps=3).result()
    [note] = [note for note in short.notes if "short of the optimum" in note]
    assert "of the variance of y" in note
    assert "no features: id (text)" in short.notes
    full = polyreg.train(data=frame, target="y").result()
    assert not [note for note in full.notes if "short of the optimum" in note]
    assert "Training results" in full.summary() and full.equation().startswith("y = ")


def test_a_table_is_named_by_path_or_given_as_a_frame(tmp_path):
    frame = table().round(6)
    frame.to_csv(tmp_path / "t.csv", index=False)
    options = {"target": "y", "features": "x", "epochs": 4, "batch_size": 10, "tolerance": 1e-9}
    read = polyreg.train(data=tmp_path / "t.csv", **options)
    held = polyreg.train(data=frame, **options)
    assert read.curve.steps == held.curve.steps == 20 and read.epochs == 4
    np.testing.assert_allclose(read.curve.gap, held.curve.gap, rtol=1e-10)
    assert read.name == "t.csv · y ~ x · degree 3 · batch 10 · tolerance 1e-09 · 4 epochs"
    module = read.model(torch.tensor([[22.0]]))
    assert module.shape == (1, 1) and module.item() == pytest.approx(float(read.result()(22.0)))
    assert read.result().plot() and len(polyreg.compare([read, held]).to_html()) > 10_000


def test_a_rate_that_is_too_large_diverges_and_is_told_a_bound():
    with pytest.raises(Diverged, match=r"learning_rate 3 is too large: all rows .* at most 1, and"):
        polyreg.train(data=table(), target="y", learning_rate=3)


def dependent(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(twice=2 * frame.x)


REFUSED = [
    ({"frame": dependent(table())}, "no optimum to compare with; lower degree, or exclude"),
    ({"degree": 10, "frame": table()[:8]}, "11 terms need at least as many rows, got 8"),
    ({"frame": table(scale=1e20), "dtype": "float32"}, "rescale y, or use dtype='float64'"),
    ({"frame": table(scale=1e-20), "dtype": "float32"}, "rescale y, or use dtype='float64'"),
    ({"frame": pd.DataFrame({"y": [1.0, 2.0]})}, "no numeric column left for a feature"),
    ({"frame": table().assign(x=np.nan), "missing": "drop"}, "has no rows"),
    ({"frame": table().replace(table().y[3], np.nan)}, "drop"),
    ({"basis": "hermite"}, "basis must be auto or monomial with data; got hermite"),
    ({"noise": 0.5}, "noise describes drawn samples; leave it out with data"),
    ({"coefficients": (1.0,)}, "coefficients describes drawn samples"),
    ({"inputs": "uniform"}, "inputs describes drawn samples"),
    ({"target": ""}, "data and target, the column to predict, belong together"),
    ({"target": "z"}, "no column 'z'"),
    ({"frame": "", "target": "y"}, "data and target, the column to predict, belong together"),
    ({"frame": "", "target": "", "epochs": 3}, "epochs describes a table, and needs data"),
    ({"frame": "", "target": "", "separator": ";"}, "separator describes a table"),
]


@pytest.mark.parametrize("options, said", REFUSED)
def test_what_makes_no_training_on_a_table_is_refused_in_one_line(options, said):
    options = {"frame": table(), "target": "y"} | options
    with pytest.raises(PolyregError) as refused:
        polyreg.train(data=options.pop("frame"), **options)
    assert said in str(refused.value) and "--" not in str(refused.value)


def test_powers_that_float32_cannot_square_are_refused_with_the_way_out():
    x = np.random.default_rng(0).uniform(size=400)
    x[0] = 10.0  # 17 standard deviations
    frame = pd.DataFrame({"x": x, "y": x})
    with pytest.raises(Refused, match=r"basis monomial: a term reaches .* use dtype='float64'"):
        polyreg.train(data=frame, target="y", basis="monomial", degree=13, dtype="float32")


@pytest.mark.parametrize("data", [3, None, [1.0, 2.0], np.ones((3, 2))], ids=str)
def test_data_of_another_kind_than_a_path_or_a_frame_is_refused(data):
    with pytest.raises(polyreg.PolyregError, match=r"path of a table, or a frame .*; got "):
        polyreg.train(data=data, target="y")


def test_of_a_target_that_is_constant_the_tolerance_is_told_by_its_square():
    frame = pd.DataFrame({"x": np.arange(20.0), "y": 5.0})
    training = polyreg.train(data=frame, target="y", degree=1, max_steps=3)
    assert tolerance_of(training) == "tolerance 0.025: 0.001 of y^2, a constant"


def test_where_float32_rounds_the_steps_away_the_way_out_is_float64():
    x = np.linspace(0, 1, 200)
    frame = pd.DataFrame({"x": x, "y": 3 + x + np.sin(40 * x)})
    options = {"target": "y", "degree": 1, "tolerance": 1e-300, "max_steps": 2_000_000}
    training = polyreg.train(data=frame, **options)
    assert "use --dtype float64" in way_out(training.curve.gap[-1], training)
    training = polyreg.train(data=frame, **options | {"max_steps": 1000})
    assert "raise --max-steps" in way_out(training.curve.gap[-1], training)


def test_where_the_rate_does_not_fall_float32_is_not_what_holds_a_run_up():
    """Six times as many steps converge."""
    shape = {"basis": "monomial", "degree": 8, "inputs": "uniform"}
    training = polyreg.train(**shape, tolerance=1e-12, max_steps=400_000)
    assert not training.curve.converged
    assert "raise --max-steps" in way_out(training.curve.gap[-1], training)
