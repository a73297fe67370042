"""The experiment on optimizers: numbers, pictures, command line."""

import numpy as np
import pytest
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
    assert computed["3.66"]["float32_end"] == [0.0, 0.0]
    np.testing.assert_allclose(computed["3.41"], [200.0, 0.0833, 5725.0], atol=5e-5)
    assert computed["3.42"] == [0.0, 0.0, 0.0, False]


def test_adamw_is_not_an_l2_term_in_the_loss(ran):
    result = ran[0]
    decayed = result["descents"].data["AdamW"].points[0]
    np.testing.assert_allclose(decayed, [-73.25, -8.9])
    np.testing.assert_allclose(result["decay"].data.points[0], [-74.0, -9.0])


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
    assert len(names) == 3 + len(experiment.SURFACES)
    for path in ran[1].glob("*.png"):
        with Image.open(path) as image:
            assert image.size >= (900, 700)
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
