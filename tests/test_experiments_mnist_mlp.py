"""The MNIST experiment: its numbers on the digits, its files, its command line."""

import contextlib
import io
import json
import re
from dataclasses import replace
from typing import Any, get_args

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import mnist_mlp as experiment
from experiments._command import run_as_script
from experiments._mnist_mlp import (
    digits,
    learning,
    metrics,
    optimizers,
    report,
    side_runs,
)
from experiments._mnist_mlp.network import mlp, parameter_count
from experiments._reproduction import plain
from jaxgrad import training
from jaxgrad.datasets import Dataset, Split

EPOCHS = 2


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("mnist_mlp")


@pytest.fixture(scope="module")
def ran(folder):
    """The result of one run on the digits, and what it printed."""
    (folder / "metrics.jsonl").write_text("an older run\n")
    options = ["--dataset", "digits", "--epochs", str(EPOCHS), "--batch-size", "64"]
    options += ["--lr", "0.01"]
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        result = experiment.main([*options, "--output-dir", str(folder)])
    return result, printed.getvalue()


def fails(*options):
    """The exit code of the script when it ends early."""
    with pytest.raises(SystemExit) as end:
        run_as_script(lambda: experiment.main([*options]))
    return end.value.code


def test_trains_the_network_of_the_digits(ran):
    result, _ = ran
    counts = [parameter_count(layer) for layer in result.params.values()]
    assert counts == [64 * 1024 + 1024, 1024 * 512 + 512, 512 * 10 + 10]
    assert [epoch.epoch for epoch in result.epochs] == [0, 1]
    first, last = result.epochs
    assert last.train_loss < first.train_loss
    # The network learns during an epoch, so its end is better than its mean.
    assert last.train_loss_after < last.train_loss
    assert last.test_accuracy > 0.2


def test_the_same_options_give_the_same_parameters_to_the_bit(ran):
    result, printed = ran
    again, _ = learning.learn(learning.prepare(result.config), result.config)
    assert (
        printed.splitlines()[-1]
        == f"parameters sha256: {training.sha256(again.params)}"
    )


def test_prints_all_sections(ran):
    _, printed = ran
    assert "1,440 training and 357 test images of 8 x 8 pixels" in printed
    assert "23 batches of 64 an epoch, 32 in the last" in printed
    assert "596,490" in printed
    for title in (
        "The network",
        "Training: sgd, lr 0.01, constant",
        "Class by class, on the test images of digits",
        "Confusion matrix: rows are labels, columns predictions",
        "The worst mistakes: the largest losses",
        "One epoch with other batch sizes",
        "All parameters doubled between two epochs",
        "Memory for a batch of 64",
        "Arrays of your own",
    ):
        assert f"\n{title}" in printed


def test_writes_a_row_per_epoch_into_a_fresh_file(ran, folder):
    result, _ = ran
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [
        {
            "epoch": epoch.epoch,
            "train_loss": epoch.train_loss,
            "test_loss": epoch.test_loss,
            "test_accuracy": epoch.test_accuracy,
            "seconds": epoch.seconds,
        }
        for epoch in result.epochs
    ]


def test_a_row_is_in_the_file_when_its_epoch_ends(tmp_path):
    epochs = [training.Epoch(i, 1.0, 1.0, float("nan"), 0.5, 0.1) for i in range(3)]
    path = tmp_path / "new" / "metrics.jsonl"
    state = learning.prepare(experiment.Config(dataset="digits")).start
    run = (
        training.Progress(state, completed=tuple(epochs[: number + 1]))
        for number in range(3)
    )
    metrics.begin(path, ())
    moved: list[Any] = []
    recorded = metrics.recorded(run, path, moved.append)
    for number, progress in enumerate(recorded, start=1):
        assert moved[-1] is progress
        lines = path.read_text().splitlines()
        assert len(lines) == number
        assert json.loads(lines[-1])["epoch"] == progress.completed[-1].epoch
        assert json.loads(lines[-1])["test_loss"] is None  # JSON has no NaN


def test_writes_the_pictures(ran, folder):
    del ran
    for name in ("losses", "accuracy", "classes", "confusion", "most_wrong"):
        assert (folder / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def test_doubling_three_layers_multiplies_the_logits_by_eight(ran):
    doubling = ran[0].side_runs.doubling
    assert doubling.parameters.tolist() == [2.0, 2.0]
    assert doubling.logits.tolist() == [8.0, 8.0]
    assert np.isfinite(np.asarray(doubling.losses)).all()
    assert doubling.before.loss != doubling.after.loss
    assert float(doubling.before.loss) == ran[0].epochs[-1].test_loss


def test_factors_show_a_deviation():
    values = jnp.array([0.0, 1.0, -2.0])
    assert side_runs._factors(2.0 * values, values).tolist() == [2.0, 2.0]
    assert side_runs._factors(jnp.array([0.0, 2.0, -5.0]), values).tolist() == [
        2.0,
        2.5,
    ]


def test_evaluation_needs_less_memory_than_training(ran):
    memory = ran[0].side_runs.memory
    assert 0 < memory.evaluation < memory.training
    assert memory.gradients == 4 * 596_490


def test_each_batch_size_takes_its_number_of_steps(ran):
    trials = ran[0].side_runs.trials
    assert [(t.batch_size, t.steps) for t in trials] == [(64, 23), (256, 6), (1024, 2)]
    # More steps, more learned; and 64 is the run's own batch size.
    losses = [trial.epoch.test_loss for trial in trials]
    assert losses == sorted(losses)
    assert losses[0] == ran[0].epochs[0].test_loss


def test_own_arrays_are_split_and_learned(ran):
    own = ran[0].side_runs.own
    assert own.dataset.train.images.shape == (750, 8, 8)
    assert own.dataset.test.images.shape == (250, 8, 8)
    assert own.dataset.num_classes == 2
    assert own.epochs[-1].test_accuracy > 0.95


def test_bars_match_their_labels():
    images, labels = side_runs.bars(jax.random.key(0), 64)
    assert set(labels.tolist()) == {0, 1}
    horizontal = (
        images.min(axis=2).max(axis=1) >= 127
    )  # a row that is bright throughout
    vertical = images.min(axis=1).max(axis=1) >= 127
    np.testing.assert_array_equal(vertical, labels == 1)
    np.testing.assert_array_equal(horizontal, labels == 0)


def test_the_share_of_averaging():
    epoch = training.Epoch(19, 0.281, 0.278, 0.271, 0.92, 1.0)
    assert report.averaging_share(epoch) == pytest.approx(0.3)


def test_the_loss_gap_is_explained():
    epoch = training.Epoch(19, 0.001, 0.001, 0.06, 0.98, 1.0)
    assert "does better on the images" in report.loss_gap([epoch])
    epoch = training.Epoch(19, 0.281, 0.278, 0.271, 0.92, 1.0)
    assert "averaging explains\n30% of it" in report.loss_gap([epoch])


@pytest.mark.parametrize(
    ("after", "said"), [(0.2, "all of it."), (0.29, "nothing of it.")]
)
def test_averaging_never_explains_more_than_the_gap(after, said):
    epoch = training.Epoch(19, 0.281, after, 0.271, 0.92, 1.0)
    text = report.loss_gap([epoch])
    assert text.endswith(f"averaging explains {said}") and "%" not in text


@pytest.mark.parametrize(
    ("options", "dataset", "expected"),
    [
        ({}, "mnist", (256, None)),
        ({}, "digits", (32, 0.3)),
        ({"optimizer": "adam"}, "digits", (32, None)),
        ({"batch_size": 64, "lr": 0.1}, "digits", (64, 0.1)),
    ],
)
def test_the_data_set_decides_what_the_options_leave_open(options, dataset, expected):
    assert digits.settings(experiment.Config(**options), dataset) == expected


@pytest.mark.slow
def test_the_default_settings_learn_the_digits():
    config = experiment.Config(dataset="digits", side_runs=False)
    result = experiment.run(config)
    assert result.epochs[-1].test_accuracy > 0.96


def test_a_loss_that_is_no_better_than_guessing_is_called_so():
    plateau, learned = (training.Epoch(0, x, None, x, 0.1, 1.0) for x in (2.3, 0.3))
    assert "not learned: its train loss of 2.3 is" in report.not_learned([plateau], 10)
    assert report.not_learned([learned], 10) == ""


@pytest.mark.parametrize(("lr", "epochs"), [("100", 1), ("1e30", 0)])
def test_a_rate_that_is_too_large_ends_with_one_message(tmp_path, lr, epochs, capsys):
    options = f"--dataset digits --batch-size 256 --epochs 3 --lr {lr}".split()
    options += ["--output-dir", str(tmp_path)]
    message = str(fails(*options))
    assert re.match(r"error: training: .* step \d+ of epoch \d .* images", message)
    assert "network.py:" in message and "leaves the range of float32" in message
    assert message.endswith("\nA smaller --lr may keep them finite.")
    assert capsys.readouterr().err == ""
    rows = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert len(rows) == epochs  # the epochs before it


def test_digits_reproduce_only_what_needs_no_mnist(ran):
    rows = plain(experiment.reproduced(ran[0]))
    assert np.shape(rows.pop("3.30")["on digits"]) == (3, 3)
    assert rows == {
        "3.34": {"parameters": [2.0, 2.0], "logits": [8.0, 8.0]},
        "3.C11": "23 of 23 losses finite",
        "3.C12": "TypeError",
    }


SIZES = {"3.28", "3.29", "3.30", "3.33", "3.34", "3.C11", "3.C12"}
TRAINING = {"3.31", "3.32", "3.C14"}


@pytest.mark.parametrize(
    ("epochs", "options", "rows"),
    [
        (20, {}, SIZES | TRAINING),
        (19, {}, SIZES),
        (20, {"batch_size": 64}, SIZES),
        (20, {"optimizer": "adam"}, SIZES),
        (20, {"lr": 0.1}, SIZES),
        (20, {"schedule": "cosine"}, SIZES),
    ],
)
def test_training_reproduces_only_under_the_notebooks_settings(
    ran, epochs, options, rows
):
    few, (_, params) = blank_mnist(), mlp(jax.random.key(0))
    size, _ = digits.settings(config := experiment.Config(**options), "mnist")
    config = replace(config, batch_size=size)
    history = [training.Epoch(i, 0.281, 0.278, 0.271, 0.92, 1.0) for i in range(epochs)]
    lr = config.lr or optimizers.OPTIMIZERS[config.optimizer][1]
    result = ran[0]._replace(
        config=config, lr=lr, dataset=few, params=params, epochs=tuple(history)
    )
    found = plain(experiment.reproduced(result))
    assert set(found) == rows
    assert ("epoch 19" in found["3.30"]) is ("3.32" in rows)
    assert found["3.29"] == [803840, 524800, 5130, 1333770]
    assert found["3.28"] == [600, 100, 3, 88, 1]


def blank_mnist():
    """A data set with the name and the shape of MNIST only."""
    train, test = (
        Split(np.zeros((n, 28, 28), np.uint8), np.zeros(n, np.int32))
        for n in (600, 100)
    )
    return Dataset("mnist", train, test, 10, white=255, source="blank")


def test_says_that_digits_replace_mnist(ran, capsys):
    result, printed = ran
    assert "NOT the notebook's data" not in printed  # digits were requested
    task = learning.prepare(result.config)
    learning.introduce(task._replace(config=experiment.Config(dataset="auto")), ())
    told = " ".join(capsys.readouterr().out.split())
    assert "NOT the notebook's data" in told and digits.HOW_TO_GET_MNIST in told


def test_options_of_the_optimizer_and_their_table_agree():
    assert list(get_args(optimizers.Optimizer)) == list(optimizers.OPTIMIZERS)
    assert list(get_args(optimizers.Schedule)) == list(optimizers.SCHEDULES)


@pytest.mark.parametrize("name", optimizers.OPTIMIZERS)
def test_every_optimizer_learns_the_digits(name):
    config = experiment.Config(dataset="digits", optimizer=name, epochs=1)
    task = learning.prepare(config)
    assert task.lr == (0.3 if name == "sgd" else optimizers.OPTIMIZERS[name][1])
    assert task.batch_size == 32
    small = task._replace(**smaller(task))
    with jax.numpy_dtype_promotion("standard"):  # Optax itself needs it
        _, epochs = learning.learn(small, config)
    after = epochs[0].train_loss_after
    assert after is not None and after < epochs[0].train_loss


@pytest.mark.parametrize("schedule", optimizers.SCHEDULES)
def test_a_schedule_spans_the_run_to_its_last_step(schedule):
    """With a constant gradient of 1, the updates of SGD are the learning rates."""
    sgd: Any
    sgd, lr = optimizers.make_optimizer("sgd", schedule, 0.5, 10)
    assert lr == 0.5
    state, rates = sgd.init(jnp.zeros(())), []
    for _ in range(10):
        update, state = sgd.update(jnp.ones(()), state)
        rates.append(-float(update))
    cosine = [0.25 * (1 + np.cos(np.pi * i / 10)) for i in range(10)]
    one_cycle = [0.02 + 0.24 * (1 - np.cos(np.pi * i / 2)) for i in range(2)]
    one_cycle += [0.5 * (1 + np.cos(np.pi * i / 7)) / 2 for i in range(8)]
    expected = {
        "constant": [0.5] * 10,
        "linear": [0.05 * left for left in range(10, 0, -1)],
        "cosine": cosine,
        "one-cycle": one_cycle,
    }
    np.testing.assert_allclose(rates, expected[schedule], rtol=1e-4, atol=1e-5)


def test_the_assessment_is_of_the_final_network(ran):
    result, printed = ran
    assessment = result.assessment
    assert assessment.accuracy == result.epochs[-1].test_accuracy
    assert assessment.confusion.sum() == 357
    assert f"Overall {assessment.accuracy:.2%}" in printed
    worst = assessment.mistakes
    assert f"\n{worst.indices[0]:5}  {worst.predictions.label[0]:5}  " in printed
    tests = result.dataset.test
    np.testing.assert_array_equal(worst.images, tests.images[worst.indices])
    np.testing.assert_array_equal(worst.predictions.label, tests.labels[worst.indices])


@pytest.mark.slow
@pytest.mark.by_hand
@pytest.mark.mnist
def test_adamw_with_a_cosine_reaches_its_target(tmp_path):
    options = ["--optimizer", "adamw", "--schedule", "cosine", "--no-side-runs"]
    target = ["--target-accuracy", "0.983", "--output-dir", str(tmp_path)]
    with jax.numpy_dtype_promotion("standard"):  # Optax itself needs it
        result = experiment.main([*options, *target])
    assert result.epochs[-1].test_accuracy > 0.983


def smaller(task):
    apply, params = mlp(jax.random.key(0), (64, 32, 10))
    start = training.init(jax.random.key(1), params, task.optimizer)
    return {"apply": apply, "start": start}


@pytest.mark.parametrize(
    ("target", "missed"), [("0.05", False), ("5", False), ("0.999", True), ("99", True)]
)
def test_the_target_is_a_share_or_a_percentage(ran, target, missed):
    result, _ = ran
    result = result._replace(config=experiment.Config(target_accuracy=float(target)))
    line = experiment.missed_target(result)
    assert (line or "").startswith("target missed: test accuracy") == missed


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--epochs", "0"], "--epochs: expected at least 1, got 0"),
        (["--batch-size", "0"], "--batch-size: expected at least 1, got 0"),
        (["--batch-size", "1441"], "--batch-size: expected at most 1440"),
        (["--lr", "0"], "--lr: expected a positive number, got 0.0"),
        (["--lr", "nan"], "--lr: expected a positive number, got nan"),
        (["--lr", "inf"], "--lr: expected a positive number, got inf"),
        (["--target-accuracy", "0"], "--target-accuracy: expected a share"),
        (["--target-accuracy", "101"], "--target-accuracy: expected a share"),
        (["--data-dir", "."], "data_dir"),
        (["--optimizer", "adm"], "--optimizer"),
        (["--schedule", "cosin"], "--schedule"),
        (["--epochs", "two"], "--epochs"),
        (["--dataset", "cifar"], "--dataset"),
    ],
)
def test_bad_options_end_in_a_clear_line(options, message, capsys, tmp_path):
    folder = tmp_path / "none"
    fixed = ["--dataset", "digits", "--output-dir", str(folder)]
    assert fails(*fixed, *options) == 2
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error
    assert not folder.exists()


def test_a_missing_folder_is_named(capsys, tmp_path):
    options = ["--dataset", "mnist", "--data-dir", str(tmp_path / "no")]
    assert fails(*options, "--output-dir", str(tmp_path)) == 2
    assert str(tmp_path / "no") in capsys.readouterr().err


def test_help(capsys):
    assert fails("--help") == 0
    assert "--target-accuracy" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("errors", "said"),
    [
        ({}, "There is no error."),
        ({(1, 2): 3, (0, 2): 1}, "error, 3 times: 1 predicted as 2."),
        (
            {(1, 2): 3, (2, 0): 3},
            "errors, 3 times each: 1 predicted as 2, 2 predicted as 0.",
        ),
        (dict.fromkeys(((i, 3) for i in range(8) if i != 3), 1), "and 2 more."),
    ],
)
def test_the_most_frequent_errors_name_ties(errors, said):
    matrix = 100 * np.eye(9, dtype=int)
    for place, count in errors.items():
        matrix[place] = count
    assert report.most_frequent(matrix).endswith(said)
