"""`python -m experiments.mnist_mlp`."""

from experiments._command import run_as_script
from experiments.mnist_mlp import main

run_as_script(main)
