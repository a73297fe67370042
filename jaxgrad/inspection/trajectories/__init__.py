"""Two trainings step by step: where they part, and whether that is rounding."""
