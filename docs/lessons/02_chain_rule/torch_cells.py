# %% imports
import torch

# %% line
x = torch.tensor([1.0], requires_grad=True)
y = x * 2
print(torch.autograd.grad(y, x))

x = torch.tensor([3.0], requires_grad=True)
y = x * 2
print(torch.autograd.grad(y, x))

# %% powers
x = torch.tensor([3.0], requires_grad=True)
print(torch.autograd.grad(x**2, x))
print(torch.autograd.grad(x**3, x))

# %% polynomial differs
x = torch.tensor([3.0], requires_grad=True)
y = x**2 + x * 2 + 2
print(torch.autograd.grad(y, x))
try:
    print(torch.autograd.grad(y, x))
except RuntimeError as error:
    print("RuntimeError:", str(error).split(" (")[0])

# %% orders
x = torch.tensor([2.0], requires_grad=True)
y = x**3 + x**2 + x + 1
print(y)
(dy,) = torch.autograd.grad(y, x, create_graph=True)
print(dy)
(ddy,) = torch.autograd.grad(dy, x, create_graph=True)
print(ddy)
(dddy,) = torch.autograd.grad(ddy, x)
print(dddy)

# %% functions
for function, start in ((torch.exp, 1.0), (torch.sin, 3.141)):
    x = torch.tensor([start], requires_grad=True)
    y = function(x)
    print(function.__name__, y.item(), end=" ")
    for order in (1, 2, 3):
        (y,) = torch.autograd.grad(y, x, create_graph=True)
        print(y.item(), end=" ")
    print()

# %% chain
x = torch.tensor([3.0])
w1 = torch.tensor([2.0], requires_grad=True)
b1 = torch.tensor([-10.0], requires_grad=True)
w2 = torch.tensor([4.0], requires_grad=True)
b2 = torch.tensor([7.0], requires_grad=True)

h1 = w1 * x + b1
y = w2 * h1 + b2
print(y)

# %% one-by-one
print(torch.autograd.grad(y, w1, retain_graph=True))
print(torch.autograd.grad(y, b1, retain_graph=True))
print(torch.autograd.grad(y, w2, retain_graph=True))
print(torch.autograd.grad(y, b2, retain_graph=True))

# %% all-at-once
y.backward(retain_graph=True)
print(w1.grad, b1.grad, w2.grad, b2.grad)

# %% twice differs
y.backward(retain_graph=True)
print(w1.grad, b1.grad, w2.grad, b2.grad)

# %% error
x, true = torch.tensor([3.0]), torch.tensor([10.0])
w = torch.tensor([5.0], requires_grad=True)
b = torch.tensor([1.0], requires_grad=True)

pred = w * x + b
loss = torch.pow(pred - true, 2)
loss.backward()
print(w, b)
print(f"pred = {pred.item()}, true = {true.item()}, loss = {loss.item()}")
print(w.grad, b.grad)

# %% step
lr = 0.01  # the learning rate
w = (w.detach() - lr * w.grad).requires_grad_()
b = (b.detach() - lr * b.grad).requires_grad_()
pred = w * x + b
loss = torch.pow(pred - true, 2)
print(w, b)
print(f"pred = {pred.item()}, true = {true.item()}, loss = {loss.item()}")

# %% second-step
loss.backward()
w = (w.detach() - lr * w.grad).requires_grad_()
b = (b.detach() - lr * b.grad).requires_grad_()
pred = w * x + b
loss = torch.pow(pred - true, 2)
print(f"pred = {pred.item()}, true = {true.item()}, loss = {loss.item()}")

# %% optimizer
w = torch.tensor([5.0], requires_grad=True)
b = torch.tensor([1.0], requires_grad=True)
optimizer = torch.optim.SGD((w, b), lr=0.01)
pred = w * x + b
loss = torch.pow(pred - true, 2)
print(f"pred = {pred.item()}, true = {true.item()}, loss = {loss.item()}")

optimizer.zero_grad()
loss.backward()
optimizer.step()
pred = w * x + b
loss = torch.pow(pred - true, 2)
print(w, b)
print(f"pred = {pred.item()}, true = {true.item()}, loss = {loss.item()}")

# %% forget
del w, b


# %% model
class Model:
    def __init__(self):
        self.w = torch.tensor([5.0], requires_grad=True)
        self.b = torch.tensor([1.0], requires_grad=True)

    def forward(self, x):
        return self.w * x + self.b


def train_step():
    pred = model.forward(x)
    loss = torch.pow(pred - true, 2)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss, pred


# %% train
model = Model()
optimizer = torch.optim.SGD((model.w, model.b), lr=0.01)
losses = []
for epoch in range(20):
    loss, pred = train_step()
    print(f"pred = {pred.item()}, true = {true.item()}, loss = {loss.item()}")
    losses.append(loss.item())

# %% curve
import matplotlib.pyplot as plt

plt.plot(losses)
plt.show()

# %% yours
loss = (w2 * (w1 * x + b1) + b2 - 1.0) ** 2
print(*(g.item() for g in torch.autograd.grad(loss, (w1, b1, w2, b2))))
