"""Two views of an input, one detached, with losses that have kinks at 0."""

import torch
import torch.nn.functional as F
from torch import nn

from tests.ports.theirs import loaded


class Siamese(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 8))
        self.predictor = nn.Linear(8, 8, bias=False)
        self.score = nn.Linear(8, 1, bias=False)

    def encode(self, view):
        h = self.encoder[0](view)  # <- relu
        h = F.relu(h)  # <- relu
        return self.encoder[2](h)  # <- detach, cut, norm, abs

    def forward(self, view, other, wanted, clicked):
        z = self.encode(view)  # <- cut
        target = self.encode(other).detach()  # <- detach
        predicted = self.predictor(z)  # <- beta, cut
        error = F.smooth_l1_loss(predicted, target, beta=0.5)  # <- beta, detach
        score = self.score(z)[:, 0]  # <- clamp
        gate = torch.clamp(score, 0.0, 1.0)  # <- clamp
        error = error + F.mse_loss(gate, wanted)  # <- half_square
        error = error + F.binary_cross_entropy_with_logits(score, clicked)  # <- logits
        length = torch.linalg.vector_norm(z, dim=1)  # <- norm
        return error + 0.1 * length.mean() + 0.1 * z.abs().mean()  # <- abs


def build(state):
    network = loaded(Siamese(), state)
    return network, (), dict(network.named_parameters())
