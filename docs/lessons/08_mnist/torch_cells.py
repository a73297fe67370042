# %% data differs
import torch
from torch.utils.data import DataLoader, TensorDataset

from jaxgrad import datasets


def tensors(split):
    images = torch.tensor(split.images, dtype=torch.float) / 255
    return TensorDataset(images, torch.tensor(split.labels, dtype=torch.long))


# torchvision.datasets.MNIST gives the same images, one at a time
mnist = datasets.load("mnist")
mnist_train, mnist_test = tensors(mnist.train), tensors(mnist.test)
torch.manual_seed(0)
train_loader = DataLoader(mnist_train, batch_size=256, shuffle=True)
test_loader = DataLoader(mnist_test, batch_size=len(mnist_test))
print(len(mnist_train), "training images,", len(mnist_test), "test images")
print(len(train_loader), "batches of 256, the last of", len(mnist_train) % 256)

# %% network differs
import torch.nn.functional as F
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(784, 1024)
        self.fc2 = nn.Linear(1024, 512)
        self.fc3 = nn.Linear(512, 10)

    def forward(self, x):
        x = x.view(-1, 784)
        x = F.relu(self.fc1(x))
        x = F.relu(self.fc2(x))
        return self.fc3(x)


device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
net = Net().to(device)
print(net)
print(sum(param.numel() for param in net.parameters()), "parameters")

# %% training differs
loss_function = nn.CrossEntropyLoss()
optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
train_losses, test_losses = [], []
for epoch in range(20):
    net.train()
    total = 0
    for x, t in train_loader:
        x, t = x.to(device), t.to(device)
        loss = loss_function(net(x), t)
        total += loss.item()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    train_losses.append(total / len(train_loader))
    net.eval()
    total = 0
    with torch.no_grad():
        for x, t in test_loader:
            total += loss_function(net(x.to(device)), t.to(device)).item()
    test_losses.append(total / len(test_loader))
    if epoch % 5 in (0, 4):
        print(f"epoch {epoch:>2}  train {train_losses[-1]:.4f}", end="  ")
        print(f"test {test_losses[-1]:.4f}")

# %% loss-curves
import matplotlib.pyplot as plt

plt.plot(train_losses, label="train")
plt.plot(test_losses, label="test")
plt.legend()
plt.show()

# %% accuracy differs
correct = 0
with torch.no_grad():
    for x, t in test_loader:
        prediction = net(x.to(device)).argmax(1)
        correct += (prediction == t.to(device)).sum().item()
print(f"{correct / len(mnist_test):.2%}")

# %% doubled differs
before = loss_function(net(x), t).item()
with torch.no_grad():
    for param in net.parameters():
        param *= 2.0
print(before, loss_function(net(x), t).item())
