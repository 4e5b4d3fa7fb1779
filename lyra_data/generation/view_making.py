"""Making one view: warp the clip along a path, let the teacher fill it, encode it."""

from __future__ import annotations

from functools import partial

import torch
from einops import rearrange
from jaxtyping import Bool
from torch import Tensor

from lyra_data.cache3d import Cache3D
from lyra_data.camera_paths.laying import Scene, reach
from lyra_data.engine.errors import ParamsError
from lyra_data.engine.placement import Placement
from lyra_data.engine.provenance import engine_version
from lyra_data.generation.jobs import Job
from lyra_data.generation.keys import EXTENSION_FINGERPRINT
from lyra_data.generation.other_moments import other_moments
from lyra_data.generation.params import GenerateParams
from lyra_data.generation.quality.measuring import measure_view
from lyra_data.generation.rollout import CacheRollout
from lyra_data.generation.teachers import TEACHERS
from lyra_data.generation.teachers.base import (
    GUARDRAIL_KEY,
    Teacher,
    TeacherInput,
    TeacherOutput,
)
from lyra_data.generation.trajectories import create_trajectory, median_centre_depth
from lyra_data.generation.unknown_pixels import (
    spelt_out_shares,
    unknown_shares,
    warn_of_unknown_pixels,
)
from lyra_data.models.codecs import CODECS
from lyra_data.models.codecs.base import LatentCodec
from lyra_data.models.depth import DEPTH_ESTIMATORS
from lyra_data.models.depth.base import DepthEstimator
from lyra_data.scene.cameras import Cameras
from lyra_data.scene.clip import Clip
from lyra_data.scene.frame_selection import select_frames
from lyra_data.scene.pixel_values import signed_from_bytes
from lyra_data.scene.view import View


class ViewMaker:
    """Holds what is loaded once per worker: the teacher and the codec."""

    def __init__(self, params: GenerateParams, placement: Placement) -> None:
        self.params = params
        self.teacher: Teacher = TEACHERS.create(params.teacher, where="generate.teacher")
        self.codec: LatentCodec = CODECS.create(params.codec, where="generate.codec")
        self.estimator: DepthEstimator = DEPTH_ESTIMATORS.create(
            params.extension.depth, where="generate.extension.depth"
        )
        for part in (self.teacher, self.codec, self.estimator):
            part.run_on(placement)
        _check_fit(params, self.teacher)

    @property
    def fingerprints(self) -> dict[str, str]:
        """Return what names the exact models; part of a view's key and of its provenance.

        Raises:
            ParamsError: there are no weights, or teacher and codec have different tokenizers.
        """
        _check_latents(self.teacher, self.codec)
        fingerprints = {
            "teacher": self.teacher.name,
            "teacher_fingerprint": self.teacher.fingerprint,
            "codec": self.codec.name,
            "codec_fingerprint": self.codec.fingerprint,
        }
        segment_frames = self.teacher.spec.segment_frames
        if segment_frames is not None and self.params.num_frames > segment_frames:
            fingerprints[EXTENSION_FINGERPRINT] = self.estimator.fingerprint
        return fingerprints

    def make(self, clip: Clip, job: Job) -> View:
        """Generate one view.

        Raises:
            InputError: the clip cannot be warped, e.g. no depth is known, or is too short.
            ParamsError: the teacher cannot take pictures of the clip's size.
        """
        _check_size(clip.cameras.height, clip.cameras.width, self.teacher)
        selected = select_frames(clip, self.params.num_frames, self.params.frames)
        moving = selected.reversed_in_time() if job.motion_reversed else selected
        cameras, distance = self._trajectory(clip, moving, job)
        rollout = CacheRollout(
            Cache3D.from_clip(moving, self.params.cache),
            cameras,
            segment_frames=self.teacher.spec.segment_frames,
            estimator=self.estimator,
            alignment=self.params.extension.alignment,
        )
        cached = rollout.first()
        if job.user_path is not None:
            warn_of_unknown_pixels(job.name, unknown_shares(cached.known))
        made = self.teacher.generate(
            TeacherInput(
                image=signed_from_bytes(moving.frames[0]),
                warped=cached.frames,
                known=cached.known,
                depth=cached.depth,
                cameras=cameras,
                fps=moving.fps,
                prompt=moving.prompt,
                seed=job.teacher_seed,
                next_segment=rollout.next if rollout.num_segments > 1 else None,
                other_moments=partial(other_moments, moving, cameras, self.params.cache)
                if moving.is_dynamic
                else None,
            )
        )
        depth = rollout.depth
        return View(
            scene_id=job.scene_id,
            view_index=job.view_index,
            trajectory=job.trajectory,
            motion_reversed=job.motion_reversed,
            frames=made.frames,
            cameras=cameras,
            latents=self._latents(made),
            depth=depth,
            depth_valid=depth > 0,
            filled=made.filled,
            depth_scale=clip.depth_scale,
            fps=moving.fps,
            movement_distance=distance,
            seed=job.teacher_seed,
            quality=measure_view(
                made.frames, made.filled, pictures=rollout.pictures, known=depth > 0
            ),
            provenance=self._provenance(selected, job, len(clip), rollout.depth > 0),
        )

    def _trajectory(self, clip: Clip, moving: Clip, job: Job) -> tuple[Cameras, float]:
        """Return the cameras of a view, and how far they move in units of centre depth."""
        trajectories = self.params.trajectories
        centre_depth = median_centre_depth(moving.depth[0], moving.depth_valid[0])
        if job.user_path is not None:
            scene = Scene(moving.cameras, centre_depth, is_metric=clip.depth_scale == "metric")
            cameras = job.user_path.cameras(
                scene,
                clip.cameras,
                num_frames=self.params.num_frames,
                motion_reversed=job.motion_reversed,
            )
            return cameras, reach(cameras, scene, job.user_path.params.anchor)
        cameras = create_trajectory(
            job.trajectory,
            moving.cameras,
            num_frames=self.params.num_frames,
            movement_distance=job.movement_distance,
            centre_depth=centre_depth,
            rotation=trajectories.rotation,
            spiral=trajectories.spiral,
            reference_cameras=trajectories.reference_cameras,
        )
        return cameras, job.movement_distance

    def _latents(self, made: TeacherOutput) -> torch.Tensor:
        """Return the teacher's own latents where they are in the codec's space, else encode."""
        if made.latents is not None and self.teacher.spec.latent_space == self.codec.name:
            return made.latents
        video = rearrange(made.frames, "frame channel height width -> channel frame height width")
        return self.codec.encode(signed_from_bytes(video))

    def _provenance(
        self, clip: Clip, job: Job, clip_frames: int, known: Bool[Tensor, "frame height width"]
    ) -> dict[str, str]:
        source = clip.source or {}
        path = job.user_path
        of_path = {"distance_seed": str(job.distance_seed)}
        if path is not None:
            of_path = {
                "camera_path": path.description,
                "camera_path_fingerprint": path.fingerprint,
                "camera_path_unknown": spelt_out_shares(unknown_shares(known[:, None])),
            }
        guardrail = self.teacher.spec.guardrail
        return {
            **{f"source_{key}": value for key, value in sorted(source.items())},
            **self.fingerprints,
            **({GUARDRAIL_KEY: guardrail} if guardrail else {}),
            **({"prompt": clip.prompt} if clip.prompt else {}),
            "clip_frames": str(clip_frames),
            **of_path,
            "engine_version": engine_version(),
        }


def _check_fit(params: GenerateParams, teacher: Teacher) -> None:
    num_frames, period = params.num_frames, teacher.spec.frame_period
    if num_frames % period != 1 % period:
        below = max((num_frames - 1) // period * period + 1, 1)
        raise ParamsError(
            f"num_frames = {num_frames}, but teacher {teacher.name!r} makes {period}k+1 frames",
            where="params.yaml: generate",
            fix=f"take {below} or {below + period}",
        )
    if params.cache.max_buffers > teacher.spec.max_buffers:
        raise ParamsError(
            f"max_buffers = {params.cache.max_buffers}, but teacher {teacher.name!r} looks at "
            f"{teacher.spec.max_buffers}",
            where="params.yaml: generate.cache",
            fix=f"take {teacher.spec.max_buffers}",
        )


def _check_size(height: int, width: int, teacher: Teacher) -> None:
    multiple = teacher.spec.size_multiple
    if height % multiple or width % multiple:
        near = " or ".join(
            f"{_nearest(height, multiple, up)}x{_nearest(width, multiple, up)}"
            for up in (False, True)
        )
        raise ParamsError(
            f"clips of {height}x{width} pixels (height x width), but teacher {teacher.name!r} "
            f"takes multiples of {multiple}",
            where="params.yaml: annotate.annotator",
            fix=f"take {near} and run `lyra-data annotate` again",
        )


def _nearest(size: int, multiple: int, up: bool) -> int:
    return max((-(-size // multiple) if up else size // multiple) * multiple, multiple)


def _check_latents(teacher: Teacher, codec: LatentCodec) -> None:
    """Check that a teacher whose latents pass for the codec's has the codec's weights."""
    if teacher.spec.latent_space != codec.name:
        return
    if teacher.latents_fingerprint != codec.fingerprint:
        raise ParamsError(
            f"teacher {teacher.name!r} makes latents of {teacher.latents_fingerprint}, but the "
            f"codec is {codec.fingerprint}",
            where="params.yaml: generate.codec",
            fix="name the `vae` folder of the teacher's own weights",
        )
