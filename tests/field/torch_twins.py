"""Some of the programs with PyTorch's functions, for the tools that only know PyTorch.

Each has the name of the case, takes the same arguments, and marks the same line.
"""

import torch


def short_rows_replaced(x):
    length = torch.sqrt(torch.sum(x**2, dim=1))  # GUILTY
    return torch.sum(torch.where(length > 0.5, length, 1.0))


def infinite_slope_not_taken(x):
    steep = x * torch.inf  # GUILTY
    return torch.where(x > 0, 0.0, steep)


def roots_dropped_later(x):
    roots = (torch.tensor([0.0, 1.0]) * x) ** 0.5  # GUILTY
    return torch.sum(roots[torch.tensor([1])])


def learned_exponent(exponent):
    scaled = torch.tensor([-2.0, 3.0]) ** exponent  # GUILTY
    return torch.sum(scaled)


def divide_no_nan(x, y):
    quotient = x / y  # GUILTY
    return torch.sum(torch.where(y == 0, 0.0, quotient))


def focal_weight(logits, targets):
    p = torch.sigmoid(logits)
    focus = (1 - p) ** 0.5  # GUILTY
    return -torch.mean(focus * targets * torch.log(p + 1e-8))


def root_above_zero(weights, x):
    active = torch.relu(x @ weights)
    return torch.sum(torch.sqrt(active))  # GUILTY


def cross_entropy_with_a_tiny_epsilon(probabilities, targets):
    p = torch.clip(probabilities, 1e-9, 1 - 1e-9)
    losses = targets * torch.log(p) + (1 - targets) * torch.log(1 - p)  # GUILTY
    return -torch.mean(losses)


def loss_balancer(logits):
    blank, label = torch.log_softmax(logits, dim=-1).T
    either = torch.logaddexp(label[0] + label[1], blank[0] + label[1])
    ctc = -torch.logaddexp(either, label[0] + blank[1])
    return torch.log(ctc + 1e-8)  # GUILTY


def silu_by_hand(x):
    power = torch.exp(-x)  # GUILTY
    return torch.sum(x / (1 + power))


def sigmoid_by_hand(x):
    return torch.sum(1 / (1 + torch.exp(-x)))  # GUILTY


def log_of_an_exponential(x):
    return torch.sum(torch.log(torch.exp(x)))  # GUILTY


def mapped_select(densities):
    inside = densities * torch.log(densities)  # GUILTY
    return torch.sum(torch.where(densities > 0, inside, 0.0))
