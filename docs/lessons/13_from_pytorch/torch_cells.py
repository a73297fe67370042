# %% original
import torch
import torch.nn.functional as F
from torch import nn

import jaxgrad
from jaxgrad.torch_state import write_safetensors


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(4, 5)
        self.fc2 = nn.Linear(5, 3)

    def forward(self, x):
        hidden = F.gelu(self.fc1(x))
        return self.fc2(hidden)


torch.manual_seed(0)
net = Net()
x = torch.linspace(-2, 2, 24).view(6, 4)
labels = torch.tensor([0, 1, 2, 2, 1, 0])


def original(x, labels):
    logits = net(x)
    return F.cross_entropy(logits, labels)


report = jaxgrad.explain_torch(original)(x, labels)
report.save_record("original.npz")
write_safetensors("weights.safetensors", net.state_dict())
print(f"{report.value:.4f}", report.gradients["fc2.bias"])

# %% template
for name, tensor in net.state_dict().items():
    print(name, tuple(tensor.shape))

# %% trained
optimizer = torch.optim.Adam(net.parameters(), lr=0.01, weight_decay=0.1)


def torch_step(batch):
    x, labels = batch
    loss = F.cross_entropy(net(x), labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss


for _ in range(5):
    print(f"{torch_step((x, labels)).item():.6f}")
