"""`diagnose`: every fault of a call, the most serious first, as text and as a page."""

import re

import jax
import jax.numpy as jnp
import pytest

import jaxgrad
from jaxgrad.inspection import InspectionWarning

ONES = jnp.ones(3)


def healthy(w, x):
    return jnp.sum(jnp.tanh(w * x))


def not_finite(w, x):
    return jnp.sqrt(jnp.sum((w - x) ** 2))


def two_zeros(params, x):
    hidden = jax.nn.relu(params["w"] * x - 10)
    index = jnp.argmax(params["table"])
    return jnp.sum(hidden) + index.astype(jnp.float32) + params["b"]


def vanishing(w, x):
    h, _ = jax.lax.scan(lambda h, _: (jnp.tanh(w * h) / 4, None), x, None, length=12)
    return jnp.sum(h)


def test_a_healthy_call_says_what_was_looked_for():
    diagnosis = jaxgrad.diagnose(healthy)(ONES, ONES)
    assert diagnosis.findings == ()
    text = str(diagnosis)
    assert text.splitlines()[0].endswith(": no faults found")
    assert "Looked for: NaN and infinity, gradients that are zero" in text


def test_a_nan_is_the_only_finding():
    diagnosis = jaxgrad.diagnose(not_finite)(ONES, ONES)
    (finding,) = diagnosis.findings
    assert finding.kind == "nonfinite"
    assert finding.source and finding.source.text.startswith("return jnp.sqrt")
    assert "Looked for: NaN and infinity.\n" in str(diagnosis)
    assert "Nothing else was looked for" in str(diagnosis)


def test_every_argument_without_a_gradient_is_a_finding():
    params = {"w": ONES, "table": ONES, "b": jnp.float32(1)}
    diagnosis = jaxgrad.diagnose(two_zeros)(params, ONES)
    found = {f.argument: (f.kind, f.reason) for f in diagnosis.findings}
    assert found == {
        "params['w']": ("zero", "dead"),
        "params['table']": ("zero", "integer"),
    }
    text = str(diagnosis)
    assert ": 2 faults found" in text.splitlines()[0]
    assert "1. zero: The gradient of params['w'] is zero (dead)" in text
    assert "2. zero: The gradient of params['table'] is zero (integer)" in text


def test_a_flow_comes_after_the_zeros():
    diagnosis = jaxgrad.diagnose(vanishing, argnums=(0, 1))(ONES, ONES)
    assert [f.kind for f in diagnosis.findings] == ["vanishing"]
    (finding,) = diagnosis.findings
    assert finding.reason == "time" and "12 iterations" in finding.summary


def test_a_stationary_point_is_a_remark():
    diagnosis = jaxgrad.diagnose(lambda w: jnp.sum(w**2))(0 * ONES)
    assert diagnosis.findings == ()
    (remark,) = diagnosis.remarks
    assert "stationary point" in remark and remark in str(diagnosis).replace("\n", " ")


def test_a_frozen_parameter_is_a_finding_also_while_others_train():
    def loss(params):
        frozen = jax.lax.stop_gradient(params["frozen"])
        return jnp.sum(jnp.tanh(frozen * params["w"]))

    (finding,) = jaxgrad.diagnose(loss)({"frozen": ONES, "w": ONES}).findings
    assert (finding.argument, finding.reason) == ("params['frozen']", "stopped")


def probabilities(w, x):
    p = jax.nn.softmax(x @ w)
    return jnp.mean(jnp.sum(p, -1))


def normalized(params, x):
    h = x @ params["w"] + params["b"]
    h = (h - h.mean(0)) / h.std(0)
    return jnp.sum(jnp.tanh(h) ** 3)


def test_what_cancels_but_for_rounding_is_zero():
    w, x = jnp.sin(jnp.arange(15.0)).reshape(3, 5), jnp.cos(jnp.arange(21.0))
    x = x.reshape(7, 3)
    assert jax.grad(probabilities)(w, x).any()
    (finding,) = jaxgrad.diagnose(probabilities)(w, x).findings
    assert (finding.kind, finding.reason) == ("zero", "cancelled")
    assert finding.argument == "w"


def test_a_bias_before_a_normalization_is_a_remark():
    params = {"w": jnp.sin(jnp.arange(6.0)).reshape(3, 2), "b": jnp.array([0.37, 2.1])}
    x = jnp.cos(jnp.arange(15.0)).reshape(5, 3)
    diagnosis = jaxgrad.diagnose(normalized)(params, x)
    assert diagnosis.findings == ()
    assert "params['b']" in diagnosis.remarks[0]


def test_units_that_are_off_in_a_batch_are_one_remark():
    def loss(layers, x):
        for w in layers:
            x = jax.nn.relu(x @ w)
        return jnp.sum(x)

    layers = [jax.random.normal(jax.random.key(i), (6, 6)) for i in range(3)]
    diagnosis = jaxgrad.diagnose(loss)(layers, jnp.ones((2, 6)))
    assert diagnosis.findings == ()
    (remark,) = diagnosis.remarks
    assert "layers[0][:, 5]" in remark and "layers[1][:, " in remark


def test_the_page_links_each_finding_and_its_step_to_each_other(tmp_path):
    params = {"w": ONES, "table": ONES, "b": jnp.float32(1)}
    diagnosis = jaxgrad.diagnose(two_zeros)(params, ONES)
    diagnosis.save(tmp_path / "diagnosis.html")
    saved = (tmp_path / "diagnosis.html").read_text(encoding="utf-8")
    for page in (saved, diagnosis._repr_html_()):
        anchors = set(re.findall(r'id="([^"]+)"', page))
        links = re.findall(r'href="#([^"]+)"', page)
        assert set(links) <= anchors
        for number in (1, 2):
            # from its step's row and from its argument's
            assert sum(link.endswith(f"finding-{number}") for link in links) == 2
        assert page.count("to its step") == 2


def test_a_function_that_cannot_be_entered_is_checked_as_a_whole():
    def unknown_end(w):
        running = jax.lax.while_loop(lambda s: s < 10, lambda s: s + 1, 0)
        return w * 0 if int(running) > 5 else w

    diagnosis = jaxgrad.diagnose(unknown_end)(2.0)
    assert [f.kind for f in diagnosis.findings] == ["zero"]


def test_has_aux():
    diagnosis = jaxgrad.diagnose(lambda w: (jnp.round(w), w), has_aux=True)(1.3)
    assert [f.reason for f in diagnosis.findings] == ["integer"]


@pytest.mark.message
def test_what_is_not_a_function_is_refused():
    with pytest.raises(TypeError, match="diagnose: expected f to be a function"):
        jaxgrad.diagnose(3.0)  # type: ignore[arg-type]


@pytest.mark.parametrize("f", [healthy, two_zeros, vanishing])
def test_no_search_fails(f, recwarn):
    params = {"w": ONES, "table": ONES, "b": jnp.float32(1)}
    jaxgrad.diagnose(f)(params if f is two_zeros else ONES, ONES)
    assert not any(issubclass(w.category, InspectionWarning) for w in recwarn)


def test_nothing_is_replayed_if_no_gradient_is_zero(monkeypatch):
    def replayed(*_):
        raise AssertionError

    monkeypatch.setattr("jaxgrad.inspection.faults.zero.in_call", replayed)
    assert jaxgrad.diagnose(healthy)(ONES, ONES).findings == ()
    scattered = jnp.eye(2)  # no row and no column is zero
    assert jaxgrad.diagnose(healthy)(1 + 0 * scattered, scattered).findings == ()
    with pytest.raises(AssertionError):
        jaxgrad.diagnose(healthy)(ONES, 0 * ONES)


@pytest.mark.message
def test_an_error_names_diagnose():
    with pytest.raises(TypeError, match=r"^diagnose: expected f to return one"):
        jaxgrad.diagnose(lambda w: w)(ONES)
    with pytest.raises(TypeError, match=r"^diagnose: expected w of a floating dtype"):
        jaxgrad.diagnose(healthy)(jnp.arange(3), ONES)


def test_a_loop_inside_a_library_is_the_users_line():
    linen = pytest.importorskip("flax.linen")

    def loss(scale, xs):
        start = linen.initializers.orthogonal(0.3)
        layer = linen.RNN(linen.SimpleCell(4, recurrent_kernel_init=start))
        params = layer.init(jax.random.key(0), xs)
        return jnp.sum(layer.apply(params, scale * xs)[-1])

    (finding,) = jaxgrad.diagnose(loss)(1.0, jnp.ones((30, 2))).findings
    assert (finding.kind, finding.reason) == ("vanishing", "time")
    assert finding.source and "layer.apply" in finding.source.text


def test_arguments_with_one_cause_are_one_finding():
    def loss(params, x):
        for w in params:
            x = jax.nn.relu(w * x - 10)
        return jnp.sum(x)

    diagnosis = jaxgrad.diagnose(loss)([ONES] * 5, ONES)
    (finding,) = diagnosis.findings
    assert finding.argument == "params[0]" and "and 0 more" not in str(diagnosis)
    assert "so is that of params[1]" in finding.summary


def test_what_vanishes_until_it_underflows_is_one_finding():
    def loss(params, x):
        for w in params:
            x = jax.nn.sigmoid(w * x) * 1e-5
        return jnp.sum(x)

    (finding, *others) = jaxgrad.diagnose(loss)([ONES] * 12, ONES).findings
    assert finding.kind == "vanishing" and "too small for the dtype" in finding.summary
    assert others == []
