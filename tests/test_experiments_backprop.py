"""The experiment on backpropagation: numbers, pictures, command line."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from experiments import backprop as experiment
from experiments._backprop import layers, linear_layer
from experiments._reproduction import plain

START = experiment.Params(jnp.float32(5), jnp.float32(1))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("backprop")


@pytest.fixture(scope="module")
def result(folder):
    return experiment.main(["--starts", "2000", "--output-dir", str(folder)])


def test_the_chain(result):
    assert result["chain"].rows["1.7"] == [-4.0, -9.0]
    gradient, by_hand, accumulated = (entry[1:] for entry in result["chain"].entries)
    assert gradient == by_hand == (12.0, 4.0, -4.0, 1.0)
    assert accumulated == (24.0, 8.0, -8.0, 2.0)


def test_a_sum_of_squared_errors_is_not_divided(result):
    ratio = plain(experiment.reproduced(result))["4.C2"]
    assert ratio == pytest.approx(10, rel=1e-6)
    assert f"is {ratio:.7g} times as" in " ".join(result["random_step"].text().split())


def test_the_chain_rule_by_hand_at_other_points():
    for params in (experiment.Chain(0.5, 1.5, -2.0, 3.0), experiment.Chain(1, 0, 0, 5)):
        params = experiment.Chain(*map(float, params))
        gradient, h1 = jax.grad(experiment.chain, has_aux=True)(params, -1.5)
        assert gradient == experiment.chain_backward(params, -1.5, float(h1))


def test_descent_op_by_op_is_the_closed_form_rounded(result):
    (found, *_), n = result["descent"].data, np.arange(20)
    first_gradient = result["descent"].rows["1.10"]["gradient"]
    assert tuple(map(float, first_gradient)) == (36.0, 12.0)
    np.testing.assert_allclose(found.pred, 10 + 6 * 0.8**n, rtol=1e-6)
    np.testing.assert_allclose(found.loss, 36 * 0.64**n, rtol=5e-5)
    # The gradient is (3, 1) times a number: w - 5 = 3 (b - 1) all the way.
    np.testing.assert_allclose(found.params.w - 5, 3 * (found.params.b - 1), atol=2e-6)
    assert (np.diff(found.loss) < 0).all()
    assert found.loss[1].item() == 23.040000915527344
    assert found.loss[2].item() == 14.745600700378418
    assert found.pred[19].item() == 10.086468696594238
    assert [p.item() for p in found.last] == [
        3.220752239227295,
        0.4069177210330963,
    ]


def test_compiled_and_optax_descents_are_the_same_descent(result):
    op_by_op, compiled, with_optax = result["descent"].data
    np.testing.assert_allclose(compiled.pred, op_by_op.pred, rtol=1e-6)
    np.testing.assert_allclose(compiled.loss, op_by_op.loss, rtol=1e-4)
    assert layers.largest_gap(with_optax, op_by_op) == 0


def test_momentum_changes_the_descent():
    """So `train_with` does use its optimizer."""
    plain_sgd = experiment.train_with(optax.sgd(0.01), START, 3)
    momentum = experiment.train_with(optax.sgd(0.01, momentum=0.9), START, 3)
    assert plain_sgd.loss[1] == momentum.loss[1]
    assert plain_sgd.loss[2] > momentum.loss[2]


def test_each_rate_multiplies_the_error(result):
    rates = result["rates"].data
    for lr, losses in rates.items():
        closed_form = 36 * (1 - 20 * lr) ** (2 * np.arange(20))
        np.testing.assert_allclose(losses, closed_form, rtol=1e-3, atol=1e-9)
    assert rates[0.095][-1] < 36 < rates[0.105][-1] < rates[0.11][-1]
    np.testing.assert_allclose(rates[0.1], 36, rtol=1e-5)


def test_the_step_by_hand_is_the_optimizers_bit_for_bit(result):
    for step in (result["random_step"], result["printed_step"]):
        by_hand, by_optimizer, gap = step.data
        assert gap == 0
        jax.tree.map(np.testing.assert_array_equal, by_hand, by_optimizer)
    after = linear_layer.PRINTED_AFTER_STEP
    for found, printed in zip(by_optimizer, after, strict=True):
        np.testing.assert_allclose(found, printed, atol=1e-7)


def test_reductions_of_the_loss(result):
    problem = linear_layer.random_problem(jax.random.key(0))
    mean, total = (linear_layer.loss(*problem, how) for how in ("mean", "sum"))
    np.testing.assert_allclose(total, 10 * mean, rtol=1e-6)
    assert f"mean loss {mean:.5g}" in result["random_step"].note


def test_random_starts(result):
    starts, bound = result["starts"].data, 3**-0.5
    rows = result["starts"].rows
    assert starts["losses"].shape == (2000,)
    assert starts["gradients"].weight.shape == (2000, 2, 3)
    assert starts["gap"] < 1e-6
    for parameters in starts["start"]:
        assert bound - 1e-3 < abs(parameters).max() <= np.float32(bound)
    assert 0.38 < rows["4.4"]["quantile of the printed loss"] < 0.50
    for quantiles in rows["4.5"]["quantiles of the printed gradient"]:
        assert ((quantiles > 0.005) & (quantiles < 0.995)).all()


def test_the_backward_pass_by_hand(result):
    network = result["network"].data
    assert network["formula gap"] < 1e-15
    assert network["by hand gap"] < 1e-15
    assert result["deep_network"].data < 1e-14
    np.testing.assert_allclose(network["o1"], network["w11 u1 + w21 u2"], rtol=1e-14)
    assert (network["inputs of u1"], network["hidden units"]) == (4, 2)
    once, twice = network["a(o1)"], network["a(a(o1))"]
    np.testing.assert_allclose(once, 1 / (1 + np.exp(-network["o1"])))
    np.testing.assert_allclose(twice, 1 / (1 + np.exp(-once)))
    assert abs(twice - once) > 0.1


def test_a_wrong_delta_is_detected(monkeypatch):
    """The comparison fails if one layer's gradient is 10 percent larger."""
    correct = layers.backward

    def wrong(net, activations, y):
        first, *rest = correct(net, activations, y)
        return [layers.Layer(1.1 * first.weight, first.bias), *rest]

    monkeypatch.setattr(layers, "backward", wrong)
    sizes = (3, 5, 2)  # a size of its own: the compiled comparison is cached
    assert layers.layer_gap(jax.random.key(0), sizes) > 1e-4


def test_rows_are_the_computed_numbers(result):
    rows = plain(experiment.reproduced(result))
    assert len(rows) == 19
    assert rows["1.7"] == [-4.0, -9.0]
    assert rows["1.12"] == [13.84000015258789, 14.745600700378418]
    assert rows["1.13"][1][2:] == [14.800000190734863, 23.040000915527344]
    assert rows["0.C1"] == {"inputs": 4, "units": 2}
    assert rows["4.7"]["by hand - by optimizer"] == [0.0, 0.0]


def test_the_pictures_and_the_tables(result, folder, capsys):
    assert {path.stem for path in folder.glob("*.png")} == {"loss", "rates"}
    experiment.report(result)
    printed = capsys.readouterr().out
    for expected in ("dy/dw1", "lr", "2000 starts", "by optimizer", "8-16-16-3"):
        assert expected in printed


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"epochs": 1}, "--epochs: expected at least 2, got 1"),
        ({"starts": 0}, "--starts: expected at least 1, got 0"),
        ({"lr": float("nan")}, "--lr: expected a finite number, got nan"),
    ],
)
def test_bad_options_are_errors_that_name_the_option(changed, message):
    with pytest.raises(ValueError, match=message):
        experiment.run(experiment.Config(**changed))


def test_a_rate_that_is_too_large_ends_with_one_message():
    with pytest.raises(SystemExit, match="error: --lr: expected a rate at which the"):
        experiment.run(experiment.Config(lr=1e30))


@pytest.mark.parametrize(("argv", "code"), [(["--help"], 0), (["--epochs", "x"], 2)])
def test_command_line(argv, code, capsys):
    with pytest.raises(SystemExit) as stop:
        experiment.main(argv)
    assert stop.value.code == code
    printed = capsys.readouterr()
    assert "--epochs" in printed.out + printed.err


@pytest.mark.parity
def test_op_by_op_is_torch_bit_for_bit(result):
    import torch

    op_by_op, *_ = result["descent"].data
    w, b = torch.tensor([5.0], requires_grad=True), torch.tensor([1.0])
    b.requires_grad_(True)
    optimizer = torch.optim.SGD((w, b), lr=0.01, momentum=0)
    for n in range(20):
        pred = w * 3.0 + b
        loss = torch.pow(pred - 10.0, 2)
        assert op_by_op.pred[n].item() == pred.item()
        assert op_by_op.loss[n].item() == loss.item()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert [p.item() for p in op_by_op.last] == [w.item(), b.item()]


@pytest.mark.parity
def test_the_backward_pass_by_hand_is_torchs(x64):
    import torch

    net = layers.start(jax.random.key(1), (4, 3, 2))
    x = jnp.linspace(-1, 1, 20).reshape(5, 4)
    y = jnp.linspace(0, 1, 10).reshape(5, 2)
    gradients = layers.backward(net, layers.forward(net, x), y)
    tensors = [
        torch.tensor(np.array(leaf), requires_grad=True)
        for layer in net
        for leaf in layer
    ]
    a, true = torch.tensor(np.array(x)), torch.tensor(np.array(y))
    for weight, bias in zip(tensors[::2], tensors[1::2], strict=True):
        a = torch.sigmoid(torch.nn.functional.linear(a, weight, bias))
    ((a - true) ** 2).sum().div(2).backward()
    for found, tensor in zip(jax.tree.leaves(gradients), tensors, strict=True):
        assert tensor.grad is not None
        np.testing.assert_allclose(found, tensor.grad, rtol=1e-12, atol=1e-15)
