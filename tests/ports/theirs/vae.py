"""A variational autoencoder of binary pixels, as in PyTorch's examples."""

import torch
import torch.nn.functional as F
from torch import nn

from tests.ports.theirs import loaded


class VAE(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(10, 8)
        self.fc21 = nn.Linear(8, 3)
        self.fc22 = nn.Linear(8, 3)
        self.fc3 = nn.Linear(3, 8)
        self.fc4 = nn.Linear(8, 10)

    def encode(self, x):
        h = torch.tanh(self.fc1(x))
        return self.fc21(h), self.fc22(h)  # <- halves

    def decode(self, z):
        h = torch.tanh(self.fc3(z))
        return self.fc4(h)

    def forward(self, x, noise):
        mu, logvar = self.encode(x)
        std = torch.exp(0.5 * logvar)  # <- std, cut, halves
        z = mu + noise * std  # <- std, cut, halves
        return self.decode(z), mu, logvar


def loss(network, x, noise):
    logits, mu, logvar = network(x, noise)
    bce = F.binary_cross_entropy_with_logits(logits, x, reduction="sum")  # <- bce
    kld = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())  # <- kl
    return (bce + kld) / len(x)  # <- elbo


def build(state):
    network = loaded(VAE(), state)
    return loss, (network,), dict(network.named_parameters())
