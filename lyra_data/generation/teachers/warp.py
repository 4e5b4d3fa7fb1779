"""The `warp` teacher: the cache's own picture, its holes filled by inpainting. Runs on a CPU.

It stands in for a video model where none can run, and shows what a real teacher must beat.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import ClassVar, Literal

import cv2
import numpy as np
import torch
from einops import rearrange
from jaxtyping import Bool, Float, UInt8
from pydantic import Field
from torch import Tensor

from lyra_data.cache3d.cache import CacheRender
from lyra_data.cache3d.splat import SplatSource, splat
from lyra_data.engine.params import Params
from lyra_data.engine.placement import Placement
from lyra_data.generation.teachers.background import background_depth
from lyra_data.generation.teachers.base import TeacherInput, TeacherOutput, TeacherSpec
from lyra_data.scene.cameras import PIXEL_CENTRE, Cameras
from lyra_data.scene.pixel_values import bytes_from_signed

METHODS = {"telea": cv2.INPAINT_TELEA, "navier_stokes": cv2.INPAINT_NS}

_LEAST_OVERLAP = 0.02
"""Share of a picture that two moments have to show both, or their exposures are not compared."""

_MOST_GAIN = 1.5  # between two exposures of one video
_DARK = 0.1  # of 2: what is darker says little of an exposure


class WarpTeacherParams(Params):
    """The way holes are filled.

    Attributes:
        inpainting: OpenCV's fast marching (Telea 2004) or Navier-Stokes (Bertalmio 2001).
        radius_pixels: neighbourhood that a filled pixel is made from, in pixels.
        other_moments: of a video, so many other moments show what stands still in the holes,
            before anything is inpainted; 0: none.
    """

    name: Literal["warp"]
    inpainting: Literal["telea", "navier_stokes"]
    radius_pixels: float = Field(gt=0, le=32)
    other_moments: int = Field(default=0, ge=0, le=64)


class WarpTeacher:
    """Layers, each used where those before it have a hole: the cache, other moments of a video if
    asked for, the source picture's pixels of unknown depth, inpainting."""

    name: ClassVar[str] = "warp"
    Params = WarpTeacherParams

    def __init__(self, params: WarpTeacherParams) -> None:
        self.params = params

    @property
    def spec(self) -> TeacherSpec:
        return TeacherSpec(
            size_multiple=1,
            frame_period=1,
            segment_frames=None,
            max_buffers=64,
            latent_space=None,
        )

    @property
    def latents_fingerprint(self) -> None:
        return None

    def run_on(self, placement: Placement) -> None:
        """Do nothing: it runs on the CPU, whatever else there is."""

    @property
    def fingerprint(self) -> str:
        settings = self.params
        others = f", {settings.other_moments} other moments" if settings.other_moments else ""
        return (
            f"warp-1, OpenCV {cv2.__version__} {settings.inpainting}, "
            f"radius {settings.radius_pixels:g}{others}"
        )

    def generate(self, request: TeacherInput) -> TeacherOutput:
        """Return the nearest known surface of all buffers; invented where there is none.

        The first frame is seen from the source camera, so there the source picture itself fills
        the holes; those pixels are not invented.
        """
        render = CacheRender(request.warped, request.known, request.depth).merged()
        frames, known = render.frames[:, 0].clone(), render.known[:, 0].clone()
        lost = ~known[0]
        frames[0] = torch.where(known[0], frames[0], request.image)
        known[0] = True
        filled = ~known
        if self.params.other_moments and request.other_moments is not None:
            for moment in request.other_moments(self.params.other_moments):
                fill_from(moment, frames, known)

        if bool(lost.any()) and not bool(lost.all()):
            guess, reached = _carry(request.image, render.depth[0, 0], lost, request.cameras)
            frames = torch.where((reached & ~known)[:, None], guess, frames)
            known = known | reached
        return TeacherOutput(frames=self._inpaint(frames, ~known), filled=filled, latents=None)

    def _inpaint(
        self,
        frames: Float[Tensor, "frame 3 height width"],
        holes: Bool[Tensor, "frame height width"],
    ) -> UInt8[Tensor, "frame 3 height width"]:
        """Return the frames in bytes, their holes filled; grey if nothing is known. Overwrites
        `frames`.

        Frames are shared among torch's number of threads.
        """
        is_blank = holes.flatten(1).all(dim=1)
        frames[is_blank] = 0.0
        pixels = bytes_from_signed(frames, overwrite=True)
        to_fill = torch.nonzero(holes.flatten(1).any(dim=1) & ~is_blank)[:, 0].tolist()

        def fill(frame: int) -> None:
            picture = rearrange(pixels[frame], "channel height width -> height width channel")
            whole = cv2.inpaint(
                np.ascontiguousarray(picture.numpy()),
                holes[frame].numpy().astype(np.uint8),
                self.params.radius_pixels,
                METHODS[self.params.inpainting],
            )
            picture.numpy()[:] = whole

        with ThreadPoolExecutor(torch.get_num_threads()) as pool:
            list(pool.map(fill, to_fill))
        return pixels


def fill_from(
    moment: CacheRender,
    frames: Float[Tensor, "frame 3 height width"],
    known: Bool[Tensor, "frame height width"],
) -> None:
    """Fill holes with what another moment shows there, as bright as the frames are where both are
    known. Changes `frames` and `known`.

    Args:
        moment: one buffer.
        frames: [-1, 1].
    """
    shown, there = moment.frames[:, 0], moment.known[:, 0]
    for frame in range(len(frames)):
        new = there[frame] & ~known[frame]
        if not bool(new.any()):
            continue
        both = there[frame] & known[frame]
        gain = 1.0
        if float(both.float().mean()) >= _LEAST_OVERLAP:
            wanted, given = ((one[frame][:, both] + 1).mean(dim=0) for one in (frames, shown))
            ratio = float(((wanted + _DARK) / (given + _DARK)).median())
            gain = min(max(ratio, 1 / _MOST_GAIN), _MOST_GAIN)
        frames[frame][:, new] = ((shown[frame][:, new] + 1) * gain - 1).clamp(max=1)
        known[frame] |= new


def _carry(
    image: Float[Tensor, "3 height width"],
    depth: Float[Tensor, "height width"],
    lost: Bool[Tensor, "height width"],
    cameras: Cameras,
) -> tuple[Float[Tensor, "frame 3 height width"], Bool[Tensor, "frame height width"]]:
    """Carry source pixels of unknown depth into all frames, as if they lay in the background.

    The cache never shows them, and nor does the view's depth; but where it has a hole, their true
    colours at a guessed place are nearer the truth than colours that are guessed too, and are the
    same in all frames.
    """
    guessed = torch.from_numpy(background_depth(depth.numpy(), ~lost.numpy()))
    source = SplatSource(image.contiguous(), guessed, lost, lost, cameras[[0]])
    frames, reached, _ = splat([source] * len(cameras), cameras, pixel_centre=PIXEL_CENTRE)
    return frames, reached
