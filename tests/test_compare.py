"""compare: correct ports raise no alarm; a bug is named with both lines and a cause.

Most programs here are written down step by step with NumPy, so that nothing compiles.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxgrad
from jaxgrad.inspection import Argument, Explanation, Source, Step, compare, explain
from jaxgrad.inspection.comparison.parts import parts_of
from jaxgrad.inspection.report.data import Operand
from jaxgrad.inspection.report.summary import summarize


class Program:
    """A program that is written down: its arguments, its steps, a line for each."""

    def __init__(self, file, dtype="float64"):
        self.file, self.dtype = file, dtype
        self.arguments, self.steps = [], []

    def argument(self, path, value, gradient=None):
        value = np.asarray(value)
        value = value.astype(self.dtype) if value.dtype.kind == "f" else value
        given = len(self.arguments), path, value.shape, value.dtype, value, gradient
        self.arguments.append(Argument(*given))
        return self.arguments[-1]

    def step(self, operation, value, *inputs, name="", gradient=None):
        value = np.asarray(value)
        value = value.astype(self.dtype) if value.dtype.kind == "f" else value
        operands = tuple(
            Operand("argument", x.path, x.index)
            if isinstance(x, Argument)
            else Operand("step", x.name, x.index)
            for x in inputs
        )
        n = len(self.steps)
        source = Source(self.file, n + 1, "loss", f"{name or operation} = ...")
        given = operands, value.shape, value.dtype, value, gradient, source
        self.steps.append(Step(n, name or operation, operation, *given))
        return self.steps[-1]

    def report(self):
        value = self.steps[-1].value
        steps, arguments = tuple(self.steps), tuple(self.arguments)
        return Explanation("loss", value, (), arguments, steps, len(steps) - 1)


def random(seed=0):
    return np.random.default_rng(seed)


UNARY = {"tanh": np.tanh, "sin": np.sin, "exp": lambda x: np.exp(-np.abs(x))}
BINARY = {"add": np.add, "multiply": np.multiply, "subtract": np.subtract}


def generated(seed, length=30, dtype="float64", layout=False, planted=None):
    """A random program; `layout` writes it in other axes, order and names."""
    noise = random(100 + seed)
    draw, program = random(seed), Program("ours.py" if layout else "theirs.py", dtype)
    turn = (lambda x: np.asarray(x).T) if layout else np.asarray
    weights = draw.normal(size=(3, 6, 6)) / 2
    made = [(program.argument("x", turn(draw.normal(size=(4, 6)))), None)]
    made = [(made[0][0], turn(made[0][0].value))]
    params = [
        program.argument(f"layer{i}.weight", turn(w)) for i, w in enumerate(weights)
    ]
    for i in range(length):
        kind, a, b = draw.integers(3), draw.integers(-4, 0), draw.integers(-4, 0)
        (s, x), (t, y) = made[max(a, -len(made))], made[max(b, -len(made))]
        if kind == 0:
            k = draw.integers(3)
            name, value, read = "matmul", x @ weights[k], (s, params[k])
        elif kind == 1:
            name = list(UNARY)[draw.integers(3)]
            value, read = UNARY[name](x), (s,)
        else:
            name = list(BINARY)[draw.integers(3)]
            value, read = BINARY[name](x, y), (s, t)
        if i == planted:
            value = value * 1.01 + 0.01
        if layout and planted is None:  # Another order of summation: the last digit
            value = value * (
                1 + 2 * np.finfo(dtype).eps * noise.normal(size=value.shape)
            )
        value = value.astype(dtype)
        label = f"v{i}" if not layout else f"step_{length - i}"
        made.append((program.step(name, turn(value), *read, name=label), value))
    total = sum(x.sum() for _, x in made[1:])
    program.step("sum", total, *(s for s, _ in made[1:]))
    return program.report()


def first_of(theirs, ours) -> Any:
    """The first difference; both sides of it are known to be there."""
    return compare(theirs, ours).first


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("seed", range(3))
def test_a_report_agrees_with_itself_and_with_another_layout(seed, dtype):
    theirs, ours = (
        generated(seed, dtype=dtype),
        generated(seed, dtype=dtype, layout=True),
    )
    assert compare(theirs, theirs).first is None
    assert compare(theirs, ours).first is None


@pytest.mark.parametrize("seed", range(12))
def test_a_perturbed_step_is_named(seed):
    planted = int(random(seed).integers(30))
    ours = generated(seed, layout=True, planted=planted)
    first = first_of(generated(seed), ours)
    assert first.what == "value"
    assert (first.theirs.index, first.ours.index) == (planted, planted)
    assert first.difference > 1000


def test_summaries_are_compared_as_far_as_they_go():
    def summarized(report):
        steps = (dataclasses.replace(s, value=summarize(s.value)) for s in report.steps)
        return dataclasses.replace(report, steps=tuple(steps))

    theirs, good = summarized(generated(1)), summarized(generated(1, layout=True))
    assert compare(theirs, good).first is None
    bad = summarized(generated(1, layout=True, planted=12))
    assert first_of(theirs, bad).ours.index == 12


def pair(theirs, ours, *arguments, dtype="float64"):
    """Two programs of one step each on the same arguments, and a sum of it."""
    reports = []
    for file, (operation, f) in (("theirs.py", theirs), ("ours.py", ours)):
        program = Program(file, dtype)
        given = [program.argument(f"a{i}", x) for i, x in enumerate(arguments)]
        value = f(*(np.asarray(x) for x in arguments))
        step = program.step(operation, value, *given)
        ramp = np.linspace(1, 2, value.size).reshape(value.shape)
        program.step("sum", (np.exp(np.minimum(value, 5)) * ramp).sum(), step)
        reports.append(program.report())
    return reports


X = random(3).normal(size=(4, 6))
W = random(4).normal(size=(6, 6))
B = random(5).normal(size=6)
LABELS = np.array([0, 2, 1, 5])


def normalized(x, eps=1e-5, ddof=0, axis=-1):
    centred = x - x.mean(axis, keepdims=True)
    return centred / np.sqrt(x.var(axis, keepdims=True, ddof=ddof) + eps)


def softmax(x, axis=-1):
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


def losses(x, t):
    return -np.take_along_axis(np.log(softmax(x)), t[:, None], 1)


def silu(x):
    return x / (1 + np.exp(-x))


MASK = np.tri(6, dtype=bool)
KEPT = random(6).random((4, 6)) > 0.3

# Their step, our step, their common arguments, the cause.
CAUSES = {
    "activation": (("f", np.tanh), ("f", silu), (X,), "activation"),
    "slope": (
        ("leaky_relu", lambda x: np.where(x > 0, x, 0.01 * x)),
        ("where", lambda x: np.where(x > 0, x, 0.2 * x)),
        (X,),
        "slope",
    ),
    "missing activation": (
        ("relu", silu),
        ("copy", lambda x: 1 * x),
        (X,),
        "activation",
    ),
    "eps": (
        ("layer_norm", normalized),
        ("layer_norm", lambda x: normalized(x, 1e-3)),
        (X,),
        "eps",
    ),
    "biased": (
        ("layer_norm", normalized),
        ("layer_norm", lambda x: normalized(x, ddof=1)),
        (X,),
        "variance",
    ),
    "axis of a softmax": (
        ("softmax", softmax),
        ("softmax", lambda x: softmax(x, 0)),
        (X,),
        "axis",
    ),
    "mean and sum": (
        ("mean", lambda x: x.mean(1)),
        ("sum", lambda x: x.sum(1)),
        (X,),
        "reduction",
    ),
    "bias": (
        ("linear", lambda x, w, b: x @ w + b),
        ("matmul", lambda x, w, b: x @ w),
        (X, W, B),
        "bias",
    ),
    "transposed": (
        ("matmul", lambda x, w: x @ w),
        ("matmul", lambda x, w: x @ w.T),
        (X, W),
        "transposed",
    ),
    "mask": (
        ("where", lambda w: np.where(MASK, w, -np.inf)),
        ("where", lambda w: np.where(MASK, -1e9, w)),
        (W,),
        "mask",
    ),
    "dropout": (
        ("dropout", lambda x: x * KEPT / 0.8),
        ("copy", lambda x: 1 * x),
        (X,),
        "dropout",
    ),
    "scale": (
        ("divide", lambda x: x / np.sqrt(6)),
        ("copy", lambda x: 1 * x),
        (X,),
        "scale",
    ),
    "sign": (("f", np.sin), ("f", lambda x: -np.sin(x)), (X,), "sign"),
    "dtype": (
        ("tanh", np.tanh),
        ("tanh", lambda x: np.tanh(x.astype(np.float32)).astype(np.float64)),
        (X,),
        "dtype",
    ),
    "clamp": (
        ("clip", lambda x: np.minimum(x, 0.3)),
        ("clip", lambda x: np.maximum(x, 0.3)),
        (X,),
        "clamp",
    ),
    "axis of a norm": (
        ("normalize", lambda x: x / np.linalg.norm(x, axis=1, keepdims=True)),
        ("divide", lambda x: x / np.linalg.norm(x, axis=0, keepdims=True)),
        (X,),
        "axis",
    ),
    "smaller and larger": (
        ("minimum", np.minimum),
        ("maximum", np.maximum),
        (X, np.cos(X)),
        "operation",
    ),
    "1 + weight": (
        ("copy", lambda b: 1 * b),
        ("add", lambda b: 1 + b),
        (B,),
        "offset",
    ),
    "reversed": (
        ("f", lambda x: np.sin(3 * x)),
        ("f", lambda x: np.sin(3 * x)[::-1]),
        (X,),
        "order",
    ),
}


@pytest.mark.parametrize("name", CAUSES)
def test_the_cause_is_guessed(name):
    theirs, ours, arguments, cause = CAUSES[name]
    first = first_of(*pair(theirs, ours, *arguments))
    assert (first.theirs.index, first.ours.index) == (0, 0)
    assert first.cause == cause
    assert first.guess.endswith(".")
    # The same step on both sides is no difference, so none of the trials is asked.
    assert compare(*pair(theirs, theirs, *arguments)).first is None


LOSSES = {
    "sum": (lambda x, t: losses(x, t).sum(), "reduction"),
    "ignored": (lambda x, t: losses(x, t)[t != 2].mean(), "ignored"),
    "smoothing": (
        lambda x, t: 0.9 * losses(x, t).mean() - 0.1 * np.log(softmax(x)).mean(),
        "smoothing",
    ),
    "smoothing over one class fewer": (lambda x, t: smoothed(x, t, False), "smoothing"),
    "smoothing over the others": (lambda x, t: smoothed(x, t, True), "smoothing"),
    "logits": (lambda x, t: losses(softmax(x), t).mean(), "logits"),
}


def smoothed(x, t, others):
    """With 0.1 divided by K - 1, for all K classes or for all but the label."""
    classes = x.shape[1]
    hit = np.arange(classes) == t[:, None]
    share = np.where(hit & others, 0, 0.1 / (classes - 1))
    return -((0.9 * hit + share) * np.log(softmax(x))).sum(1).mean()


@pytest.mark.parametrize("name", LOSSES)
def test_the_cause_of_another_loss_is_guessed(name):
    loss, cause = LOSSES[name]
    theirs = "cross_entropy", lambda x, t: losses(x, t).mean()
    first = first_of(*pair(theirs, ("mean", loss), X, LABELS))
    assert (first.cause, first.theirs.operation) == (cause, "cross_entropy")


def test_a_small_epsilon_shows_in_float32():
    steps = [("layer_norm", lambda x, e=e: normalized(x, e)) for e in (1e-5, 1e-6)]
    assert first_of(*pair(*steps, X / 3, dtype="float32")).cause == "eps"


def gradients(theirs, ours):
    """The same values with these gradients of a step's input."""
    reports = []
    for gradient in (theirs, ours):
        program = Program("f.py")
        x = program.argument("x", X, gradient)
        h = program.step("tanh", np.tanh(X), x, gradient=np.ones_like(X))
        program.step("sum", np.tanh(X).sum(), h, gradient=np.ones(()))
        reports.append(program.report())
    return reports


@pytest.mark.parametrize(
    ("changed", "cause"),
    [
        (np.zeros_like(X), "detach"),
        (np.cos(X) * (np.arange(4) != 2)[:, None], "padding_idx"),
        (np.clip(np.cos(X), -0.5, 0.5), "clipping"),
        (-np.cos(X), "sign"),
    ],
)
def test_a_gradient_of_equal_values_is_named_with_its_step(changed, cause):
    first = first_of(*gradients(np.cos(X), changed))
    assert first.what == "gradient"
    assert (first.theirs.name, first.ours.name) == ("tanh", "tanh")
    assert first.cause == cause
    assert compare(*gradients(np.cos(X), np.cos(X))).first is None


def test_a_gradient_that_cancels_raises_no_alarm():
    """A bias before a normalization: its gradient is zero up to rounding."""
    reports = []
    for noise in (1e-17, -2e-17):
        program = Program("f.py")
        b = program.argument("b", B, np.full(6, noise))
        h = program.step("add", X + B, b, gradient=np.cos(X) - np.cos(X).mean(0))
        program.step("sum", (X + B).sum(), h, gradient=np.ones(()))
        reports.append(program.report())
    assert compare(*reports).first is None


def test_an_argument_that_differs_comes_first_and_has_a_line():
    theirs, ours = (pair(("f", np.tanh), ("f", np.tanh), x)[0] for x in (X, X + 0.1))
    first = first_of(theirs, ours)
    assert (first.theirs.path, first.ours.path) == ("a0", "a0")
    assert first.ours.source.line == 1


def test_a_tolerance_replaces_what_rounding_explains():
    reports = pair(("f", np.tanh), ("f", lambda x: np.tanh(x) * 1.001), X)
    assert compare(*reports).first is not None
    assert compare(*reports, tolerance=0.01).first is None


@pytest.mark.message
def test_bad_arguments_are_named():
    reports = pair(("f", np.tanh), ("f", np.tanh), X)
    with pytest.raises(ValueError, match="compare: expected tolerance > 0, got 0"):
        compare(*reports, tolerance=0)
    with pytest.raises(TypeError, match="compare: expected ours to be an Explanation"):
        compare(reports[0], "report")  # type: ignore[arg-type]


def cell(p, h, x):
    h = jnp.tanh(x @ p["w"] + h @ p["u"])
    return h, h


def scanned(p, xs):
    _, hs = jax.lax.scan(lambda h, x: cell(p, h, x), jnp.zeros(3), xs)
    return jnp.sum(hs**2)


def looped(p, xs):
    h, hs = jnp.zeros(3), []
    for x in xs:
        h, _ = cell(p, h, x)
        hs.append(h)
    return jnp.sum(jnp.stack(hs) ** 2)


def detached(p, xs):
    h, hs = jnp.zeros(3), []
    for i, x in enumerate(xs):
        h, _ = cell(p, jax.lax.stop_gradient(h) if i == 2 else h, x)
        hs.append(h)
    return jnp.sum(jnp.stack(hs) ** 2)


@pytest.fixture(scope="module")
def recurrent():
    draw = random(8)
    p = {"w": draw.normal(size=(2, 3)), "u": draw.normal(size=(3, 3)) / 2}
    p = {name: jnp.asarray(x, jnp.float32) for name, x in p.items()}
    xs = jnp.asarray(draw.normal(size=(4, 2)), jnp.float32)
    return [explain(f)(p, xs) for f in (scanned, looped, detached)]


def test_a_scan_and_an_unrolled_loop_agree(recurrent):
    scan, loop, _ = recurrent
    assert compare(scan, loop).first is None
    assert compare(loop, scan).first is None


def test_a_gradient_that_is_cut_in_a_loop_is_named(recurrent):
    first = first_of(recurrent[0], recurrent[2])
    assert (first.what, first.cause) == ("gradient", "detach")
    assert "stop_gradient" in first.ours.source.text


def test_the_verdict_shows_both_lines_and_the_table():
    ours = generated(0, layout=True, planted=7)
    found = compare(generated(0), ours)
    text = str(found)
    assert "theirs.py:8" in text and "ours.py:8" in text
    assert first_of(generated(0), ours).guess in " ".join(text.split())
    assert text.count("<- first") == 1
    assert "agree: rounding explains" in str(compare(ours, ours))


def test_the_page_joins_the_matched_steps(tmp_path):
    found = compare(*pair(("f", np.tanh), ("f", silu), X))
    html = found._repr_html_()
    assert html.count('class="join') == 3
    assert html.count('class="join parted first"') == 1
    found.save(tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert page.count("<svg") == 1 and "http" not in page.replace("http://www.w3", "")


@pytest.mark.parity
def test_a_port_of_a_torch_program_is_compared():
    import torch

    def theirs(w, b, x):
        h = torch.nn.functional.linear(x, w, b)
        h = torch.nn.functional.gelu(h)
        return torch.nn.functional.cross_entropy(h, torch.tensor(LABELS))

    def ours(w, b, x, approximate):
        h = x @ w + b
        h = jax.nn.gelu(h, approximate=approximate)
        log_p = jax.nn.log_softmax(h)
        return -jnp.take_along_axis(log_p, jnp.asarray(LABELS)[:, None], 1).mean()

    w, b = (torch.tensor(a, dtype=torch.float32).requires_grad_() for a in (W, B))
    original = jaxgrad.explain_torch(theirs)(w, b, torch.tensor(X, dtype=torch.float32))
    given = (jnp.asarray(a, jnp.float32) for a in (W.T, B, X))
    w, b, x = given
    port = explain(ours, argnums=(0, 1))
    assert compare(original, port(w, b, x, False)).first is None
    first = first_of(original, port(w, b, x, True))
    assert first.theirs.operation == first.ours.operation == "gelu"
    assert first.cause == "activation"


def bernoulli(reduce, whole):
    """An autoencoder's loss: of all elements at once, or of each row and then a sum."""
    program, draw = Program("theirs.py" if whole else "ours.py"), random(11)
    x, logits = draw.uniform(size=(4, 5)), draw.normal(size=(4, 5))
    target, h = program.argument("x", x), program.argument("h", logits)
    each = np.logaddexp(0, logits) - logits * x
    square = program.step("square", logits**2, h)
    if whole:
        p = program.step("sigmoid", 1 / (1 + np.exp(-logits)), h)
        error = program.step("binary_cross_entropy", each.sum(), p, target)
        penalty = program.step("sum", (logits**2).sum(), square)
        both = program.step("add", error.value + penalty.value, error, penalty)
        program.step("divide", both.value / 4, both)
        return program.report()
    error = program.step("sigmoid_binary_cross_entropy", each, h, target)
    rows = program.step(reduce.__name__, reduce(each, -1), error)
    penalty = program.step("sum", (logits**2).sum(-1), square)
    both = program.step("add", rows.value + penalty.value, rows, penalty)
    program.step("mean", both.value.mean(), both)
    return program.report()


def test_a_loss_of_rows_agrees_with_a_loss_of_all_elements():
    assert compare(bernoulli(np.sum, True), bernoulli(np.sum, False)).first is None


def test_a_loss_of_rows_that_is_averaged_is_not_found_in_the_sigmoid_before_it():
    first = compare(bernoulli(np.sum, True), bernoulli(np.mean, False)).first
    assert first and first.theirs and first.theirs.operation != "sigmoid"


def test_the_inside_of_a_fused_layer_is_known_only_if_it_gives_the_result():
    x, w, u, b = (
        random(i).normal(size=s)
        for i, s in enumerate([(2, 4, 3), (15, 3), (15, 5), 15])
    )
    h, states = np.zeros((2, 5)), []
    for time in range(4):
        (rx, zx, nx), (rh, zh, nh) = (
            np.split(y + b, 3, 1) for y in (x[:, time] @ w.T, h @ u.T)
        )
        r, z = (1 / (1 + np.exp(-gate)) for gate in (rx + rh, zx + zh))
        n = np.tanh(nx + r * nh)
        h = (1 - z) * n + z * h
        states.append(h)
    made = np.stack(states, 1)
    parts = {p.name: p.value for p in parts_of("gru", [x, w, u, b, b], made)}
    np.testing.assert_allclose(parts["state at time 3"], h)
    assert not parts_of("gru", [x, w, u, b, b], made + 0.1)
    image, gain = random(5).normal(size=(2, 6, 3)), np.arange(1.0, 7.0)
    grouped = normalized(image.reshape(2, 2, -1)).reshape(image.shape)
    scaled = grouped * gain[:, None] + 1
    found = {
        p.name: p.value
        for p in parts_of("group_norm", [image, gain, 1 + 0 * gain], scaled)
    }
    assert found["groups"].shape == (2, 2, 3, 3)
    assert not parts_of("group_norm", [image, gain, 1 + 0 * gain], np.sin(scaled))


@pytest.mark.parametrize("seed", range(4))
def test_a_deep_network_whose_roundings_add_up_agrees(seed):
    """A local derivative differs as much as the values that it depends on."""
    rng = np.random.default_rng(seed)
    weights = list(jnp.asarray(rng.normal(scale=0.15, size=(60, 8, 8)), jnp.float32))
    x = jnp.asarray(rng.normal(size=(8, 8)), jnp.float32)

    def network(product):
        def loss(weights, x):
            for w in weights:
                x = x + jnp.tanh(product(x, w))
            return jnp.mean(x * x)

        return explain(loss)(weights, x)

    theirs = network(jnp.matmul)
    ours = network(lambda x, w: jnp.sum(x[:, None] * w.T[None], -1))
    assert compare(theirs, ours).first is None
