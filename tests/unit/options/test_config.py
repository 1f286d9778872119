from dataclasses import fields

import pytest

from polyreg.config import FitConfig, SweepConfig, TrainConfig
from polyreg.fields import DRAWN, OptionalTable
from polyreg.options import from_params, params
from polyreg.options import params as params_of
from polyreg.text import text


def test_a_value_is_spelled_the_same_however_it_was_typed():
    typed = TrainConfig(noise=float("0.0"), learning_rate=float("1e-3"), coefficients=(1.0, -2.5))
    params = params_of(typed)
    assert params["noise"] == "0"
    assert params["learning_rate"] == "0.001"
    assert params["coefficients"] == "1,-2.5"
    assert text(float(params["tolerance"])) == params["tolerance"] == "0.001"


def test_every_option_is_a_param():
    # But those that say nothing: of a table where there is none, of samples where there is one.
    names, of_tables = ([f.name for f in fields(kind)] for kind in (TrainConfig, OptionalTable))
    assert list(params_of(TrainConfig())) == [n for n in names if n not in of_tables]
    on_rows = TrainConfig(data="t.csv", target="y", epochs=2)
    assert list(params_of(on_rows)) == [n for n in names if n not in DRAWN]
    for config in (TrainConfig(noise=0.5), on_rows):
        assert from_params(TrainConfig, params_of(config)) == config
    assert list(params_of(FitConfig(data="t.csv", target="y"))) == [
        f.name for f in fields(FitConfig)
    ]


@pytest.mark.parametrize(
    "options, family",
    [
        ({}, "hermite"),
        ({"inputs": "uniform"}, "legendre"),
        ({"inputs": "uniform", "basis": "monomial"}, "monomial"),
    ],
)
def test_auto_is_the_family_orthonormal_under_the_inputs(options, family):
    assert TrainConfig(**options).family == family


@pytest.mark.parametrize(
    "options, said",
    [
        ({"degree": -1}, "-1"),
        ({"degree": 21}, "0 to 20; above that"),
        ({"batch_size": 0}, "got 0"),
        ({"coefficients": (float("nan"),)}, "nan"),
        ({"coefficients": ()}, "1 to 21"),
        ({"coefficients": (1e300,)}, "1e+300"),
        ({"noise": -0.5}, "-0.5"),
        ({"learning_rate": 0.0}, "got 0"),
        ({"learning_rate": float("nan")}, "nan"),
        ({"learning_rate": 1e300}, "1e+300"),
        ({"momentum": 1.0}, "got 1"),
        ({"momentum": 0.9, "optimizer": "adam"}, "belongs to --optimizer sgd or rmsprop; Adam has"),
        ({"momentum": 0.9, "optimizer": "adagrad"}, "Adagrad has none"),
        ({"optimizer": "lbfgs"}, "must be one of sgd, adam, adamw, rmsprop, adagrad, nadam"),
        ({"tolerance": 0.0}, "got 0"),
        ({"max_steps": 0}, "got 0"),
        ({"seed": -1}, "-1"),
    ],
)
def test_a_value_that_makes_no_run_is_refused_with_the_value_and_the_way_out(options, said):
    with pytest.raises(ValueError, match=r"must|belongs|is a") as refused:
        TrainConfig(**options)
    assert said in str(refused.value)


@pytest.mark.parametrize(
    "options, name",
    [
        ({}, "degree 3"),
        (
            {"degree": 3, "noise": 0.5, "learning_rate": 0.01},
            "degree 3 · rate 0.01 · noise 0.5",
        ),
        ({"inputs": "uniform", "basis": "monomial"}, "degree 3 · uniform inputs · monomial"),
        ({"optimizer": "adam", "seed": 7, "register_as": "a"}, "degree 3 · adam · seed 7"),
        (
            {"coefficients": (0.123456789,) * 20},
            f"degree 3 · truth {'0.123456789,' * 2}...",
        ),
    ],
)
def test_a_training_is_called_what_was_given(options, name):
    assert TrainConfig(**options).name == name


@pytest.mark.parametrize(
    "options, features, name",
    [
        ({}, "x", "a.csv · y ~ x · degree 3"),
        ({"data": "/lab/2024/", "degree": "auto"}, "x", "2024 · y ~ x · degree auto → 5"),
        (
            {"data": "s3://key:secret@bucket/a.parquet?token=b", "ridge": 0.1, "intercept": False},
            "abcdef",
            "a.parquet · y ~ a + b + c + d + 2 more · degree 3 · intercept false · ridge 0.1",
        ),
        ({"target": "two\nlines"}, [], "a.csv · two lines ~ 1 · degree 3"),
    ],
)
def test_a_fit_is_called_after_its_file_its_features_and_its_degree(options, features, name):
    config = FitConfig(**({"data": "a.csv", "target": "y"} | options))
    assert config.named(list(features), 5 if config.degree == "auto" else None) == name


def test_a_name_is_no_longer_than_mlflow_takes():
    config = FitConfig(data="a.csv", target="y" * 300, weights="w" * 100)
    assert len(config.named(["x"])) == 250


def test_configs_are_read_back_from_their_params():
    config = SweepConfig(degrees=(1, 9), noises=(0.1,), learning_rates=(1e-7, "auto"), seeds=3)
    assert from_params(SweepConfig, params(config)) == config
    assert from_params(TrainConfig, params(config.run(4))) == config.run(4)
    with pytest.raises(ValueError, match="not params of SweepConfig"):
        from_params(SweepConfig, params(TrainConfig()))


def test_the_params_of_a_sweep_before_it_varied_the_optimizer_are_read():
    config = SweepConfig(optimizers=("adam",))
    stored = params(config)
    assert stored.pop("optimizers") == "adam"
    assert from_params(SweepConfig, stored | {"optimizer": "adam"}) == config
    # As `mlflow run -P optimizer=adam` logs them, which adds the default of what is not given.
    both = stored | {"optimizer": "adam", "optimizers": "sgd"}
    assert from_params(SweepConfig, both) == config


@pytest.mark.parametrize("listed", [("sgd", "adam"), ("rmsprop", "nadam", "sgd")])
def test_a_sweep_with_momentum_is_refused_where_one_of_its_optimizers_takes_none(listed):
    with pytest.raises(ValueError, match="--momentum belongs to --optimizer sgd or rmsprop"):
        SweepConfig(optimizers=listed, momentum=0.5)
    assert SweepConfig(optimizers=("sgd", "rmsprop"), momentum=0.5).run(0).momentum == 0.5
