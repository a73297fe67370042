"""A sequence classifier with nn.LSTM, one fused call, on padded tokens."""

import torch
import torch.nn.functional as F
from torch import nn

from tests.ports.theirs import loaded


class Reader(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(7, 5, padding_idx=0)
        self.lstm = nn.LSTM(5, 6, batch_first=True)
        self.head = nn.Linear(6, 3)
        self.start_h = nn.Parameter(torch.zeros(1, 1, 6))
        self.start_c = nn.Parameter(torch.zeros(1, 1, 6))

    def forward(self, tokens, lengths):
        x = self.embed(tokens)  # <- padding
        start = [
            s.expand(1, len(x), -1).contiguous() for s in (self.start_h, self.start_c)
        ]
        out, _ = self.lstm(x, tuple(start))  # <- biases, order, gates, start, reversed
        rows = torch.arange(len(x))
        last = out[rows, lengths - 1]  # <- last
        return self.head(last)


def build(state):
    network = loaded(Reader(), state)
    criterion = nn.CrossEntropyLoss()

    def loss(tokens, lengths, labels):
        logits = network(tokens, lengths)
        decay = 1e-2 * F.softplus(logits).sum()
        return criterion(logits, labels) + decay

    return loss, (), dict(network.named_parameters())
