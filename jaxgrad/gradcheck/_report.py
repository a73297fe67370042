"""What a gradient check returns."""

from dataclasses import dataclass

from jaxgrad._display import fields_html, note, short_repr


@dataclass(frozen=True)
class Element:
    """One entry of the Jacobian."""

    path: str  # of the argument: `params['w']`
    index: tuple[int, ...]  # of the element of that argument
    analytic: float  # the derivative that JAX computes
    numeric: float  # the central difference
    output: str  # the path of the result, and the index in it: `[1, 2]`
    mode: str  # "reverse" or "forward"
    order: int  # 1, or 2 for a derivative of the gradient
    excess: float  # the disagreement in units of the tolerance

    __repr__ = short_repr
    _repr_html_ = fields_html


@dataclass(frozen=True)
class Kink:
    """An entry of the Jacobian where the function has no derivative."""

    path: str  # of the argument
    index: tuple[int, ...]  # of the element of that argument
    left: float  # the slope to the left
    right: float  # the slope to the right
    analytic: float  # JAX's derivative, which lies between the slopes
    output: str  # the path of the result, and the index in it

    __repr__ = short_repr
    _repr_html_ = fields_html


@dataclass(frozen=True)
class Inaccuracy:
    """An argument whose gradient is wrong in its own precision."""

    path: str  # of the argument: `params['w']`
    index: tuple[int, ...]  # of the element with the largest error
    dtype: str  # the argument's own
    own: float  # the derivative in that dtype
    wide: float  # the derivative in float64
    error: float  # relative to the largest derivative of the argument

    __repr__ = short_repr
    _repr_html_ = fields_html


@dataclass(frozen=True, eq=False)
class GradientCheck:
    """The outcome of a check.

    Attributes:
        ok: Whether every derivative agrees, kinks aside, and none is inaccurate.
        worst: The entry that disagrees most, in units of its tolerance; None if nothing
            can be differentiated.
        failures: How many entries disagree.
        kinks: The entries at kinks, at most a hundred.
        checked: How many entries were compared.
        dtype: The dtype of the computation.
        modes: Which modes were compared: "reverse", "forward".
        notes: What could not be checked, and why.
        inaccurate: The arguments narrower than float64 whose gradient, computed in
            their own dtype, differs from the float64 one by far more than rounding.
    """

    ok: bool
    worst: Element | None
    failures: int
    kinks: tuple[Kink, ...]
    checked: int
    dtype: str
    modes: tuple[str, ...]
    notes: tuple[str, ...] = ()
    inaccurate: tuple[Inaccuracy, ...] = ()

    def __bool__(self) -> bool:
        return self.ok

    def __repr__(self) -> str:
        return f"<GradientCheck: {self._verdict}>"

    def _repr_html_(self) -> str:
        return note(str(self), bad=not self.ok)

    @property
    def _verdict(self) -> str:
        """How many derivatives agree, and in which dtype."""
        verb = "disagree" if self.failures else "agree"
        several = f"derivatives {verb}" if self.checked != 1 else f"derivative {verb}s"
        counted = f"{self.failures} of " * bool(self.failures) + str(self.checked)
        modes = " and ".join(self.modes)
        first = f"{counted} {several} ({self.dtype}, {modes} mode)"
        dtypes = dict.fromkeys(each.dtype for each in self.inaccurate)
        return f"{first}{', but not in ' if dtypes else ''}{', '.join(dtypes)}"

    def __str__(self) -> str:
        lines = [self._verdict]
        if self.worst is not None:
            which = "wrong" if self.failures else "worst"
            lines.append(f"  {which}: {_element_line(self.worst)}")
        lines += [f"  {_inaccuracy_line(each)}" for each in self.inaccurate]
        lines += [f"  kink: {_kink_line(kink)}" for kink in self.kinks[:5]]
        if len(self.kinks) > 5:
            lines.append(f"  ... and {len(self.kinks) - 5} more kinks")
        return "\n".join([*lines, *(f"  {note}" for note in self.notes)])


def _element_line(element: Element) -> str:
    index = f"[{', '.join(map(str, element.index))}]" if element.index else ""
    what = "d" if element.order == 1 else "d of the gradient"
    return (
        f"{what}{element.output or ' f'} / d {element.path}{index}: "
        f"{element.analytic:.8g} in {element.mode} mode, {element.numeric:.8g} by "
        f"differences ({element.excess:.3g} times the tolerance)"
    )


def _inaccuracy_line(found: Inaccuracy) -> str:
    index = f"[{', '.join(map(str, found.index))}]" if found.index else ""
    return (
        f"the {found.dtype} gradient is wrong: d f / d {found.path}{index} is "
        f"{found.own:.6g} in {found.dtype} and {found.wide:.6g} in float64 (relative "
        f"error {found.error:.2g}; see jaxgrad.find_inaccurate)"
    )


def _kink_line(kink: Kink) -> str:
    index = f"[{', '.join(map(str, kink.index))}]" if kink.index else ""
    return (
        f"{kink.path}{index}: slopes {kink.left:.6g} and {kink.right:.6g}, "
        f"JAX takes {kink.analytic:.6g}"
    )
