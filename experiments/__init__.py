"""Experiments of docs/experiments: what makes their data, runs them and tells their figures."""
