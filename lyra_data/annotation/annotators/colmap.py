"""The colmap annotator: from a video's frames alone to poses, intrinsics and dense depth, on a CPU.

pycolmap poses the frames (lyra_data/annotation/structure_from_motion), PatchMatch stereo estimates
their depth (lyra_data/annotation/dense_stereo). Every frame shares one pinhole camera without
distortion. Given cameras are kept; then only points and depth are estimated. Everything is done at
`solve_height`, and the clip is framed from there.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import cv2
import numpy as np
import torch
from jaxtyping import UInt8
from pydantic import Field, model_validator
from torch import Tensor

from lyra_data.annotation.annotators.framed import FramedParams, framed_clip, framed_held_out
from lyra_data.annotation.dense_stereo.depth_of_frames import DenseDepth, DenseSettings, dense_depth
from lyra_data.annotation.dense_stereo.patch_match import Seeds
from lyra_data.annotation.dense_stereo.views import StereoViews
from lyra_data.annotation.framing import FRAMINGS, Framing
from lyra_data.annotation.structure_from_motion.parallax import chosen_neighbours, largest_angles
from lyra_data.annotation.structure_from_motion.request import MapperName, SolveRequest
from lyra_data.annotation.structure_from_motion.solving import (
    OTHER_WAYS,
    pycolmap_version,
    solve_scene,
)
from lyra_data.annotation.structure_from_motion.sparse_scene import SparseScene
from lyra_data.engine.errors import InputError, ParamsError
from lyra_data.scene.cameras import Cameras
from lyra_data.scene.clip import Clip
from lyra_data.scene.material import HeldOutView, SourceMaterial

log = logging.getLogger(__name__)

LEAST_ANGLE_DEGREES = 1.5
"""Median over the points of the widest angle they are seen under: below it there is no parallax."""

AGREEMENT_PIXELS, AGREEMENT_RATIO = 1.5, 0.02
"""A neighbour's depth confirms a pixel's if it leads no further from the pixel, and from its
depth."""


class ColmapAnnotatorParams(FramedParams):
    """The way frames are solved, matched and framed.

    Attributes:
        height, width: working size in pixels, multiples of 16.
        framing: how pictures are brought to that size: "centred" (see framing.py), or "reference"
            for data meant to match the released models.
        fps: frames per second that trajectories around a single image will have.
        solve_height: height in pixels at which poses and depth are found; pictures are never
            enlarged to it. Time grows with its square.
        mapper: "incremental": pycolmap's, which poses the keyframes.
        num_features: most SIFT features a frame.
        overlap: frames that each frame is matched with on each side: those 1, 2, 4, 8 ... away.
        num_neighbours: frames that each frame's depth is matched with.
        least_correlation: 0..1, below which a match tells no depth.
        least_agreeing: neighbours that have to confirm a depth before it counts as known.
        seed: of all draws.
    """

    name: Literal["colmap"]
    solve_height: Annotated[int, Field(ge=64, le=2160)]
    mapper: MapperName
    num_features: Annotated[int, Field(ge=200, le=32768)]
    overlap: Annotated[int, Field(ge=2, le=100)]
    num_neighbours: Annotated[int, Field(ge=1, le=16)]
    least_correlation: Annotated[float, Field(gt=0, lt=1)]
    least_agreeing: Annotated[int, Field(ge=1)]
    seed: Annotated[int, Field(ge=0, lt=2**31)]

    @model_validator(mode="after")
    def _is_consistent(self) -> ColmapAnnotatorParams:
        if self.height > self.solve_height:
            raise ValueError(
                f"height ({self.height}) is more than solve_height ({self.solve_height}): poses "
                "and depth have no more detail than solve_height; raise it or lower height"
            )
        if self.least_agreeing > self.num_neighbours:
            raise ValueError(
                f"least_agreeing ({self.least_agreeing}) is more than num_neighbours "
                f"({self.num_neighbours}): no depth could ever be known"
            )
        return self


@dataclass(frozen=True)
class _Solved:
    """Frames at the solving size, posed."""

    frames: UInt8[Tensor, "frame 3 height width"]
    scene: SparseScene
    cameras: Cameras


class ColmapAnnotator:
    """See the module's docstring."""

    Params = ColmapAnnotatorParams
    name: ClassVar[str] = "colmap"
    solves: ClassVar[bool] = True

    def __init__(self, params: ColmapAnnotatorParams) -> None:
        self.params = params

    @property
    def fingerprint(self) -> str:
        params = self.params
        return (
            f"colmap-pycolmap{pycolmap_version()}-{params.mapper}-{params.solve_height}p"
            f"-features{params.num_features}-overlap{params.overlap}"
            f"-neighbours{params.num_neighbours}-correlation{params.least_correlation:g}"
            f"-agreeing{params.least_agreeing}-seed{params.seed}-{params.framing_fingerprint}"
        )

    def keep_in(self, scratch: Path) -> None:
        """Keep nothing: finished scenes are kept whole."""

    def annotate(self, material: SourceMaterial) -> Clip:
        """Return a clip with a pose for every frame, and depth where several frames agree on it.

        Depth is up to scale: the first camera is the world, and the median depth of the sparse
        points it sees is 1. Where cameras are given, poses, intrinsics and unit are theirs.

        Raises:
            InputError: a single frame, too little parallax or texture, frames that cannot be
                posed, or depth without cameras.
            ParamsError: the clip would be larger than what is solved.
        """
        where = material.location or f"scene {material.scene_id}"
        self._check(material, where)
        solved = self._solve(material, where)
        _check_parallax(solved.scene, where)
        dense = self._dense(solved)
        depth, confidence = torch.from_numpy(dense.depth), torch.from_numpy(dense.confidence)
        share = float((depth > 0).float().mean())
        log.info("%s: depth is known for %.0f %% of pixels", where, 100 * share)
        if share == 0:
            raise InputError("no depth is confirmed by several frames", where=where, fix=OTHER_WAYS)
        framing = _solving_framing(material, self.params.solve_height)
        mask = material.dynamic_mask
        complete = replace(
            material,
            frames=solved.frames,
            cameras=solved.cameras,
            depth=depth,
            depth_valid=depth > 0,
            depth_scale="up_to_scale",
            depth_confidence=confidence,
            dynamic_mask=None if mask is None else framing.of_mask(mask),
            provenance={**material.provenance, **self._solving_facts(solved, material, share)},
        )
        return framed_clip(complete, self.params, self.fingerprint)

    def frame_held_out(self, material: SourceMaterial) -> list[HeldOutView]:
        """Return the material's real views, framed, where its cameras were given. Where they are
        solved, the pose of a view from elsewhere is in another unit: then there are none, with a
        warning."""
        if material.held_out and material.cameras is None:
            log.warning("%s: held-out views have poses of another unit", material.scene_id)
            return []
        return framed_held_out(material, self.params)

    def _check(self, material: SourceMaterial, where: str) -> None:
        """Refuse what can be seen to fail before minutes of work."""
        if len(material.frames) == 1:
            raise InputError(
                "a single frame has no parallax: annotator 'colmap' finds depth by comparing "
                "frames",
                where=where,
                fix=OTHER_WAYS,
            )
        if material.depth is not None and material.cameras is None:
            raise InputError(
                "depth is given without cameras, in a unit that solved poses do not share",
                where=where,
                fix="give the cameras too, or leave the depth out",
            )
        solving = _solving_framing(material, self.params.solve_height)
        params, style = self.params, FRAMINGS[self.params.framing]
        of_source = style.centred(
            solving.source_height, solving.source_width, params.height, params.width
        )
        of_solved = style.centred(solving.height, solving.width, params.height, params.width)
        if of_solved.enlarges and not of_source.enlarges:
            raise ParamsError(
                f"the clip ({params.width}x{params.height}) is larger than what is solved "
                f"({solving.width}x{solving.height}, from solve_height {params.solve_height})",
                where="annotate.annotator",
                fix="raise solve_height, or lower height and width",
            )

    def _solve(self, material: SourceMaterial, where: str) -> _Solved:
        params = self.params
        framing = _solving_framing(material, params.solve_height)
        frames = framing.of_frames(material.frames)
        given = None if material.cameras is None else framing.of_cameras(material.cameras)
        request = SolveRequest(
            mapper=params.mapper,
            num_features=params.num_features,
            overlap=params.overlap,
            seed=params.seed,
            has_cameras=given is not None,
            focal_length=material.focal_length,
        )
        log.info("%s: solving %d frames at %s", where, len(frames), framing)
        scene = solve_scene(frames, request, cameras=given, where=where)
        if given is None:
            scene = scene.normalised()
            given = Cameras(
                torch.from_numpy(scene.camera_to_world).float(),
                torch.from_numpy(scene.intrinsics).float(),
                framing.height,
                framing.width,
            )
        return _Solved(frames, scene, given)

    def _dense(self, solved: _Solved) -> DenseDepth:
        scene = solved.scene
        pictures = [frame.permute(1, 2, 0).numpy() for frame in solved.frames]
        views = StereoViews(
            np.stack([cv2.cvtColor(each, cv2.COLOR_RGB2GRAY) for each in pictures]),
            scene.intrinsics,
            scene.world_to_camera,
        )
        settings = DenseSettings(
            least_correlation=self.params.least_correlation,
            least_agreeing=self.params.least_agreeing,
            largest_distance=AGREEMENT_PIXELS,
            largest_ratio=AGREEMENT_RATIO,
        )
        neighbours = chosen_neighbours(scene, self.params.num_neighbours)
        seeds = [Seeds(*scene.projected_in(frame)) for frame in range(len(scene))]
        return dense_depth(views, neighbours, seeds, settings)

    def _solving_facts(
        self, solved: _Solved, material: SourceMaterial, share: float
    ) -> dict[str, str]:
        """Return facts of the solving for the clip's source."""
        scene, (height, width) = solved.scene, solved.frames.shape[-2:]
        by_mapper, total = int(scene.by_mapper.sum()), len(scene)
        poses = "given" if material.cameras is not None else self.params.mapper
        return {
            "poses": f"{poses}, pycolmap {pycolmap_version()}, shared pinhole without distortion"
            if material.cameras is None
            else f"given; points by pycolmap {pycolmap_version()}",
            "frames_posed": f"{by_mapper} of {total} by the mapper, {total - by_mapper} afterwards",
            "reprojection_error": f"{scene.error_pixels.mean():.3f} px of {width}x{height}",
            "sparse_points": str(len(scene.points)),
            "depth_share": f"{share:.3f}",
        }


def _solving_framing(material: SourceMaterial, solve_height: int) -> Framing:
    """Return the framing to the solving size; a picture that is smaller stays as it is."""
    height, width = material.frames.shape[-2:]
    new_height = min(height, solve_height)
    return Framing.centred(height, width, new_height, max(1, round(width * new_height / height)))


def _check_parallax(scene: SparseScene, where: str) -> None:
    angle = float(np.median(largest_angles(scene)))
    log.info("%s: points are seen under a median angle of %.1f degrees", where, angle)
    if angle < LEAST_ANGLE_DEGREES:
        raise InputError(
            f"too little parallax: half of the points are seen under less than {angle:.2f} "
            f"degrees ({LEAST_ANGLE_DEGREES} are needed); the camera stands still or only turns",
            where=where,
            fix=OTHER_WAYS,
        )
