"""Arrays of torch that hold those of several layers: attention and recurrent layers.

`parts` says, for one array of a state dict, in which ways it can be taken apart. Each
way is a list of parts with a name like that of a layer of its own:
`attention.in_proj_weight` is `attention.query.weight`, `.key.weight`, `.value.weight`.
"""

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

Shapes = Mapping[str, tuple[int, ...]]


class Part(NamedTuple):
    """Rows of an array of torch, one of equal blocks, under the name of a layer."""

    name: str
    block: int = 0
    blocks: int = 1
    is_term: bool = False  # one of two biases that Flax has as one sum

    def of(self, array: np.ndarray) -> np.ndarray:
        return array if self.blocks == 1 else np.split(array, self.blocks)[self.block]


PROJECTIONS = ("query", "key", "value")
# By the module of attention's last projection, the weights of the others in one array.
JOINED = {
    "out_proj": ("in_proj_weight", "in_proj_bias"),
    "proj": ("qkv.weight",),
}
# By the number of torch's gates, their names and the sums that Flax has no bias for.
GATES = {4: ("i", "f", "g", "o"), 3: ("r", "z", "n")}


def parts(name: str, shapes: Shapes) -> Iterator[list[Part]]:
    """The ways in which an array is taken apart; as a whole is the first."""
    yield [Part(name)]
    module, _, leaf = name.rpartition(".")
    prefix = f"{module}." if module else ""
    if leaf in ("in_proj_weight", "in_proj_bias"):
        kind = leaf.removeprefix("in_proj_")
        yield [Part(f"{prefix}{p}.{kind}", i, 3) for i, p in enumerate(PROJECTIONS)]
    elif re.fullmatch("[qkv]_proj_weight", leaf):
        projection = next(p for p in PROJECTIONS if p[0] == leaf[0])
        yield [Part(f"{prefix}{projection}.weight")]
    elif module.rpartition(".")[2] == "qkv":  # as in timm's attention
        outer = prefix.removesuffix("qkv.")
        yield [Part(f"{outer}{p}.{leaf}", i, 3) for i, p in enumerate(PROJECTIONS)]
    elif module.rpartition(".")[2] in JOINED:
        last = module.rpartition(".")[2]
        outer = prefix.removesuffix(f"{last}.")
        if any(outer + joined in shapes for joined in JOINED[last]):
            yield [Part(f"{outer}out.{leaf}")]
    elif found := re.fullmatch(r"(weight|bias)_(ih|hh)(_l\d+(?:_reverse)?|)", leaf):
        kind, source, layer = found.groups()
        yield from _recurrent(prefix, kind, source, layer, shapes)


def _recurrent(
    prefix: str, kind: str, source: str, layer: str, shapes: Shapes
) -> Iterator[list[Part]]:
    """The arrays of one cell: by gate as in linen, or all gates at once as in NNX."""
    rows, columns = shapes.get(f"{prefix}weight_hh{layer}", (1, 1))
    count = rows // max(columns, 1)
    others = f"{prefix}weight_ih_l1", f"{prefix}weight_ih_l0_reverse"
    is_alone = not layer or not any(other in shapes for other in others)
    cell = prefix if is_alone else f"{prefix}{layer[1:]}."
    side = "i" if source == "ih" else "h"
    if kind == "weight":
        gates = GATES.get(count, ("",))
        yield [Part(f"{cell}{side}{g}.weight", i, count) for i, g in enumerate(gates)]
        yield [Part(f"{cell}dense_{side}.weight")]
        return
    # LSTMs of Flax add the bias to the state's product, the others to the input's.
    summed = "h" if count == 4 else "i"
    gates = [(summed, gate, True) for gate in GATES.get(count, ("",))]
    if count == 3:
        gates[2] = (side, "n", False)
    yield [
        Part(f"{cell}{side}{gate}.bias", i, count, is_term)
        for i, (side, gate, is_term) in enumerate(gates)
    ]
    if count != 3:
        yield [Part(f"{cell}dense_{summed}.bias", is_term=True)]
