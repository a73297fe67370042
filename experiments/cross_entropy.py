"""Cross-entropy: by definition, through softmax and log, and in one function.

    python -m experiments.cross_entropy

Only one of three ways to the same loss works for large logits: the naive softmax
overflows, the logarithm of a softmax underflows, cross-entropy of the logits does
neither. Each way fails where its first intermediate number leaves the range of the
dtype. Then the gradient, which is softmax minus one-hot, and the options, each compared
with its formula: class weights, ignored labels, label smoothing, probabilities as
targets, pixels.
"""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import xlogy
from matplotlib.figure import Figure

from experiments._command import run_as_script
from experiments._frame import Sections, Yielded, complete, experiment, require
from experiments._frame import report as report
from experiments._frame import reproduced as reproduced
from experiments._options import CrossEntropy as Config
from experiments._section import Section
from jaxgrad import plots
from jaxgrad.activations import log_softmax, softmax
from jaxgrad.losses import cross_entropy, nll_loss

# The notebook's three outputs of a network, and the class they should have.
OUTPUTS = {
    "output": [0.0, 0.0, 1.0],
    "output2": [2.0, 35.2, -13.7],
    "output3": [2.0, -13.7, 35.2],
}
TARGET = 2
CLOSED_FORM = math.log(2 + math.e) - 1  # the cross-entropy of the first output
SHIFTS = (-50.0, -1.0, 0.5, 30.0)
# x of the logits [0, x]; in float32 something fails at 44, 88 and 89.
LOGITS = (1.0, 10.0, 43.0, 44.0, 87.0, 88.0, 89.0, 200.0, 1000.0)
DTYPES = ("float16", "bfloat16", "float32", "float64")
BISECTIONS = 60


def sections(config: Config) -> Yielded:
    """Compute everything, under x64: each dtype is named where it is used."""
    largest = config.largest
    require(1 < largest <= 1e6, "--largest", "a number in (1, 1e6]", largest)
    with jax.enable_x64(True):
        yield "definition", definition()
        yield "ways", ways()
        yield "shifts", shifts()
        yield "growing", growing(largest)
        yield "log_sum_exps", log_sum_exps()
        yield "limits", limits()
        yield "gradients", gradients()
        yield "options", options()
        yield "out_of_range", out_of_range()


def entropy_by_definition(p: jax.Array, q: jax.Array) -> jax.Array:
    """-sum p log q of two distributions, with 0 log 0 = 0."""
    return -jnp.sum(xlogy(p, q))


def definition() -> Section:
    """Cross-entropy of [0, 0, 1] taken as probabilities, with class 2 as one-hot.

    NLL reads only the entry of the target class, so log 0 = -inf elsewhere is harmless.
    """
    q = jnp.array(OUTPUTS["output"], jnp.float32)
    onehot = jax.nn.one_hot(TARGET, 3, dtype=jnp.float32)
    by_definition = entropy_by_definition(onehot, q).item()
    nll = nll_loss(jnp.log(q), TARGET).item()
    return Section(
        "[0, 0, 1] and class 2",
        "The definition takes probabilities. cross_entropy, like PyTorch's, takes "
        "logits and applies the softmax itself.",
        header=("loss", "value"),
        entries=[
            ("-sum p log q", by_definition),
            ("nll_loss(log q, 2)", nll),
            ("cross_entropy(q, 2)", cross_entropy(q, TARGET).item()),
            ("log(2 + e) - 1", CLOSED_FORM),
        ],
        rows={"3.35": [by_definition, nll]},
    )


def ways() -> Section:
    """The probabilities of each output, and its loss for class 2 in two ways.

    As in the notebook: logits of shape (1, 3), target of shape (1,).
    """
    target = jnp.array([TARGET])
    entries, found = [], {}
    for name, output in OUTPUTS.items():
        for dtype in ("float32", "float64"):
            logits = jnp.array([output], dtype)
            p = softmax(logits, axis=1)
            two_steps = nll_loss(jnp.log(p), target).item()
            at_once = cross_entropy(logits, target).item()
            text = ", ".join(f"{entry:.4g}" for entry in p[0].tolist())
            entries.append((str(output), dtype, text, two_steps, at_once))
            found[name, dtype] = p[0].tolist(), two_steps, at_once
    p, two_steps, at_once = found["output", "float32"]
    exact_p, _, exact = found["output", "float64"]
    return Section(
        "Three outputs, class 2, in two steps or one",
        "The softmax turns logits into probabilities; the negative logarithm of the "
        "target's is the loss. In two steps the last digits are lost; -log(1) is 0.",
        header=("logits", "dtype", "softmax", "log, NLL", "cross_entropy"),
        entries=entries,
        rows={
            "3.36": {
                "float32": at_once,
                "float64": exact,
                "log(2 + e) - 1": CLOSED_FORM,
            },
            "3.37": {
                dtype: [found[name, dtype][-1] for name in ("output2", "output3")]
                for dtype in ("float32", "float64")
            },
            "3.38": {
                "probabilities": p,
                "float64": exact_p,
                "loss": two_steps,
                "difference": abs(two_steps - at_once),
            },
        },
        data=found,
    )


def naive_softmax(x: jax.Array, b: float = 0.0) -> jax.Array:
    """The formula as written, with `b` subtracted from every exponent."""
    exponentials = jnp.exp(x - b)
    return exponentials / jnp.sum(exponentials)


# The same loss in three ways. The last is PyTorch's nn.CrossEntropyLoss.
LOSSES: dict[str, Callable[[jax.Array, int], jax.Array]] = {
    "naive softmax, log, NLL": lambda x, target: -jnp.log(naive_softmax(x))[target],
    "softmax, log, NLL": lambda x, target: nll_loss(jnp.log(softmax(x, 0)), target),
    "cross_entropy": cross_entropy,
}


def shifts() -> Section:
    """The largest change from softmax(x) to softmax(x - b), for each b of SHIFTS."""

    def change(b: float, dtype: str) -> float:
        x = jnp.array(OUTPUTS["output"], dtype)
        return jnp.max(jnp.abs(naive_softmax(x, b) - softmax(x, axis=0))).item()

    entries = [(b, change(b, "float32"), change(b, "float64")) for b in SHIFTS]
    return Section(
        "softmax(x - b) = softmax(x)",
        "A shift b of all logits cancels in the quotient, up to rounding. So the "
        "largest logit may be subtracted first, and no exponential overflows.",
        header=("b", "largest change, float32", "largest change, float64"),
        entries=entries,
        rows={"3.39": {"largest change by a shift": max(e[1] for e in entries)}},
    )


def growing(largest: float) -> Section:
    """The three losses at LOGITS; as data, at LOGITS and from 0 to `largest`."""
    x = np.linspace(0, largest, 601)
    found, curves = losses_and_slopes(np.array(LOGITS)), losses_and_slopes(x)
    columns = [
        [f"{loss:.7g} ({slope:.4g})" for loss, slope in zip(*both, strict=True)]
        for both in found.values()
    ]
    return Section(
        "Logits [0, x], class 0, float32",
        "The loss, and in brackets its derivative with respect to x. In the naive way "
        "the derivative fails first: the derivative of a quotient squares the "
        "denominator, and e^(2x) overflows in float32 at half the x. The loss still "
        "looks right there.",
        header=("x", *LOSSES),
        entries=list(zip(LOGITS, *columns, strict=True)),
        data=(found, x, curves),
    )


def losses_and_slopes(x: np.ndarray) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Each loss of [0, x] for class 0 and its slope in x, in float32, for all x."""

    def both(loss: Callable[[jax.Array, int], jax.Array]) -> tuple:
        slope = jax.value_and_grad(lambda x: loss(_pair(x), 0))
        values = jax.jit(jax.vmap(slope))(jnp.asarray(x, jnp.float32))
        return tuple(map(np.asarray, values))

    return {name: both(loss) for name, loss in LOSSES.items()}


def log_sum_exps() -> Section:
    """log(sum(exp([0, x]))) as written, and shifted by the largest entry.

    The rows hold what survives logits of 1000, where exp overflows.
    """
    entries = []
    for x in LOGITS:
        pair = _pair(jnp.float32(x))
        top = jnp.max(pair)
        shifted = top + jnp.log(jnp.sum(jnp.exp(pair - top)))
        entries.append((x, jnp.log(jnp.sum(jnp.exp(pair))).item(), shifted.item()))
    _, naive, shifted = entries[-1]
    logits = _pair(jnp.float32(LOGITS[-1]))
    loss, gradient = jax.value_and_grad(cross_entropy)(logits, 0)
    return Section(
        "log-sum-exp of [0, x], float32",
        "exp overflows at 88.7, and the logarithm of infinity is infinity. With the "
        "largest logit subtracted first, and added afterwards, nothing overflows.",
        header=("x", "log(sum(exp))", "shifted by max"),
        entries=entries,
        rows={
            "3.39": {
                "naive log-sum-exp of [0, 1000] is finite": math.isfinite(naive),
                "log-sum-exp of [0, 1000]": shifted,
                "softmax of [0, 1000]": softmax(logits, axis=0),
                "log-softmax of [0, 1000]": log_softmax(logits, axis=0),
                "cross-entropy of [0, 1000], class 0": [loss, *gradient],
            }
        },
    )


def limits() -> Section:
    """The largest logit for which each way works, in each dtype."""
    ways = [naive_softmax, *(lambda x, f=f: f(x, 0) for f in LOSSES.values())]
    entries = [
        (
            dtype,
            math.log(float(jnp.finfo(dtype).max)),
            *(largest_finite(way, dtype) for way in ways),
        )
        for dtype in DTYPES
    ]
    return Section(
        "Logits [0, x]: the largest x that works",
        "In the second column the logarithm of the dtype's largest number, where exp "
        "overflows; then the largest x for which each way is finite. The naive softmax "
        "becomes NaN where exp overflows. A loss of class 0 that takes the logarithm "
        "of a probability fails where the probability underflows. On the CPU, XLA "
        "flushes numbers below the smallest normal one to 0; PyTorch keeps them, and "
        "fails above 103.9.",
        header=("dtype", "log(largest)", "naive softmax", *LOSSES),
        entries=entries,
        rows={"3.39": {"naive softmax ends at": entries[DTYPES.index("float32")][2]}},
    )


def largest_finite(f: Callable[[jax.Array], jax.Array], dtype: str) -> float:
    """The largest x >= 1 for which f([0, x]) is finite, by bisection of log x."""
    is_finite = jax.jit(lambda x: jnp.isfinite(f(_pair(x))).all())
    low, high = 1.0, float(jnp.finfo(dtype).max)
    if is_finite(jnp.asarray(high, dtype)):
        return high
    for _ in range(BISECTIONS):
        middle = math.sqrt(low) * math.sqrt(high)
        if is_finite(jnp.asarray(middle, dtype)):
            low = middle
        else:
            high = middle
    return float(jnp.asarray(low, dtype))


def _pair(x: jax.Array) -> jax.Array:
    return jnp.stack([jnp.zeros_like(x), x])


def gradients() -> Section:
    """The gradient by calculus and by jax.grad."""
    entries = []
    for output in OUTPUTS.values():
        x = jnp.array(output, jnp.float64)
        by_hand = softmax(x, axis=0) - jax.nn.one_hot(TARGET, 3, dtype=x.dtype)
        by_jax = jax.grad(cross_entropy)(x, TARGET)
        entries += [
            (str(output), "softmax - one-hot", *by_hand.tolist()),
            (str(output), "jax.grad", *by_jax.tolist()),
        ]
    header = ("logits", "gradient by", "d/dx0", "d/dx1", "d/dx2")
    claim = "It is softmax minus one-hot: the probabilities, less 1 at the target."
    return Section("The gradient of cross_entropy", claim, entries, header=header)


def options() -> Section:
    """Compare every option of cross_entropy with its formula."""
    x = jnp.array(list(OUTPUTS.values()), jnp.float64)
    labels, ignored = jnp.array([2, 0, 1]), jnp.array([2, 0, -100])
    weight = jnp.array([1.0, 2.0, 0.5])
    # One loss per sample and class; a label selects one of each row.
    each = -log_softmax(x, axis=1)
    own = each[jnp.arange(3), labels]
    weighted = (weight[labels] * own).sum() / weight[labels].sum()
    smoothed = (0.9 * own + 0.1 * each.mean(axis=1)).mean()
    shares = jnp.array([[0.5, 0.5, 0.0], [0.0, 1.0, 0.0], [0.2, 0.3, 0.5]])
    by_shares = (shares * each).sum(axis=1).mean()
    pixels = jnp.stack([x, 2 * x], axis=2)  # (batch, classes, pixels): classes first
    by_pixels = cross_entropy(pixels, jnp.stack([labels, labels], axis=1))
    pixel_own = jnp.stack([own, -log_softmax(2 * x, axis=1)[jnp.arange(3), labels]])
    by_smoothing = cross_entropy(x, labels, label_smoothing=0.1)
    entries = [
        ("mean over the batch", own.mean(), cross_entropy(x, labels)),
        ("reduction='sum'", own.sum(), cross_entropy(x, labels, reduction="sum")),
        ("weight: sum w l / sum w", weighted, cross_entropy(x, labels, weight)),
        ("ignore_index=-100", own[:2].mean(), cross_entropy(x, ignored)),
        ("label_smoothing=0.1", smoothed, by_smoothing),
        ("probabilities as target", by_shares, cross_entropy(x, shares)),
        ("two pixels per sample", pixel_own.mean(), by_pixels),
    ]
    return Section(
        "The options by formula and by function (float64)",
        "Each option of cross_entropy, computed by its formula from the losses of the "
        "single samples, and by the function.",
        header=("option", "formula", "cross_entropy"),
        entries=[(name, one.item(), other.item()) for name, one, other in entries],
    )


def out_of_range() -> Section:
    """Label 3, for three classes. PyTorch raises; a compiled function cannot."""
    logits, label = jnp.array(OUTPUTS["output"]), jnp.array(3)
    try:
        error = f"no error: {cross_entropy(logits, label)}"
    except ValueError as raised:
        error = f"ValueError: {raised}"
    loss, gradient = jax.jit(jax.value_and_grad(cross_entropy))(logits, label)
    return Section(
        "Label 3, for three classes",
        "Compiled code cannot raise, so a wrong label makes loss and gradient NaN.",
        note=f"Outside jit: {error}\n"
        f"Inside jit: loss {loss.item()}, gradient {gradient.tolist()}\n"
        "Labels may have any integer dtype: JAX's is int32, PyTorch wants int64.",
        data=(error, loss.item(), gradient.tolist()),
    )


def figures(result: Sections) -> dict[str, Figure]:
    """Loss and slope against the logit; a curve ends where it is not finite."""
    figure = Figure(figsize=(11, 4.5), layout="constrained")
    _, x, curves = result["growing"].data
    labels = ("loss of class 0", "d loss / dx = softmax of x")
    for i, (axes, ylabel) in enumerate(zip(figure.subplots(1, 2), labels, strict=True)):
        # The curves coincide: draw the longest one widest.
        looks = zip((8, 4, 1.5), plots.OKABE_ITO, reversed(LOSSES), strict=False)
        for width, colour, name in looks:
            y = np.where(np.isfinite(curves[name][i]), curves[name][i], np.nan)
            line = plots.broken(x, y)
            axes.plot(*line, linewidth=width, color=colour, label=name)
        axes.set(xlabel="x of the logits [0, x], float32", ylabel=ylabel)
        axes.grid(alpha=0.3)
    figure.axes[0].legend()
    figure.suptitle(
        "Cross-entropy at growing logits: each curve ends at its first NaN or inf"
    )
    return {"growing_logits": figure}


run = complete(sections)
main = experiment("cross_entropy", Config, sections, figures)

if __name__ == "__main__":
    run_as_script(main)
