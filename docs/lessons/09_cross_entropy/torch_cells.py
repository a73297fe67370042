# %% numbers
import torch
from torch import nn

output = torch.tensor([[0.0, 0.0, 1.0]])
target = torch.tensor([2])
print(output, target)

# %% definition
import numpy as np

print(-(1 * np.log(1)))

# %% cross-entropy
crossentropy = nn.CrossEntropyLoss()
print(crossentropy(output, target))

# %% any-numbers
output2 = torch.tensor([[2.0, 35.2, -13.7]])
print(crossentropy(output2, target))
output3 = torch.tensor([[2.0, -13.7, 35.2]])
print(crossentropy(output3, target))

# %% softmax
softmax = nn.Softmax(dim=1)
print(softmax(output))

# %% two-steps
nllloss = nn.NLLLoss()
print(nllloss(torch.log(softmax(output)), target))

# %% definition-again
print(nllloss(torch.log(output), target))

# %% gradient
output.requires_grad_(True)
crossentropy(output, target).backward()
print(output.grad)
print((softmax(output) - nn.functional.one_hot(target, 3)).detach())
