"""Describe the phases of a training run and keep their checkpoints."""
