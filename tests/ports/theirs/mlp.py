"""A classifier with batch standardization, GELU, layer norm and weighted labels."""

import torch.nn.functional as F
from torch import nn

from tests.ports.theirs import loaded


class Classifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(6, 8)
        self.norm = nn.LayerNorm(8)
        self.second = nn.Linear(8, 8)
        self.third = nn.Linear(8, 5)

    def forward(self, x, keep):
        x = (x - x.mean(0)) / x.std(0)  # <- std
        h = F.gelu(self.first(x))  # <- gelu, half
        h = self.norm(h)  # <- eps
        h = self.second(h)  # <- transposed
        h = F.leaky_relu(h)  # <- slope
        h = h * keep / (1 - 0.2)  # <- dropout
        return self.third(h)


def loss(network, x, keep, labels, weights):
    logits = network(x, keep)
    error = F.cross_entropy(logits, labels, weights)  # <- error, axis, ignored
    squares = sum((p**2).sum() for p in network.parameters())
    return error + 0.5 * 1e-2 * squares  # <- decay


def build(state):
    network = loaded(Classifier(), state)
    return loss, (network,), dict(network.named_parameters())
