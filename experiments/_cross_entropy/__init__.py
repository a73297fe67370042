"""The part of `experiments.cross_entropy` about overflow."""
