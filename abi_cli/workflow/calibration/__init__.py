"""Posteriors held against what is known of simulations, by `diagnose`, `predict` and `compare`."""
