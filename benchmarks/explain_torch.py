"""The cost of looking into a PyTorch program, and of comparing a long one with JAX's.

    python -m benchmarks.explain_torch [--turns 10]

ResNet-20 on images of 32 x 32, by the size of the batch: the plain forward and backward
pass and `explain_torch` take turns. Then `compare` of a perceptron in PyTorch with its
port, 2,000 steps each. Measured is the CPU time, with one thread of PyTorch, since
others would spin while they wait. Claims: explaining takes at most 3 times the plain
passes, from a batch of 4 images on; comparing takes less than 10 s. Exit code 1 if not.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import jax.numpy as jnp
import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from benchmarks import _frame as frame
from jaxgrad import compare, explain, explain_torch

PLAIN = "plain"
SUMMARY, ARRAYS = 'explain_torch(keep="summary")', 'explain_torch(keep="arrays")'
MOST, LEAST, LONGEST = 3.0, 4, 10.0  # times, from this batch on; seconds


@dataclass(frozen=True)
class Config:
    """The cost of looking into a PyTorch program, and of comparing a long one."""

    turns: int = 10
    """Number of timings of each."""
    batches: tuple[int, ...] = (1, 4, 16)
    """Numbers of images."""
    steps: int = 2000
    """Steps of the programs that are compared."""


class Block(nn.Module):
    """Two convolutions with batch norm, and the input added."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        stride = outputs // inputs
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.skip = nn.Sequential()
        if stride > 1:
            conv = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
            self.skip = nn.Sequential(conv, nn.BatchNorm2d(outputs))

    def forward(self, x: torch.Tensor) -> torch.Tensor:  # noqa: D102
        y = F.relu(self.norm1(self.conv1(x)))
        y = self.norm2(self.conv2(y))
        return F.relu(y + self.skip(x))


def resnet20() -> nn.Sequential:
    """The network of He et al. (2016) for images of 32 x 32."""
    widths = [16, 16, 16, 16, 32, 32, 32, 64, 64, 64]
    return nn.Sequential(
        *(nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU()),
        *(Block(*pair) for pair in pairwise(widths)),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10)),
    )


def passes(batch: int) -> dict[str, frame.Work]:
    """The passes of a network in training, plain and explained."""
    torch.manual_seed(0)
    net = resnet20()
    images, labels = torch.randn(batch, 3, 32, 32), torch.arange(batch) % 10

    def loss(images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return F.cross_entropy(net(images), labels)

    def plain() -> Any:
        return torch.autograd.grad(loss(images, labels), [*net.parameters()])

    return {
        PLAIN: plain,
        SUMMARY: partial(explain_torch(loss, keep="summary"), images, labels),
        ARRAYS: partial(explain_torch(loss, keep="arrays"), images, labels),
    }


def perceptron(steps: int) -> tuple[Any, Any]:
    """The reports of a deep perceptron in both libraries, with three steps a layer."""
    rng = np.random.default_rng(0)
    shapes = [(16, 16)] * (steps // 3)
    weights = [rng.normal(scale=0.01, size=s).astype(np.float32) for s in shapes]
    x = rng.normal(size=(8, 16)).astype(np.float32)

    def loss(tanh: Callable[[Any], Any], weights: Any, x: Any) -> Any:
        for w in weights:
            h = x @ w
            x = x + tanh(h)
        return (x * x).mean()

    tensors = [torch.tensor(w, requires_grad=True) for w in weights]
    theirs = explain_torch(partial(loss, torch.tanh))(tensors, torch.tensor(x))
    return theirs, explain(partial(loss, jnp.tanh))(weights, x)


def compared(steps: int) -> float:
    """The seconds that `compare` takes; prints its verdict."""
    theirs, ours = perceptron(steps)
    begin = time.process_time()
    comparison = compare(theirs, ours)
    seconds = time.process_time() - begin
    verdict = str(comparison).partition("\n")[0]
    numbers = f"{len(theirs.steps):,} and {len(ours.steps):,} steps: {seconds:.1f} s"
    frame.section("compare", f"{numbers}\n{verdict}")
    return seconds


def run(config: Config) -> dict[int, frame.Seconds]:
    """Time the network by batch, then the comparison."""
    frame.at_least(config, turns=1, steps=3)
    torch.set_num_threads(1)
    frame.heading("CPU time", f"{config.turns} turns", "torch", "jax")
    results, worst = {}, 0.0
    for batch in config.batches:
        seconds = frame.take_turns(
            passes(batch), config.turns, warm_up=2, clock=time.process_time
        )
        frame.section(f"Batch {batch}", frame.times(seconds, PLAIN, "ms"))
        results[batch] = seconds
        if batch >= LEAST:
            ratios = [
                frame.ratio(seconds[n], seconds[PLAIN]) for n in (SUMMARY, ARRAYS)
            ]
            worst = max(worst, *ratios)
    taken = compared(config.steps)
    figures = f"{worst:.2f} times <= {MOST:g}, comparing {taken:.1f} s < {LONGEST:g} s"
    frame.claim(figures, worst <= MOST and taken < LONGEST)
    return results


main = frame.benchmark("explain_torch", Config, run)

if __name__ == "__main__":
    frame.run_as_script(main)
