"""A decoder block: fused q/k/v, causal mask, sinusoids, tied embeddings."""

import math

import torch
import torch.nn.functional as F
from torch import nn

from tests.ports.theirs import loaded


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.qkv = nn.Linear(8, 24)
        self.out = nn.Linear(8, 8)

    def forward(self, x):
        n, t, d = x.shape
        q, k, v = self.qkv(x).split(d, dim=2)  # <- fused
        q, k, v = (a.view(n, t, 2, 4).transpose(1, 2) for a in (q, k, v))
        scores = q @ k.transpose(-2, -1)  # <- scores
        scores = scores / math.sqrt(4)  # <- scale
        # <- causal
        future = torch.triu(torch.ones(t, t, dtype=torch.bool), diagonal=1)
        scores = scores.masked_fill(future, float("-inf"))  # <- causal, axis
        weights = F.softmax(scores, dim=-1)  # <- axis, causal
        mixed = weights @ v
        mixed = mixed.transpose(1, 2).reshape(n, t, d)  # <- merge
        return self.out(mixed)  # <- merge


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(8), nn.LayerNorm(8)
        self.attention = Attention()
        self.up, self.down = nn.Linear(8, 16), nn.Linear(16, 8)

    def forward(self, x):
        x = x + self.attention(self.norm1(x))  # <- residual
        h = F.gelu(self.up(self.norm2(x)), approximate="tanh")  # <- gelu
        return x + self.down(h)  # <- residual2


class GPT(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(11, 8)
        self.block = Block()
        self.norm = nn.LayerNorm(8)

    def forward(self, tokens):
        t = torch.arange(tokens.shape[1], dtype=self.embed.weight.dtype)
        angles = t[:, None] * 10000 ** (-torch.arange(0, 8, 2, dtype=t.dtype) / 8)
        # <- sinusoid
        table = torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)
        x = self.embed(tokens) * math.sqrt(8)  # <- embed, tied
        x = self.block(x + table)  # <- sinusoid
        x = self.norm(x)
        return F.linear(x, self.embed.weight)  # <- tied


def loss(network, tokens, labels):
    logits = network(tokens)
    # <- error, ignored
    return F.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=-1)


def build(state):
    network = loaded(GPT(), state)
    return loss, (network,), dict(network.named_parameters())
