"""Write experiments/_port/*.npz: what PyTorch computes in the networks to port.

python -m tests.golden.generate_port
"""

from dataclasses import replace
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

import jaxgrad
from experiments._port import numbers
from experiments.port import RECORDS
from jaxgrad.inspection import Explanation, Step

ROOT = Path(__file__).parents[2]


class TwoLayerNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.w1 = nn.Parameter(torch.empty(12, 6))
        self.w2 = nn.Parameter(torch.empty(6, 3))

    def forward(self, x, y):
        h = x.mm(self.w1)
        h_clamped = h.clamp(min=0)
        prediction = h_clamped.mm(self.w2)
        return (prediction - y).pow(2).sum()


class MLP(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(16, 12), nn.Linear(12, 8)
        self.fc3 = nn.Linear(8, 10)

    def forward(self, images, labels):
        x = images.flatten(1)
        h1 = F.relu(self.fc1(x))
        h2 = F.relu(self.fc2(h1))
        return F.cross_entropy(self.fc3(h2), labels)


class CNN(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 4, 3, padding=1)
        self.fc = nn.Linear(36, 10)

    def forward(self, images, labels):
        h = F.max_pool2d(F.relu(self.conv(images)), 2)
        logits = self.fc(h.flatten(1))
        return F.cross_entropy(logits, labels)


NETWORKS = {"two_layer_net": TwoLayerNet, "mlp": MLP, "cnn": CNN}


def record(name: str) -> Explanation:
    """The report of a network in float64, on its numbers."""
    drawn = {k: torch.as_tensor(x) for k, x in getattr(numbers, name)().items()}
    network = NETWORKS[name]().double()
    weights = {key: drawn.pop(key) for key in network.state_dict()}
    network.load_state_dict(weights)
    report = jaxgrad.explain_torch(network)(**drawn)
    return replace(report, steps=tuple(map(_placed, report.steps)))


def _placed(step: Step) -> Step:
    """The step with this file's path in the repository."""
    file = str(Path(__file__).relative_to(ROOT))
    return replace(step, source=replace(step.source, file=file))


if __name__ == "__main__":
    for each in NETWORKS:
        record(each).save_record(RECORDS / f"{each}.npz")
