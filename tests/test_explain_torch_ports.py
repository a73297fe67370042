"""What programs do to a recorder: other threads, writes through views, odd tensors."""

# The names of variables are what is tested, also of those returned at once.

import threading
from collections import namedtuple

import numpy as np
import pytest

from jaxgrad import explain_torch, load_record

torch = pytest.importorskip("torch")

from tests.test_explain_torch import (  # noqa: E402
    explained_like_torch,
    labels,
    parameters,
    seeded,
    tensors,
)

nn, F = torch.nn, torch.nn.functional
pytestmark = pytest.mark.parity


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
def test_attention_in_evaluation_takes_its_fused_path():
    """Its roundings differ from those of the path that is taken under a mode."""
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    encoder = seeded(lambda: nn.TransformerEncoder(layer, 2)).eval()
    encoder.requires_grad_(False)
    (x, weight), mask = tensors((2, 5, 8), (8,)), torch.zeros(2, 5).bool()
    mask[1, 3:] = True
    weight.requires_grad_()

    def loss(weight):
        features = encoder(x, src_key_padding_mask=mask)
        return (features * weight).sum()

    report = explained_like_torch(loss, weight, leaves={"weight": weight})
    fused = [s for s in report.steps if s.operation == "transformer_encoder_layer_fwd"]
    assert [step.scope for step in fused] == ["layers.0", "layers.1"]
    assert fused[0].shape == (2, 5, 8)
    assert not fused[0].value[1, 3:].any()  # nested inside, shown with zeros
    assert torch.overrides.has_torch_function((x,)) is False


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
def test_nested_tensors_are_shown_padded():
    linear, parts = nn.Linear(3, 2), tensors((2, 3), (4, 3))

    def loss():
        strided = linear(torch.nested.nested_tensor(parts))
        jagged = torch.nested.nested_tensor(parts, layout=torch.jagged)
        hidden = jagged @ linear.weight.T
        total = torch.nested.to_padded_tensor(strided, 0.0).pow(2).sum()
        return total + hidden.values().pow(3).sum()

    report = explained_like_torch(loss, leaves=parameters(linear))
    for name in ("strided", "hidden"):
        assert report[name].shape == report[name].gradient.shape == (2, 4, 2)
        assert not report[name].value[0, 2:].any()


def test_a_module_without_a_state_leaves_the_names_of_the_other_alone():
    net, criterion, (x,) = nn.Linear(3, 2), nn.MSELoss(), tensors((4, 3))
    report = explained_like_torch(
        lambda x: criterion(net(x), torch.zeros(4, 2)), x, leaves=parameters(net)
    )
    assert [step.scope for step in report.steps] == ["", "", "criterion"]


def test_what_a_run_changes_is_restored():
    net, (x, held) = nn.Sequential(nn.Linear(3, 2), nn.Dropout(0.5)), tensors(3, 2)
    old = net[0].bias
    (scale,) = tensors((3,), requires_grad=True)
    before = {name: t.clone() for name, t in net.state_dict().items()}
    entered, data = x.clone(), net[0].weight.data_ptr()

    def loss(x, scale):
        net[0].weight.data.mul_(2)
        net[0].weight.data = net[0].weight.data * 2
        net[0].bias = nn.Parameter(held)
        net[0].weight.requires_grad_(False)
        net.eval()
        x.mul_(scale)
        return net(x).sum()

    report = explain_torch(loss)(x, scale)
    assert set(report.gradients) == {"scale", "leaf[0]"}
    assert torch.equal(x, entered)
    assert (x.requires_grad, x.grad_fn) == (False, None)
    assert net[0].bias is old
    assert net[0].weight.data_ptr() == data
    assert net[0].weight.requires_grad
    assert net.training
    assert net[1].training
    after = net.state_dict()
    assert all(torch.equal(after[name], t) for name, t in before.items())


def test_a_parameter_that_does_not_change_keeps_its_version():
    net, (x,) = nn.Linear(3, 2), tensors((4, 3))
    earlier = net(x).sum()
    version = net.weight._version
    explain_torch(lambda x: net(x).sum())(x)
    assert net.weight._version == version
    earlier.backward()


def test_a_write_through_a_view_has_the_gradient_of_what_it_wrote():
    (x,) = tensors((3, 4), requires_grad=True)

    def loss(x):
        h = x.clone()
        row = h[0]
        h.t()[1].mul_(3)
        h[:, 2:] *= 2
        return (h**2).sum() + row.sum()

    report = explained_like_torch(loss, x, leaves={"x": x})
    first = next(s for s in report.steps if s.operation == "mul_")
    final = 2 * report["pow"].value ** 0.5 * np.sign(x.detach().numpy())
    final[0] += 1
    np.testing.assert_allclose(first.gradient, final[:, 1], rtol=1e-6)
    for name in ("row", "t"):
        assert report[name].gradient is None
        assert report[name].why == "changed in place later"
    (written,) = [step for step in report.steps if step.operation == "setitem"]
    assert written.outputs == ()
    assert labels(written)[0] == "h"


def test_results_of_other_threads_are_steps():
    net, (x,) = nn.Linear(3, 3), tensors((2, 3))

    def loss(x):
        found = []
        thread = threading.Thread(target=lambda: found.append(net(x).tanh()))
        thread.start()
        thread.join()
        return found[0].sum()

    report = explained_like_torch(loss, x, leaves=parameters(net))
    first, last = report.steps
    assert (first.operation, last.operation) == ("Tanh", "sum")
    assert set(labels(first)) == {"weight", "bias"}
    assert first.gradient.all()


class Holder:
    """Has a module in the class and a tensor in a slot."""

    __slots__ = ("scale",)
    net = nn.Linear(3, 1)

    def __init__(self):
        self.scale = torch.ones(3, requires_grad=True)

    def loss(self, x):
        return Holder.net(x * self.scale).sum()


def test_what_classes_and_slots_hold_is_found():
    holder, (x,) = Holder(), tensors((2, 3))
    leaves = {"scale": holder.scale} | parameters(Holder.net)
    explained_like_torch(holder.loss, x, leaves=leaves)


Output = namedtuple("Output", "loss statistics")


def test_further_results_are_those_of_the_run_and_are_saved(tmp_path):
    norm, (x,) = nn.BatchNorm1d(3), tensors((4, 3))

    def loss(x):
        value = norm(x).pow(3).sum()
        return value, Output(value, {"mean": norm.running_mean, "name": "norm"})

    report = explain_torch(loss, has_aux=True)(x)
    further = report.value[1]
    np.testing.assert_allclose(further.statistics["mean"], 0.1 * x.mean(0), rtol=1e-5)
    assert not norm.running_mean.any()
    report.save_record(tmp_path / "x.npz")
    loss, statistics = load_record(tmp_path / "x.npz").value[1]
    assert loss == report.value[0]
    np.testing.assert_array_equal(statistics["mean"], further.statistics["mean"])


@pytest.mark.message
def test_a_lazy_module_is_refused_by_its_parameters():
    lazy, (x,) = nn.Sequential(nn.LazyLinear(2)), tensors((4, 3))
    with pytest.raises(
        ValueError, match=r"initialized parameters, got 0\.weight, 0\.b"
    ):
        explain_torch(lambda x: lazy(x).sum())(x)
    lazy(x)
    assert explain_torch(lambda x: lazy(x).sum())(x).gradients


def test_a_function_that_map_calls_does_not_end_an_assignment():
    """Also inside a loop: only the frames that run tell it from a loop's next pass."""
    (x,) = tensors((2, 6), requires_grad=True)

    def exponential(x):
        return (x + 1).exp()

    def heads(x):
        q, k, v = map(exponential, x.split(2, dim=1))
        return q @ k.T @ v

    def loss(x):
        total = x.new_zeros(())
        for scale in (1, 2):
            attended = heads(x * scale).tanh()
            total += attended.sum()
        return total

    report = explained_like_torch(loss, x, leaves={"x": x})
    exponentials = [s.name for s in report.steps if s.operation == "exp"]
    assert exponentials == ["q", "k", "v"] * 2
    assert [s.name for s in report.steps if s.operation == "tanh"] == ["attended"] * 2


def test_a_part_of_a_parameter_is_written_without_a_gradient():
    net, (x,) = nn.Linear(3, 3), tensors((2, 3))
    before = net.weight.detach().clone()

    def loss(x):
        with torch.no_grad():
            net.weight[0].zero_()
            net.weight.view(-1)[5] = 2
        return net(x).pow(2).sum()

    report = explain_torch(loss)(x)
    assert torch.equal(net.weight, before)
    (zeroed,) = [step for step in report.steps if step.operation == "zero_"]
    assert zeroed.why
    weight = before.clone()
    weight[0], weight[1, 2] = 0, 2
    expected = F.linear(x, weight, net.bias).pow(2).sum()
    np.testing.assert_array_equal(report.value, expected.detach().numpy())


def test_a_write_to_the_real_part_of_a_complex_tensor():
    (z,) = tensors((3,), dtype=torch.complex64, requires_grad=True)

    def loss(z):
        y = z * 1
        torch.view_as_real(y)[:, 0].mul_(2)
        y.imag.add_(1)
        return y.abs().sum()

    report = explained_like_torch(loss, z, leaves={"z": z})
    final = report["abs"]
    unit = (
        z.detach().numpy().real * 2 + 1j * (z.detach().numpy().imag + 1)
    ) / final.value
    scaled = next(step for step in report.steps if step.operation == "mul_")
    np.testing.assert_allclose(report["add_"].gradient, unit.imag, rtol=1e-5)
    np.testing.assert_allclose(scaled.gradient, unit.real, rtol=1e-5)


def test_a_gradient_that_the_caller_retains_is_left_alone():
    (x,) = tensors((3,), requires_grad=True)
    h = x * 2
    h.retain_grad()
    report = explain_torch(lambda h: h.pow(2).sum())(h)
    np.testing.assert_array_equal(report.gradients["h"], (2 * h).detach().numpy())
    assert h.grad is None
