"""Models of torch and Flax with one state: equal outputs, and the state comes back."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen, nnx

from jaxgrad import optimizers, torch_state
from jaxgrad.torch_state import from_torch, rules, to_torch

pytestmark = pytest.mark.parity

TOLERANCE = {"float32": 1e-5, "float64": 1e-12}
F64 = {"param_dtype": jnp.float64}


@pytest.fixture(autouse=True)
def seeded(x64):
    import torch

    from tests.torch_optimizers import default_dtype

    torch.manual_seed(0)
    # Flax computes its statistics in mixed dtypes.
    with default_dtype(torch.float64), jax.numpy_dtype_promotion("standard"):
        yield


def assert_comes_back(module, filled, **options):
    """Bit for bit, with names, order and dtypes, into another module of its class."""
    import torch

    state = module.state_dict()
    back = to_torch(filled, state, **options)
    assert list(back) == list(state)
    for name, tensor in state.items():
        assert back[name].dtype == tensor.dtype
        assert torch.equal(back[name], tensor)
        assert back[name].data_ptr() != tensor.data_ptr()
    module.load_state_dict(back, strict=True)


def numpy_of(tensor):
    return tensor.detach().numpy()


def channels_last(x):
    return jnp.asarray(np.moveaxis(numpy_of(x), 1, -1))


def in_float64(tree):
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, jnp.float64), tree)


def assert_same(ours, theirs, dtype="float64"):
    assert ours.dtype == dtype
    np.testing.assert_allclose(ours, numpy_of(theirs), atol=TOLERANCE[dtype], rtol=0)


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_mlp(dtype):
    import torch

    module = torch.nn.Sequential(
        torch.nn.Linear(4, 4), torch.nn.PReLU(init=0.3), torch.nn.Linear(4, 3)
    ).to(getattr(torch, dtype))
    model = linen.Sequential(
        [
            linen.Dense(4, param_dtype=dtype),
            linen.PReLU(dtype),
            linen.Dense(3, param_dtype=dtype),
        ]
    )
    x = torch.randn(5, 4, dtype=getattr(torch, dtype))
    template = jax.eval_shape(model.init, jax.random.key(0), jnp.asarray(numpy_of(x)))
    variables = from_torch(module.state_dict(), template)
    assert_same(model.apply(variables, jnp.asarray(numpy_of(x))), module(x), dtype)
    assert_comes_back(module, variables)


def cnn():
    import torch

    class Cnn(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = torch.nn.Conv2d(3, 6, 3, padding=1, bias=False)
            self.bn = torch.nn.BatchNorm2d(6)
            self.grouped = torch.nn.Conv2d(6, 6, (3, 1), padding=(1, 0), groups=3)
            self.norm = torch.nn.GroupNorm(2, 6)
            self.up = torch.nn.ConvTranspose2d(6, 6, 3, stride=2, padding=1)
            self.fc = torch.nn.Linear(6 * 7 * 5, 2)

        def forward(self, x):
            x = torch.relu(self.bn(self.conv(x)))
            x = self.norm(self.grouped(x))
            return self.fc(torch.relu(self.up(x)).flatten(1))

    return Cnn()


class LinenCnn(linen.Module):
    transpose_kernel: bool

    @linen.compact
    def __call__(self, x, train):
        x = linen.Conv(6, (3, 3), use_bias=False, name="conv", **F64)(x)
        norm = partial(linen.BatchNorm, momentum=0.9, use_fast_variance=False, **F64)
        x = norm(use_running_average=not train, name="bn")(x)
        x = linen.Conv(6, (3, 1), feature_group_count=3, name="grouped", **F64)(
            linen.relu(x)
        )
        x = linen.GroupNorm(
            2, epsilon=1e-5, use_fast_variance=False, name="norm", **F64
        )(x)
        x = linen.ConvTranspose(
            6,
            (3, 3),
            (2, 2),
            padding=((1, 1), (1, 1)),
            transpose_kernel=self.transpose_kernel,
            name="up",
            **F64,
        )(x)
        return linen.Dense(2, name="fc", **F64)(linen.relu(x).reshape(len(x), -1))


class NnxCnn(nnx.Module):
    def __init__(self, transpose_kernel, rngs):
        options: Any = F64 | {"rngs": rngs}
        self.conv = nnx.Conv(3, 6, (3, 3), use_bias=False, **options)
        self.bn = nnx.BatchNorm(6, momentum=0.9, use_fast_variance=False, **options)
        self.grouped = nnx.Conv(6, 6, (3, 1), feature_group_count=3, **options)
        self.norm = nnx.GroupNorm(
            6, 2, epsilon=1e-5, use_fast_variance=False, **options
        )
        self.up = nnx.ConvTranspose(
            6,
            6,
            (3, 3),
            (2, 2),
            padding=((1, 1), (1, 1)),
            transpose_kernel=transpose_kernel,
            **options,
        )
        self.fc = nnx.Linear(6 * 7 * 5, 2, **options)

    def __call__(self, x):
        x = self.norm(self.grouped(nnx.relu(self.bn(self.conv(x)))))
        return self.fc(nnx.relu(self.up(x)).reshape(len(x), -1))


@pytest.mark.parametrize("transpose_kernel", [False, True])
def test_cnn_with_batch_norm_in_linen(transpose_kernel):
    import torch

    module, model = cnn(), LinenCnn(transpose_kernel)
    x = torch.randn(2, 3, 4, 3)
    module(torch.randn(9, 3, 4, 3))  # statistics that are not those of the start
    chosen = {
        "fc": rules.after_flatten(6, 7, 5),
        "up": rules.conv if transpose_kernel else rules.conv_transpose,
    }
    ours = channels_last(x)
    template = jax.eval_shape(partial(model.init, train=True), jax.random.key(0), ours)
    template = in_float64(template)  # Flax makes statistics in float32
    variables = from_torch(module.state_dict(), template, rules=chosen)
    assert_comes_back(module, variables, rules=chosen)
    assert_same(model.apply(variables, ours, train=False), module.eval()(x))

    old_var = numpy_of(module.bn.running_var).copy()
    result, changed = model.apply(variables, ours, train=True, mutable="batch_stats")
    assert_same(result, module.train()(x))
    stats = changed["batch_stats"]["bn"]
    assert_same(stats["mean"], module.bn.running_mean)
    # Torch's running variance is that of a sample, Flax's that of a population.
    biased = np.asarray(stats["var"]) - 0.9 * old_var
    assert_same(jnp.asarray(biased * 24 / 23 + 0.9 * old_var), module.bn.running_var)


@pytest.mark.parametrize("transpose_kernel", [False, True])
def test_cnn_with_batch_norm_in_nnx(transpose_kernel):
    import torch

    module, x = cnn(), torch.randn(2, 3, 4, 3)
    module(torch.randn(9, 3, 4, 3))
    chosen = {"fc": rules.after_flatten(6, 7, 5)}
    template = nnx.eval_shape(lambda: NnxCnn(transpose_kernel, nnx.Rngs(0)))
    nnx.update(template, in_float64(nnx.state(template)))
    model = from_torch(module.state_dict(), template, rules=chosen)
    assert_comes_back(module, model, rules=chosen)
    assert_same(model(channels_last(x)), module.train()(x))
    model = from_torch(module.state_dict(), model, rules=chosen)
    model.eval()
    assert_same(model(channels_last(x)), module.eval()(x))


@pytest.mark.parametrize("space", [1, 3])
def test_convolutions_of_one_and_three_axes(space):
    import torch

    letters = (
        getattr(torch.nn, f"Conv{space}d"),
        getattr(torch.nn, f"ConvTranspose{space}d"),
    )
    module = torch.nn.Sequential(
        letters[0](2, 3, 2), letters[1](3, 2, 3, stride=2), torch.nn.Flatten()
    )
    model = linen.Sequential(
        [
            linen.Conv(3, (2,) * space, padding="VALID", **F64),
            linen.ConvTranspose(2, (3,) * space, (2,) * space, padding="VALID", **F64),
        ]
    )
    x = torch.randn(1, 2, *(4, 5, 3)[:space])
    template = jax.eval_shape(model.init, jax.random.key(0), channels_last(x))
    variables = from_torch(module.state_dict(), template)
    theirs = channels_last(module[:2](x))
    ours: Any = model.apply(variables, channels_last(x))
    np.testing.assert_allclose(ours, theirs, atol=1e-12, rtol=0)
    assert_comes_back(module, variables)


def language_model():
    """A transformer block; the head is tied to the embedding."""
    import torch

    class Block(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.ln1, self.ln2 = torch.nn.LayerNorm(8), torch.nn.RMSNorm(8, 1e-6)
            self.attn = torch.nn.MultiheadAttention(8, 2, batch_first=True)
            self.mlp = torch.nn.Sequential(
                torch.nn.Linear(8, 8), torch.nn.Tanh(), torch.nn.Linear(8, 8)
            )
            torch.nn.init.normal_(self.attn.in_proj_bias)
            torch.nn.init.normal_(self.ln2.weight)

        def forward(self, x):
            h = self.ln1(x)
            x = x + self.attn(h, h, h, need_weights=False)[0]
            return x + self.mlp(self.ln2(x))

    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = torch.nn.Embedding(11, 8)
            self.pos = torch.nn.Parameter(torch.randn(1, 5, 8))
            self.blocks = torch.nn.ModuleList([Block()])
            self.head = torch.nn.Linear(8, 11, bias=False)
            self.head.weight = self.embed.weight

        def forward(self, tokens):
            x = self.embed(tokens) + self.pos
            for block in self.blocks:
                x = block(x)
            return self.head(x)

    return Model()


class LinenBlock(linen.Module):
    @linen.compact
    def __call__(self, x):
        norm = linen.LayerNorm(1e-5, use_fast_variance=False, name="ln1", **F64)
        attention = linen.MultiHeadDotProductAttention(2, name="attn", **F64)
        h = norm(x)
        x = x + attention(h, h)
        h = linen.Dense(8, **F64)(linen.RMSNorm(1e-6, name="ln2", **F64)(x))
        return x + linen.Dense(8, **F64)(jnp.tanh(h))


class LinenModel(linen.Module):
    def setup(self):
        self.embed = linen.Embed(11, 8, **F64)
        self.pos = self.param("pos", linen.initializers.zeros, (1, 5, 8), jnp.float64)
        self.blocks = [LinenBlock()]

    def __call__(self, tokens):
        x = self.embed(tokens) + self.pos
        for block in self.blocks:
            x = block(x)
        return self.embed.attend(x)


NAMES = {
    "blocks.0.mlp.0": "blocks_0/Dense_0",
    "blocks.0.mlp.2": "blocks_0/Dense_1",
}


def linen_model(module, tokens):
    template = jax.eval_shape(
        LinenModel().init, jax.random.key(0), jnp.asarray(numpy_of(tokens))
    )
    return from_torch(module.state_dict(), template, NAMES)


def test_language_model_in_linen():
    import torch

    module, tokens = language_model(), torch.randint(0, 11, (2, 5))
    variables = linen_model(module, tokens)
    assert_same(
        LinenModel().apply(variables, jnp.asarray(numpy_of(tokens))), module(tokens)
    )
    assert_comes_back(module, variables, names=NAMES)


def test_attention_in_nnx():
    """NNX takes the softmax in float32."""
    import torch

    module = torch.nn.MultiheadAttention(8, 2, batch_first=True).float()
    torch.nn.init.normal_(module.in_proj_bias)
    template = nnx.eval_shape(
        lambda: nnx.MultiHeadAttention(2, 8, decode=False, rngs=nnx.Rngs(0))
    )
    model = from_torch(module.state_dict(), template)
    x = torch.randn(3, 4, 8, dtype=torch.float32)
    assert_same(model(jnp.asarray(numpy_of(x))), module(x, x, x)[0], "float32")
    assert_comes_back(module, model)


def recurrent(kind, layers):
    import torch

    return getattr(torch.nn, kind)(3, 4, layers, batch_first=True)


def assert_recurrent(module, ours, x):
    np.testing.assert_allclose(ours, numpy_of(module(x)[0]), atol=1e-12, rtol=0)


@pytest.mark.parametrize(
    ("kind", "cell"),
    [
        ("LSTM", linen.OptimizedLSTMCell),
        ("GRU", linen.GRUCell),
        ("RNN", linen.SimpleCell),
    ],
)
def test_recurrent_layers_of_linen(kind, cell):
    import torch

    class Model(linen.Module):
        @linen.compact
        def __call__(self, x):
            hidden: Any = linen.RNN(cell(4, name="l0", **F64))(x)
            return linen.RNN(cell(4, name="l1", **F64))(hidden)

    module, x = recurrent(kind, 2), torch.randn(2, 5, 3)
    ours = jnp.asarray(numpy_of(x))
    template = jax.eval_shape(Model().init, jax.random.key(0), ours)
    variables = from_torch(module.state_dict(), template)
    assert_recurrent(module, Model().apply(variables, ours), x)
    assert_comes_back(module, variables)

    zero = {name: torch.zeros_like(w) for name, w in module.state_dict().items()}
    module.load_state_dict(to_torch(variables, zero))
    assert_recurrent(module, Model().apply(variables, ours), x)


@pytest.mark.parametrize("cell", [nnx.LSTMCell, nnx.OptimizedLSTMCell, nnx.SimpleCell])
def test_recurrent_layers_of_nnx(cell):
    import torch

    class Model(nnx.Module):
        def __init__(self, rngs):
            options: Any = F64 | {"dtype": jnp.float64, "rngs": rngs}
            self.cell = cell(3, 4, **options)

    module = recurrent("RNN" if cell is nnx.SimpleCell else "LSTM", 1)
    x, model = torch.randn(2, 5, 3), from_torch(module.state_dict(), Model(nnx.Rngs(0)))
    ours = nnx.RNN(model.cell, rngs=nnx.Rngs(0))(jnp.asarray(numpy_of(x)))
    assert_recurrent(module, ours, x)
    assert_comes_back(module, model)


def test_half_precision_and_files(tmp_path):
    import torch

    module = torch.nn.Linear(3, 2).to(torch.bfloat16)
    path = tmp_path / "half.safetensors"
    torch_state.write_safetensors(path, module.state_dict())
    template = {
        "kernel": jnp.zeros((3, 2), jnp.float32),
        "bias": jnp.zeros(2, jnp.bfloat16),
    }
    tree = from_torch(torch_state.read_safetensors(path), template)
    assert tree["kernel"].dtype == jnp.float32
    assert_comes_back(module, tree)
    module.weight.data.add_(1)
    assert tree["kernel"].max() < 1  # a copy


@pytest.mark.message
@pytest.mark.parametrize(
    ("tensor", "message"),
    [
        ("meta", "dense tensor with values.*meta"),
        ("sparse", "dense tensor with values"),
    ],
)
def test_tensors_without_dense_values_are_refused(tensor, message):
    import torch

    values = {
        "meta": torch.empty(2, device="meta"),
        "sparse": torch.eye(2).to_sparse(),
    }
    with pytest.raises(ValueError, match=message):
        torch_state.nested({"a": values[tensor]})


def test_training_goes_on_in_linen():
    """Three steps of AdamW in torch, three in JAX from its state."""
    import torch

    module, tokens = language_model(), torch.randint(0, 11, (2, 5))
    # A key's bias has no gradient but rounding, which a small eps would amplify.
    options: Any = {"lr": 0.1, "amsgrad": True, "eps": 1e-3}
    theirs = torch.optim.AdamW(module.named_parameters(), **options)

    def train():
        for _ in range(3):
            theirs.zero_grad()
            module(tokens).square().mean().backward()
            theirs.step()

    train()
    params = linen_model(module, tokens)["params"]
    layout = torch_state.layout(module.state_dict(), {"params": params}, NAMES)
    optimizer = optimizers.adamw(**options)
    state = torch_state.optimizer_from_torch(
        theirs.state_dict(), optimizer.init(params), layout
    )

    @jax.jit
    def step(params, state):
        def loss(params):
            result: Any = LinenModel().apply(
                {"params": params}, jnp.asarray(tokens.numpy())
            )
            return jnp.mean(result**2)

        updates, state = optimizer.update(jax.grad(loss)(params), state, params)
        return optax.apply_updates(params, updates), state

    for _ in range(3):
        params, state = step(params, state)
    train()
    back = to_torch({"params": params}, module.state_dict(), NAMES)
    for name, tensor in module.state_dict().items():
        np.testing.assert_allclose(back[name], tensor, atol=1e-12, rtol=0)
    moments = torch_state.optimizer_to_torch(state, theirs.state_dict(), layout)
    for index, fields in theirs.state_dict()["state"].items():
        for field, tensor in fields.items():
            ours = moments["state"][index][field]
            np.testing.assert_allclose(ours, tensor, atol=1e-12, rtol=0)
