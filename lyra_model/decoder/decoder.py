"""Decode latents of several views to pixel-aligned 3D Gaussians (Lyra, section 3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from einops import rearrange, repeat
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from lyra_model.decoder.embeddings import PATCH
from lyra_model.decoder.heads import GaussianActivation
from lyra_model.decoder.inputs import DecoderInput
from lyra_model.decoder.pictures.gaussians import PictureDecoder
from lyra_model.decoder.pruning import prune
from lyra_model.gaussians import Gaussians


class GaussianDecoder(nn.Module):
    """The network that `create_decoder` builds.

    Names of its attributes are the released checkpoints' parameter names.

    Attributes:
        gradient_checkpointing: keep only what lies between blocks for the gradient, and compute
            each block twice: the same gradients in less memory.
    """

    def __init__(
        self,
        *,
        blocks: Sequence[nn.Module],
        norm: nn.Module,
        latent_embedding: nn.Module,
        pluecker_embedding: nn.Module,
        input_time_embedding: nn.Module,
        target_time_embedding: nn.Module,
        head: nn.Module,
        activation: GaussianActivation,
        dynamic: bool,
        pictures: PictureDecoder | None = None,
    ) -> None:
        super().__init__()
        self.enc_blocks = nn.ModuleList(blocks)
        self.enc_norm = norm
        self.patch_embed = latent_embedding
        self.patch_plucker_embed = pluecker_embedding
        self.patch_time_embed = input_time_embedding
        self.patch_time_embed_tgt = target_time_embedding
        self.deconv = head
        self.activation = activation
        self.dynamic = dynamic
        self.gradient_checkpointing = False
        self.pictures = pictures

    def forward(self, inputs: DecoderInput, *, prune_ratio: float) -> list[Gaussians]:
        """Return the Gaussians of every scene, in the frame of its first input camera.

        Order: view, frame, row, column; by falling opacity if pruned.

        Args:
            prune_ratio: share of the Gaussians to drop, 0 for none.
        """
        pictures = self.pictures
        if pictures is not None and not pictures.params.reads_latents:
            return self._of_pictures(pictures, inputs, None, prune_ratio)
        tokens = self.embed(inputs)
        raw = self.predict(self.mix(tokens), inputs)
        if pictures is not None:
            return self._of_pictures(pictures, inputs, raw, prune_ratio)
        rays = "scene frame xyz row column -> scene (frame row column) xyz"
        scenes = zip(
            rearrange(raw, "scene view c frame row column -> scene (view frame row column) c"),
            rearrange(inputs.rays_o, rays),
            rearrange(inputs.rays_d, rays),
            strict=True,
        )
        return [self._gaussians(*scene, inputs.scene_scale, prune_ratio) for scene in scenes]

    def embed(self, inputs: DecoderInput) -> Float[Tensor, "scene token dim"]:
        """Return the tokens of all views of a scene as one sequence, the view slowest."""
        tokens = self.patch_embed(inputs.latents) + self.patch_plucker_embed(inputs.plucker_latents)
        if not self.dynamic:
            return tokens
        assert inputs.time_latents is not None, "a dynamic decoder needs time_latents"
        of_inputs = self.patch_time_embed(inputs.time_latents[:, :-1])
        of_target = self.patch_time_embed_tgt(inputs.time_latents[:, -1:])
        num_latent_frames = inputs.latents.shape[1] // inputs.num_views
        times = of_inputs + repeat(
            of_target, "scene token d -> scene (t token) d", t=num_latent_frames
        )
        return tokens + repeat(times, "scene token d -> scene (v token) d", v=inputs.num_views)

    def mix(self, tokens: Float[Tensor, "scene token dim"]) -> Float[Tensor, "scene token dim"]:
        for block in self.enc_blocks:
            if self.gradient_checkpointing and torch.is_grad_enabled():
                tokens = checkpoint(block, tokens, use_reentrant=False)
            else:
                tokens = block(tokens)
        return self.enc_norm(tokens)

    def predict(
        self, tokens: Float[Tensor, "scene token dim"], inputs: DecoderInput
    ) -> Float[Tensor, "scene view 12 frame row column"]:
        """Return raw channels on the grid of one Gaussian for every 8x8 pixels of every frame."""
        num_views = inputs.num_views
        num_latent_frames = inputs.latents.shape[1] // num_views
        volume = rearrange(
            tokens,
            "scene (view frame row column) d -> (scene view) d frame row column",
            view=num_views,
            frame=num_latent_frames,
            row=inputs.latents.shape[3] // PATCH,
        )
        return rearrange(self.deconv(volume), "(scene view) ... -> scene view ...", view=num_views)

    def _gaussians(
        self,
        raw: Float[Tensor, "gaussian 12"],
        rays_o: Float[Tensor, "gaussian 3"],
        rays_d: Float[Tensor, "gaussian 3"],
        scene_scale: float,
        prune_ratio: float,
    ) -> Gaussians:
        with torch.autocast(raw.device.type, enabled=False):
            gaussians = prune(self.activation(raw, rays_o, rays_d), prune_ratio)
        return _unscaled(gaussians, scene_scale)

    def _of_pictures(
        self,
        decoder: PictureDecoder,
        inputs: DecoderInput,
        raw: Float[Tensor, "scene view 12 frame row column"] | None,
        prune_ratio: float,
    ) -> list[Gaussians]:
        assert inputs.pictures is not None, "a decoder of pictures needs them"
        scenes = []
        for scene in range(len(inputs)):
            context = None
            if raw is not None:
                context = rearrange(raw[scene], "view c frame ... -> (view frame) c ...")
                context = context[list(inputs.pictures.frames)]
            with torch.autocast(inputs.latents.device.type, enabled=False):
                gaussians = decoder(*inputs.pictures.of_scene(scene), context)
                scenes.append(_unscaled(prune(gaussians, prune_ratio), inputs.scene_scale))
        return scenes


def _unscaled(gaussians: Gaussians, scene_scale: float) -> Gaussians:
    """Return the Gaussians in the unit that poses had before they were multiplied."""
    if scene_scale == 1:
        return gaussians
    return replace(
        gaussians,
        means=gaussians.means / scene_scale,
        scales=gaussians.scales / scene_scale,
    )
