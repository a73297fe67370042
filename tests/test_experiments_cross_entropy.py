"""The experiment on cross-entropy: numbers, picture, command line."""

import math

import jax.numpy as jnp
import numpy as np
import pytest

from experiments import cross_entropy as experiment
from experiments._reproduction import plain


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("cross_entropy")


@pytest.fixture(scope="module")
def result(folder):
    return experiment.main(["--output-dir", str(folder)])


def test_definition_and_closed_form(result):
    by_definition, nll, loss, closed_form = result["definition"].column("value")
    assert by_definition == nll == 0
    assert abs(loss - closed_form) < 1e-7
    assert abs(closed_form - 0.5514447139320511) < 1e-15


def test_the_lost_gradient_is_a_jump_that_no_line_joins(result):
    """Softmax is 0 in float32 where its logarithm is still finite."""
    _, slopes = experiment.figures(result)["growing_logits"].axes
    lines = {line.get_label(): np.asarray(line.get_ydata()) for line in slopes.lines}
    naive = lines["naive softmax, log, NLL"]
    (lost,) = np.nonzero(naive[1:] == 0)
    assert np.isnan(naive[lost[0]])
    assert naive[lost[0] - 1] == 1


def test_definition_takes_any_two_distributions():
    p, q = jnp.array([0.5, 0.5, 0.0]), jnp.array([0.25, 0.75, 0.0])
    expected = -0.5 * math.log(0.25 * 0.75)
    np.testing.assert_allclose(
        experiment.entropy_by_definition(p, q), expected, rtol=1e-6
    )


def test_two_steps_equal_one(result):
    ways = result["ways"].data
    for (_, dtype), (probabilities, two_steps, at_once) in ways.items():
        rtol = 1e-6 if dtype == "float32" else 1e-14
        np.testing.assert_allclose(two_steps, at_once, rtol=rtol)
        assert abs(sum(probabilities) - 1) < 1e-6
    assert ways["output3", "float32"][-1] == 0
    assert 3.7e-15 < ways["output3", "float64"][-1] < 3.9e-15


def test_a_shift_changes_no_more_than_a_rounding(result):
    assert max(result["shifts"].column("largest change, float32")) < 1.2e-7
    assert 0 < max(result["shifts"].column("largest change, float64")) < 3e-16


def test_the_naive_softmax_fails_where_exp_overflows(result):
    for dtype, overflow_at, softmax_ends, *by_loss in result["limits"].entries:
        eps = float(jnp.finfo(dtype).eps)
        assert overflow_at * (1 - 2 * eps) < softmax_ends <= overflow_at
        naive, two_steps, at_once = by_loss
        assert naive <= two_steps < 1000
        assert at_once == jnp.finfo(dtype).max


def test_only_cross_entropy_survives_growing_logits(result):
    table, _, _ = result["growing"].data
    (naive, two_steps, at_once), slopes = zip(*table.values(), strict=True)
    x = np.array(result["growing"].column("x"))
    np.testing.assert_allclose(at_once, np.logaddexp(0, x), rtol=1e-6)
    np.testing.assert_allclose(slopes[2], 1 / (1 + np.exp(-x)), rtol=1e-6)
    assert np.isinf(naive[x > 88.73]).all()
    assert np.isinf(two_steps[x > 104]).all()
    assert np.isnan(slopes[0][x > 88.73]).all()
    # The trap: at 87 the naive loss is still right, its derivative long 0.
    np.testing.assert_allclose(naive[x == 87], 87, rtol=1e-6)
    assert slopes[0][x == 87] == 0


def test_log_sum_exp_needs_the_shift(result):
    for x, naive, shifted in result["log_sum_exps"].entries:
        np.testing.assert_allclose(shifted, np.logaddexp(0, x), rtol=1e-6)
        assert math.isinf(naive) == (x > 88.73)


def test_gradient_is_softmax_minus_one_hot(result):
    entries = result["gradients"].entries
    for by_hand, by_jax in zip(entries[::2], entries[1::2], strict=True):
        np.testing.assert_allclose(by_jax[2:], by_hand[2:], rtol=1e-12, atol=1e-30)


def test_every_option_is_its_formula(result):
    assert len(result["options"].entries) == 7
    for name, written_out, called in result["options"].entries:
        np.testing.assert_allclose(called, written_out, rtol=1e-12, err_msg=name)
    assert len(set(result["options"].column("cross_entropy"))) == 7


def test_a_label_out_of_range(result):
    error, loss_under_jit, gradient_under_jit = result["out_of_range"].data
    assert error.startswith("ValueError: cross_entropy: expected target")
    assert math.isnan(loss_under_jit)
    assert all(map(math.isnan, gradient_under_jit))


def test_rows_are_the_computed_numbers(result):
    rows = plain(experiment.reproduced(result))
    assert rows.keys() == {"3.35", "3.36", "3.37", "3.38", "3.39"}
    assert abs(rows["3.36"]["float32"] - 0.5514447) < 1e-7
    assert 88.72 < rows["3.39"]["naive softmax ends at"] < 88.73


def test_the_picture_and_the_tables(result, folder, capsys):
    assert [path.name for path in folder.glob("*.png")] == ["growing_logits.png"]
    experiment.report(result)
    printed = capsys.readouterr().out
    for expected in ("0.5514447", "48.9", "softmax - one-hot", "88.72", "ValueError"):
        assert expected in printed


def test_largest_finite_with_and_without_a_limit():
    most = float(jnp.finfo("float32").max)
    assert experiment.largest_finite(lambda pair: pair[1], "float32") == most
    squared = experiment.largest_finite(lambda pair: pair[1] ** 2, "float32")
    np.testing.assert_allclose(squared, math.sqrt(most), rtol=1e-6)


@pytest.mark.parametrize("largest", [0.0, 1.0, math.nan, math.inf])
def test_a_bad_largest_is_an_error_that_names_the_option(largest):
    with pytest.raises(
        ValueError, match=r"--largest: expected a number in \(1, 1e6\], got"
    ):
        experiment.run(experiment.Config(largest=largest))


@pytest.mark.parametrize(("argv", "code"), [(["--help"], 0), (["--largest", "x"], 2)])
def test_command_line(argv, code, capsys):
    with pytest.raises(SystemExit) as stop:
        experiment.main(argv)
    assert stop.value.code == code
    printed = capsys.readouterr()
    assert "--largest" in printed.out + printed.err


@pytest.mark.parity
def test_torch_keeps_subnormal_probabilities():
    import torch

    def loss(x):
        return -torch.log(torch.softmax(torch.tensor([0.0, x]), 0))[0].item()

    assert math.isfinite(loss(103.9))
    assert math.isinf(loss(104.0))
