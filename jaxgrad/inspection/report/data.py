"""What the entry points return: frozen dataclasses, no formatting.

A step is what the user wrote: one call or operator in one source line, however many
primitive equations it takes. The renderers read only these classes, so the tests of
the renderers build reports by hand.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np

from jaxgrad._display import brief, fields_html, plain, short_repr, type_text
from jaxgrad._types import PyTree
from jaxgrad.inspection.report.summary import Summary, summarize

Phase = Literal["input", "constant", "forward", "backward"]
# How a local derivative is given in numbers
Form = Literal["", "elements", "gradient", "jacobian"]
Kind = Literal["nonfinite", "zero", "vanishing", "exploding", "inaccurate"]


@dataclass(frozen=True)
class Source:
    """The line of the user's code that a step comes from.

    Attributes:
        file: Path of the file, the name that Python gives it (`<stdin>`), or in a
            notebook the cell by its number: `cell 3`.
        line: Line number in the file or cell, from 1; 0 if it is not known.
        function: Name of the function that contains the line.
        text: The line itself, without indentation; empty if it is not known.
        via: The library functions between the line and the operation, outermost first.
    """

    file: str
    line: int
    function: str
    text: str = ""
    via: tuple[str, ...] = ()

    _repr_html_ = fields_html

    def __repr__(self) -> str:
        return f"<{' '.join(filter(None, (self.place, plain(self.text))))}>"

    @property
    def place(self) -> str:
        """`/home/me/loss.py:12` or `cell 3, line 2`; empty if the line is not known."""
        if not self.line:
            return ""
        file, cell = plain(self.file), re.fullmatch(r"cell \d+", self.file)
        return f"{file}, line {self.line}" if cell else f"{file}:{self.line}"


@dataclass(frozen=True)
class Operand:
    """One input of a step: another step, an argument of the function, a constant.

    Attributes:
        kind: What the operand is.
        label: The step's name, the argument's path (`params['w1']`), the constant.
        index: Number of the step or of the argument; None for a constant.
        previous: Whether a loop's body reads its value of the previous iteration.
    """

    kind: Literal["step", "argument", "constant"]
    label: str
    index: int | None = None
    previous: bool = False

    _repr_html_ = fields_html

    def __repr__(self) -> str:
        number = f" ({self.index})" if self.kind == "step" else ""
        return f"<{self.kind} {plain(self.label)}{number}>"


@dataclass(frozen=True, eq=False)
class Step:
    """One operation in the user's source, its value and its gradient.

    A step with several results (`q, k = jnp.split(x, 2)`) holds tuples in `shape`,
    `dtype`, `value` and `gradient`, and their names in `outputs`.

    Attributes:
        index: Position in the order of execution.
        name: The variable that it is assigned to, else the operation.
        operation: What is computed: the function called, or the operator.
        inputs: Its operands.
        shape: Shape of the value; inside loops the iteration axes come first.
        dtype: Data type of the value.
        value: The value: an array, or a `Summary` under `keep="summary"`.
        gradient: The derivative of the function's result with respect to the value,
            in the same form, or None.
        source: The user's line.
        scope: `jax.named_scope`s and Flax modules around the call.
        loop: The lengths of the loops around it, outermost first.
        outputs: The names of several results, or ().
        aliases: Further variables that hold the same value.
        why: Why there is no gradient; empty if there is one.
        taken: For a branch inside a loop: which iterations took the branch.
        part: Name of the branch (`branch 1 of 2`) or loop that contains the step.
        reverse: Whether the innermost loop runs from its last index to its first.
    """

    index: int
    name: str
    operation: str
    inputs: tuple[Operand, ...]
    shape: Any
    dtype: Any
    value: Any
    gradient: Any
    source: Source
    scope: str = ""
    loop: tuple[int, ...] = ()
    outputs: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    why: str = ""
    taken: np.ndarray | None = None
    part: str = ""
    reverse: bool = False

    _repr_html_ = fields_html

    def __repr__(self) -> str:
        type_ = brief(self.value) if self.outputs else type_text(self.shape, self.dtype)
        named = "" if self.name == self.operation else f"{self.name} = "
        return f"<Step {self.index}: {plain(named + self.operation)}, {type_}>"

    @property
    def results(self) -> tuple[tuple[Any, Any], ...]:
        """The (value, gradient) of each result; most steps have one result."""
        if not isinstance(self.value, tuple):
            return ((self.value, self.gradient),)
        return tuple(zip(self.value, self.gradient, strict=True))

    @cached_property
    def summaries(self) -> tuple[tuple[Summary | None, Summary | None], ...]:
        """A `Summary` of the value and of the gradient of each result."""
        return tuple(
            (_summary(value, self.taken), _summary(gradient, self.taken))
            for value, gradient in self.results
        )

    def result(self, position: int) -> "Step":
        """One of several results as a step of its own."""
        return replace(
            self,
            name=self.outputs[position],
            shape=self.shape[position],
            dtype=self.dtype[position],
            value=self.value[position],
            gradient=self.gradient[position],
            outputs=(),
        )


@dataclass(frozen=True, eq=False)
class Argument:
    """One array among the arguments of the function.

    Attributes:
        index: Position among the arguments' arrays.
        path: The expression for it: `params['w1']`.
        shape: Its shape.
        dtype: Its data type.
        value: The array.
        gradient: Its gradient, or None if it was not differentiated.
        why: Why there is no gradient; empty if there is one.
        aliases: Further names of the same array: of a shared parameter in PyTorch.
    """

    index: int
    path: str
    shape: tuple[int, ...]
    dtype: Any
    value: Any
    gradient: Any = None
    why: str = ""
    aliases: tuple[str, ...] = ()

    _repr_html_ = fields_html

    def __repr__(self) -> str:
        type_ = type_text(self.shape, self.dtype)
        given = "differentiated" if self.gradient is not None else "no gradient"
        return f"<Argument {plain(self.path)}: {type_}, {given}>"

    @cached_property
    def summaries(self) -> tuple[Summary | None, Summary | None]:
        """A `Summary` of the value and of the gradient."""
        return _summary(self.value), _summary(self.gradient)


@dataclass(frozen=True, eq=False)
class Finding:
    """What is wrong with a gradient, which step is the cause, and what to do.

    Attributes:
        phase: Where it came from: an argument, a constant, the forward computation,
            or the derivative of a step.
        step: The step that made it; None for an argument.
        argument: Path of the argument, for the phase "input"; else None.
        iteration: The iteration of the loop, from 0; a tuple in nested loops.
        count: How many non-finite elements it made.
        operands: By name, the values of its inputs at the first non-finite elements;
            in the backward phase also the incoming cotangent.
        hint: What usually causes it, and what to write instead.
        primitive: The primitive operation inside the step.
        source: The user's line: that of the step, or of the user's derivative rule.
        shard: In a `shard_map` or `pmap` the first shard that made it: `data=1`.
        became: The step that turned this infinity into the NaN of the result.
        in_derivative: Whether that was the derivative of the step, not the step itself.
        library: The line of the library that holds the operation; None if it is the
            user's own.
        kind: What is wrong.
        reason: Why, in one word, where the kind has several causes.
        summary: What is wrong and where, in one sentence; empty for a NaN, whose
            sentence follows from the rest.
    """

    phase: Phase
    step: Step | None
    argument: str | None
    iteration: int | tuple[int, ...] | None
    count: int
    operands: dict[str, np.ndarray]
    hint: str
    primitive: str = ""
    source: Source | None = None
    became: Step | None = None
    in_derivative: bool = False
    library: Source | None = None
    kind: Kind = "nonfinite"
    reason: str = ""
    summary: str = ""
    shard: str = ""


@dataclass(frozen=True, eq=False)
class Contribution:
    """What one edge adds to a gradient in the backward pass.

    Attributes:
        by: The index of the step that sends it; () for the result of the function,
            which is 1. Several steps if a library prepares an operand for all of them.
        kind: What receives it.
        index: Number of the step or of the argument that receives it.
        position: Which of several results of the step.
        value: The amount, of the shape of the gradient that it is a part of; None
            where it cannot be told apart.
        formula: The local derivative in a formula, or how it is applied; or empty.
        slope: The local derivative in numbers, or None.
        form: What these are: "elements", one for each element of the operand;
            "gradient", of a scalar result; "jacobian", all results by all elements.
    """

    by: tuple[int, ...]
    kind: Literal["step", "argument"]
    index: int
    position: int
    value: Any
    formula: str = ""
    slope: Any = None
    form: Form = ""

    __repr__ = short_repr
    _repr_html_ = fields_html


@dataclass(frozen=True, eq=False)
class ChainRule:
    """All contributions; those to one gradient add up to it.

    Attributes:
        contributions: In no particular order.
        why: Why there are none; empty if there are.
    """

    contributions: tuple[Contribution, ...]
    why: str = ""

    __repr__ = short_repr
    _repr_html_ = fields_html

    def brief(self, most: int = 0) -> "ChainRule":
        """The same with summaries instead of arrays of more than `most` elements."""

        def short(x: Any) -> Any:
            return x if np.size(x) <= most or x is None else _summary(x)

        parts = self.contributions
        return ChainRule(
            tuple(
                replace(c, value=short(c.value), slope=short(c.slope)) for c in parts
            ),
            self.why,
        )


@dataclass(frozen=True, eq=False)
class Report:
    """The value and gradients of a function, and every step in between.

    Attributes:
        name: Name of the explained function.
        value: What `jax.value_and_grad` returns as the value.
        gradients: What it returns as the gradients.
        arguments: The arrays among the arguments.
        steps: The steps in the order of execution.
        result: Index of the step that the value comes from, or None.
        note: Why the function could not be entered; empty if it was.
    """

    name: str
    value: PyTree
    gradients: PyTree
    arguments: tuple[Argument, ...]
    steps: tuple[Step, ...]
    result: int | None = None
    note: str = ""
    _find: Callable[["Report"], Any] = field(default=lambda _: None, repr=False)
    _chain: Callable[["Report"], ChainRule] = field(
        default=lambda _: ChainRule((), "they were not recorded"), repr=False
    )

    @cached_property
    def nonfinite(self) -> Finding | None:
        """What `find_nonfinite` finds, in terms of the steps of this report."""
        return self._find(self)

    @cached_property
    def chain_rule(self) -> ChainRule:
        """What every step sends back along each edge.

        The first access compiles and runs the program once more.
        """
        return self._chain(self)

    def __getitem__(self, key: int | str) -> Step:
        """The step of that index, or the last step with the user's name `key`."""
        if isinstance(key, int):
            return self.steps[key]
        for step in reversed(self.steps):
            if key in (step.name, *step.aliases):
                return step
            if key in step.outputs:
                return step.result(step.outputs.index(key))
        names = ", ".join(dict.fromkeys(step.name for step in self.steps))
        paths = [argument.path for argument in self.arguments]
        message = (
            f"explain: expected the name of a step ({names}), got {key!r} instead."
        )
        if key in paths:
            message += f" It is an argument: see arguments[{paths.index(key)}]."
        raise KeyError(message)

    def __len__(self) -> int:
        return len(self.steps)


@dataclass(frozen=True, eq=False)
class Diagnosis:
    """What is wrong with the gradients of one call.

    Attributes:
        report: The explanation of the call.
        findings: The faults, the most serious first.
        remarks: Sentences about what looks like a fault but is not one.
        looked_for: What was looked for.
        skipped: What could not be looked for, and why.
    """

    report: Report
    findings: tuple[Finding, ...]
    remarks: tuple[str, ...] = ()
    looked_for: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()


def _summary(value: Any, taken: np.ndarray | None = None) -> Summary | None:
    if value is None or isinstance(value, Summary):
        return value
    return summarize(value, taken)
