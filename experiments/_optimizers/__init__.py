"""The parts of `experiments.optimizers`: what each optimizer is good and bad at."""
