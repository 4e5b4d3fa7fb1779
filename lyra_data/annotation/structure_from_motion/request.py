"""Question and answer of the solver's own process: files in a folder of theirs."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, TypeVar

from lyra_data.engine.documents import build_from_json

MapperName = Literal["incremental"]
"""The global mapper was stopped unfinished where this one takes seconds (ADR 0017)."""

Message = TypeVar("Message")
REQUEST_FILE, ANSWER_FILE = "request.json", "answer.json"
PICTURES_FOLDER = "pictures"
GIVEN_CAMERAS_FILE, SCENE_FILE = "given_cameras.npz", "scene.npz"
DATABASE_FILE = "features.db"


@dataclass(frozen=True)
class SolveRequest:
    """A way to solve a scene.

    Attributes:
        mapper: pycolmap's, which poses the keyframes.
        num_features: most features a picture.
        overlap: pictures that a picture is matched with on each side: those 1, 2, 4, 8 ... frames
            away.
        seed: of all draws.
        has_cameras: poses and intrinsics are given and stay; only points are sought.
        focal_length: in units of the picture's longer side, where known: it stays; None: it is
            sought.
        most_keyframes: about as many the mapper poses, up to twice as many, for they lie 1, 2, 4 or
            8 ... frames apart; the frames between them are posed afterwards. More are taken only
            where they would lie further apart than `overlap`.
    """

    mapper: MapperName
    num_features: int
    overlap: int
    seed: int
    has_cameras: bool = False
    focal_length: float | None = None
    most_keyframes: int = 32

    def keyframes_of(self, num_pictures: int) -> range:
        """Return the frames that are mapped.

        Their step is a power of two, for pictures are matched with those 1, 2, 4, 8 ... frames
        away: frames 3, 5 or 6 apart have no match among them, and nothing would be found.
        """
        step = max(1, min(-(-num_pictures // self.most_keyframes), self.overlap))
        return range(0, num_pictures, 1 << (step.bit_length() - 1))

    def save(self, folder: Path) -> None:
        (folder / REQUEST_FILE).write_text(json.dumps(asdict(self)))

    @classmethod
    def load(cls, folder: Path) -> SolveRequest:
        return _read(folder / REQUEST_FILE, cls)


@dataclass(frozen=True)
class SolveAnswer:
    """The outcome of solving.

    Attributes:
        problem: "" when the scene was solved; else "few_features", "no_model" or "unposed".
        frames: the frames that the problem is about.
        num_features: found in each picture.
        num_models: separate models that the mapper made.
        angle_degrees: the widest under which two pictures see what both show, where there is no
            model; None: no two have enough in common.
    """

    problem: Literal["", "few_features", "no_model", "unposed"]
    frames: list[int]
    num_features: list[int]
    num_models: int
    angle_degrees: float | None = None

    def save(self, folder: Path) -> None:
        (folder / ANSWER_FILE).write_text(json.dumps(asdict(self)))

    @classmethod
    def load(cls, folder: Path) -> SolveAnswer:
        return _read(folder / ANSWER_FILE, cls)


def _read(path: Path, build: Callable[..., Message]) -> Message:
    fix = "run it again: the solver's process left an incomplete file"
    return build_from_json(path, lambda values: build(**values), kind="message", fix=fix)


def picture_name(frame: int) -> str:
    return f"{frame:06d}.png"
