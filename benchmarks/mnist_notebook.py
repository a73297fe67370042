"""The notebook's PyTorch program, the baseline for a whole run.

    python -m benchmarks.mnist_notebook --data-dir FOLDER [--epochs 20]

As in the notebook: torchvision's data set and its ToTensor, image by image, a
DataLoader without workers, SGD, the test loss after every epoch and the accuracy at the
end, on the CPU. It imports neither JAX nor, to save time, torchvision.
"""

import argparse
import gzip
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset

Batch = tuple[torch.Tensor, torch.Tensor]


class Digits(Dataset[tuple[torch.Tensor, int]]):
    """What `torchvision.datasets.MNIST(..., transform=ToTensor())` does."""

    def __init__(self, images: np.ndarray, labels: np.ndarray):
        self.data = torch.from_numpy(np.array(images))
        self.targets = torch.from_numpy(np.array(labels)).long()

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        image = Image.fromarray(self.data[index].numpy())
        return to_tensor(image), int(self.targets[index])


def to_tensor(image: Image.Image) -> torch.Tensor:
    """Convert a greyscale image like `torchvision.transforms.ToTensor`."""
    pixels = torch.from_numpy(np.array(image, np.uint8, copy=True))
    pixels = pixels.view(image.size[1], image.size[0], len(image.getbands()))
    return pixels.permute((2, 0, 1)).contiguous().to(torch.float32).div(255)


def network() -> nn.Sequential:
    """The notebook's three layers."""
    hidden = nn.Linear(784, 1024), nn.ReLU(), nn.Linear(1024, 512), nn.ReLU()
    return nn.Sequential(nn.Flatten(), *hidden, nn.Linear(512, 10))


def read(folder: Path, part: str) -> Digits:
    """The MNIST images in a folder, gzipped or not, without checks."""
    images = np.frombuffer(_bytes(folder / f"{part}-images-idx3-ubyte"), np.uint8)
    labels = np.frombuffer(_bytes(folder / f"{part}-labels-idx1-ubyte"), np.uint8)
    return Digits(images[16:].reshape(-1, 28, 28), labels[8:])


def _bytes(path: Path) -> bytes:
    packed = path.with_name(f"{path.name}.gz")
    return path.read_bytes() if path.exists() else gzip.decompress(packed.read_bytes())


def torch_epoch(
    net: nn.Module, optimizer: torch.optim.Optimizer, batches: Iterable[Batch]
) -> np.ndarray:
    """Run the notebook's loop over an epoch; return the loss of each step."""
    losses = []
    for images, labels in batches:
        loss = nn.functional.cross_entropy(net(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return np.array(losses)


def main() -> None:
    """Train, print the losses of every epoch and the accuracy at the end."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=20)
    options = parser.parse_args()
    train, test = (read(options.data_dir, part) for part in ("train", "t10k"))
    train_loader = DataLoader(train, batch_size=256, shuffle=True)
    test_loader = DataLoader(test, batch_size=len(test), shuffle=False)
    net, criterion = network(), nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
    for epoch in range(options.epochs):
        net.train()
        losses = torch_epoch(net, optimizer, train_loader)
        net.eval()
        with torch.no_grad():
            loss = sum(criterion(net(x), t).item() for x, t in test_loader)
        print(f"Epoch: {epoch} Loss_Train: {losses.mean()} Loss_Test: {loss}")
    with torch.no_grad():
        correct = sum((net(x).argmax(1) == t).sum().item() for x, t in test_loader)
    print(f"accuracy: {correct / len(test):.4f}")


if __name__ == "__main__":
    main()
