"""The loop over epochs, which can stop and continue between any two steps."""

import time
from collections.abc import Iterator
from typing import Any, NamedTuple, SupportsIndex

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh
from jaxtyping import Float

from jaxgrad._checks import check_int, wrong_value
from jaxgrad._display import fields_html, short_repr
from jaxgrad.datasets import Dataset, Split
from jaxgrad.training._batches import (
    Batches,
    count_batches,
    indices_of,
    make_batches,
    shuffle,
)
from jaxgrad.training._cause import cause_of
from jaxgrad.training._epoch import Setup, evaluate_batches, shuffled, train_steps
from jaxgrad.training._monitor import Recorder, Watched, joined
from jaxgrad.training._nonfinite import (
    NonFinite,
    all_finite,
    copy_of,
    first_fault,
    is_finite,
)
from jaxgrad.training._sharding import replicated
from jaxgrad.training._state import Epoch, Loss, Network, TrainState, copied

EVALUATION_BATCH = 1000  # examples; it does not affect the result
_NO_LOSSES = np.zeros(0, np.float32)


class Progress(NamedTuple):
    """A run between two of its steps: everything needed to continue from there."""

    state: TrainState
    losses: Float[np.ndarray, "steps"] = _NO_LOSSES  # of the current epoch
    seconds: float = 0.0  # spent on the current epoch
    completed: tuple[Epoch, ...] = ()  # measurements of the epochs before it
    watched: Watched | None = None  # in the current epoch, with `watch`

    __repr__ = short_repr
    _repr_html_ = fields_html


def fit(
    apply: Network,
    loss: Loss,
    optimizer: optax.GradientTransformation,
    state: TrainState,
    dataset: Dataset,
    *,
    epochs: SupportsIndex,
    batch_size: SupportsIndex = 256,
    evaluate_training: bool = False,
    stop_at_nonfinite: bool = True,
    blame: bool = True,
    watch: SupportsIndex | None = None,
    mesh: Mesh | None = None,
) -> Iterator[tuple[TrainState, Epoch]]:
    """Train until `epochs` epochs are complete, measuring each.

        first = init(key, params, optimizer)
        for state, epoch in fit(apply, loss, optimizer, first, dataset, epochs=20):
            print(epoch.epoch, epoch.train_loss, epoch.test_accuracy)

    Args:
        apply: The network, `(params, images) -> logits`, or a `Model`.
        loss: As in `train_step`.
        optimizer: Any `optax.GradientTransformation`.
        state: The state to start from, from `init` or from an earlier run. It is not
            donated. Its completed epochs count towards `epochs`.
        dataset: The images to train on and to test with.
        epochs: The number of completed epochs to reach, at least 1.
        batch_size: The number of examples per step, at least 1.
        evaluate_training: Whether to evaluate the training set after each epoch too,
            which adds about a third to the time of an epoch.
        stop_at_nonfinite: Whether to raise `NonFinite` at the first loss, or the first
            parameters after an update, that are not finite. Turn it off if that is part
            of the training, as with `optax.apply_if_finite`.
        blame: Whether `NonFinite` also names the operation and the line: the step runs
            once more, operation by operation (`find_nonfinite`).
        watch: Measure every so many steps, counted from the start of the run: gradient
            norms, update ratios and dead units (`Watched`), by default none. The
            measurements are in `Epoch.watched`.
        mesh: The devices to spread each batch over, such as `data_mesh()`; by default
            one device. With several processes, all of them make the same calls.

    Returns:
        An iterator over the state after each epoch and its `Epoch`. The next epoch
        takes the state's buffers: copy what you keep (`jax.tree.map(jnp.copy, state)`).

    Raises:
        TypeError, ValueError: If `epochs`, `batch_size` or `watch` is not an int of at
            least 1.
        NonFinite: While iterating, instead of returning a state that is not finite. It
            has the epoch, the step, the images of the batch, the state before it and
            the operation that is to blame.
    """
    epochs = check_int("fit", "epochs", epochs, least=1)
    batch_size = check_int("fit", "batch_size", batch_size, least=1)
    if watch is not None:
        watch = check_int("fit", "watch", watch, least=1)
    options: Any = {"epochs": epochs, "batch_size": batch_size, "mesh": mesh}
    options["evaluate_training"] = evaluate_training
    options |= {"stop_at_nonfinite": stop_at_nonfinite, "blame": blame, "watch": watch}
    run = advance(apply, loss, optimizer, Progress(state), dataset, **options)
    return ((progress.state, progress.completed[-1]) for progress in run)


def advance(
    apply: Network,
    loss: Loss,
    optimizer: optax.GradientTransformation,
    progress: Progress,
    dataset: Dataset,
    *,
    epochs: SupportsIndex,
    batch_size: SupportsIndex = 256,
    save_every: SupportsIndex | None = None,
    evaluate_training: bool = False,
    stop_at_nonfinite: bool = True,
    blame: bool = True,
    watch: SupportsIndex | None = None,
    mesh: Mesh | None = None,
) -> Iterator[Progress]:
    """`fit` for runs that are saved: from one `Progress` to the next.

    Continuing from any of them, in this process or another, ends in the same bits;
    only the seconds differ. The arguments are those of `fit`, with two exceptions:
    `progress` is where to continue, `Progress(state)` at the start (not donated), and
    `save_every` is the number of steps between two results, by default an epoch.

    Returns:
        An iterator over the progress after every `save_every` steps, counted from the
        start of the epoch or from where the run continued, and at the end of each
        epoch, where `losses` is empty, `watched` is None and `completed` has one entry
        more. The next step takes the buffers of `state`.

    Raises:
        TypeError, ValueError: If a number is not an int of at least 1, or the run would
            take more than 2,147,483,647 steps, which its counter cannot hold.
        NonFinite: As in `fit`.
    """
    epochs = check_int("advance", "epochs", epochs, least=1)
    batch_size = check_int("advance", "batch_size", batch_size, least=1)
    if save_every is not None:
        save_every = check_int("advance", "save_every", save_every, least=1)
    if watch is not None:
        watch = check_int("advance", "watch", watch, least=1)
    train, test = dataset.train, dataset.test
    _check_steps(progress, epochs, count_batches(len(train.labels), batch_size).steps)
    if mesh is None:  # with a mesh, the host gives the devices their parts each epoch
        train, test = jax.tree.map(jnp.asarray, (train, test))
    tested = []
    for split in (train, test) if evaluate_training else (test,):
        n = len(split.labels)
        tested.append((make_batches(split, min(EVALUATION_BATCH, n), mesh), n))
    setup = Setup(apply, loss, dataset.white, mesh)
    stop, every = (stop_at_nonfinite, blame), watch
    job = _Job(setup, optimizer, train, batch_size, save_every, tested, *stop, every)
    state = replicated(copied(progress.state), mesh)
    return _epochs(job, progress._replace(state=state), epochs)


class _Job(NamedTuple):
    """What every epoch of a run needs."""

    setup: Setup
    optimizer: optax.GradientTransformation
    train: Split
    batch_size: int
    save_every: int | None
    tested: list[tuple[Batches, int]]  # [training set,] test set, and their sizes
    stop_at_nonfinite: bool
    blame: bool
    watch: int | None


def _check_steps(progress: Progress, epochs: int, steps: int) -> None:
    """ValueError if the run would need more steps than its int32 counter can hold."""
    done = len(progress.losses) + int(progress.state.epoch) * steps
    last, most = int(progress.state.step) + epochs * steps - done, 2**31 - 1
    if last > most:
        raise wrong_value("advance", f"at most {most:,} steps in all", f"{last:,}")


def _epochs(job: _Job, progress: Progress, epochs: int) -> Iterator[Progress]:
    for epoch in range(int(progress.state.epoch), epochs):
        for reached in _chunks(job, progress):
            progress = reached
            if int(progress.state.epoch) == epoch:  # not its last chunk
                yield progress
        completed = (*progress.completed, _measured(job, progress, epoch))
        progress = Progress(progress.state, completed=completed)
        yield progress


def _chunks(job: _Job, progress: Progress) -> Iterator[Progress]:
    """The rest of an epoch, in chunks of `save_every` steps."""
    clock, mesh = time.perf_counter(), job.setup.mesh
    batches = shuffled(progress.state, job.train, job.batch_size, mesh)
    total = len(batches.mask)
    size = job.save_every or total
    for first in range(len(progress.losses), total, size):
        steps, state = (first, min(first + size, total)), progress.state
        start = copy_of(state) if job.stop_at_nonfinite else None
        before = int(state.step)
        recorder = Recorder(job.optimizer, job.watch, before)
        loop = job.setup, job.optimizer, state, batches, *steps, job.watch
        state, losses, rows = train_steps(*loop)
        new = np.asarray(losses)[slice(*steps)]  # waits for the steps to end
        done = before + len(new)
        watched = joined(progress.watched, recorder.watched(state.params, rows, done))
        if start is not None and not is_finite(new, state.params):
            _raise_first_fault(job, batches, start, new, range(*steps), watched)
        losses = np.concatenate([progress.losses, new]) if first else new
        seconds = progress.seconds + time.perf_counter() - clock
        now = {"state": state, "losses": losses, "watched": watched}
        progress = progress._replace(seconds=seconds, **now)
        yield progress
        clock = time.perf_counter()


def _raise_first_fault(
    job: _Job,
    batches: Batches,
    start: TrainState,
    losses: np.ndarray,
    steps: range,
    watched: Watched | None,
) -> None:
    """NonFinite for the first fault of a chunk that began in the state `start`."""
    if np.isfinite(losses).all() and not all_finite(start.params):
        return  # they were not finite at the start, such as a mask with -inf

    def step_once(state: TrainState, step: int) -> tuple[TrainState, float]:
        some = job.setup, job.optimizer, state, batches, step, step + 1, job.watch
        state, losses, _ = train_steps(*some)
        return state, float(losses[step])

    epoch, n = int(start.epoch), len(job.train.labels)
    order = np.asarray(shuffle(start.key, start.epoch, n=n))
    step, before, loss, leaves = first_fault(step_once, start, steps)
    indices, mask = indices_of(order, job.batch_size, step)
    fault = NonFinite(epoch, step, loss, indices[mask], before, leaves, watched)
    if job.blame:
        images, labels = (np.asarray(part)[indices] for part in job.train)
        batch = images, labels, mask
        fault.explain(*cause_of(job.setup, job.optimizer, before, batch, leaves))
    raise fault


def _measured(job: _Job, progress: Progress, epoch: int) -> Epoch:
    params, model_state = progress.state.params, progress.state.model_state
    *trained, tested = [
        evaluate_batches(job.setup, params, model_state, batches, n=n)
        for batches, n in job.tested
    ]
    return Epoch(
        epoch,
        train_loss=float(progress.losses.mean(dtype=np.float64)),
        train_loss_after=float(trained[0].loss) if trained else None,
        test_loss=float(tested.loss),
        test_accuracy=int(tested.correct) / job.tested[-1][1],
        seconds=progress.seconds,
        watched=progress.watched,
    )
