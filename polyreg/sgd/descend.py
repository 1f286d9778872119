"""Training loop: the learning curve, step by step.

On a CPU, SGD and Adam are one compiled loop (`Compiled`). On a GPU SGD takes a chunk of steps, of
many runs at once, as a few large products: on a linear model it is an affine recurrence (`Scan`).
All else takes its steps one at a time with torch.optim (`Loop`), the plain reference for both.
"""

from collections.abc import Callable, Iterator, Sequence

from polyreg import compiling
from polyreg.device import one
from polyreg.sgd.curve import Chunk
from polyreg.sgd.kernel import Compiled
from polyreg.sgd.loops import Loop, Scan
from polyreg.sgd.training import Stepper, Training

# Steps between two measurements: some 10 ms, and 50 of torch.optim's, so that whoever wants to
# stop a training can. A scan takes more as it goes on: those after the last are taken in vain.
CHUNK, LOOP_CHUNK, FIRST_SCAN, SCAN = 2**15, 256, 1024, 4096
CHUNK_NUMBERS = 2**22  # at most in the features of a chunk, or in a scan's matrices
MANY_NUMBERS = 2**16  # of a step: then torch's threads help


def descend(
    training: Training, stepper: Callable[[list[Training]], Stepper] | None = None
) -> Iterator[Chunk]:
    """Train until config's stop rule holds or its steps are used up.

    Raises Diverged, naming the largest stable rate, at the first step whose gap exceeds the limit;
    the steps before it have been yielded.
    """
    for _, chunk in descend_together([training], stepper):
        yield chunk
    if training.diverged:
        raise training.diverged


def descend_together(
    trainings: Sequence[Training], stepper: Callable[[list[Training]], Stepper] | None = None
) -> Iterator[tuple[Training, Chunk]]:
    """Train several runs of one shape, each until its own end; none of them raises.

    Their options may differ in learning_rate, coefficients, noise and seed.
    """
    config = trainings[0].config
    running = [training for training in trainings if not training.ended]
    if not running:
        return
    steps_of = (stepper or stepper_of(running[0]))(running)
    terms, max_steps = len(running[0].weights), running[0].max_steps
    batch = config.batch_size * (terms + 1)
    if len(running) == 1:
        running[0].attach(steps_of)
    first = running[0].curve.steps + 1
    while running and first <= max_steps:
        numbers = batch
        match steps_of:
            case Compiled():
                most = min(steps_of.uncompiled(first) or CHUNK, CHUNK)
            case Scan():
                most = min(max(FIRST_SCAN, first // 2), SCAN)
                numbers += 4 * (2 * terms if config.momentum else terms) ** 2
            case _:
                most = LOOP_CHUNK
        room = max(1, CHUNK_NUMBERS // (numbers * len(running)))
        steps = min(most, room, max_steps - first + 1)
        with one(batch < MANY_NUMBERS):
            measured, going = steps_of.measure(running, first, steps)
        for training, chunk in measured:
            training.curve.append(chunk)
            yield training, chunk
        running = [running[m] for m in going]
        steps_of.select(going)
        first += steps


def stepper_of(training: Training) -> type[Compiled | Scan | Loop]:
    """The fastest that there is for this optimizer, here."""
    config, device = training.config, str(training.device)
    if device == "cpu" and config.optimizer in ("sgd", "adam") and compiling.is_available():
        return Compiled
    return Scan if config.optimizer == "sgd" else Loop
