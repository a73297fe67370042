"""Some of the programs with PyTorch's functions, for the tools that only know PyTorch.

Each is a module named as the case. It takes the same arguments and marks the same line.
"""

import torch


class ShortRowsReplaced(torch.nn.Module):
    def forward(self, x):
        length = torch.sqrt(torch.sum(x**2, dim=1))  # GUILTY
        return torch.sum(torch.where(length > 0.5, length, 1.0))


class InfiniteSlopeNotTaken(torch.nn.Module):
    def forward(self, x):
        steep = x * torch.inf  # GUILTY
        return torch.where(x > 0, 0.0, steep)


class RootsDroppedLater(torch.nn.Module):
    def forward(self, x):
        roots = (torch.tensor([0.0, 1.0]) * x) ** 0.5  # GUILTY
        return torch.sum(roots[torch.tensor([1])])


class LearnedExponent(torch.nn.Module):
    def forward(self, exponent):
        scaled = torch.tensor([-2.0, 3.0]) ** exponent  # GUILTY
        return torch.sum(scaled)


class DivideNoNan(torch.nn.Module):
    def forward(self, x, y):
        quotient = x / y  # GUILTY
        return torch.sum(torch.where(y == 0, 0.0, quotient))


class FocalWeight(torch.nn.Module):
    def forward(self, logits, targets):
        p = torch.sigmoid(logits)
        focus = (1 - p) ** 0.5  # GUILTY
        return -torch.mean(focus * targets * torch.log(p + 1e-8))


class RootAboveZero(torch.nn.Module):
    def forward(self, weights, x):
        active = torch.relu(x @ weights)
        return torch.sum(torch.sqrt(active))  # GUILTY


class CrossEntropyWithATinyEpsilon(torch.nn.Module):
    def forward(self, probabilities, targets):
        p = torch.clip(probabilities, 1e-9, 1 - 1e-9)
        losses = targets * torch.log(p) + (1 - targets) * torch.log(1 - p)  # GUILTY
        return -torch.mean(losses)


class LossBalancer(torch.nn.Module):
    def forward(self, logits):
        blank, label = torch.log_softmax(logits, dim=-1).T
        either = torch.logaddexp(label[0] + label[1], blank[0] + label[1])
        ctc = -torch.logaddexp(either, label[0] + blank[1])
        return torch.log(ctc + 1e-8)  # GUILTY


class SiluByHand(torch.nn.Module):
    def forward(self, x):
        power = torch.exp(-x)  # GUILTY
        return torch.sum(x / (1 + power))


class SigmoidByHand(torch.nn.Module):
    def forward(self, x):
        return torch.sum(1 / (1 + torch.exp(-x)))  # GUILTY


class LogOfAnExponential(torch.nn.Module):
    def forward(self, x):
        return torch.sum(torch.log(torch.exp(x)))  # GUILTY


class MappedSelect(torch.nn.Module):
    def forward(self, densities):
        inside = densities * torch.log(densities)  # GUILTY
        return torch.sum(torch.where(densities > 0, inside, 0.0))
