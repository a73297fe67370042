# %% surface-function [003:88] The function to minimize
import jax
import jax.numpy as jnp
import numpy as np

from jaxgrad import descent, optimizers, plots


def height(point):
    x, y = point[..., 0], point[..., 1]
    return x**2 + y**2


# %% surface-picture [003:89] Its picture
bounds = ((-10.0, -10.0), (10.0, 10.0))
bowl = descent.Surface("x^2 + y^2", height, ((0.0, 0.0),), bounds)
plots.surface(bowl)

# %% six-paths [003:90] Six optimizers from one start
start = (-75.0, -10.0)
chosen = {
    "SGD": optimizers.sgd(lr=0.1),
    "Adagrad": optimizers.adagrad(lr=1.0),
    "RMSprop": optimizers.rmsprop(lr=1.0),
    "Adadelta": optimizers.adadelta(lr=1.0),
    "Adam": optimizers.adam(lr=1.0),
    "AdamW": optimizers.adamw(lr=1.0),
}
paths = {
    name: descent.descend(optimizer, height, jnp.array(start), 5000)
    for name, optimizer in chosen.items()
}
print(f"{'':<10}{'x after 1':>12}{'x after 10':>12}{'x after 100':>12}")
for name, path in paths.items():
    xs = [path.points[n - 1, 0] for n in (1, 10, 100)]
    print(f"{name:<10}" + "".join(f"{x:>12.3f}" for x in xs))

# %% six-pictures
plots.paths(
    {name: path.points for name, path in paths.items()},
    start=start,
    xlim=(-80, 80),
    ylim=(-15, 15),
    of=bowl,
)


# %% by-hand
def loop(optimizer, point, steps):
    state = optimizer.init(point)
    for _ in range(steps):
        gradient = jax.grad(height)(point)
        updates, state = optimizer.update(gradient, state, point)
        point = point + updates
    return point


print(loop(chosen["Adam"], jnp.array(start), 10))
print(paths["Adam"].points[9])

# %% values
values = {name: path.values for name, path in paths.items()}
plots.curves(values, x=np.arange(1, 5001), xlabel="step", ylabel="height", log=True)


# %% weight-decay
def with_l2_term(point):
    return height(point) + 0.005 * jnp.sum(point**2)


three = {
    "Adam": descent.descend(chosen["Adam"], height, jnp.array(start), 10),
    "Adam, L2 term": descent.descend(
        chosen["Adam"], with_l2_term, jnp.array(start), 10
    ),
    "AdamW": descent.descend(chosen["AdamW"], height, jnp.array(start), 10),
}
for name, path in three.items():
    print(f"{name:<14} after 1: {path.points[0]}   after 10: {path.points[9]}")

# %% other-surface
valley = descent.SURFACES["rosenbrock"]
valley_start = jnp.array([-1.5, 2.0])
routes = {
    "SGD, lr 0.0005": optimizers.sgd(lr=5e-4),
    "RMSprop, lr 0.01": optimizers.rmsprop(lr=0.01),
    "Adam, lr 0.1": optimizers.adam(lr=0.1),
}
for name, optimizer in routes.items():
    path = descent.descend(optimizer, valley.function, valley_start, 2000)
    routes[name] = path.points
    print(f"{name:<18} ends at {path.points[-1]}")
plots.contours(valley, routes)

# %% race
key = jax.random.key(0)
starts = jax.random.uniform(key, (16, 2), minval=-2.0, maxval=2.0)
factories = {
    "sgd": optimizers.sgd,
    "rmsprop": optimizers.rmsprop,
    "adam": optimizers.adam,
}
print(descent.race(factories, valley, starts, jnp.logspace(-4, 0, 9), 2000))
