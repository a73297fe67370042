"""An autoencoder with a normal decoder, clamped variances and free bits."""

import math

import torch
import torch.nn.functional as F
from torch import nn
from torch.distributions import Normal, kl_divergence

from tests.ports.theirs import loaded


class GaussianVAE(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Linear(6, 8)
        self.mean = nn.Linear(8, 3)
        self.scale = nn.Linear(8, 3)
        self.decoder = nn.Sequential(nn.Linear(3, 8), nn.ELU(), nn.Linear(8, 12))

    def forward(self, x, noise):
        h = F.elu(self.encoder(x))
        mu = self.mean(h)
        std = F.softplus(self.scale(h)) + 1e-3  # <- softplus
        z = mu + std * noise
        out = self.decoder(z)
        location, logvar = out.chunk(2, dim=-1)  # <- chunk, clamp
        logvar = logvar.clamp(-1.0, 1.0)  # <- clamp
        prior = Normal(torch.zeros_like(mu), torch.ones_like(std))
        kl = kl_divergence(Normal(mu, std), prior)  # <- kl
        kl = kl.sum(-1).mean()  # <- kl_mean
        squared = (x - location) ** 2 / logvar.exp()  # <- chunk, variance
        nll = 0.5 * (squared + logvar + math.log(2 * math.pi))
        return nll.sum(-1).mean() + 0.5 * kl


def build(state):
    network = loaded(GaussianVAE(), state)
    return network, (), dict(network.named_parameters())
