"""Turn latents into tokens: one for every 2x2 latent pixels of one latent frame."""

from __future__ import annotations

import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

PATCH = 2
"""Latent pixels along each side of a token's patch; one latent frame deep."""


class LatentEmbedding(nn.Module):
    """3D patch embedding (1, 2, 2) followed by LayerNorm (eps 1e-5).

    The latents of the images, of the Pluecker rays and of the times each go through one of these;
    their tokens are added. (Reference: PatchEmbed3D in Lyra-1 src/models/recon.)
    """

    def __init__(self, num_channels: int, dim: int) -> None:
        super().__init__()
        patch = (1, PATCH, PATCH)
        self.proj = nn.Conv3d(num_channels, dim, kernel_size=patch, stride=patch)
        self.norm = nn.LayerNorm(dim, eps=1e-5)

    def forward(
        self, latents: Float[Tensor, "scene latent_frame channel h w"]
    ) -> Float[Tensor, "scene token dim"]:
        """Return tokens in (latent frame, row, column) order, the frame slowest."""
        patches = rearrange(
            latents,
            "scene frame channel (row p) (column q) -> scene (frame row column) (channel p q)",
            p=PATCH,
            q=PATCH,
        )
        # The convolution's windows do not overlap, so it is one matrix product.
        weight = rearrange(self.proj.weight, "dim channel 1 p q -> dim (channel p q)")
        return self.norm(F.linear(patches, weight, self.proj.bias))
