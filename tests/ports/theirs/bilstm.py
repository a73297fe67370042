"""Both directions of a hand-written LSTM; the state is detached halfway."""

import torch


def cell(p, name, x, h, c):
    gates = x @ p[f"{name}.weight_ih"].T + p[f"{name}.bias_ih"]  # <- reversed
    # <- biases, start
    gates = gates + h @ p[f"{name}.weight_hh"].T + p[f"{name}.bias_hh"]
    i, f, g, o = gates.chunk(4, dim=1)  # <- order
    f = torch.sigmoid(f)  # <- order, forget
    c = f * c + torch.sigmoid(i) * torch.tanh(g)  # <- order, start
    h = torch.sigmoid(o) * torch.tanh(c)  # <- order, detach
    return h, c


def run(p, name, xs):
    h = c = xs.new_zeros(xs.shape[1], 6)  # <- start
    outputs = []
    for t, x in enumerate(xs):
        if t == 2:
            h, c = h.detach(), c.detach()  # <- detach
        h, c = cell(p, name, x, h, c)
        outputs.append(h)
    return torch.stack(outputs)  # <- backward, reversed, outputs


def loss(p, xs, target):
    forth = run(p, "forth", xs)
    back = run(p, "back", xs.flip(0)).flip(0)  # <- backward, reversed
    both = torch.cat([forth, back], dim=-1)  # <- backward, clip
    if both.requires_grad:
        both.register_hook(lambda g: g.clamp(-0.02, 0.02))  # <- clip
    pooled = both.mean(dim=0) + both[0]  # <- pooled, backward
    predicted = pooled @ p["head"].T
    return ((predicted - target) ** 2).mean()


def build(state):
    params = {name: value.clone().requires_grad_() for name, value in state.items()}
    return loss, (params,), params
