"""A PyTorch program's report: its numbers, names, lines, and what it leaves alone."""

# The names of variables are what is tested, also of those returned at once.

import functools
import inspect
import warnings
from typing import Any

import numpy as np
import pytest

import jaxgrad
from jaxgrad import explain_torch

torch = pytest.importorskip("torch")
nn, F = torch.nn, torch.nn.functional
pytestmark = pytest.mark.parity


class Block(nn.Module):
    """Has what a residual block has, tied weights, and a change in place."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU())
        self.head = nn.Linear(4, 4)
        self.tied = nn.Linear(4, 4)
        self.tied.weight = self.head.weight

    def forward(self, x):
        h = self.encoder(x)
        h = F.dropout(h, 0.5)
        scale, shift = self.halves(h)
        out = F.gelu(self.tied(h) * 2 - 1)
        out[:, 0] = 0.5
        out += 1
        return out + torch.cat([scale, shift.detach()], 1)

    def halves(self, h):
        second, first = self.head(h).chunk(2, dim=1)
        return first, second


def tensors(*shapes, **options):
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(s, generator=generator, **options) for s in shapes]


def seeded(f):
    torch.manual_seed(0)
    return f()


def line_of(function, text):
    lines, start = inspect.getsourcelines(function)
    return start + next(i for i, line in enumerate(lines) if text in line)


def explained_like_torch(f, *args, leaves):
    """The report, after a comparison of all its results with a plain run, bit for bit.

    `leaves` are tensors by path. The generator ends where the plain run leaves it, and
    no `.grad` is set.
    """
    value = seeded(lambda: f(*args))
    value.backward()
    state, plain = torch.get_rng_state(), {n: t.grad for n, t in leaves.items()}
    for leaf in leaves.values():
        leaf.grad = None
    report = seeded(lambda: explain_torch(f)(*args))
    assert torch.equal(torch.get_rng_state(), state)
    assert all(leaf.grad is None for leaf in leaves.values())
    assert_same(report.value, value.detach())
    ours = [a for a in report.arguments if a.why != "not differentiated"]
    assert {a.path for a in ours} == set(leaves)
    for argument in ours:
        if plain[argument.path] is None:
            assert argument.gradient is None
            assert argument.why == "the result does not depend on it"
        else:
            assert_same(argument.gradient, plain[argument.path])
    return report


def assert_same(array, tensor):
    """The same dtype and bits."""
    assert array.dtype.name == str(tensor.dtype).removeprefix("torch.")
    tensor = tensor.to_dense().resolve_conj()
    if tensor.dtype is torch.bfloat16:
        array, tensor = array.astype(np.float32), tensor.float()
    np.testing.assert_array_equal(array, tensor.numpy())


def parameters(module, prefix=""):
    return {f"{prefix}{name}": p for name, p in module.named_parameters()}


def named(report):
    return [(step.name, step.operation) for step in report.steps]


def labels(step):
    return [operand.label for operand in step.inputs]


@pytest.fixture(scope="module")
def block():
    torch.manual_seed(1)
    return Block()


@pytest.fixture(scope="module")
def block_report(block):
    x, target = tensors((5, 3))[0], torch.tensor([0, 1, 2, 3, 0])

    def loss(x, target):
        logits = block(x)
        return F.cross_entropy(logits, target)

    return explained_like_torch(loss, x, target, leaves=parameters(block))


def test_steps_are_named_as_in_the_source(block_report):
    assert named(block_report) == [
        ("linear", "linear"),
        ("batch_norm", "batch_norm"),
        ("h", "relu"),
        ("h", "dropout"),
        ("linear", "linear"),
        ("shift, scale", "chunk"),
        ("linear", "linear"),
        ("multiply", "multiply"),
        ("subtract", "subtract"),
        ("out", "gelu"),
        ("out", "setitem"),
        ("out", "add_"),
        ("detach", "detach"),
        ("cat", "cat"),
        ("logits", "add"),
        ("cross_entropy", "cross_entropy"),
    ]
    assert block_report.result == 15
    assert labels(block_report["logits"]) == ["out", "cat"]
    assert [o.label for o in block_report[15].inputs] == ["logits", "target"]
    assert labels(block_report[7]) == ["linear", "2"]


def test_a_step_has_its_line_its_library_and_its_module(block_report):
    first = block_report[0]
    assert first.source.line == line_of(Block.forward, "self.encoder(x)")
    assert first.source.text == "h = self.encoder(x)"
    assert first.source.function == "forward"
    assert first.source.file == __file__
    assert [name.split(" ")[0] for name in first.source.via] == [
        "Sequential.forward",
        "Linear.forward",
    ]
    assert [s.scope for s in block_report.steps[:5]] == [
        *("encoder.0", "encoder.1", "encoder.2", "", "head"),
    ]


def test_parameters_have_their_names_and_a_tied_one_both(block, block_report):
    paths = [argument.path for argument in block_report.arguments]
    assert paths[:3] == ["x", "target", "encoder.0.weight"]
    assert set(block_report.gradients) <= set(block.state_dict())
    head = block_report.arguments[paths.index("head.weight")]
    assert head.aliases == ("tied.weight",)
    assert "tied.weight" not in paths
    assert "head.weight, tied.weight" in str(block_report)
    assert block_report.arguments[1].why == "not differentiated"
    assert labels(block_report[1])[1:3] == [
        "encoder.1.running_mean",
        "encoder.1.running_var",
    ]


def test_a_change_in_place_does_not_change_earlier_values(block_report):
    gelu, index, add = (block_report[i].value for i in (9, 10, 11))
    assert (gelu[:, 0] != 0.5).all()
    assert (index[:, 0] == 0.5).all()
    np.testing.assert_array_equal(gelu[:, 1:], index[:, 1:])
    np.testing.assert_array_equal(add, index + 1)
    assert (block_report[9].gradient[:, 0] == 0).all()


def test_a_gradient_that_is_cut_says_why(block_report):
    detach = block_report["detach"]
    assert (detach.gradient, detach.why) == (None, "cuts the gradient")
    assert (block_report["shift"].gradient == 0).all()


def test_gradients_are_those_that_retain_grad_gives(block):
    (x,) = tensors((5, 3))
    block.eval()
    kept = []

    def loss(x):
        h = block.head(block.encoder(x)).tanh()
        kept.append(h)
        return h.square().sum()

    report = explain_torch(loss)(x)
    value = loss(x)
    kept[-1].retain_grad()
    value.backward()
    np.testing.assert_array_equal(report["h"].gradient, kept[-1].grad.numpy())
    np.testing.assert_array_equal(report["h"].value, kept[-1].detach().numpy())
    block.zero_grad(set_to_none=True)
    block.train()


def test_the_module_stays_as_it_was(block):
    (x,) = tensors((5, 3))
    before = {name: t.clone() for name, t in block.state_dict().items()}
    block.head.bias.grad = marker = torch.ones(4)
    explain_torch(lambda x: block(x).sum())(x)
    after = block.state_dict()
    assert all(torch.equal(after[name], t) for name, t in before.items())
    assert block.head.bias.grad is marker
    assert (marker == 1).all()
    assert not x.requires_grad
    block.head.bias.grad = None
    embedding = nn.Embedding(3, 2, max_norm=0.1)
    weight = embedding.weight.detach().clone()
    explain_torch(lambda i: embedding(i).sum())(torch.tensor([0, 2]))
    assert torch.equal(embedding.weight, weight)


def test_a_training_step_inside_is_undone(block):
    (x,) = tensors((5, 3))
    before = {name: t.clone() for name, t in block.state_dict().items()}
    optimizer = torch.optim.SGD(block.parameters(), lr=0.1)

    def step(x):
        block(x).sum().backward()
        optimizer.step()
        return block(x).sum()

    assert explain_torch(step)(x).gradients
    after = block.state_dict()
    assert all(torch.equal(after[name], t) for name, t in before.items())
    assert all(parameter.grad is None for parameter in block.parameters())


def test_it_is_left_as_it_was_after_an_error(block):
    (x,) = tensors((5, 3))
    before = block.encoder[1].running_mean.clone()

    def fails(x):
        block(x)
        raise ValueError("the program's own")

    with pytest.raises(ValueError, match="the program's own"):
        explain_torch(fails)(x)
    assert torch.equal(block.encoder[1].running_mean, before)
    assert torch.overrides._get_current_function_mode() is None


def test_without_leaves_the_floating_arguments_are_differentiated():
    x, y = tensors((2, 3), (2, 3))

    def loss(x, n, *, y):
        return (x * n[0] - y).pow(2).mean()

    report = explain_torch(loss)(x, torch.tensor([2]), y=y)
    assert list(report.gradients) == ["x", "y"]
    expected = 2 * (2 * x - y) * 2 / 6
    np.testing.assert_allclose(report.gradients["x"], expected.numpy(), rtol=1e-6)
    assert not x.requires_grad
    x.requires_grad_()
    assert list(explain_torch(loss)(x, torch.tensor([2]), y=y).gradients) == ["x"]


class Trainer:
    """Holds modules in attributes and containers."""

    def __init__(self):
        self.model, self.others = nn.Linear(3, 2), [nn.Linear(2, 1)]

    def loss(self, x, power=2):
        return self.others[0](self.model(x)).pow(power).mean()


def test_modules_are_found_wherever_they_are():
    (x,) = tensors((4, 3))
    trainer = Trainer()
    leaves = parameters(trainer.model, "model.")
    leaves |= parameters(trainer.others[0], "others[0].")
    for f in (trainer.loss, functools.partial(trainer.loss, power=2)):
        report = explained_like_torch(f, x, leaves=leaves)
        assert report[0].scope == "model"
    model, net, weight = trainer.model, nn.Linear(3, 1), torch.ones(3, 2)
    scale = torch.ones((), requires_grad=True)

    def helper(x):
        return (model(x) * scale + x @ weight).sum()

    def loss(x, net):
        return helper(x) + net(x).sum()

    leaves = parameters(model, "model.") | parameters(net, "net.") | {"scale": scale}
    report = explained_like_torch(loss, x, net, leaves=leaves)
    assert labels(report["matmul"]) == ["x", "weight"]
    assert next(a.path for a in report.arguments) == "x"


def test_a_part_of_a_module_is_not_a_second_module():
    whole = nn.Sequential(nn.Linear(3, 2))
    (x,), part = tensors((4, 3)), whole[0]
    report = explain_torch(lambda x: (part(x) + whole(x)).sum())(x)
    assert list(report.gradients) == ["0.weight", "0.bias"]
    assert [step.scope for step in report.steps[:2]] == ["0", "0"]


def test_a_module_of_pytorch_shows_its_own_lines():
    module = nn.Sequential(nn.Linear(3, 2), nn.Flatten(0), nn.Linear(8, 1))
    (x,) = tensors((4, 3), requires_grad=True)
    leaves = {"input": x} | parameters(module)
    report = explained_like_torch(module, x, leaves=leaves)
    assert [s.operation for s in report.steps] == ["linear", "flatten", "linear"]
    assert "linear.py" in report[0].source.file
    assert [s.scope for s in report.steps] == ["0", "1", "2"]


def test_the_layers_of_pytorch_give_their_functional_calls():
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    lstm = nn.LSTM(8, 3, num_layers=2, batch_first=True)
    (x,) = tensors((2, 3, 8), requires_grad=True)

    def loss(x):
        out, (h, _) = lstm(layer(x))
        return out[:, -1].sum() + h.mean()

    leaves = {"x": x} | parameters(layer, "layer.") | parameters(lstm, "lstm.")
    report = explained_like_torch(loss, x, leaves=leaves)
    operations = [step.operation for step in report.steps]
    assert operations.count("lstm") == 1
    assert operations.count("multi_head_attention_forward") == 1
    assert operations.count("layer_norm") == 2
    assert report[operations.index("lstm")].outputs == ("out", "h", "_")
    assert report["out"].shape == (2, 3, 3)
    assert report["linear"].scope == "layer.linear2"


def test_views_and_changes_through_them():
    (x,) = tensors((3, 4), requires_grad=True)

    def loss(x):
        h = x * 1
        row = h[0]
        h.mul_(2)
        tail = h[1:]
        tail.zero_()
        return h.sum() + row.sum()

    report = explained_like_torch(loss, x, leaves={"x": x})
    values = x.detach().numpy()
    np.testing.assert_array_equal(report["h"].value, values)
    np.testing.assert_array_equal(report["row"].value, values[0])
    np.testing.assert_array_equal(report["mul_"].value, 2 * values)
    assert report["tail"].value.any()
    assert not report["zero_"].value.any()
    first, second = report.steps[-3:-1]
    assert labels(first) == ["mul_", "zero_"]
    assert labels(second) == ["row", "zero_"]


class Cube(torch.autograd.Function):
    """A custom derivative, with two results."""

    @staticmethod
    def forward(ctx, x, y):
        ctx.save_for_backward(x)
        return x * x * x, (x + y).sin()

    @staticmethod
    def backward(ctx, cubed, other):
        return 5 * cubed * ctx.saved_tensors[0], other


class Triple(torch.autograd.Function):
    """Changes its argument in place."""

    @staticmethod
    def forward(ctx, x):
        ctx.mark_dirty(x)
        return x.mul_(3)

    @staticmethod
    def backward(ctx, g):
        return 3 * g


def test_a_custom_function_is_one_step():
    (x,) = tensors((3,), requires_grad=True)
    bound = Cube.apply

    def loss(x):
        y = x + 1
        unused = y * 2
        left, right = bound(y, x)
        right.square()
        left = left * 2
        Triple.apply(right)
        z = Cube.apply(left, right)[1]
        return z.sum() + unused.detach().sum()

    report = explained_like_torch(loss, x, leaves={"x": x})
    assert [step.name for step in report.steps[:7]] == [
        *("y", "unused", "right, left", "square", "left", "Triple", "z"),
    ]
    cube = report[2]
    assert [step.operation for step in report.steps if step.name == "z"] == ["Cube"]
    assert cube.operation == "Cube"
    assert labels(cube) == ["y", "x"]
    assert cube.source.line == line_of(loss, "bound(y, x)")
    assert labels(report["z"]) == ["left", "Triple"]
    np.testing.assert_array_equal(report["Triple"].value, 3 * report["right"].value)


def test_hooks_that_change_values_and_gradients():
    net, (x,) = nn.Linear(3, 2), tensors((4, 3), requires_grad=True)
    net.register_forward_hook(lambda module, args, out: out * 3)
    net.register_full_backward_hook(lambda module, into, out: (into[0] * 7,))

    def loss(x):
        h = x + 1
        h.register_hook(lambda gradient: gradient * 2)
        return net(h).sum()

    report = explained_like_torch(loss, x, leaves={"x": x} | parameters(net))
    hooked, before = report["backward_hook"], report["h"]
    operations = [s.operation for s in report.steps]
    assert operations == [
        "add",
        "backward_hook",
        "linear",
        "multiply",
        *("backward_hook", "sum"),
    ]
    np.testing.assert_array_equal(before.gradient, 7 * report[1].gradient)
    np.testing.assert_array_equal(report.gradients["x"], 2 * before.gradient)
    assert "out * 3" in report[3].source.text
    assert hooked.index == 4


def test_no_grad_integers_and_choices_have_no_gradient_and_say_why():
    (x,) = tensors((3, 4), requires_grad=True)

    def loss(x):
        with torch.no_grad():
            scale = x.abs().max()
        best, where = x.max(dim=1)
        mask = x > 0
        noise = torch.randn_like(x)
        picked = torch.where(mask, x, noise)
        frozen = torch.ones(3)
        return (picked / scale).sum() + (best * frozen)[where > 1].sum()

    report = explained_like_torch(loss, x, leaves={"x": x})
    why = {step.name: step.why for step in report.steps if step.gradient is None}
    assert why == {
        "abs": "cuts the gradient",
        "scale": "not differentiated",
        "mask": "bool: no gradient",
        "noise": "not differentiated",
        "frozen": "not differentiated",
        "greater": "bool: no gradient",
    }
    assert report["where"].dtype == np.int64
    assert report["where"].gradient is None
    assert report["best"].gradient is not None
    assert labels(report["noise"]) == []


def test_autocast_bfloat16_and_complex():
    net, (x,) = nn.Linear(4, 4), tensors((3, 4))
    (z,) = tensors((3,), dtype=torch.complex64, requires_grad=True)
    (b,) = tensors((3, 3), dtype=torch.bfloat16, requires_grad=True)

    def loss(x, z, b):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            h = net(x)
        spectrum = torch.fft.fft(z)
        return h.float().sum() + spectrum.abs().sum() + (b @ b.T).float().sum()

    leaves = {"z": z, "b": b} | parameters(net)
    report = explained_like_torch(loss, x, z, b, leaves=leaves)
    assert report["h"].dtype.name == report["h"].gradient.dtype.name == "bfloat16"
    assert report["spectrum"].operation == "fft"
    assert report["spectrum"].gradient.dtype == np.complex64


def test_each_iteration_of_a_loop_has_its_steps():
    cell, (x,) = nn.LSTMCell(4, 3), tensors((3, 4), requires_grad=True)

    def loss(x):
        h = c = torch.zeros(1, 3)
        for t in range(3):
            h, c = cell(x[t : t + 1], (h, c))
        return h.sum()

    report = explained_like_torch(loss, x, leaves={"x": x} | parameters(cell))
    cells = [step for step in report.steps if step.operation == "lstm_cell"]
    assert [step.outputs for step in cells] == [("h", "c")] * 3
    assert [o.index for o in cells[2].inputs[1:3]] == [cells[1].index] * 2
    assert len({step.source.line for step in cells}) == 1


def test_a_gradient_taken_inside_is_one_step():
    (x,) = tensors((3,), requires_grad=True)

    def penalty(x):
        y = (x**3).sum()
        (slope,) = torch.autograd.grad(y, x, create_graph=True)
        return (slope**2).sum()

    report = explained_like_torch(penalty, x, leaves={"x": x})
    assert report["slope"].operation == "grad"
    assert not report["y"].gradient.any()  # only its derivative reaches the value
    expected = 2 * report["slope"].value
    np.testing.assert_array_equal(report["slope"].gradient, expected)


def doubled_sine(x):
    return (x * 2).sin()


def test_what_is_not_entered_is_one_step():
    lin, (x,) = nn.Linear(4, 2), tensors((3, 4), requires_grad=True)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        scripted = torch.jit.script(doubled_sine)

    def loss(weights, x):
        mapped = torch.func.vmap(lambda row: row.sin().sum())(x)
        slope = torch.func.grad(lambda x: (x**3).sum())(x)
        out = torch.func.functional_call(lin, weights, (x,))
        return mapped.sum() + slope.sum() + out.sum() + scripted(slope).sum()

    weights = {
        n: p.detach().clone().requires_grad_() for n, p in parameters(lin).items()
    }
    leaves = {f"weights[{name!r}]": p for name, p in weights.items()}
    report = explained_like_torch(
        loss, weights, x, leaves=leaves | {"x": x} | parameters(lin)
    )
    assert named(report)[:3] == [
        ("mapped", "vmap"),
        ("slope", "grad"),
        ("out", "linear"),
    ]
    assert labels(report["mapped"]) == ["x"]
    assert labels(report["out"]) == ["x", "weights['weight']", "weights['bias']"]
    assert labels(report["torch.jit"]) == ["slope"]
    assert not report.note


def test_checkpointed_functions():
    net, (x,) = nn.Linear(4, 4), tensors((3, 4), requires_grad=True)

    def loss(x):
        closed = torch.utils.checkpoint.checkpoint(net, x, use_reentrant=True)
        opened = torch.utils.checkpoint.checkpoint(net, x, use_reentrant=False)
        return (closed * opened).sum()

    report = explained_like_torch(loss, x, leaves={"x": x} | parameters(net))
    assert named(report)[:2] == [("closed", "checkpoint"), ("opened", "linear")]


def test_a_compiled_function_runs_uncompiled_and_says_so():
    compiled = torch.compile(lambda x: x.sin() * 2, backend="eager")
    (x,) = tensors((3,), requires_grad=True)
    report = explain_torch(lambda x: compiled(x).sum())(x)
    assert [s.operation for s in report.steps] == ["sin", "multiply", "sum"]
    assert "torch.compile" in report.note
    assert not explain_torch(lambda x: x.sum())(x).note


def test_leaves_made_on_the_way_are_steps_with_gradients():
    (x,) = tensors((3,), requires_grad=True)

    def loss(x):
        inner = torch.ones(3, requires_grad=True)
        later = torch.ones(3).requires_grad_()
        return (x * inner.exp() * later).sum()

    report = explain_torch(loss)(x)
    assert [a.path for a in report.arguments] == ["x"]
    for name in ("inner", "later", "exp"):
        assert report[name].gradient.any(), name


def test_a_value_that_requires_no_gradient_is_explained():
    (x,) = tensors((3,), requires_grad=True)
    report = explain_torch(lambda x: x.detach().sum())(x)
    assert report.gradients == {}
    assert report.arguments[0].why == "the result does not depend on it"
    assert "requires no gradient" in report.note


def test_further_results_and_summaries():
    (x,) = tensors((3, 4), requires_grad=True)

    def loss(x):
        h = x.tanh()
        return h.sum(), {"h": h}

    report = explain_torch(loss, has_aux=True)(x)
    value, aux = report.value
    assert value == aux["h"].sum()
    summary = explain_torch(loss, has_aux=True, keep="summary")(x)
    assert summary["h"].value == report["h"].summaries[0][0]
    assert summary["h"].gradient == report["h"].summaries[0][1]


def test_the_first_nan_is_found_in_either_direction():
    x = torch.zeros(2, requires_grad=True)

    def distance(x):
        squares = (x**2).sum()
        return squares.sqrt()

    found: Any = explain_torch(distance)(x).nonfinite
    assert (found.phase, found.step.operation) == ("backward", "sqrt")

    def logarithm(x):
        masked = torch.where(x > 1, torch.inf, x)
        return (x - 1).log().sum() + masked.sum()

    report = explain_torch(logarithm)(x)
    found = report.nonfinite
    assert (found.phase, found.step.operation) == ("forward", "log")
    assert "log made 2 non-finite" in str(report)
    found = explain_torch(logarithm)(torch.tensor([torch.nan])).nonfinite
    assert (found.phase, found.argument) == ("input", "x")
    assert explain_torch(distance)(torch.ones(2)).nonfinite is None


def test_it_is_shown_and_saved_like_any_other(block_report, tmp_path):
    block_report.save(tmp_path / "page.html")
    assert "encoder.0.weight" in (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "cross_entropy" in block_report.to_svg()
    assert "cross_entropy" in block_report.to_dot()
    block_report.save_record(tmp_path / "x.npz")
    loaded = jaxgrad.load_record(tmp_path / "x.npz")
    assert str(loaded) == str(block_report)
    assert loaded.to_svg() == block_report.to_svg()


@pytest.mark.message
def test_results_that_cannot_be_differentiated_are_refused():
    (x,) = tensors((3,), requires_grad=True)
    expected = "explain_torch: expected f to return"
    for f, got in (
        (lambda x: x, r"a tensor torch.float32 of shape \(3,\)"),
        (lambda x: x.sum().long(), "a tensor torch.int64"),
        (lambda x: 1.0, "got float instead"),
        (lambda x: (x.sum(), x), "has_aux=True"),
    ):
        with pytest.raises(TypeError, match=expected) as caught:
            explain_torch(f)(x)
        caught.match(got)
    with pytest.raises(TypeError, match="a pair"):
        explain_torch(lambda x: x.sum(), has_aux=True)(x)
    wrong: Any = 3
    with pytest.raises(TypeError, match="f to be a function"):
        explain_torch(wrong)
    with pytest.raises(ValueError, match="keep to be one of"):
        explain_torch(nn.Linear(1, 1), keep=wrong)
