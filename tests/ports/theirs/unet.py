"""A small image-to-image network: group norm, pooling, four ways up."""

import torch
import torch.nn.functional as F
from torch import nn

from tests.ports.theirs import loaded


class UNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 4, 3, padding=1)
        self.norm = nn.GroupNorm(2, 4)
        self.wide = nn.Conv2d(4, 8, 1)
        self.up = nn.ConvTranspose2d(4, 2, 4, stride=2, padding=1)
        self.gate = nn.Linear(4, 2)

    def forward(self, x):
        h = self.conv(x)
        h = self.norm(h)  # <- group
        skip = F.silu(h)
        down = F.avg_pool2d(skip, 3, 2, 1, count_include_pad=False)  # <- pad_count
        shuffled = F.pixel_shuffle(self.wide(down), 2)  # <- shuffle
        up = self.up(down)  # <- flip
        # <- corners
        smooth = F.interpolate(
            down, scale_factor=2, mode="bilinear", align_corners=True
        )
        peak = down.amax(dim=(2, 3))  # <- peak
        gate = torch.sigmoid(self.gate(peak))[:, :, None, None]
        out = gate * (shuffled + up)  # <- shuffle
        return out + smooth[:, :2] + skip[:, 2:]  # <- skip


def loss(network, x, target):
    return F.mse_loss(network(x), target, reduction="sum") / len(x)  # <- reduction


def build(state):
    network = loaded(UNet(), state)
    return loss, (network,), dict(network.named_parameters())
