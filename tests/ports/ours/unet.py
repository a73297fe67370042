"""The image-to-image network with Flax nnx."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

ONE: Any = ((1, 1), (1, 1))


class UNet(nnx.Module):
    def __init__(self, rngs):
        self.conv = nnx.Conv(2, 4, (3, 3), padding=1, rngs=rngs)
        self.norm = nnx.GroupNorm(4, num_groups=2, epsilon=1e-5, rngs=rngs)  # <! group
        self.wide = nnx.Conv(4, 8, (1, 1), rngs=rngs)
        self.up = nnx.ConvTranspose(4, 2, (4, 4), (2, 2), padding="SAME", rngs=rngs)
        self.gate = nnx.Linear(4, 2, rngs=rngs)

    def __call__(self, x):
        h = self.conv(x)
        h = self.norm(h)  # <~ group
        skip = nnx.silu(h)
        # <- pad_count
        down = nnx.avg_pool(skip, (3, 3), (2, 2), ONE, count_include_pad=False)
        shuffled = pixel_shuffle(self.wide(down))  # <~ shuffle
        up = self.up(down)  # <~ flip
        smooth = resize(down, 2 * down.shape[1])  # <- corners
        peak = jnp.max(down, axis=(1, 2))  # <- peak
        gate = nnx.sigmoid(self.gate(peak))[:, None, None]
        out = gate * (shuffled + up)  # <~ shuffle
        return out + smooth[..., :2] + skip[..., 2:]  # <- skip


def pixel_shuffle(h):
    n, height, width, channels = h.shape
    h = h.reshape(n, height, width, channels // 4, 2, 2)  # <- shuffle
    h = h.transpose(0, 1, 4, 2, 5, 3)
    return h.reshape(n, 2 * height, 2 * width, channels // 4)  # <~ shuffle


def resize(h, size):
    """Bilinear, with the corners aligned."""
    scale = (size - 1) / (h.shape[1] - 1)
    return jax.image.scale_and_translate(  # <~ corners
        *(h, (h.shape[0], size, size, h.shape[3]), (1, 2)),
        scale=jnp.full(2, scale, h.dtype),
        translation=jnp.full(2, -(scale / 2 - 0.5), h.dtype),
        method="linear",
        antialias=False,
    )


def loss(model, x, target):
    x, target = x.transpose(0, 2, 3, 1), target.transpose(0, 2, 3, 1)
    return jnp.sum((model(x) - target) ** 2) / len(x)  # <- reduction <~ skip


def set_values(layer, **arrays):
    for name, array in arrays.items():
        getattr(layer, name).set_value(array)


def params_from_torch(state):
    model = UNet(nnx.Rngs(0))
    for name in ("conv", "wide"):
        kernel = state[f"{name}.weight"].transpose(2, 3, 1, 0)
        set_values(getattr(model, name), kernel=kernel, bias=state[f"{name}.bias"])
    up = state["up.weight"].transpose(2, 3, 0, 1)[::-1, ::-1]  # <! flip
    set_values(model.up, kernel=up, bias=state["up.bias"])
    set_values(model.norm, scale=state["norm.weight"], bias=state["norm.bias"])
    set_values(model.gate, kernel=state["gate.weight"].T, bias=state["gate.bias"])
    return model
