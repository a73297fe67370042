# %% numbers [003:81] One row of network outputs and its label
import jax
import jax.numpy as jnp

jnp.set_printoptions(precision=4)  # as many digits as PyTorch prints

output = jnp.array([[0.0, 0.0, 1.0]])
target = jnp.array([2])
print(output, target)

# %% definition [003:82] Cross-entropy by its definition, where only one term is left
print(-(1 * jnp.log(1)))

# %% cross-entropy [003:83] Cross-entropy of the library
import jaxgrad
from jaxgrad.losses import cross_entropy, nll_loss

print(cross_entropy(output, target))

# %% any-numbers [003:84] Cross-entropy of numbers that are no probabilities
output2 = jnp.array([[2.0, 35.2, -13.7]])
print(cross_entropy(output2, target))
output3 = jnp.array([[2.0, -13.7, 35.2]])
print(cross_entropy(output3, target))

# %% softmax [003:85] Softmax of the outputs
from jaxgrad.activations import log_softmax, softmax

print(softmax(output, axis=1))

# %% two-steps [003:86] Softmax, its logarithm, then negative log-likelihood
print(nll_loss(jnp.log(softmax(output, axis=1)), target))

# %% definition-again
print(nll_loss(jnp.log(output), target))

# %% gradient
print(jax.grad(cross_entropy)(output, target))
print(softmax(output, axis=1) - jax.nn.one_hot(target, 3))


# %% gradient-explained
def by_definition(logits):
    powers = jnp.exp(logits)
    probabilities = powers / powers.sum()
    return -jnp.log(probabilities[0, 2])


jaxgrad.explain(by_definition)(output)


# %% three-ways
def naive(logits):
    powers = jnp.exp(logits)
    probabilities = powers / powers.sum(axis=1)
    return nll_loss(jnp.log(probabilities), target)


def through_softmax(logits):
    return nll_loss(jnp.log(softmax(logits, axis=1)), target)


def through_log_softmax(logits):
    return nll_loss(log_softmax(logits, axis=1), target)


ways = {
    "exp / sum, log, nll_loss": naive,
    "softmax, log, nll_loss": through_softmax,
    "log_softmax, nll_loss": through_log_softmax,
    "cross_entropy": lambda logits: cross_entropy(logits, target),
}
rows = [[0.0, 0.0, 1.0], [0.0, 0.0, 100.0], [200.0, 0.0, 0.0]]
print(f"{'':<26}" + "".join(f"{row!s:>20}" for row in rows))
for name, way in ways.items():
    losses = [way(jnp.array([row])) for row in rows]
    print(f"{name:<26}" + "".join(f"{loss:>20.4f}" for loss in losses))

# %% first-nan
print(jaxgrad.find_nonfinite(naive)(jnp.array([[0.0, 0.0, 100.0]])))

# %% growing
import matplotlib.pyplot as plt

x = jnp.linspace(0, 150, 601)
logits = jnp.stack([x, 0 * x, 0 * x], axis=1)
for width, name in enumerate(reversed(ways), start=1):
    losses = jax.vmap(lambda row, way=ways[name]: way(row[None]))(logits)
    losses = jnp.where(jnp.isfinite(losses), losses, jnp.nan)
    plt.plot(x, losses, label=name, linewidth=14 / width)
plt.xlabel("x of the logits [x, 0, 0]")
plt.ylabel("loss of class 2")
plt.legend()
plt.show()
