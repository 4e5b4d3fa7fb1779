"""Memory, time and size of every stage before it runs, on a CPU: by formulas that were measured.

Memory is what the code itself takes, and bytes a pixel of what a stage holds at once. What a
project's own finished work took goes before these; they then only say how another size differs.
docs/scale.md has what was measured, `benchmarks.estimate_check` measures it again.
"""

from __future__ import annotations

from dataclasses import dataclass

from lyra_data.dataset.packaging.params import PackageParams
from lyra_model.decoder import DecoderParams
from lyra_model.phases.phase_params import PhaseParams

ANNOTATE_BYTES = 490e6
"""Python, torch, and what every stage imports."""

GENERATE_BYTES = 607e6
"""The same with the compiled splatting of the 3D cache."""

PACKAGE_BYTES = 542e6
"""The same with the encoders."""

TRAIN_BYTES = 642e6
"""The same with the compiled renderer and its gradients."""

EVALUATE_BYTES = 680e6
"""The same with all that draws the report."""

WEIGHT_BYTES = 18
"""A weight takes it: float32 with gradient, two moments, and what is written of them."""

ACTIVATION_BYTES = 230
"""One channel of a token takes it in every block, kept for the gradient."""

OVERLAP_BYTES = 0.12
"""A Gaussian takes it for every pixel of the picture that is rendered: those of random weights
overlap a share of its tiles."""

LARGEST_PICTURE = 352 * 640
"""Pixels of the largest picture that training was measured with."""

FITTED_BYTES = 1800
"""A pixel of the picture takes it while Gaussians are optimised for a scene."""

LOSSLESS_BYTES_A_PIXEL = 4.56
"""A pixel of a view's file, or of a dataset's, takes it where nothing is lost: the demo's views."""

ANNOTATE_SECONDS = 0.018
"""A core needs it for a small picture whose poses and depth are given, with its files."""

ENCODING_SECONDS = {"lossless": 1.7e-7, "compat": 1.7e-7}
"""A core needs it for a pixel, by the encoding of frames."""


@dataclass(frozen=True)
class Scene:
    """The size of one clip and of the views that are made of it."""

    clip_frames: int
    num_views: int
    num_frames: int
    height: int
    width: int

    @property
    def clip_pixels(self) -> int:
        """Return the pixels of all frames of the clip."""
        return self.clip_frames * self.height * self.width

    @property
    def view_pixels(self) -> int:
        """Return the pixels of all frames of one view."""
        return self.num_frames * self.height * self.width


def annotate_bytes(scene: Scene) -> float:
    """Return the memory of annotating a clip whose poses and depth are given: one is held."""
    return ANNOTATE_BYTES + 60 * scene.clip_pixels


def generate_bytes(scene: Scene) -> float:
    """Return the memory of making a view with teacher `warp` and codec `dct`."""
    return GENERATE_BYTES + 104 * scene.view_pixels


def package_bytes(scene: Scene) -> float:
    """Return the memory of encoding a view: one is held."""
    return PACKAGE_BYTES + 12 * scene.view_pixels


def step_pixels(scene: Scene, phase: PhaseParams) -> int:
    """Return the pixels of the frames that one step reads and renders."""
    frames = _views_read(scene, phase) * (phase.num_frames + phase.num_target_frames)
    return frames * phase.height * phase.width


def train_bytes(
    scene: Scene, phase: PhaseParams, decoder: DecoderParams, num_weights: int
) -> float | None:
    """Return the memory of a phase's steps: weights, what tokens keep for the gradient, and one
    picture of all Gaussians at a time. None for larger pictures than were measured, which nobody
    trains on a CPU.
    """
    if phase.height * phase.width > LARGEST_PICTURE:
        return None
    latent_frames = (phase.num_frames - 1) // 8 + 1
    tokens = _views_read(scene, phase) * latent_frames * phase.height * phase.width / 16**2
    pruned = 1 - phase.prune_ratio
    gaussians = (
        pruned * _views_read(scene, phase) * phase.num_frames * phase.height * phase.width / 8**2
    )
    kept_blocks = 1 if phase.gradient_checkpointing else decoder.depth
    return (
        TRAIN_BYTES
        + WEIGHT_BYTES * num_weights
        + ACTIVATION_BYTES * tokens * decoder.dim * kept_blocks
        + OVERLAP_BYTES * gaussians * phase.height * phase.width
    )


def evaluate_bytes(scene: Scene, *, fits: bool) -> float:
    """Return the memory of judging a scene: its views whole, every method's pictures, Gaussians.

    Args:
        fits: whether there is the baseline that optimises Gaussians for the scene.
    """
    fitted = FITTED_BYTES * scene.height * scene.width if fits else 0.0
    return EVALUATE_BYTES + 146 * scene.num_views * scene.view_pixels + fitted


def dataset_bytes(pixels: int, params: PackageParams) -> float | None:
    """Return the size of a dataset without losses; of others nobody can say beforehand."""
    encoding = params.encoding
    is_lossless = {encoding.rgb, encoding.depth, encoding.latents} == {"lossless"}
    return LOSSLESS_BYTES_A_PIXEL * pixels if is_lossless else None


def _views_read(scene: Scene, phase: PhaseParams) -> int:
    """Return the most views that a step reads."""
    most = phase.max_views or scene.num_views
    return min(most, scene.num_views)
