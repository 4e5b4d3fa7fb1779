"""Params of camera paths of the user's own: a file, or key poses. Nothing here reads a file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath
from typing import Any, Literal

from pydantic import Field, model_validator

from lyra_data.camera_paths.laying import Scale
from lyra_data.camera_paths.splines import Sampling
from lyra_data.engine.errors import ParamsError
from lyra_data.engine.names import is_safe_name
from lyra_data.engine.params import Params, suggestion

Coordinates = tuple[float, float, float]

MOST_KEY_POSES = 1000


class FilePathParams(Params):
    """A camera path that a file holds, in any of the formats of docs/camera-paths.md.

    Attributes:
        path: the file (of COLMAP the model's folder), from the folder of params.yaml.
        scale: unit of its lengths: metres; centre_depth, the depth of the scene's centre; or
            fitted to the source's own poses, one for each of its frames.
        label: names the views [the file's name without its ending].
        anchor: the path's first camera lies on the source's first one [first_camera], on its
            camera of every frame, so that a video's own motion is added (moving_camera), or poses
            stand in the source's world (world).
        sampling: frames lie equally far apart on the path (uniform) or follow the file's own times
            (times, else the order of its poses); null [null]: times where it has some.
        lens: every frame has the source's lens [source], or its focal length changes as the
            file's does (zoom).
        source_poses: for scale fitted, a file with the source's poses in the path's world; null
            [null]: the path's own poses are those.
    """

    name: Literal["file"]
    path: str = Field(min_length=1)
    scale: Scale
    label: str | None = None
    anchor: Literal["first_camera", "moving_camera", "world"] = "first_camera"
    sampling: Sampling | None = None
    lens: Literal["source", "zoom"] = "source"
    source_poses: str | None = None

    @property
    def view_name(self) -> str:
        """Return the name of its views."""
        return PurePath(self.path).stem if self.label is None else self.label

    @model_validator(mode="after")
    def _fits(self) -> FilePathParams:
        if "\0" in self.path + (self.source_poses or ""):
            raise ValueError("a NUL stands in this path")
        if self.source_poses is not None and self.scale != "fitted":
            raise ValueError("source_poses belong to scale: fitted alone")
        return self


class KeyPose(Params):
    """A camera that the path passes.

    Attributes:
        position: x to the right, y down, z forward, from the source's first camera.
        target: the point that the camera faces, in the same frame; null [null]: the centre of
            what the source sees.
    """

    position: Coordinates
    target: Coordinates | None = None


class KeyPosesParams(Params):
    """Key poses: a curve through their positions, another through what they face, even speed.

    Attributes:
        label: names the views.
        scale: unit of all coordinates: metres, or centre_depth, the depth of the scene's centre.
        poses: the key poses in the order that they are passed; the first is the source's camera:
            position [0, 0, 0], target straight ahead.
        anchor: as of a file: first_camera [first_camera] or moving_camera.
    """

    name: Literal["key_poses"]
    label: str
    scale: Literal["metres", "centre_depth"]
    poses: list[KeyPose] = Field(min_length=2, max_length=MOST_KEY_POSES)
    anchor: Literal["first_camera", "moving_camera"] = "first_camera"

    @property
    def view_name(self) -> str:
        """Return the name of its views."""
        return self.label

    @model_validator(mode="after")
    def _begins_at_the_source(self) -> KeyPosesParams:
        first = self.poses[0]
        target = first.target or (0.0, 0.0, 1.0)
        if any(first.position) or any(target[:2]) or target[2] <= 0:
            raise ValueError(
                "the first key pose is the source's camera: position [0, 0, 0], and a target "
                "[0, 0, z] straight ahead, or none"
            )
        for index, (pose, after) in enumerate(zip(self.poses, self.poses[1:], strict=False)):
            if pose == after:
                raise ValueError(f"key poses {index} and {index + 1} are the same")
        return self


PATH_KINDS: dict[str, type[FilePathParams] | type[KeyPosesParams]] = {
    "file": FilePathParams,
    "key_poses": KeyPosesParams,
}
"""Kinds of paths of the user's own, by their `name`."""


def parse_path(values: Mapping[str, Any], *, where: str) -> FilePathParams | KeyPosesParams:
    """Validate the entry of a path, whose key `name` chooses its kind.

    Raises:
        ParamsError: the kind is unknown, a key is missing or impossible, or its views would have a
            name that is none.
    """
    kind = values.get("name")
    if not isinstance(kind, str) or kind not in PATH_KINDS:
        raise ParamsError(
            f"a camera path of the kind {kind!r}"[:100],
            where=where,
            fix=suggestion(str(kind)[:40], list(PATH_KINDS)),
        )
    if kind == "file" and "scale" not in values:
        raise ParamsError(
            "a path of a file needs its unit: the key `scale` is missing",
            where=where,
            fix="add `scale: metres`, `scale: centre_depth` (lengths in units of the depth of the "
            "scene's centre) or `scale: fitted` (to the source's own poses)",
        )
    params = PATH_KINDS[kind].parse(values, where=where)
    if not is_safe_name(params.view_name):
        raise ParamsError(
            f"label {params.view_name!r}"[:100] + " is no name for a view",
            where=where,
            fix="add `label:` with letters, digits, '_', '-' and '.'",
        )
    return params
