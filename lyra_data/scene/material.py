"""Raw material of a scene as a source gives it, before annotation."""

from __future__ import annotations

from dataclasses import dataclass, field

from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from lyra_data.scene.cameras import Cameras


@dataclass(frozen=True)
class HeldOutView:
    """A real photo of the scene from elsewhere, for evaluation alone; nothing may train on it.

    Attributes:
        name: what the report calls it.
        frame: RGB, 0..255.
        camera: one camera, posed relative to the source's first camera (identity).
    """

    name: str
    frame: UInt8[Tensor, "3 height width"]
    camera: Cameras


@dataclass(frozen=True)
class SourceMaterial:
    """The content of a source, at its own size. Unknown things are None; annotators add them.

    Attributes:
        scene_id: letters, digits, "_" and "-".
        frames: RGB, 0..255; one frame for an image.
        fps: frames per second of a video, None for an image.
        cameras: poses and intrinsics, where given.
        depth: z depth, 0 where unknown, where given.
        depth_valid: True where the depth is known.
        depth_scale: "metric" or "up_to_scale", where depth is given.
        depth_confidence: 0..1, how well the depth is confirmed; 0 where unknown; where given.
        dynamic_mask: True on moving things, where given.
        focal_length: in units of the longer side of the frames, where another part of the same
            video told it; an annotator that solves keeps it.
        assumed_field_of_view_degrees: horizontal; taken for a picture whose field of view nobody
            tells, neither the source nor an estimator; None: such a picture is refused.
        held_out: real views for evaluation.
        provenance: kind, file names, sha256 of their bytes, licence.
        location: where the user finds it, for messages alone; "" where that is no place on a disk.
    """

    scene_id: str
    frames: UInt8[Tensor, "frame 3 height width"]
    fps: float | None = None
    cameras: Cameras | None = None
    depth: Float[Tensor, "frame height width"] | None = None
    depth_valid: Bool[Tensor, "frame height width"] | None = None
    depth_scale: str | None = None
    depth_confidence: Float[Tensor, "frame height width"] | None = None
    dynamic_mask: Bool[Tensor, "frame height width"] | None = None
    focal_length: float | None = None
    assumed_field_of_view_degrees: float | None = None
    prompt: str = ""
    held_out: tuple[HeldOutView, ...] = ()
    provenance: dict[str, str] = field(default_factory=dict)
    location: str = ""
