"""A convolutional classifier: a training pass, then one with the running statistics."""

import torch
import torch.nn.functional as F
from torch import nn

from tests.ports.theirs import loaded


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(2, 4, 3, stride=2, padding=1)
        self.bn = nn.BatchNorm2d(4)
        self.conv2 = nn.Conv2d(4, 4, 3, padding=1)
        self.head = nn.Linear(16, 5)

    def forward(self, x):
        h = self.conv1(x)  # <- padding, biased
        h = self.bn(h)  # <- bn_eps, biased, unbiased, momentum, eval_mode
        h = self.conv2(F.relu(h))  # <- kernel
        h = F.max_pool2d(h, 3, stride=2, padding=1)  # <- pool
        h = torch.flatten(h, 1)  # <- flatten
        return self.head(h)  # <- flatten


def build(state):
    network = loaded(Network(), state)

    def loss(x, later, labels):
        network.train()
        # <- smoothing, reduction
        error = F.cross_entropy(network(x), labels, label_smoothing=0.1)
        network.eval()
        return error + F.cross_entropy(network(later), labels)  # <- reduction

    return loss, (), dict(network.named_parameters())
