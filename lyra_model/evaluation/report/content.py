"""Content of a report: plain values and arrays, gathered by the evaluation, read by the page.

`SceneContent` is what one scene's page says of it, `SharedContent` what it says of all scenes once
the last one is judged. Nothing here touches files. A part that an evaluation does not have is None
or an empty tuple; the page then says so in one sentence instead of showing an empty section.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from lyra_data.scene.cameras import Cameras
from lyra_data.scene.clip import DepthScale
from lyra_data.scene.quality import ViewQuality
from lyra_data.views.dropped import DroppedView
from lyra_model.gaussians import Gaussians
from lyra_model.rendering.base import RenderingParams

MethodRole = Literal["decoder", "first_phase", "copied", "warped", "fitted"]
"""The kind of a method: the trained decoder, the same after its first phase, or a baseline."""


@dataclass(frozen=True)
class Score:
    """Agreement of a method's pictures with the true ones.

    Attributes:
        psnr_db: peak signal-to-noise ratio over the counted pixels.
        ssim: structural similarity, -1..1, or None where not measured.
        depth_abs_rel: mean of |depth - truth| / truth, or None where no depth was predicted.
        num_pixels: pixels counted for colour.
        num_depth_pixels: pixels counted for depth (those with known true depth).
    """

    psnr_db: float
    ssim: float | None
    depth_abs_rel: float | None
    num_pixels: int
    num_depth_pixels: int = 0


@dataclass(frozen=True)
class MethodScores:
    """One row of the metrics table.

    Attributes:
        method: its name as printed, e.g. "decoder, final phase".
        held_out: against frames of the generated trajectories that training never saw.
        real_photo: against a real photo from another place.
        held_out_note: a caveat printed under the table, e.g. that the warp made the data itself.
        real_photo_note: the same for the real photo.
    """

    method: str
    role: MethodRole
    held_out: Score | None
    real_photo: Score | None
    held_out_note: str = ""
    real_photo_note: str = ""


@dataclass(frozen=True)
class SourceView:
    """The photo everything started from, or the first frame of the video.

    Attributes:
        photo: RGB, 0..255.
        depth: z depth; 0 where unknown.
        depth_valid: True where the depth is known.
        camera: exactly one, of the photo's size.
        caption: where the photo comes from and under which licence.
        num_frames: of the source; 1 for a photo.
    """

    photo: UInt8[Tensor, "3 height width"]
    depth: Float[Tensor, "height width"]
    depth_valid: Bool[Tensor, "height width"]
    depth_scale: DepthScale
    camera: Cameras
    caption: str
    num_frames: int = 1

    @property
    def noun(self) -> str:
        """Return the page's word for the picture."""
        return "photo" if self.num_frames == 1 else "first frame"


@dataclass(frozen=True)
class ReconstructedScene:
    """The trained Gaussians, for the viewer.

    Attributes:
        source_camera: exactly one: where the viewer starts, in the Gaussians' world.
        rendering: near and far planes and background, as training rendered.
    """

    gaussians: Gaussians
    source_camera: Cameras
    rendering: RenderingParams


@dataclass(frozen=True)
class FramePair:
    """A target frame of one trajectory beside the decoder's render of it.

    Attributes:
        frame: index in the trajectory.
        held_out: True where training never saw the frame.
        target: RGB, 0..255.
        render: RGB, 0..255.
        psnr_db: of this frame.
        target_depth: z depth, 0 where unknown; None where there is none.
        render_depth: z depth, 0 where nothing was hit; None where there is none.
    """

    frame: int
    held_out: bool
    target: UInt8[Tensor, "3 height width"]
    render: UInt8[Tensor, "3 height width"]
    psnr_db: float
    target_depth: Float[Tensor, "height width"] | None = None
    render_depth: Float[Tensor, "height width"] | None = None


@dataclass(frozen=True)
class TrajectoryResult:
    """One generated view, with the decoder's renders of some of its frames.

    Attributes:
        frames: the teacher's video, RGB, 0..255.
        cameras: one per frame, in the Gaussians' world.
        held_out: indices of the frames training never saw.
        num_counted: how many of them are scored; those that show what an input frame shows are not.
        known_fraction: share of pixels that came from the 3D cache, 0..1.
        quality: what else was measured of it.
        codec_psnr_db: how well the latent codec reproduces the video, or None.
        movement_distance: length of the path in units of the scene's centre depth.
        seed: derived seed the view was generated with.
    """

    trajectory: str
    view_index: int
    motion_reversed: bool
    frames: UInt8[Tensor, "frame 3 height width"]
    cameras: Cameras
    held_out: tuple[int, ...]
    num_counted: int
    known_fraction: float
    quality: ViewQuality
    codec_psnr_db: float | None
    movement_distance: float
    seed: int
    comparisons: tuple[FramePair, ...]


@dataclass(frozen=True)
class Candidate:
    """One method's attempt at the real photo (RGB, 0..255)."""

    method: str
    image: UInt8[Tensor, "3 height width"]
    score: Score


@dataclass(frozen=True)
class RealPhoto:
    """A real photo nothing was trained on, beside every method's attempt at it.

    Attributes:
        photo: RGB, 0..255.
        counted: True where pixels count for the scores; None: all of them.
        candidates: the decoder first, then the baselines.
        caption: what the photo is and how far it is from the source.
    """

    photo: UInt8[Tensor, "3 height width"]
    counted: Bool[Tensor, "height width"] | None
    candidates: tuple[Candidate, ...]
    caption: str


@dataclass(frozen=True)
class TrainingPhase:
    """The recorded course of one training phase.

    Attributes:
        description: e.g. "88 x 160, 9 frames".
        steps: counted over all phases, rising.
        loss: the total loss at each step.
        psnr_db: of the training renders at each step, or None.
    """

    name: str
    description: str
    steps: Int[np.ndarray, " step"]
    loss: Float[np.ndarray, " step"]
    psnr_db: Float[np.ndarray, " step"] | None = None


@dataclass(frozen=True)
class Fact:
    """One line of provenance; a hash is shown short and copied whole."""

    label: str
    value: str
    is_hash: bool = False


@dataclass(frozen=True)
class ProvenanceGroup:
    """Facts that belong together, e.g. "Code" or "Machine"."""

    title: str
    facts: tuple[Fact, ...]


@dataclass(frozen=True)
class SceneContent:
    """All that the page of one scene says of this scene, in the order it says it.

    Attributes:
        quality_limits: params.yaml's generate.quality; None: views are not judged by that number.
        dropped: views of the scene that these limits kept out.
        summary: one paragraph for a reader who has never seen the project.
        moves: whether the scene moves, and was reconstructed moment by moment.
    """

    title: str
    summary: str
    source: SourceView
    scene: ReconstructedScene
    trajectories: tuple[TrajectoryResult, ...]
    quality_limits: Mapping[str, float | None]
    dropped: tuple[DroppedView, ...]
    real_photo: RealPhoto | None
    training: tuple[TrainingPhase, ...]
    methods: tuple[MethodScores, ...]
    moves: bool = False


@dataclass(frozen=True)
class SharedContent:
    """All that a page says of the whole evaluation; known once every scene is judged.

    Attributes:
        findings: verdict sentences, stated plainly also where a baseline wins.
        provenance: of the whole evaluation, and of the page's own scene.
        verdict: the evaluation in one sentence; "" where there is none.
        num_scenes: of the evaluation.
        num_moments: that the page of the scene, if it moves, shows; 1: there is no such page.
        beside: where that page lies from here, as the start of its address.
    """

    findings: tuple[str, ...]
    provenance: tuple[ProvenanceGroup, ...]
    verdict: str = ""
    num_scenes: int = 1
    num_moments: int = 1
    beside: str = ""
