"""GenerateParams: section `generate` of params.yaml."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from lyra_data.cache3d import Cache3DParams
from lyra_data.engine.params import Params
from lyra_data.generation.quality_limits import QualityParams
from lyra_data.generation.rollout import ExtensionParams
from lyra_data.generation.teachers import TEACHERS
from lyra_data.generation.trajectories import TrajectoryParams
from lyra_data.models.codecs import CODECS
from lyra_data.models.codecs.base import whole_latents
from lyra_data.scene.frame_selection import FrameSelectionParams


class GenerateParams(Params):
    """Section `generate` of params.yaml.

    Attributes:
        num_frames: frames per view, 8k+1.
        frames: which frames of a video they show.
        trajectories: which camera paths, and how far they go.
        cache: how the clip is warped into the cameras of a path.
        extension: how the cache grows where a teacher makes fewer frames at a time.
        teacher: what turns the warped frames into a video.
        codec: what turns the video into latents.
        quality: which views are good enough to be kept.
        store: the form in which views are kept: lossless, or as the dataset of `package` is to
            keep them: train (AV1) or compat (H.264), with depth and latents as half floats.
        max_failed_fraction: share of views that may fail before the stage does, 0..1.
    """

    num_frames: Annotated[int, whole_latents()]
    frames: FrameSelectionParams
    trajectories: TrajectoryParams
    cache: Cache3DParams
    extension: ExtensionParams
    teacher: Annotated[Params, TEACHERS.field("generate.teacher")]
    codec: Annotated[Params, CODECS.field("generate.codec")]
    quality: QualityParams
    store: Literal["lossless", "compat", "train"]
    max_failed_fraction: Annotated[float, Field(ge=0, lt=1)]
