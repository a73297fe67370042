# %% tools
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt

from jaxgrad import activations, plots

x = jnp.linspace(-6, 6, 1000)


def slope(function, x):
    return jax.grad(lambda x: function(x).sum())(x)


def draw(functions, x=x):
    figure, panels = plt.subplots(2, len(functions), figsize=(12, 5), squeeze=False)
    for column, name in enumerate(functions):
        y, dy = functions[name](x), slope(functions[name], x)
        top, bottom = panels[:, column]
        top.plot(x, y)
        top.set_title(name)
        bottom.scatter(x, dy, s=1, color="tab:orange")
        bottom.set_title(f"gradient of {name}", fontsize=10)
        print(f"{name:<14}{y.sum():>12.2f}{dy.sum():>12.2f}")
    figure.tight_layout()
    plt.show()


# %% rectifiers [003:87] Nineteen activations with gradients: ReLU, hardtanh and ReLU6
draw(
    {
        "relu": activations.relu,
        "hardtanh": activations.hardtanh,
        "relu6": activations.relu6,
    }
)

# %% exponentials [003:87] ELU, SELU and CELU
draw({"elu": activations.elu, "selu": activations.selu})
draw({"celu": activations.celu}, jnp.linspace(-1, 1, 1000))

# %% leaky [003:87] Leaky ReLU, PReLU and RReLU
draw(
    {
        "leaky_relu": activations.leaky_relu,
        "prelu": lambda x: activations.prelu(x, jnp.array([0.25])),
        "rrelu": activations.rrelu,
    }
)

# %% gated [003:87] GLU by hand, from two halves
first, second = jnp.linspace(-6, 0, 500), jnp.linspace(0, 6, 500)


def gate(first, second):
    return first * activations.sigmoid(second)


d_first, d_second = jax.grad(lambda a, b: gate(a, b).sum(), argnums=(0, 1))(
    first, second
)
y, dy = gate(first, second), d_first + d_second
print(f"by hand{y.sum():>12.2f}{dy.sum():>12.2f}")
print(f"glu(x) {activations.glu(x).sum():>12.2f}")
figure, (left, right) = plt.subplots(1, 2, figsize=(12, 3))
left.plot(second, y)
left.set_title("GLU")
right.scatter(second, dy, s=1, color="tab:orange")
right.set_title("gradient of GLU")
plt.show()

# %% smooth [003:87] GELU, log-sigmoid and softplus
draw(
    {
        "gelu": activations.gelu,
        "logsigmoid": activations.logsigmoid,
        "softplus": activations.softplus,
    }
)

# %% shrinking [003:87] The shrinking functions and softsign
draw(
    {
        "hardshrink": activations.hardshrink,
        "softshrink": activations.softshrink,
        "tanhshrink": activations.tanhshrink,
        "softsign": activations.softsign,
    }
)

# %% softmaxes [003:87] Softmin, softmax and log-softmax
draw(
    {
        "softmin": lambda x: activations.softmin(x, 0),
        "softmax": lambda x: activations.softmax(x, 0),
        "log_softmax": lambda x: activations.log_softmax(x, 0),
    }
)

# %% kinks
pairs = {
    "relu": (activations.relu, jax.nn.relu),
    "relu6": (activations.relu6, jax.nn.relu6),
    "leaky_relu": (activations.leaky_relu, jax.nn.leaky_relu),
    "hardtanh": (activations.hardtanh, jax.nn.hard_tanh),
}
corners = {"relu": [0.0], "relu6": [0.0, 6.0], "leaky_relu": [0.0], "hardtanh": [1.0]}
for name, (like_torch, of_jax) in pairs.items():
    for corner in corners[name]:
        slopes = jax.grad(like_torch)(corner), jax.grad(of_jax)(corner)
        print(f"{name:<12}at {corner:.0f}: {slopes[0]:.2f}, jax.nn {slopes[1]:.2f}")

# %% card
plots.activation_card("hardshrink")


# %% own
def squared_relu(x):
    return activations.relu(x) ** 2


draw({"squared_relu": squared_relu, "gelu": activations.gelu})
