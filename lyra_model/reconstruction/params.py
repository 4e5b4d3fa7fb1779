"""Section `reconstruct` of params.yaml."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from lyra_data.camera_paths.built_in import BUILT_IN_PATHS
from lyra_data.engine.params import Params
from lyra_model.fitting.params import FitParams
from lyra_model.fitting.unproject import UnprojectParams

Method = Literal["fit", "unproject", "decoder"]


class VideoParams(Params):
    """The videos of a scene.

    Attributes:
        path: of the camera: orbit goes around the scene's centre, arc from side to side, dolly
            forwards and back, and all of them end where they start; or a file of cameras
            (docs/camera-paths.md), relative to the folder of params.yaml, or absolute.
        num_frames: of a video; of a moving scene's, moments are repeated.
        fps: frames per second.
        amplitude: how far orbit and arc turn about the scene's centre, in degrees, and how far
            dolly goes, as a share of the depth of that centre; null: a little, and less where
            holes would show.
        scale: of a file's positions: metres, or centre_depth, units of the depth of the scene's
            centre.
    """

    path: Annotated[str, Field(min_length=1)]
    num_frames: Annotated[int, Field(ge=2, le=10_000)]
    fps: Annotated[float, Field(gt=0, le=240)]
    amplitude: float | None
    scale: Literal["metres", "centre_depth"]

    def path_from(self, root: Path) -> str | Path:
        """Return the name of a built-in path as it is, also a misspelt one, or the file's place.

        Args:
            root: the folder that relative paths start from.
        """
        file = root / self.path
        is_name = self.path in BUILT_IN_PATHS or (not Path(self.path).suffix and not file.exists())
        return self.path if is_name else file


class ReconstructParams(Params):
    """Section `reconstruct` of params.yaml.

    Attributes:
        method: how Gaussians are made. "unproject": of the pixels whose depth is known or
            completed. "fit": these, optimised against the views' frames. "decoder": by a trained
            decoder.
        weights: the decoder's: a phase of train.phases; cpu-small, which is shipped; a path to a
            checkpoint's folder;
            relative paths start at the folder of params.yaml; or hf://OWNER/NAME@REVISION of the
            Hub. null with another method.
        refine_steps: steps of fitting after the decoder; 0: none.
        held_out_frames: last frames of every view of a still scene, which are not read: they
            judge the result, and fitting keeps the state that is best on them.
        frames_per_view: most frames that are read of every view of a still scene.
        moments: most moments of a moving scene that are reconstructed, evenly spaced.
        moment_steps: steps of fitting of each moment of a moving scene.
        unproject: how pixels become Gaussians.
        fit: how they are optimised.
        video: the camera's way in the videos.
    """

    method: Method
    weights: str | None
    refine_steps: Annotated[int, Field(ge=0)]
    held_out_frames: Annotated[int, Field(ge=1)]
    frames_per_view: Annotated[int, Field(ge=1)]
    moments: Annotated[int, Field(ge=1)]
    moment_steps: Annotated[int, Field(ge=0)]
    unproject: UnprojectParams
    fit: FitParams
    video: VideoParams

    @model_validator(mode="after")
    def _a_decoder_has_weights(self) -> ReconstructParams:
        if self.method == "decoder" and not self.weights:
            raise ValueError("method decoder needs weights: a phase, or a checkpoint's folder")
        return self
