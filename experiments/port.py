"""Three ports of PyTorch programs: where does each depart from its original?

    python -m experiments.port

The two-layer network and the perceptron of the notebooks, and a small convolutional
network, in JAX and in PyTorch, from the same numbers in float64. PyTorch's values and
gradients are stored (`jaxgrad.explain_torch`, `save_record`), so PyTorch need not be
installed. Each port is compared with them twice: as it should be, and with a mistake
that ports often have. `jaxgrad.compare` names the first step that differs, with the
line in both sources, and guesses the cause.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

import jaxgrad
from experiments._command import run_as_script
from experiments._frame import Sections, Yielded, complete, experiment
from experiments._frame import report as report
from experiments._frame import reproduced as reproduced
from experiments._options import Port as Config
from experiments._port import networks, numbers
from experiments._section import Section
from jaxgrad.inspection import Comparison

RECORDS = Path(__file__).parent / "_port"


class Port(NamedTuple):
    """A network in JAX, correct and with a mistake.

    Attributes:
        correct: The function.
        mistaken: The same with a mistake.
        arguments: From the numbers to the arguments of both.
        claim: What the mistake teaches.
    """

    correct: Callable[..., jax.Array]
    mistaken: Callable[..., jax.Array]
    arguments: Callable[[dict[str, jax.Array]], tuple[Any, ...]]
    claim: str


PORTS = {
    "two_layer_net": Port(
        networks.two_layer_net,
        networks.two_layer_net_with_relu,
        lambda n: ({"w1": n["w1"], "w2": n["w2"]}, n["x"], n["y"]),
        "The notebook writes x.mm(w1).clamp(min=0). That is relu in value, but clamp "
        "has the derivative 1 at exactly 0, and relu 0. It matters for a hidden unit "
        "whose weights start at 0: with relu they never move.",
    ),
    "mlp": Port(
        networks.mlp,
        networks.mlp_of_probabilities,
        lambda n: (networks.mlp_params(n), n["images"], n["labels"]),
        "cross_entropy expects logits, and takes the softmax itself. Nothing fails if "
        "it gets probabilities; the network only learns slowly.",
    ),
    "cnn": Port(
        networks.cnn,
        networks.cnn_flattened_as_it_is,
        lambda n: (networks.cnn_params(n), n["images"], n["labels"]),
        "PyTorch flattens channels, height, width, in this order. With channels last "
        "the same numbers reach the linear layer in another order than its weights "
        "expect.",
    ),
}


def sections(config: Config) -> Yielded:
    """Compare each port with its original, correct and mistaken."""
    del config
    for name, port in PORTS.items():
        yield name, compare_port(name, port)


def compare_port(name: str, port: Port) -> Section:
    """The verdicts on a port; the comparison with the mistake is the data."""
    theirs = jaxgrad.load_record(RECORDS / f"{name}.npz")
    with jax.enable_x64(True):
        drawn = getattr(numbers, name)()
        arguments = port.arguments({key: jnp.asarray(x) for key, x in drawn.items()})
        correct, mistaken = (
            jaxgrad.compare(theirs, jaxgrad.explain(f)(*arguments))
            for f in (port.correct, port.mistaken)
        )
    return Section(
        f"{name} and {port.mistaken.__name__}",
        port.claim,
        note=f"The correct port: {correct}\n\nWith the mistake: {mistaken}",
        data=(correct, mistaken),
    )


def figures(result: Sections) -> dict[str, Comparison]:
    """The comparisons with a mistake, saved as pages."""
    return {name: part.data[1] for name, part in result.items()}


run = complete(sections)
main = experiment("port", Config, sections, figures)

if __name__ == "__main__":
    run_as_script(main)
