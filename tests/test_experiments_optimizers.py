"""The experiment on optimizers: numbers, pictures, command line."""

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from experiments import optimizers as experiment
from experiments._command import run_as_script
from experiments._reproduction import plain

# From torch 2.13.0 in float64: x, y after 10, 100, 1000 and 5000 steps.
TORCH = {
    "3.64": [(-8.0530637, -1.0737418), (-1.5e-8, -2.0e-9), (0, 0), (0, 0)],
    "3.65": [
        (-70.044966, -5.537312),
        (-57.324314, -0.27386882),
        (-24.587167, -8e-14),
        (-1.5053995, 0),
    ],
    "3.66": [(-32.194739, 4e-23), (-0.051711106, 0), (0, 0.45812785), (0.5, 0.5)],
    "3.67": [
        (-74.966253, -9.9662834),
        (-74.59467, -9.5999713),
        (-67.61519, -3.9453723),
        (-18.038827, 0),
    ],
    "3.68": [(-65.047928, -0.76249151), (-6.8204046, -0.029366763), (0, 0), (0, 0)],
    "3.69": [(-58.353273, -0.33605547), (-0.38442066, -0.02770631), (0, 0), (0, 0)],
}


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    folder = tmp_path_factory.mktemp("optimizers")
    options = "--lrs 3 --starts 2 --race-steps 20 --output-dir".split()
    return experiment.main([*options, str(folder)]), folder


def test_the_notebooks_numbers(ran):
    computed = plain(experiment.reproduced(ran[0]))
    for row, expected in TORCH.items():
        points = computed[row]["float64"] if row == "3.66" else computed[row]
        np.testing.assert_allclose(points[1:], expected, rtol=1e-6, atol=1e-9)
    assert computed["3.64"][0] == pytest.approx([-60.0, -8.0])
    assert computed["3.66"]["float32"][-1] == [0.0, 0.0]
    np.testing.assert_allclose(computed["3.41"], [200.0, 0.0833, 5725.0], atol=5e-5)
    assert computed["3.42"] == [0.0, 0.0, 0.0, False]


def test_adamw_is_not_an_l2_term_in_the_loss(ran):
    result = ran[0]
    decayed = result["descents"].data["AdamW"].points[0]
    np.testing.assert_allclose(decayed, [-73.25, -8.9])
    np.testing.assert_allclose(result["decay"].data.points[0], [-74.0, -9.0])


def test_rmsprop_is_a_straight_line_in_float32(ran):
    """PyTorch 2.13: y is 9.5e-7 after one step, and both are 0 from step 456 on."""
    points = ran[0]["single"].data["RMSprop"].points
    assert points.dtype == np.float32
    assert np.abs(points[:, 1]).max() <= 1e-6
    assert (points[:, 0] <= 0).all()
    arrival = np.flatnonzero(points.any(axis=1))[-1] + 2
    assert 400 <= arrival <= 500
    row = plain(experiment.reproduced(ran[0]))["3.70"]
    assert row["RMSprop"]["at (0, 0) from step"] == arrival


def test_rmsprop_is_a_cross_in_float64(ran):
    points = ran[0]["descents"].data["RMSprop"].points
    assert points.dtype == np.float64
    assert np.abs(points[100:, 1]).max() > 2
    assert points[100:, 0].max() > 2


def test_the_six_paths_are_drawn_in_float32(ran):
    drawn = experiment.figures(ran[0])["paths"]
    assert isinstance(drawn, Figure)
    titles = [axes.get_title() for axes in drawn.axes]
    assert titles[:3] == ["SGD, lr 0.1", "Adagrad, lr 1", "RMSprop, lr 1"]
    dots = np.asarray(drawn.axes[2].collections[-1].get_offsets())
    np.testing.assert_array_equal(dots, ran[0]["single"].data["RMSprop"].points)


def test_the_measured_strengths_and_weaknesses(ran):
    found = ran[0]["strengths"].data
    sgd, adagrad, rmsprop, adadelta, adam, adamw = (
        found[name] for name in experiment.FACTORIES
    )

    def on(surface, what):
        return {name: getattr(m.races[surface], what) for name, m in found.items()}

    steps = on("sphere", "steps")
    assert min(steps, key=steps.__getitem__) == "SGD"
    assert sgd.working_rates("bowl") < 0.1 < 0.5 < adam.working_rates("bowl")
    assert sgd.races["bowl"].steps > 50 * sgd.races["sphere"].steps
    assert adagrad.races["bowl"].steps < 10
    assert adagrad.races["sphere"].steps < 10
    assert adagrad.last_step < 1e-2 < 1 < adagrad.first_step
    assert 1.4 < adagrad.end < 1.6
    assert rmsprop.after_100 < 0.1 < 50 < adagrad.after_100
    assert 0.5 < rmsprop.farthest < 1
    assert rmsprop.arrival is None
    assert adadelta.spread < 3 < 100 < sgd.spread
    assert adadelta.first_step < 0.01
    assert 17 < adadelta.end < 19
    arrived = on("rosenbrock", "arrived")
    assert arrived.pop("Adam") > 0.5
    assert max(arrived.values()) < 0.2
    assert adam.turns >= 3
    assert sgd.turns == 0
    assert adam.arrival > 5 * sgd.arrival
    assert adamw.after_100 < adam.after_100 / 10
    distance = on("himmelblau", "distance")
    assert distance["Adam"] < 1e-6 < 1e-3 < distance["AdamW"]


def test_each_optimizer_has_one_strength_and_one_weakness_with_its_numbers(ran):
    text = ran[0]["strengths"].text()
    for name in experiment.FACTORIES:
        assert text.count(f"\n{name} + ") == text.count(f"\n{name} - ") == 1
    end = ran[0]["strengths"].data["Adadelta"].end
    assert f"{end:.3g}" in text.replace("\n    ", " ")
    assert "inf" not in text


def test_races_cover_every_surface(ran):
    result = ran[0]
    names = {name.removeprefix("race_") for name in result if name.startswith("race_")}
    assert names == set(experiment.SURFACES)
    for name in names:
        race, _ = result[f"race_{name}"].data
        assert race.distance.shape == (6, 3, 2)
    _, best_paths = result["race_bowl"].data
    assert {path.shape for path in best_paths.values()} == {(21, 2)}


def test_pictures_are_written(ran):
    names = {path.stem for path in ran[1].glob("*.png")}
    assert {"surface", "paths", "sensitivity", "contours_rastrigin"} <= names
    assert len(names) == 4 + len(experiment.SURFACES)
    for path in ran[1].glob("*.png"):
        with Image.open(path) as image:
            assert image.size >= (900, 600)
            assert len(set(image.convert("L").tobytes())) > 20  # not blank


def command(*options):
    run_as_script(lambda: experiment.main(options))


def test_help(capsys):
    with pytest.raises(SystemExit) as exit_:
        command("--help")
    assert exit_.value.code == 0
    assert "--race-steps" in capsys.readouterr().out


@pytest.mark.parametrize("option", ["lrs", "starts", "race-steps"])
def test_bad_options_end_in_one_line(option, capsys, tmp_path):
    with pytest.raises(SystemExit) as exit_:
        command(f"--{option}", "0", "--output-dir", str(tmp_path))
    assert exit_.value.code == 2
    message = f"error: --{option}: expected at least 1, got 0 instead.\n"
    assert capsys.readouterr().err == message
    assert not list(tmp_path.iterdir())
