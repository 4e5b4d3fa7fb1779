"""The 3D Gaussian decoder. `create_decoder` is the only place that knows every part."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lyra_model.decoder.params import DecoderParams, PictureParams

if TYPE_CHECKING:
    from lyra_model.decoder.decoder import GaussianDecoder

__all__ = ["DecoderParams", "PictureParams", "create_decoder"]


def create_decoder(params: DecoderParams, *, seed: int | None = None) -> GaussianDecoder:
    """Build a decoder whose parameter names and shapes are those of the released checkpoints.

    Latents, Pluecker rays and (dynamic scenes) times become tokens; Mamba-2 and transformer
    blocks mix them; a transposed convolution gives one Gaussian for every 8x8 pixels of every
    frame.

    Args:
        seed: of the initial weights; the same seed gives the same weights on every machine.
            Without a seed the decoder has shapes but no numbers (meta device), for counting or
            for `load_state_dict(weights, assign=True)`.
    """
    import torch

    from lyra_data.models.codecs.base import LATENT_CHANNELS
    from lyra_model.decoder.attention import TransformerBlock
    from lyra_model.decoder.decoder import GaussianDecoder
    from lyra_model.decoder.embeddings import LatentEmbedding
    from lyra_model.decoder.heads import GaussianActivation, TransposedConvolution
    from lyra_model.decoder.initialisation import initialise
    from lyra_model.decoder.mamba2 import Mamba2Block
    from lyra_model.decoder.pictures.gaussians import PictureDecoder

    def block(index: int) -> torch.nn.Module:
        if (index + 1) % params.attention_every == 0:
            return TransformerBlock(params.dim, params.num_heads, params.mlp_ratio)
        return Mamba2Block(
            params.dim,
            d_state=params.d_state,
            d_conv=params.d_conv,
            expand=params.expand,
            headdim=params.headdim,
            chunk_size=params.chunk_size,
        )

    with torch.device("meta"):
        decoder = GaussianDecoder(
            blocks=[block(index) for index in range(params.depth)],
            norm=torch.nn.LayerNorm(params.dim, eps=1e-6),
            latent_embedding=LatentEmbedding(LATENT_CHANNELS, params.dim),
            pluecker_embedding=LatentEmbedding(2 * LATENT_CHANNELS, params.dim),
            input_time_embedding=LatentEmbedding(LATENT_CHANNELS, params.dim),
            target_time_embedding=LatentEmbedding(LATENT_CHANNELS, params.dim),
            head=TransposedConvolution(params.dim),
            activation=GaussianActivation(
                distance_near=params.distance_near,
                distance_far=params.distance_far,
                distance_shift=params.distance_shift,
                scale_max=params.scale_max,
                opacity_shift=params.opacity_shift,
            ),
            dynamic=params.dynamic,
            pictures=None if params.pictures is None else PictureDecoder(params.pictures),
        )
    if seed is None:
        return decoder
    decoder = decoder.to_empty(device="cpu")
    initialise(decoder, torch.Generator().manual_seed(seed))
    return decoder
