"""State dicts of NumPy arrays and safetensors files; no torch."""

import json
import os
import stat
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen, nnx

from jaxgrad import optimizers, torch_state
from jaxgrad.torch_state import flat, from_torch, nested, rules, to_torch

generator = np.random.default_rng(0)


def values(*shape):
    return generator.standard_normal(shape).astype(np.float32)


def same(one, other):
    """Equal names, dtypes and bits."""
    assert list(one) == list(other)
    for name in one:
        assert one[name].dtype == other[name].dtype
        assert one[name].tobytes() == other[name].tobytes()


def abstract(**shapes) -> Any:
    """A template from shapes, with the names' underscores as slashes."""
    return nested(
        {name.replace("_", "."): np.zeros(s, np.float32) for name, s in shapes.items()}
    )


# One array, one dictionary, by hand: {"a.b": [1, 2] as float32}.
HEADER = b'{"a.b":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}'
BYTES = b"\x00\x00\x80\x3f\x00\x00\x00\x40"


def file_of(header: bytes, body: bytes = BYTES) -> bytes:
    return len(header).to_bytes(8, "little") + header + body


def test_a_file_written_by_hand_is_read(tmp_path):
    path = tmp_path / "hand.safetensors"
    path.write_bytes(file_of(HEADER))
    same(torch_state.read_safetensors(path), {"a.b": np.array([1, 2], np.float32)})


@pytest.mark.parametrize("length", [0x0280, 0x0480])
def test_a_header_whose_length_begins_like_a_pickle(length, tmp_path):
    path = tmp_path / "long.safetensors"
    path.write_bytes(file_of(HEADER.ljust(length)))
    assert list(torch_state.read_safetensors(path)) == ["a.b"]


DTYPES = (
    "bool uint8 int8 int16 uint16 int32 uint32 int64 uint64 float16 bfloat16 float32"
)
MORE = "float64 complex64 float8_e4m3fn float8_e5m2"


def test_every_dtype_and_shape_comes_back_from_a_file(tmp_path):
    path = tmp_path / "all.safetensors"
    state = {
        f"{dtype}.{shape}": np.ones(shape).astype(jnp.dtype(dtype))
        for dtype in (DTYPES + " " + MORE).split()
        for shape in ((), (0,), (2, 3), (2, 0, 1))
    }
    state["ö.transposed"] = values(3, 2).T
    torch_state.write_safetensors(path, state)
    same(torch_state.read_safetensors(path), state)
    length = int.from_bytes(path.read_bytes()[:8], "little")
    assert length % 8 == 0


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "kept.safetensors"
    torch_state.write_safetensors(path, {"a": np.ones(1)})
    before = path.read_bytes()

    def full_disk(_):
        raise OSError("No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError, match="No space"):
        torch_state.write_safetensors(path, {"a": np.zeros(9)})
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
    (tmp_path / "other").touch()
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(
        (tmp_path / "other").stat().st_mode
    )


def entry(**changes: Any) -> bytes:
    whole = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]} | changes
    return json.dumps({"a.b": whole}).encode()


DAMAGED = {
    "empty": b"",
    "cut in the length": file_of(HEADER)[:5],
    "cut in the header": file_of(HEADER)[:20],
    "cut in the arrays": file_of(HEADER)[:-1],
    "longer than its arrays": file_of(HEADER) + b"\0",
    "a huge header": (2**62).to_bytes(8, "little") + HEADER,
    "not JSON": file_of(b'{"a":'),
    "not text": file_of(b"\xff\xfe"),
    "a list": file_of(b"[]", b""),
    "nested without end": file_of(b"[" * 90_000),
    "a name twice": file_of(HEADER[:-1] + b"," + HEADER[1:]),
    "no dtype": file_of(b'{"a.b":{"shape":[2],"data_offsets":[0,8]}}'),
    "unknown dtype": file_of(entry(dtype="F31")),
    "a dtype that is a list": file_of(entry(dtype=["F32"])),
    "negative shape": file_of(entry(shape=[-2])),
    "fractional shape": file_of(entry(shape=[2.0])),
    "boolean shape": file_of(entry(shape=[True, 2])),
    "shape too large": file_of(entry(shape=[2**62, 2**62])),
    "offsets reversed": file_of(entry(data_offsets=[8, 0])),
    "offsets beyond": file_of(entry(shape=[3], data_offsets=[0, 12])),
    "three offsets": file_of(entry(data_offsets=[0, 4, 8])),
    "a gap": file_of(entry(shape=[1], data_offsets=[4, 8])),
    "an entry that is text": file_of(b'{"a.b":"F32"}'),
}


@pytest.mark.message
@pytest.mark.parametrize("what", DAMAGED)
def test_a_damaged_file_is_refused(what, tmp_path):
    path = tmp_path / "damaged.safetensors"
    path.write_bytes(DAMAGED[what])
    with pytest.raises(ValueError, match=r"a whole safetensors file, got .*damaged"):
        torch_state.read_safetensors(path)


@pytest.mark.message
@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.bin", b"PK\x03\x04rest"),
        ("a.bin", b"\x80\x02}q\x00."),
        ("a.bin", b"\x80\x05}\x94."),
        ("a.pt", b"(dp0\n."),
    ],
)
def test_a_pickle_is_refused_with_the_way_out(name, data, tmp_path):
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r"weights_only=True.*save_file"):
        torch_state.read_safetensors(path)
    with pytest.raises(TypeError, match=r"a state dict, got the path .*weights_only"):
        from_torch(str(path), {})  # pyright: ignore[reportArgumentType]


def test_nested_and_flat_are_inverses():
    state = {"a.0.weight": values(2, 3), "a.0.bias": values(2), "scale": values()}
    tree = nested(state)
    assert tree["a"]["0"]["bias"].shape == (2,)
    assert not np.shares_memory(tree["scale"], state["scale"])
    same(flat(tree), state)


@pytest.mark.message
@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: nested({"a": values(1), "a.b": values(1)}), ValueError, "beginning"),
        (lambda: nested({"a.b": values(1), "a": values(1)}), ValueError, "beginning"),
        (
            lambda: flat({"a.b": values(1), "a": {"b": values(1)}}),
            ValueError,
            "own name",
        ),
        (lambda: flat({"a": {0: values(1)}}), TypeError, "strings"),
        (
            lambda: nested({"model": {"a": values(1)}}),
            TypeError,
            r"pass checkpoint\['mod",
        ),
        (lambda: nested({"epoch": 3}), TypeError, "'epoch' to be a tensor or an array"),
        (
            lambda: nested(cast(Any, [values(1)])),
            TypeError,
            r"pass module.state_dict\(\)",
        ),
    ],
)
def test_what_is_no_state_dict_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()


class Convolutions(linen.Module):
    """A square convolution and a square transposed one, under names of their own."""

    named: bool = True

    @linen.compact
    def __call__(self, x):
        names: Any = {"conv": "down", "transpose": "up"} if self.named else {}
        x = linen.Conv(4, (3, 3), name=names.get("conv"))(x)
        return linen.ConvTranspose(4, (3, 3), name=names.get("transpose"))(x)


def convolutions(named):
    x = jnp.zeros((1, 5, 5, 4))
    return jax.eval_shape(Convolutions(named).init, jax.random.key(0), x)


STATE = {
    "down.weight": values(4, 4, 3, 3),
    "down.bias": values(4),
    "up.weight": values(4, 4, 3, 3),
    "up.bias": values(4),
}


@pytest.mark.message
def test_a_square_kernel_of_linen_needs_a_rule():
    with pytest.raises(ValueError, match=r"rule for 'down.weight'.*rules.conv or"):
        from_torch(STATE, convolutions(named=True))


def test_linens_own_names_and_rules_say_what_a_square_kernel_is():
    chosen = {"up": rules.conv_transpose, "*": rules.conv}
    by_rule = from_torch(STATE, convolutions(named=True), rules=chosen)["params"]
    names = {"down": "Conv_0", "up": "ConvTranspose_0"}
    by_name = from_torch(STATE, convolutions(named=False), names)["params"]
    for one, other in (("down", "Conv_0"), ("up", "ConvTranspose_0")):
        assert (by_rule[one]["kernel"] == by_name[other]["kernel"]).all()
    flipped = STATE["up.weight"][:, :, ::-1, ::-1].transpose(2, 3, 0, 1)
    assert (by_rule["up"]["kernel"] == flipped).all()


def test_nnx_modules_say_what_a_square_kernel_is():
    class Module(nnx.Module):
        def __init__(self, rngs):
            self.down = nnx.Conv(4, 4, (3, 3), rngs=rngs)
            self.up = nnx.ConvTranspose(4, 4, (3, 3), rngs=rngs)
            self.drop = nnx.Dropout(0.5, rngs=rngs)

    given = Module(nnx.Rngs(0))
    old = given.up.kernel[...]
    module = from_torch(STATE, given)
    assert (given.up.kernel[...] == old).all()
    flipped = STATE["up.weight"][:, :, ::-1, ::-1].transpose(2, 3, 0, 1)
    assert (module.up.kernel[...] == flipped).all()
    assert module.drop.rngs is not given.drop.rngs
    same(to_torch(module, STATE), STATE)


def test_a_square_kernel_is_transposed_like_any_other():
    state = {"fc.weight": values(3, 3)}
    tree = from_torch(state, abstract(fc_kernel=(3, 3)))
    assert (tree["fc"]["kernel"] == state["fc.weight"].T).all()
    same(to_torch(tree, state), state)


@pytest.mark.message
def test_a_plain_tree_says_how_square_matrices_lie():
    state, tree = (
        {"a.weight": values(3, 3), "b.weight": values(2, 3)},
        abstract(a_weight=(3, 3), b_weight=(2, 3)),
    )
    with pytest.raises(ValueError, match=r"rules.unchanged or rules.conv.*'a.weight'"):
        from_torch(state, tree)
    for rule, expected in ((rules.unchanged, state["a.weight"]), (rules.linear, None)):
        expected = state["a.weight"].T if expected is None else expected
        filled = from_torch(state, tree, rules={"a": rule})
        assert (filled["a"]["weight"] == expected).all()
        same(to_torch(filled, state, rules={"a": rule}), state)


def test_pairs_of_a_pure_function_are_filled_by_names_and_rules():
    """The layout of the parameters is the user's: here (in, out), in tuples."""
    params = [(jnp.zeros((3, 2)), jnp.zeros(2)), (jnp.zeros((2, 2)), jnp.zeros(2))]
    state = {
        "0.weight": values(2, 3),
        "0.bias": values(2),
        "2.weight": values(2, 2),
        "2.bias": values(2),
    }
    names: Any = {
        "0.weight": "0/0",
        "0.bias": "0/1",
        "2.weight": "1/0",
        "2.bias": "1/1",
    }
    filled = from_torch(state, params, names, {"*": rules.linear})
    assert (filled[1][0] == state["2.weight"].T).all()
    same(to_torch(filled, state, names, {"*": rules.linear}), state)


@pytest.mark.message
@pytest.mark.parametrize(
    ("state", "template", "names", "message"),
    [
        (
            {"a.weight": (6, 4)},
            {"a_kernel": (3, 2, 4)},
            {},
            r"\(3, 2, 4\), got .*\(6, 4",
        ),
        (
            {"fc.weight": (2, 3)},
            {"fc_kernel": (2, 3)},
            {},
            r"\(2, 3\).*got shape \(2, 3",
        ),
        (
            {"a.weight": (2,)},
            {"b_scale": (2,)},
            {},
            r"'a.weight' of.*'b/scale' of shape",
        ),
        (
            {"a.weight": (2,)},
            {},
            {},
            "no place for 'a.weight' of shape .2,. and no arr",
        ),
        ({}, {"a_scale": (2,)}, {}, "no place for none and no array for 'a/scale' of"),
        ({"a.weight": (2,)}, {"a_scale": (2,)}, {"b": "a"}, "keys from the .* got 'b'"),
        ({"a.weight": (2,)}, {"a_scale": (2,)}, {"a": None}, "no array for 'a/scale'"),
        (
            {"a.weight": (2,)},
            {"a_scale": (2,), "a_embedding": (2,)},
            {},
            "one place for 'a.weight', got 'a/scale' .* and 'a/embedding'",
        ),
        (
            {"a.mask": (2,)},
            {"b_scale": (2,)},
            {"a.mask": "b.mean"},
            "no place for 'a.mas",
        ),
    ],
)
def test_what_does_not_fit_is_named(state, template, names, message):
    state = {name: values(*shape) for name, shape in state.items()}
    with pytest.raises(ValueError, match=message):
        from_torch(state, abstract(**template), names)


@pytest.mark.message
@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (({}, {"a": 3}), TypeError, "names to be a mapping of .* got 'a': 3"),
        (({}, "a"), TypeError, "names to be a mapping of strings to .* got str"),
        (
            ({}, {}, {"a": "linear"}),
            TypeError,
            "rules to be a mapping .* 'a': 'linear'",
        ),
        (({}, {}, "linear"), TypeError, "rules to be a mapping .* got str"),
        (
            ({}, {}, {"*.k": rules.conv}),
            ValueError,
            "patterns that match a name .*'..k",
        ),
        ((None,), TypeError, "a tree of arrays, got NoneType .*module.init"),
        ((linen.Dense(2),), TypeError, "a tree of arrays, got Dense .*module.init"),
    ],
)
def test_arguments_without_an_effect_are_refused(arguments, error, message):
    template, *options = arguments
    template = abstract(a_scale=(2,)) if template == {} else template
    with pytest.raises(error, match=message):
        from_torch({"a.weight": values(2)}, template, *options)


@pytest.mark.message
def test_a_word_before_all_names_is_named():
    """`DataParallel` puts `module` before all names, `torch.compile` `_orig_mod`."""
    tree = abstract(fc_kernel=(3, 2), norm_scale=(2,))
    for word in ("module", "_orig_mod"):
        state = {
            f"{word}.fc.weight": values(2, 3),
            f"{word}.norm.weight": values(2),
        }
        with pytest.raises(
            ValueError, match=f"begin with '{word}': names={{"
        ) as caught:
            from_torch(state, tree)
        caught.match(f"{{'{word}': ''}} leaves it out")
        filled = from_torch(state, tree, {word: ""})
        same(to_torch(filled, state, {word: ""}), state)
    with pytest.raises(ValueError, match="None leaves an array out"):
        from_torch({"head.weight": values(2, 3)}, tree)


@pytest.mark.message
def test_weights_of_a_conv1d_name_the_rule_that_fits():
    state = {"c_fc.weight": values(2, 3), "c_proj.weight": values(3, 3)}
    tree = {
        name: {"kernel": np.zeros(x.shape)}
        for name, x in (
            ("c_fc", state["c_fc.weight"]),
            ("c_proj", state["c_proj.weight"]),
        )
    }
    with pytest.raises(
        ValueError, match=r"rules.unchanged would fit, .*Conv1D of GPT-2"
    ):
        from_torch(state, tree)
    filled = from_torch(state, tree, rules={"c_*": rules.unchanged})
    assert (filled["c_proj"]["kernel"] == state["c_proj.weight"]).all()
    state = {"up.weight": values(2, 3, 1, 1)}
    with pytest.raises(
        ValueError, match=r"by rules.conv; rules.conv_transpose would fit"
    ):
        from_torch(
            state, {"Conv_0": {"kernel": np.zeros((1, 1, 2, 3))}}, {"up": "Conv_0"}
        )


def test_query_key_and_value_in_one_layer_are_taken_apart():
    """As in timm: `qkv` and `proj` are layers of their own."""
    state = {
        "attn.qkv.weight": values(12, 4),
        "attn.qkv.bias": values(12),
        "attn.proj.weight": values(4, 4),
        "attn.proj.bias": values(4),
    }
    heads = {
        "kernel": np.zeros((4, 2, 2), np.float32),
        "bias": np.zeros((2, 2), np.float32),
    }
    out = {"kernel": np.zeros((2, 2, 4), np.float32), "bias": np.zeros(4, np.float32)}
    tree: Any = {"attn": {"query": heads, "key": heads, "value": heads, "out": out}}
    filled = from_torch(state, tree)["attn"]
    key = state["attn.qkv.weight"][4:8].T.reshape(4, 2, 2)
    assert (filled["key"]["kernel"] == key).all()
    assert (
        filled["out"]["kernel"] == state["attn.proj.weight"].T.reshape(2, 2, 4)
    ).all()
    same(to_torch({"attn": filled}, state), state)


def test_words_of_names_match_whatever_is_between_them():
    state = {"layer1.0.conv1.weight": values(2, 3), "bn.running_var": values(2)}
    state["bn.num_batches_tracked"] = np.array(7)
    state["mask"] = values(3)
    params = {"layer1_0": {"layers_conv1": {"kernel": jnp.zeros((3, 2))}}}
    variables = {"params": params, "batch_stats": {"bn": {"var": jnp.zeros(2)}}}
    filled = from_torch(state, variables, {"mask": None})
    assert (filled["batch_stats"]["bn"]["var"] == state["bn.running_var"]).all()
    back = to_torch(filled, state, {"mask": None})
    same(back, state)
    assert not any(np.shares_memory(back[name], state[name]) for name in state)


def test_tied_arrays_have_one_place():
    table = values(5, 2)
    tree = abstract(embed_embedding=(5, 2))
    shared = {"embed.weight": table, "head.weight": table}
    copied = {"embed.weight": table, "head.weight": table.copy()}
    names = {"head.weight": "embed/embedding"}
    for state, chosen in ((shared, {}), (copied, names)):
        filled = from_torch(state, tree, chosen)
        assert (filled["embed"]["embedding"] == table).all()
        same(to_torch(filled, state, chosen), state)


@pytest.mark.message
def test_tied_arrays_that_differ_are_refused():
    state = {"embed.weight": values(5, 2), "head.weight": values(5, 2)}
    with pytest.raises(ValueError, match=r"'embed.weight' and 'head.weight'.*equal"):
        from_torch(
            state, abstract(embed_embedding=(5, 2)), {"head.weight": "embed.embedding"}
        )


@pytest.mark.message
def test_no_value_is_rounded():
    exact = {"a.weight": np.array([0.5, np.nan, np.inf])}
    tree = abstract(a_scale=(3,))
    filled = from_torch(exact, tree)
    assert filled["a"]["scale"].dtype == jnp.float32
    same(to_torch(filled, exact), exact)
    with pytest.raises(
        ValueError, match=r"'a/scale' with values that float32 has.*x64"
    ):
        from_torch({"a.weight": np.array([0.1, 0, 0])}, tree)
    with pytest.raises(ValueError, match=r"'a.weight' with values that bfloat16 has"):
        to_torch({"a": {"scale": values(3)}}, {"a.weight": np.ones(3, jnp.bfloat16)})


def test_the_first_layer_after_a_flattened_image():
    weight, image = values(5, 2 * 3 * 4), values(2, 3, 4).astype(np.float64)
    chosen = {"fc": rules.after_flatten(2, 3, 4)}
    state = {"fc.weight": weight}
    tree = from_torch(state, abstract(fc_kernel=(24, 5)), rules=chosen)
    ours = image.transpose(1, 2, 0).reshape(-1) @ np.asarray(tree["fc"]["kernel"])
    np.testing.assert_allclose(ours, weight @ image.reshape(-1), rtol=1e-5)
    same(to_torch(tree, state, rules=chosen), state)


def adam_state(*names, step=3, **fields):
    """A state dict of torch's Adam whose parameters have shape (2, 3)."""
    state = {
        i: {
            "step": np.float32(step),
            "exp_avg": values(2, 3),
            "exp_avg_sq": values(2, 3),
        }
        | fields
        for i in range(len(names))
    }
    groups = [{"lr": 1e-3, "params": [*range(len(names))], "param_names": [*names]}]
    return {"state": state, "param_groups": groups}


PARAMS = {"a": {"kernel": jnp.zeros((3, 2))}, "b": {"kernel": jnp.zeros((3, 2))}}
LAYOUT = torch_state.layout(
    {"a.weight": values(2, 3), "b.weight": values(2, 3)}, PARAMS
)


def test_moments_are_transposed_and_every_counter_is_set():
    theirs = adam_state("a.weight", "b.weight")
    schedule = optimizers.step_lr(0.1, 10)
    chain = optax.chain(optimizers.clip_grad_norm(1.0), optimizers.adam(schedule))
    state: Any = torch_state.optimizer_from_torch(theirs, chain.init(PARAMS), LAYOUT)
    moment = optax.tree.get(state, "exp_avg")
    assert (moment["b"]["kernel"] == theirs["state"][1]["exp_avg"].T).all()
    assert optax.tree.get(state, "count") == optax.tree.get(state, "step") == 3
    back = torch_state.optimizer_to_torch(state, theirs, LAYOUT)
    for index, fields in theirs["state"].items():
        same(back["state"][index], fields)


def test_groups_with_their_own_optimizers():
    """Torch has two groups, of which one is frozen; here `optax.partition` has them."""
    theirs = adam_state("a.weight", "b.weight")
    del theirs["state"][1]
    groups: Any = {"trained": optimizers.adam(), "frozen": optax.set_to_zero()}
    both = optax.partition(groups, {"a": "trained", "b": "frozen"})
    state = torch_state.optimizer_from_torch(theirs, both.init(PARAMS), LAYOUT)
    back = torch_state.optimizer_to_torch(state, theirs, LAYOUT)
    assert list(back["state"]) == [0]
    same(back["state"][0], theirs["state"][0])


def test_rows_and_columns_of_adafactor_change_places():
    row, col = values(2, 1), values(1, 3)
    theirs = adam_state("a.weight", "b.weight")
    for fields in theirs["state"].values():
        del fields["exp_avg"], fields["exp_avg_sq"]
        fields |= {"row_var": row, "col_var": col}
    state: Any = optimizers.adafactor().init(PARAMS)
    state = torch_state.optimizer_from_torch(theirs, state, LAYOUT)
    moment = optax.tree.get(state, "variance")["a"]["kernel"]
    assert (moment.row_var == col.T).all()
    assert (moment.col_var == row.T).all()
    back = torch_state.optimizer_to_torch(state, theirs, LAYOUT)
    same(back["state"][0], theirs["state"][0])


def take_over(theirs, optimizer, layout=LAYOUT, **options):
    return torch_state.optimizer_from_torch(
        theirs, optimizer.init(PARAMS), layout, **options
    )


BOTH = "a.weight", "b.weight"
ADAM = optimizers.adam()


@pytest.mark.message
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: take_over({}, ADAM), r"pass optimizer.state_dict\(\)"),
        (
            lambda: take_over(adam_state(*BOTH), ADAM, parameters=["a.weight"]),
            "names of the optimizer's 2 parameters, got 1",
        ),
        (
            lambda: take_over(adam_state(*BOTH), optimizers.adam(amsgrad=True)),
            "'max_exp_avg_sq' of 'a.weight' in torch's state, got 'step', 'exp_avg'",
        ),
        (
            lambda: take_over(adam_state(*BOTH, max_exp_avg_sq=values(2, 3)), ADAM),
            "none for max_exp_avg_sq of a.weight, max_exp_avg_sq of b.weight",
        ),
        (
            lambda: take_over(adam_state(*BOTH, exp_avg=values(3, 2)), ADAM),
            r"'exp_avg' of 'a.weight' of shape \(2, 3\), got shape \(3, 2\)",
        ),
        (
            lambda: take_over(adam_state("a.weight", "c.weight"), ADAM),
            "'b.weight' among the optimizer's parameters, for 'b/kernel'",
        ),
        (
            lambda: take_over(adam_state(*BOTH), ADAM, steps=4),
            "steps=3, as torch, got 4",
        ),
        (
            lambda: take_over(adam_state(*BOTH) | {"state": {}}, ADAM),
            "'step' of 'a.weight' in torch's state, got no step so far",
        ),
        (
            lambda: take_over(
                adam_state(*BOTH) | {"state": {}},
                optimizers.sgd(optimizers.step_lr(0.1, 3)),
            ),
            "steps, the number of updates",
        ),
        (
            lambda: take_over(adam_state(*BOTH), optax.chain(optax.ema(0.9), ADAM)),
            "counterparts in torch's, got '0/ema/a/kernel'",
        ),
        (
            lambda: torch_state.optimizer_to_torch(
                optimizers.sgd().init(PARAMS), adam_state(*BOTH), LAYOUT
            ),
            "with torch's exp_avg, exp_avg_sq, step, got none of them",
        ),
    ],
)
def test_states_that_do_not_fit_are_refused(call, message):
    with pytest.raises((TypeError, ValueError), match=message):
        call()


@pytest.mark.message
def test_moments_of_two_biases_have_no_sum():
    state = {
        "a.weight_ih": values(4, 3),
        "a.weight_hh": values(4, 1),
        "a.bias_ih": values(4),
        "a.bias_hh": values(4),
    }
    dense: Any = {"dense_i": {"kernel": jnp.zeros((3, 4))}}
    dense["dense_h"] = {"kernel": jnp.zeros((1, 4)), "bias": jnp.zeros(4)}
    fields = {i: {"momentum_buffer": array} for i, array in enumerate(state.values())}
    groups = [{"params": [*fields], "param_names": [*state]}]
    theirs = {"state": fields, "param_groups": groups}
    params = {"a": dense}
    ours = optimizers.sgd(momentum=0.9).init(params)
    layout = torch_state.layout(state, params)
    with pytest.raises(
        ValueError, match=r"'a/dense_h/bias' to be one .*the sum a.bias"
    ):
        torch_state.optimizer_from_torch(theirs, ours, layout)


@pytest.mark.message
def test_parameters_with_other_numbers_of_steps_are_refused():
    theirs = adam_state(*BOTH)
    theirs["state"][1]["step"] = np.float32(2)
    with pytest.raises(
        ValueError, match=r"one 'step' for all parameters, got \[2.0, 3"
    ):
        take_over(theirs, ADAM)
