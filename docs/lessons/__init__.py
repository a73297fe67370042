"""Lessons: five PyTorch notebooks cell for cell in JAX, in English and Japanese.

A lesson is a folder with one source for our code (`jax_cells.py`), one for PyTorch's
(`torch_cells.py`) and two for the prose (`en.md`, `ja.md`). `python -m
docs.lessons.build` writes the notebooks and the table of cells from them.
"""
