"""A small, complete report content for tests."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from lyra_data.scene.cameras import Cameras
from lyra_data.views.dropped import DroppedView
from lyra_model.evaluation.report.content import (
    Candidate,
    Fact,
    FramePair,
    MethodScores,
    ProvenanceGroup,
    RealPhoto,
    ReconstructedScene,
    SceneContent,
    Score,
    SharedContent,
    SourceView,
    TrainingPhase,
    TrajectoryResult,
)
from lyra_model.gaussians import Gaussians
from lyra_model.rendering.base import RenderingParams
from tests.factories import make_quality

HEIGHT, WIDTH, FRAMES = 16, 24, 9


RENDERING = RenderingParams(
    near=0.1,
    far=500.0,
    background=(1.0, 1.0, 1.0),
    patch_pixels=None,
    with_ut=False,
    with_eval3d=False,
)


LIMITS = {
    "min_known_fraction": 0.5,
    "min_cache_psnr_db": 20.0,
    "max_pose_error_frames": 1.0,
    "min_sharpness_ratio": 0.97,
    "max_luminance_drift": None,
}


def cameras_along(step: tuple[float, float, float]) -> Cameras:
    """Cameras that look forward and move by `step` from frame to frame."""
    camera_to_world = torch.eye(4).repeat(FRAMES, 1, 1)
    camera_to_world[:, :3, 3] = torch.arange(FRAMES)[:, None] * torch.tensor(step)
    intrinsics = torch.tensor([20.0, 20.0, 11.0, 8.5]).repeat(FRAMES, 1)
    return Cameras(camera_to_world, intrinsics, HEIGHT, WIDTH)


def random_gaussians(count: int, seed: int = 0) -> Gaussians:
    generator = torch.Generator().manual_seed(seed)
    quats = torch.randn(count, 4, generator=generator)
    return Gaussians(
        means=torch.randn(count, 3, generator=generator) + torch.tensor([0.0, 0.0, 4.0]),
        scales=torch.exp(torch.randn(count, 3, generator=generator) - 3),
        quats=quats / quats.norm(dim=-1, keepdim=True),
        opacities=torch.rand(count, generator=generator),
        colors=torch.rand(count, 3, generator=generator),
    )


def sample_shared() -> SharedContent:
    return SharedContent(
        findings=("The decoder beats the copied frame.", "The warp still wins on the real photo."),
        provenance=(
            ProvenanceGroup(
                "Code",
                (Fact("commit", "0123456789abcdef" * 2, is_hash=True), Fact("seed", "42")),
            ),
        ),
    )


def sample_content() -> SceneContent:
    generator = torch.Generator().manual_seed(7)

    def picture() -> torch.Tensor:
        return torch.randint(0, 256, (3, HEIGHT, WIDTH), generator=generator, dtype=torch.uint8)

    def trajectory(
        name: str, index: int, step: tuple[float, float, float], seed: int
    ) -> TrajectoryResult:
        depth = torch.rand(HEIGHT, WIDTH, generator=generator) + 2
        pairs = tuple(
            FramePair(frame, frame == 6, picture(), picture(), 18.25 + frame, depth, depth + 0.1)
            for frame in (6, 2)
        )
        return TrajectoryResult(
            trajectory=name,
            view_index=index,
            motion_reversed=False,
            frames=torch.stack([picture() for _ in range(FRAMES)]),
            cameras=cameras_along(step),
            held_out=(3, 6),
            num_counted=2,
            known_fraction=0.875,
            quality=make_quality(cache_psnr_db=21.5 if index else 31.5),
            codec_psnr_db=33.125 + index,
            movement_distance=0.234,
            seed=seed,
            comparisons=pairs,
        )

    depth = torch.rand(HEIGHT, WIDTH, generator=generator) + 2
    depth[:4] = 0
    camera = cameras_along((0.0, 0.0, 0.0))[[0]]
    steps = np.arange(0, 40)
    return SceneContent(
        title="A test scene",
        summary="What this is.",
        source=SourceView(picture(), depth, depth > 0, "metric", camera, "A photo, public domain."),
        scene=ReconstructedScene(random_gaussians(50), camera, RENDERING),
        trajectories=(
            trajectory("left", 0, (-0.05, 0.0, 0.0), 11111),
            trajectory("zoom_in", 1, (0.0, 0.0, 0.05), 22222),
        ),
        quality_limits=LIMITS,
        dropped=(
            DroppedView("scene", 2, "clockwise", True, ("pose_error_frames = 12, limit is 1",)),
        ),
        real_photo=RealPhoto(
            picture(),
            depth > 0,
            (
                Candidate("decoder, final phase", picture(), Score(20.5, 0.7, 0.05, 288, 288)),
                Candidate("copied photo", picture(), Score(13.75, 0.4, None, 288)),
            ),
            "A photo from the right.",
        ),
        training=(
            TrainingPhase("small", "8 x 12", steps, 1.0 / (1 + steps), 10 + 0.1 * steps),
            TrainingPhase("large", "16 x 24", steps + 40, 0.5 / (1 + steps)),
        ),
        methods=(
            MethodScores(
                "decoder, final phase",
                "decoder",
                Score(24.316, 0.7814, 0.0342, 123456, 120000),
                Score(20.5, 0.7, 0.05, 288, 288),
            ),
            MethodScores(
                "decoder, first phase", "first_phase", Score(22.0, 0.7, 0.06, 123456, 120000), None
            ),
            MethodScores(
                "copied frame",
                "copied",
                Score(17.0, 0.5, None, 123456),
                Score(13.75, 0.4, None, 288),
            ),
            MethodScores(
                "depth warp",
                "warped",
                Score(30.0, 0.9, 0.01, 123456, 120000),
                Score(21.0, 0.6, 0.04, 288, 288),
                held_out_note="the teacher's own warp: an upper bound on known pixels",
            ),
        ),
    )


def large_content() -> SceneContent:
    """A scene of eight trajectories at 704 x 480 and more Gaussians than a page takes."""
    generator = torch.Generator().manual_seed(3)
    height, width = 480, 704

    def picture() -> torch.Tensor:
        """Detail at every scale, as photographs have it."""
        layers = [
            torch.nn.functional.interpolate(
                torch.randn(1, 3, height // size + 1, width // size + 1, generator=generator),
                (height, width),
                mode="bilinear",
            )[0]
            * size**0.8
            for size in (2, 4, 8, 16, 32, 64, 128)
        ]
        values = sum(layers, torch.zeros(3, height, width))
        return (127.5 + 45 * values / values.std()).clamp(0, 255).to(torch.uint8)

    made = [picture() for _ in range(4)]
    content = sample_content()
    first = content.trajectories[0]
    camera = Cameras(
        first.cameras.camera_to_world,
        torch.tensor([600.0, 600.0, 352.0, 240.0]).repeat(FRAMES, 1),
        height,
        width,
    )
    depth = made[0][0].float() / 50 + 1

    def trajectory(index: int) -> TrajectoryResult:
        pair = FramePair(6, True, made[index % 2], made[2], 20.0, depth, depth + 0.1)
        frames = torch.stack([made[3]] * FRAMES)
        return replace(first, view_index=index, frames=frames, cameras=camera, comparisons=(pair,))

    return replace(
        content,
        source=replace(
            content.source,
            photo=made[0],
            depth=depth,
            depth_valid=depth > 0,
            camera=camera[[0]],
        ),
        scene=replace(content.scene, gaussians=random_gaussians(30_000), source_camera=camera[[0]]),
        trajectories=tuple(map(trajectory, range(8))),
        real_photo=RealPhoto(
            made[1],
            None,
            tuple(
                Candidate(f"method {i}", made[i % 4], Score(20.0, 0.7, 0.1, 9)) for i in range(5)
            ),
            "A photo from the right.",
        ),
    )
