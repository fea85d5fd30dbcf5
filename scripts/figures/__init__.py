"""Figures of the code's form, which `scripts/code_figures.py` prints and a test limits."""
