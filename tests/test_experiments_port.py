"""The three ports: no difference when correct, and where the mistakes are."""

import numpy as np
import pytest

import jaxgrad
from experiments import port as experiment
from experiments._port import networks

PROBABILITIES = 'probabilities = jax.nn.softmax(dense(params["fc3"], h2))'


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    folder = tmp_path_factory.mktemp("port")
    return experiment.main(["--output-dir", str(folder)]), folder


@pytest.mark.parametrize("name", experiment.PORTS)
def test_a_correct_port_agrees_with_the_record(name, ran):
    correct, mistaken = ran[0][name].data
    assert correct.first is None, str(correct)
    assert mistaken.first is not None


@pytest.mark.parametrize(
    ("name", "what", "line"),
    [
        ("two_layer_net", "gradient", "h_clamped = relu(h)"),
        ("mlp", "value", PROBABILITIES),
        ("cnn", "value", "flat = h.reshape(len(h), -1)"),
    ],
)
def test_the_mistake_is_named_with_its_line(name, what, line, ran):
    first = ran[0][name].data[1].first
    assert (first.what, first.ours.source.text) == (what, line)
    assert first.theirs.source.file == "tests/golden/generate_port.py"


def test_the_comparisons_are_saved_as_pages(ran):
    pages = {file.stem for file in ran[1].iterdir()}
    assert pages == set(experiment.PORTS)


def test_a_mistake_is_a_port_of_its_own():
    assert experiment.PORTS["cnn"].mistaken is networks.cnn_flattened_as_it_is


@pytest.mark.parity
@pytest.mark.parametrize("name", experiment.PORTS)
def test_the_stored_records_are_what_pytorch_computes(name):
    pytest.importorskip("torch")
    from tests.golden.generate_port import record

    stored = jaxgrad.load_record(experiment.RECORDS / f"{name}.npz")
    found = record(name)
    np.testing.assert_allclose(stored.value, found.value, rtol=1e-12)
    for one, other in zip(stored.steps, found.steps, strict=True):
        assert one.source == other.source, "python -m tests.golden.generate_port"
        np.testing.assert_allclose(one.value, other.value, rtol=1e-12)
