"""The rule by which an array of torch becomes one of a tree.

The name of the tree's array decides: a `kernel` has Flax's layout, everything else
torch's. The shape only confirms it. Where the name leaves two rules that both fit, as
for a square matrix of a tree without Flax's names, `rules` has to say which.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from itertools import zip_longest
from typing import NamedTuple

import numpy as np

from jaxgrad._checks import wrong_value
from jaxgrad.torch_state._parts import Part
from jaxgrad.torch_state.rules import Rule, conv, conv_transpose, unchanged

Rules = Mapping[str, Rule]

# What Flax calls torch's arrays of a layer.
COUNTERPARTS = {
    "weight": ("kernel", "scale", "embedding", "negative_slope"),
    "running_mean": ("mean",),
    "running_var": ("var",),
}
WITHOUT_LAYOUT = {"scale", "embedding", "negative_slope", "bias", "mean", "var"}


ALL = (unchanged, conv, conv_transpose)


class Target(NamedTuple):
    """An array of the tree."""

    path: tuple[str, ...]
    shape: tuple[int, ...]
    layer: str | None  # the class of the Flax layer that has it, if known

    @property
    def name(self) -> str:
        return "/".join(self.path)

    def __str__(self) -> str:
        return f"{self.name!r} of shape {self.shape}"


def fitted(
    function: str,
    part: Part,
    name: str,
    array: np.ndarray,
    target: Target,
    rules: Rules,
) -> Rule:
    """The rule from torch's array to the target; ValueError unless it fits."""
    rule = _chosen(function, name, array, target, rules)
    shape = _shape_after(lambda x: rule(part.of(x)), array)
    if shape is None or not _fits(shape, target.shape, array.ndim):
        what = f"{name!r} of a shape that fits {target}"
        hint = _other_rules(rule, part, array, target)
        raise wrong_value(function, what, f"shape {array.shape}", hint)
    return lambda x: rule(part.of(x)).reshape(target.shape)


def _other_rules(rule: Rule, part: Part, array: np.ndarray, target: Target) -> str:
    """What to say of a rule that would fit."""
    for other in ALL:
        shape = _shape_after(lambda x: other(part.of(x)), array)  # noqa: B023
        if other is not rule and shape == target.shape:
            hint = f"read by rules.{rule.__name__}; rules.{other.__name__} would fit"
            more = ", as for the Conv1D of GPT-2, whose square weights need it as well"
            return hint + (more if other is unchanged else "")
    return ""


def _chosen(
    function: str, name: str, array: np.ndarray, target: Target, rules: Rules
) -> Rule:
    """The rule for an array, from `rules` or by the name of the target."""
    leaf = target.path[-1] if target.path else ""
    if array.ndim < 2 or leaf in WITHOUT_LAYOUT:
        return unchanged
    for pattern, rule in rules.items():
        if any(fnmatchcase(x, pattern) for x in _spellings(name, target.name)):
            return rule
    if leaf != "kernel":
        return _only(function, name, array, target, [unchanged, conv])
    if array.ndim == 2:
        return conv
    if target.layer:
        return conv_transpose if target.layer == "ConvTranspose" else conv
    return _only(function, name, array, target, [conv, conv_transpose])


def _only(
    function: str, name: str, array: np.ndarray, target: Target, choice: list[Rule]
) -> Rule:
    """The one rule whose result has the target's shape; the first if none has."""
    fitting = [r for r in choice if _shape_after(r, array) == target.shape]
    if len(fitting) > 1 and sum(n > 1 for n in array.shape) > 1:
        names = " or ".join(f"rules.{rule.__name__}" for rule in choice)
        what = f"a rule for {name!r}, since {target} fits {names}"
        hint = f"choose one with rules={{{name!r}: ...}}, or with a pattern: '*'"
        raise wrong_value(function, what, "none", hint)
    return (fitting or choice)[0]


def check_rules(
    function: str, rules: Rules, names: Iterable[str], targets: Sequence[Target]
) -> None:
    """ValueError if a pattern matches no name: it would have no effect."""
    pairs = zip_longest(names, (target.name for target in targets), fillvalue="")
    spellings = {x for pair in pairs for x in _spellings(*pair)}
    unused = [p for p in rules if not any(fnmatchcase(x, p) for x in spellings)]
    if unused:
        what = "rules with patterns that match a name of torch's or of the tree's"
        raise wrong_value(function, what, ", ".join(map(repr, unused)))


def _spellings(theirs: str, ours: str) -> list[str]:
    """What a pattern can match: names and modules, torch's and the tree's."""
    return [theirs, theirs.rpartition(".")[0], ours, ours.rpartition("/")[0]]


def _shape_after(rule: Rule, array: np.ndarray) -> tuple[int, ...] | None:
    try:
        return rule(np.broadcast_to(np.int8(0), array.shape)).shape
    except ValueError:
        return None


def _fits(shape: tuple[int, ...], expected: tuple[int, ...], ndim: int) -> bool:
    """Whether the shapes are equal, or Flax has the features in several axes."""
    if ndim == 1:  # a bias by head, a slope without axes
        return math.prod(shape) == math.prod(expected)
    if ndim == 2 and len(expected) > 2:
        beginnings = [math.prod(expected[:n]) for n in range(1, len(expected))]
        return shape[0] in beginnings and math.prod(shape) == math.prod(expected)
    return shape == expected
