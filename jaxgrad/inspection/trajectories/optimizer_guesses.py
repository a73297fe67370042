"""The cause of another update, by trial: one setting of the optimizer is exchanged.

Their rule is known from PyTorch's optimizer, or found among common ones. Then ours is
the variant of it that explains our updates from our own gradients.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from jaxgrad.inspection.report.format import number
from jaxgrad.inspection.trajectories.rules import (
    Data,
    Rule,
    fitted_lr,
    misfit,
    simulated,
)

KINDS = {"SGD": "sgd", "Adam": "adam", "AdamW": "adam", "RMSprop": "rmsprop"}
KINDS |= {"Adagrad": "adagrad"}
BETTER = 0.15  # A trial must leave at most this share of the difference
EPS = (1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9, 1e-10, 1e-12, 1e-15, 1e-16, 0.0)
BETAS = (0.0, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.997, 0.999, 0.9999)
DECAYS = (
    0.0,
    1e-6,
    1e-5,
    1e-4,
    5e-4,
    1e-3,
    2e-3,
    5e-3,
    1e-2,
    2e-2,
    5e-2,
    0.1,
    0.2,
    0.5,
)
CLIPS = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0)


class Trial(NamedTuple):
    """A variant of a rule, and what it says about ours."""

    cause: str
    sentence: str
    rule: Rule


def rule_of(settings: list[dict[str, dict[str, Any]]], names: list[str]) -> Rule | None:
    """The rule of an optimizer of PyTorch, from its settings in each step."""
    if not settings or any(n not in step for step in settings for n in names):
        return None
    each = [settings[0][name] for name in names]
    first = each[0]
    kind = KINDS.get(first["kind"])
    if kind is None:
        return None
    betas = first.get("betas", (0.0, first.get("alpha", 0.0)))
    decoupled = first["kind"] == "AdamW" or first.get("decoupled_weight_decay", False)
    return Rule(
        kind=kind,  # pyright: ignore
        lr=np.array([[float(step[n]["lr"]) for n in names] for step in settings]),
        decay=np.array([float(s.get("weight_decay", 0.0)) for s in each]),
        decoupled="yes" if decoupled else "no",
        momentum=float(first.get("momentum", 0.0)),
        dampening=float(first.get("dampening", 0.0)),
        nesterov=bool(first.get("nesterov", False)),
        betas=(float(betas[0]), float(betas[1])),
        eps=float(first.get("eps", 0.0)),
        amsgrad=bool(first.get("amsgrad", False)),
        centered=bool(first.get("centered", False)),
        accumulator=float(first.get("initial_accumulator_value", 0.0)),
        sign=-1.0 if first.get("maximize", False) else 1.0,
    )


def with_clip(rule: Rule, raw: Data, used: np.ndarray) -> Rule:
    """The rule with the clipping that lies between two kinds of gradients."""
    if np.allclose(raw.gradients, used, rtol=1e-7, atol=0):
        return rule
    scaled = np.linalg.norm(used, axis=1) < 0.999999 * np.linalg.norm(
        raw.gradients, axis=1
    )
    most = float(np.abs(used).max())
    norm = (
        float(np.median(np.linalg.norm(used[scaled], axis=1))) if scaled.any() else 0.0
    )
    choices = [replace(rule, clip=norm), replace(rule, clip=most, clip_form="value")]
    return min(choices, key=lambda r: misfit(simulated(r, raw), raw))


def common_rule(data: Data) -> Rule | None:
    """The common optimizer that explains some updates, with any learning rate."""
    best, least = None, 1e-2
    for rule in _common(data):
        rule = replace(rule, lr=fitted_lr(rule, data))
        found = misfit(simulated(rule, data), data)
        if found < least:
            best, least = rule, 0.5 * found
        if least < 1e-9:
            break
    return best


def _common(data: Data) -> Iterator[Rule]:
    steps, leaves = data.norms.shape
    plain = Rule("sgd", np.ones((steps, leaves)), np.zeros(leaves))
    cores = [plain, *(replace(plain, momentum=b) for b in BETAS[1:-1])]
    cores += [replace(r, nesterov=True) for r in cores[1:]]
    adam = replace(plain, kind="adam")
    cores += [
        replace(adam, betas=(a, b), eps=e)
        for e in (1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3)
        for a in (0.9, 0.95, 0.8, 0.5, 0.0)
        for b in (0.999, 0.99, 0.95, 0.98, 0.9)
    ]
    rms = replace(plain, kind="rmsprop")
    cores += [replace(rms, betas=(0.0, a), eps=e) for a in (0.99, 0.9) for e in EPS[:8]]
    cores += [replace(plain, kind="adagrad", eps=e) for e in (1e-10, 1e-7)]
    yield from cores
    few = [c for c in cores if c.kind == "sgd" or c.eps == 1e-8]
    for decay in DECAYS[3:12]:
        for core in few:
            yield replace(core, decay=np.full(leaves, decay))
            yield replace(core, decay=np.full(leaves, decay), decoupled="yes")


def variant(rule: Rule, data: Data, step: int) -> tuple[str, str]:
    """The cause and the sentence of the variant of `rule` that explains ours."""
    allowed = BETTER * misfit(simulated(rule, data), data)
    scored = [(misfit(simulated(t.rule, data), data), t) for t in trials(rule, data)]
    best = min((score for score, _ in scored), default=np.inf)
    free = replace(rule, lr=fitted_lr(rule, data))
    with_rates = misfit(simulated(free, data), data)
    if min(best, with_rates) > allowed:
        return _with_rates(rule, data, step, allowed)
    if best <= max(3 * with_rates, 0.1 * allowed):
        near = max(3 * best, 1e-9)
        found = next(t for score, t in scored if score <= near)
        return found.cause, found.sentence
    return rates(rule.lr[:, 0], free.lr[:, 0], step)


def _with_rates(rule: Rule, data: Data, step: int, allowed: float) -> tuple[str, str]:
    """The same if another learning rate comes with it."""
    for trial in trials(rule, data):
        free = replace(trial.rule, lr=fitted_lr(trial.rule, data))
        if misfit(simulated(free, data), data) <= allowed:
            return trial.cause, f"{trial.sentence} The learning rate differs, too."
    return "", ""


def rates(theirs: np.ndarray, ours: np.ndarray, step: int) -> tuple[str, str]:
    """What two sequences of learning rates say."""

    def same(a: np.ndarray, b: np.ndarray) -> bool:
        return len(a) > 0 and np.allclose(a, b, rtol=1e-3, atol=1e-12)

    varies = not same(theirs, np.full_like(theirs, theirs[0]))
    ratio = ours / np.where(theirs == 0, np.nan, theirs)
    if same(ratio, np.full_like(ratio, ratio[0])):
        factor = number(float(ratio[0]), 4)
        return "learning rate", f"Our learning rate is {factor} times theirs."
    for shift in range(1, 6) if varies else ():
        for sign, word in ((1, "ahead"), (-1, "late")):
            a, b = (
                (theirs[shift:], ours[:-shift])
                if sign > 0
                else (theirs[:-shift], ours[shift:])
            )
            if len(a) > 1 and same(a, b):
                steps = "one step" if shift == 1 else f"{shift} steps"
                return "schedule", f"Our learning-rate schedule is {steps} {word}."
    a, b = (number(float(x[min(step, len(x) - 1)]), 6) for x in (theirs, ours))
    if varies and same(ours, np.full_like(ours, ours[0])):
        return "schedule", f"Our learning rate stays {b}; theirs follows a schedule."
    return (
        "schedule",
        f"Another learning-rate schedule: in step {step} theirs is {a}, ours {b}.",
    )


def trials(rule: Rule, data: Data) -> Iterator[Trial]:
    """The variants of a rule, the likely ones first."""
    yield from _decays(rule, data)
    if rule.kind == "adam":
        yield from _adam(rule)
    if rule.kind in ("sgd", "rmsprop"):
        yield from _momentum(rule)
    if rule.kind in ("rmsprop", "adagrad"):
        yield from _rms(rule)
    yield from _clipping(rule)
    late = replace(rule, late=True)
    yield Trial("late", "Ours uses the gradients of the step before.", late)
    negated = replace(rule, sign=-rule.sign)
    yield Trial("sign", "Ours steps in the opposite direction.", negated)


def _decays(rule: Rule, data: Data) -> Iterator[Trial]:
    some = rule.decay[rule.decay > 0]
    one, many = data.ranks <= 1, data.ranks > 1
    if some.size:
        value = float(some[0])
        for decoupled in ("no", "yes", "without lr", "first lr"):
            if decoupled != rule.decoupled:
                yield Trial(
                    "weight decay",
                    f"Our weight decay is {DECAY[decoupled]}; theirs is "
                    f"{DECAY[rule.decoupled]}.",
                    replace(rule, decoupled=decoupled),
                )
        yield Trial(
            "weight decay",
            "Ours has no weight decay on biases and norms; theirs has.",
            replace(rule, decay=np.where(one, 0.0, rule.decay)),
        )
        yield Trial(
            "weight decay",
            "Ours applies weight decay to biases and norms, too; theirs does not.",
            replace(rule, decay=np.full_like(rule.decay, value)),
        )
        yield Trial(
            "weight decay",
            "Ours applies weight decay to biases and norms only.",
            replace(rule, decay=np.where(many, 0.0, rule.decay)),
        )
        scales = [(0.5, "half"), (2.0, "twice"), (0.0, "")]
        for factor, word in scales:
            text = f"Our weight decay is {word} theirs." if word else NO_DECAY
            yield Trial("weight decay", text, replace(rule, decay=factor * rule.decay))
    forms = (rule.decoupled, "yes" if rule.decoupled == "no" else "no")
    for decay in DECAYS[1:]:
        for form in forms:
            text = f"Ours has a weight decay of {decay:g}, {DECAY[form]}; theirs "
            text += f"{number(float(some[0]))}." if some.size else "has none."
            where = np.ones(len(rule.decay), bool), many
            for mask in where:
                new = replace(rule, decay=np.where(mask, decay, 0.0), decoupled=form)
                yield Trial("weight decay", text, new)


NO_DECAY = "Ours has no weight decay."
DECAY = {
    "no": "added to the gradient (L2)",
    "yes": "decoupled (times the learning rate)",
    "without lr": "decoupled and not multiplied by the learning rate",
    "first lr": "decoupled and multiplied by the first learning rate, without schedule",
}


def _adam(rule: Rule) -> Iterator[Trial]:
    yield from _eps(rule, ("outside", "inside", "uncorrected"))
    b1, b2 = rule.betas
    for corrected in ((False, False), (False, True), (True, False)):
        which = {(False, True): " of the mean", (True, False): " of the squares"}
        text = f"Ours has no bias correction{which.get(corrected, '')}."
        yield Trial("bias correction", text, replace(rule, corrected=corrected))
    for count in (1, -1):
        text = (
            f"Our bias correction counts one step too {'many' if count > 0 else 'few'}."
        )
        yield Trial("bias correction", text, replace(rule, count=count))
    text = "The betas are swapped in ours."
    yield Trial("betas", text, replace(rule, betas=(b2, b1)))
    for a in BETAS:
        for b in BETAS:
            if (a, b) != (b1, b2) and (a == b1 or b == b2):
                text = f"Our betas are ({a:g}, {b:g}), theirs ({b1:g}, {b2:g})."
                yield Trial("betas", text, replace(rule, betas=(a, b)))
    which = "no AMSGrad; theirs has" if rule.amsgrad else "AMSGrad; theirs has not"
    yield Trial(
        "amsgrad", f"Ours has {which}.", replace(rule, amsgrad=not rule.amsgrad)
    )
    text = "Ours uses Nesterov momentum (NAdam)."
    yield Trial("nesterov", text, replace(rule, nesterov=True))


def _eps(rule: Rule, forms: tuple[Any, ...]) -> Iterator[Trial]:
    where = {
        "outside": "outside the root",
        "inside": "inside the root",
        "uncorrected": "added before the bias correction",
    }
    for form in forms:
        for eps in (rule.eps, *EPS):
            if (form, eps) != (rule.eps_form, rule.eps):
                text = f"Our eps is {eps:g}, {where[form]}; theirs is {rule.eps:g}, "
                text += f"{where[rule.eps_form]}."
                yield Trial("eps", text, replace(rule, eps_form=form, eps=eps))


def _momentum(rule: Rule) -> Iterator[Trial]:
    mu = rule.momentum
    if mu:
        dampened = replace(rule, dampening=mu)
        text = "Ours multiplies the gradient by 1 - momentum (dampening)."
        yield Trial("dampening", text, replace(dampened, dampens_first=True))
        yield Trial("dampening", f"{text[:-1]}, except the first.", dampened)
        if rule.dampening:
            text = "Ours has no dampening; theirs has."
            yield Trial("dampening", text, replace(rule, dampening=0.0))
        which = (
            "no Nesterov momentum; theirs has"
            if rule.nesterov
            else "Nesterov momentum; theirs has not"
        )
        yield Trial(
            "nesterov", f"Ours has {which}.", replace(rule, nesterov=not rule.nesterov)
        )
        text = "Ours multiplies by the learning rate before the momentum."
        yield Trial("momentum", text, replace(rule, lr_in_buffer=True))
    for value in (*BETAS, *np.arange(0.8, 0.999, 0.01).round(2).tolist()):
        if value != mu:
            text = f"Our momentum is {value:g}, theirs {mu:g}."
            yield Trial("momentum", text, replace(rule, momentum=value))


def _rms(rule: Rule) -> Iterator[Trial]:
    yield from _eps(rule, ("outside", "inside"))
    for start in (0.0, 0.1, 1.0):
        if start != rule.accumulator:
            text = f"Our running squares start at {start:g}, theirs at "
            text += f"{rule.accumulator:g}."
            yield Trial("accumulator", text, replace(rule, accumulator=start))
            text += f" Our eps is {rule.eps:g}, inside the root."
            yield Trial(
                "accumulator", text, replace(rule, accumulator=start, eps_form="inside")
            )
    if rule.kind == "rmsprop":
        for a in BETAS:
            text = f"Our alpha is {a:g}, theirs {rule.betas[1]:g}."
            yield Trial("alpha", text, replace(rule, betas=(0.0, a)))
        which = (
            "not centered; theirs is" if rule.centered else "centered; theirs is not"
        )
        yield Trial(
            "centered", f"Ours is {which}.", replace(rule, centered=not rule.centered)
        )


def _clipping(rule: Rule) -> Iterator[Trial]:
    if rule.clip:
        yield Trial(
            "clipping", "Ours does not clip the gradients.", replace(rule, clip=0.0)
        )
        text = "Ours adds weight decay before it clips the gradients."
        yield Trial("clipping", text, replace(rule, clip_decayed=True))
    forms = {
        "norm": "to a common norm of",
        "each norm": "each to a norm of",
        "value": "to values up to",
    }
    for form, words in forms.items():
        for clip in dict.fromkeys([rule.clip, *CLIPS] if rule.clip else CLIPS):
            if (form, clip) != (rule.clip_form, rule.clip):
                text = f"Ours clips the gradients {words} {number(clip)}."
                new = replace(rule, clip=clip, clip_form=form)
                yield Trial("clipping", text, new)
