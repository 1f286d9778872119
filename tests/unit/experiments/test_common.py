"""How experiments end: signals, exit codes and one line, in this very process."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator

import click
import pytest
from click.testing import CliRunner, Result

from experiments import lifecycle
from experiments.lifecycle import Killed, Stop, exit_codes, patience
from polyreg.config import FitConfig, TrainConfig
from polyreg.errors import Diverged, Refused, Unreachable, Unsent
from polyreg.options import OneLine, command, params, same_options

SIGNALS = (signal.SIGINT, signal.SIGTERM)
each_signal = pytest.mark.parametrize("number", SIGNALS, ids=lambda n: n.name)


@pytest.fixture(autouse=True)
def quiet(monkeypatch) -> Iterator[None]:
    """No run of `mlflow run`; and handlers after a test are those of before it."""
    monkeypatch.delenv("MLFLOW_RUN_ID", raising=False)
    monkeypatch.delenv("POLYREG_PATIENCE", raising=False)
    before = handlers()
    yield
    found = handlers()
    for number, handler in zip(SIGNALS, before, strict=True):
        signal.signal(number, handler)
    assert found == before


def handlers() -> list:
    return [signal.getsignal(number) for number in SIGNALS]


def send(number: int) -> None:
    os.kill(os.getpid(), number)


def ended(work: Callable[[Stop], object]) -> Result:
    """What a command of this work says, and its exit code."""

    @click.command(cls=OneLine)
    def main() -> None:
        with exit_codes() as stop:
            work(stop)

    return CliRunner().invoke(main, [])


def raising(error: BaseException) -> Callable[[Stop], object]:
    def work(stop: Stop) -> None:
        raise error

    return work


# Stop


@each_signal
def test_a_signal_is_taken_note_of_and_cuts_nothing(number):
    stop, done = Stop(), []
    with stop.listening():
        assert not stop
        send(number)
        done.append("the rest")
        assert stop and stop.number == number
        with pytest.raises(Killed, match=f"ended by {number.name}") as killed:
            stop.check()
    assert done and killed.value.number == number
    assert isinstance(killed.value, KeyboardInterrupt)


def test_without_a_signal_there_is_nothing_to_check():
    stop = Stop()
    with stop.listening():
        stop.check()
        with stop.interruptible():
            pass
    assert not stop and stop.number == 0


@each_signal
def test_what_may_be_cut_is_cut_at_once(number):
    stop, reached = Stop(), []
    with stop.listening(), pytest.raises(Killed) as killed, stop.interruptible():
        send(number)
        for _ in range(1000):
            time.sleep(0.001)
        reached.append("the end")
    assert killed.value.number == number and not reached


def test_what_may_be_cut_does_not_begin_after_a_signal():
    stop, reached = Stop(), []
    with stop.listening():
        send(signal.SIGTERM)
        with pytest.raises(Killed), stop.interruptible():
            reached.append("the beginning")
        assert not reached


@pytest.mark.parametrize("error", [None, ValueError])
def test_after_what_may_be_cut_nothing_is(error):
    stop = Stop()
    with stop.listening():
        try:
            with stop.interruptible():
                if error:
                    raise error
        except ValueError:
            pass
        send(signal.SIGINT)
        assert stop.number == signal.SIGINT


@pytest.mark.parametrize("first, second", [SIGNALS, SIGNALS[::-1], (signal.SIGINT,) * 2])
def test_only_the_first_signal_counts(first, second):
    stop = Stop()
    with stop.listening():
        with pytest.raises(Killed) as killed, stop.interruptible():
            send(first)
            time.sleep(1)
        send(second)  # while the first one's end is still under way
        assert stop.number == first == killed.value.number
        with pytest.raises(Killed) as again:
            stop.check()
    assert again.value.number == first


def test_a_second_signal_does_not_cut_what_follows_the_first():
    stop, done = Stop(), []
    with stop.listening():
        try:
            with stop.interruptible():
                try:
                    send(signal.SIGINT)
                    time.sleep(1)
                finally:
                    send(signal.SIGTERM)
                    done.append("cleaned up")
        except Killed as killed:
            done.append(killed.number)
    assert done == ["cleaned up", signal.SIGINT]


@pytest.mark.parametrize("told", [False, True])
def test_importing_may_be_cut_unless_mlflow_run_has_opened_a_run(told, monkeypatch):
    if told:
        monkeypatch.setenv("MLFLOW_RUN_ID", "0" * 32)
    stop, reached = Stop(), []
    with stop.listening():
        try:
            with stop.interruptible_imports():
                send(signal.SIGTERM)
                reached.append("the end")
        except Killed:
            assert not told
    assert bool(reached) == told and stop


@pytest.mark.parametrize("error", [None, ValueError, KeyboardInterrupt, SystemExit])
def test_the_handlers_of_before_are_back_afterwards(error):
    before = [lambda *_: None for _ in SIGNALS]
    old = handlers()
    try:
        for number, handler in zip(SIGNALS, before, strict=True):
            signal.signal(number, handler)
        try:
            with Stop().listening():
                assert not set(handlers()) & set(before)
                if error:
                    raise error
        except BaseException as raised:
            assert type(raised) is error
        assert handlers() == before
    finally:
        for number, handler in zip(SIGNALS, old, strict=True):
            signal.signal(number, handler)


def test_outside_the_main_thread_no_handler_is_set():
    before, found = handlers(), []

    def work() -> None:
        with exit_codes() as stop:
            found.append((handlers(), bool(stop)))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [(before, False)]


# exit_codes


@each_signal
def test_a_signal_is_one_line_and_128_and_its_number(number):
    def work(stop: Stop) -> None:
        send(number)
        stop.check()

    result = ended(work)
    assert result.exit_code == {signal.SIGINT: 130, signal.SIGTERM: 143}[number]
    assert result.stderr == f"ended by {number.name}\n" and result.stdout == ""


def test_a_signal_says_how_to_go_on():
    def work(stop: Stop) -> None:
        stop.hint = "python -m something --resume r"
        send(signal.SIGINT)
        stop.check()

    result = ended(work)
    assert result.exit_code == 130
    assert result.stderr == "ended by SIGINT\ngo on   python -m something --resume r\n"


@pytest.mark.parametrize("hint", ["", "python -m something"])
def test_an_experiment_that_ends_well_says_nothing(hint):
    def work(stop: Stop) -> None:
        stop.hint = hint
        send(signal.SIGTERM)  # too late to end anything

    result = ended(work)
    assert (result.exit_code, result.output) == (0, "")


@pytest.mark.parametrize(
    "error, code",
    [
        (Refused("--data x: no"), 2),
        (Unreachable("no tracking server answers"), 2),
        (click.UsageError("--device: no"), 2),
        (Unsent("it is in a folder"), 1),
        (MemoryError("of 7 EiB"), 1),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: 7"), 1),
        (Diverged("diverged at step 7"), 1),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_was_to_be_expected_is_one_line_and_a_code(error, code):
    result = ended(raising(error))
    assert result.exit_code == code
    assert result.stdout == "" and result.stderr.count("\n") == 1
    assert result.stderr.startswith("Error: ") and str(error) in result.stderr


def test_a_divergence_names_the_run_that_keeps_its_curve():
    def work(stop: Stop) -> None:
        stop.run = "the-run"
        raise Diverged("diverged at step 7")

    assert "the-run keeps its curve" in ended(work).stderr


@pytest.mark.parametrize("error", [RuntimeError("a bug"), ZeroDivisionError("a bug"), KeyError(1)])
def test_a_bug_keeps_its_traceback(error):
    result = ended(raising(error))
    assert result.exit_code == 1 and result.exception is error


@pytest.mark.parametrize("started", ["", "0" * 32])
@each_signal
def test_a_run_that_mlflow_run_opened_ends_killed(number, started, monkeypatch):
    from polyreg import tracking

    killed: list[str] = []
    monkeypatch.setattr(tracking, "kill", killed.append)
    if started:
        monkeypatch.setenv("MLFLOW_RUN_ID", started)

    def work(stop: Stop) -> None:
        send(number)
        stop.check()

    assert ended(work).exit_code == 128 + number
    assert killed == ([started] if started else [])


def test_a_second_signal_does_not_cut_the_end(monkeypatch):
    from polyreg import tracking

    done = []

    def kill(run: str) -> None:
        send(signal.SIGTERM)
        done.append(run)

    monkeypatch.setattr(tracking, "kill", kill)
    monkeypatch.setenv("MLFLOW_RUN_ID", "r")

    def work(stop: Stop) -> None:
        send(signal.SIGINT)
        stop.check()

    assert ended(work).exit_code == 130 and done == ["r"]


# patience


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(lifecycle, "time", made)
    return made


@pytest.mark.parametrize("seconds", [0.3, 1.1, 60])
def test_patience_ends_after_its_seconds_and_is_said_once(seconds, clock, monkeypatch, capsys):
    monkeypatch.setenv("POLYREG_PATIENCE", str(seconds))
    wait, began, tries = patience(Stop()), clock.now, 0
    while wait(f"away {tries}"):
        tries += 1
    assert seconds <= clock.now - began < seconds + 1.5
    assert tries < max(10, seconds + 2)  # a store is not asked all the time
    said = capsys.readouterr()
    assert said.out == "" and said.err.count("\n") == 1
    assert f"{seconds:g} s" in said.err and "away 0" in said.err


def test_patience_begins_when_it_is_first_asked_for(clock, monkeypatch, capsys):
    monkeypatch.setenv("POLYREG_PATIENCE", "1.1")
    wait = patience(Stop())
    clock.sleep(20)
    assert capsys.readouterr().err == ""
    assert wait("away") is True and wait("away") is False


def test_patience_is_a_minute_by_default(capsys):
    stop = Stop()
    with stop.listening():
        send(signal.SIGINT)
        assert patience(stop)("away") is False
    assert "60 s" in capsys.readouterr().err


@each_signal
def test_patience_ends_at_once_on_a_signal(number, monkeypatch, capsys):
    monkeypatch.setenv("POLYREG_PATIENCE", "1000")
    stop = Stop()
    wait = patience(stop)
    with stop.listening():
        timer = threading.Timer(0.2, send, [number])
        timer.start()
        began = time.monotonic()
        while wait("away"):
            assert time.monotonic() - began < 30
        assert 0.1 < time.monotonic() - began < 0.9
        began = time.monotonic()
        assert not wait("away") and not wait("away")
        assert time.monotonic() - began < 0.1
        timer.join()
    assert capsys.readouterr().err.count("\n") == 1


# same_options


def resumed(stored: dict[str, str], *arguments: str, config: type = TrainConfig) -> Result:
    """A command that goes on with a run of these params; its result is the config's repr."""

    @command(config, help=None)
    def main(given) -> None:
        click.echo(repr(same_options(given, stored)))

    return CliRunner().invoke(main, list(arguments))


STORED = TrainConfig(degree=5, noise=0.25, learning_rate=0.01, coefficients=(1.0, 2.0), seed=7)


def test_the_options_are_those_of_the_run():
    result = resumed(params(STORED))
    assert result.exit_code == 0 and result.stdout == f"{STORED!r}\n"


def test_an_option_may_be_given_again():
    result = resumed(
        params(STORED), "--degree", "5", "--coefficients", "1,2", "--learning-rate", "1e-2"
    )
    assert result.stdout == f"{STORED!r}\n"


OTHERS = {
    "--degree": ("4", "5"),
    "--noise": ("0.5", "0.25"),
    "--learning-rate": ("auto", "0.01"),
    "--coefficients": ("1,3", "1,2"),
    "--seed": ("0", "7"),
    "--inputs": ("uniform", "normal"),
    "--max-steps": ("7", "100000"),
    "--dtype": ("float64", "float32"),
}


@pytest.mark.parametrize("count", [1, 2, len(OTHERS)])
def test_every_option_that_differs_is_named_with_both_values(count):
    given = dict(list(OTHERS.items())[:count])
    result = resumed(params(STORED), *(w for option in given for w in (option, given[option][0])))
    assert result.exit_code == 2 and result.stderr.count("\n") == 1
    assert "--resume" in result.stderr
    for option, (now, then) in OTHERS.items():
        assert (f"{option} {now}, where that run has {then}" in result.stderr) == (option in given)


def test_an_option_that_is_given_as_its_default_differs_too():
    result = resumed(params(STORED), "--noise", "0")
    assert result.exit_code == 2 and "--noise 0, where that run has 0.25" in result.stderr


def test_of_mlflow_run_which_passes_all_options_a_default_was_not_given(monkeypatch):
    monkeypatch.setenv("MLFLOW_RUN_ID", "0" * 32)
    everything = [w for name, value in params(TrainConfig()).items() if value
                  for w in ("--" + name.replace("_", "-"), value)]  # fmt: skip
    result = resumed(params(STORED), *everything)
    assert result.exit_code == 0 and result.stdout == f"{STORED!r}\n"
    result = resumed(params(STORED), *everything, "--noise", "0.5")
    assert result.exit_code == 2 and "--noise 0.5, where that run has 0.25" in result.stderr
    assert "--degree" not in result.stderr


@pytest.mark.parametrize("stored", [{}, {"degree": "x"}, {"degrees": "1,2"}], ids=str)
def test_a_run_of_another_experiment_is_refused_in_one_line(stored):
    result = resumed(stored)
    assert result.exit_code == 2 and result.stderr.count("\n") == 1
    assert "--resume: that run is none of this experiment" in result.stderr


def test_params_out_of_range_are_refused_in_one_line():
    result = resumed(params(STORED) | {"degree": "99"})
    assert result.exit_code == 2 and "none of this experiment" in result.stderr


def test_the_first_runs_which_had_no_registry_can_be_gone_on_with():
    stored = params(STORED)
    del stored["register_as"]
    assert resumed(stored).stdout == f"{STORED!r}\n"


def test_required_options_of_a_fit_are_compared_as_well():
    stored = params(FitConfig(data="a.csv", target="y"))
    arguments = ["--data", "a.csv", "--target", "y"]
    assert resumed(stored, *arguments, config=FitConfig).exit_code == 0
    result = resumed(stored, *arguments[:2], "--target", "z", config=FitConfig)
    assert result.exit_code == 2 and "--target z, where that run has y" in result.stderr


def test_a_signal_while_a_class_is_made_ends_as_any_other():
    """Python below 3.12 makes a RuntimeError of what __set_name__ raises."""

    class Ending:
        def __set_name__(self, owner, name):
            os.kill(os.getpid(), signal.SIGTERM)

    stop = Stop()
    with stop.listening(), pytest.raises(Killed) as killed, stop.interruptible():
        type("Made", (), {"ending": Ending()})
    assert killed.value.number == signal.SIGTERM
