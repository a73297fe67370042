"""An encoder block: RMS norm, rotary positions, SwiGLU, a mean without padding."""

import torch
import torch.nn.functional as F
from torch import nn

from tests.ports.theirs import loaded


def rotate(x):
    t, size = x.shape[2:]
    rates = 100.0 ** (-torch.arange(0, size, 2, dtype=x.dtype) / size)
    angles = torch.arange(t, dtype=x.dtype)[:, None] * rates
    cos, sin = angles.cos(), angles.sin()
    even, odd = x[..., 0::2], x[..., 1::2]  # <- rotary
    # <- rotary
    turned = torch.stack([even * cos - odd * sin, even * sin + odd * cos], dim=-1)
    return turned.flatten(-2)  # <- rotary


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.places = nn.Embedding(8, 8)
        self.norm1 = nn.RMSNorm(8, eps=1e-5)
        self.norm2 = nn.LayerNorm(8)
        self.q = nn.Linear(8, 8, bias=False)
        self.k = nn.Linear(8, 8, bias=False)
        self.v = nn.Linear(8, 8, bias=False)
        self.out = nn.Linear(8, 8, bias=False)
        self.gate = nn.Linear(8, 12, bias=False)
        self.up = nn.Linear(8, 12, bias=False)
        self.down = nn.Linear(12, 8, bias=False)
        self.dropout = nn.Dropout(0.1)
        self.head = nn.Linear(8, 1)

    def forward(self, x, present):
        n, t = x.shape[:2]
        x = x + self.places(torch.arange(t) + 2)  # <- places
        h = self.norm1(x)  # <- rms
        heads = lambda a: a.view(n, t, 2, 4).transpose(1, 2)  # noqa: E731
        q, k, v = heads(self.q(h)), heads(self.k(h)), heads(self.v(h))
        # <- attention, inverted
        mixed = F.scaled_dot_product_attention(
            rotate(q), rotate(k), v, present[:, None, None]
        )
        mixed = self.out(mixed.transpose(1, 2).flatten(2))
        mixed = self.dropout(mixed)  # <- dropout
        x = self.norm2(x + mixed)  # <- residual, dropout
        h = F.silu(self.gate(x)) * self.up(x)  # <- swiglu
        x = x + self.down(h)
        present = present[..., None].to(x.dtype)
        pooled = (x * present).sum(1) / present.sum(1)  # <- pooled
        return self.head(pooled)[:, 0]


def build(state):
    network = loaded(Encoder(), state).eval()

    def loss(x, present, target, keep):
        predicted = network(x, present)
        return F.huber_loss(predicted, target, delta=0.5)  # <- huber

    return loss, (), dict(network.named_parameters())
