"""Kinds of results that are published."""

from __future__ import annotations

from enum import StrEnum


class Kind(StrEnum):
    """A result of a project, and what it becomes on the Hub."""

    dataset = "dataset"
    model = "model"
    scene = "scene"

    @property
    def repository_type(self) -> str:
        """Return the type of the Hub's repository: a scene is shown by a Space."""
        return {"dataset": "dataset", "model": "model", "scene": "space"}[self.value]
