"""The statements of latents/semantics.json, each held against our code by explicit loops.

The loops follow the statement element by element and share nothing with the code that they check
but the codec and the embeddings.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import torch
from torch import Tensor, nn

from lyra_model.decoder.decoder import GaussianDecoder
from lyra_model.decoder.embeddings import LatentEmbedding
from lyra_model.decoder.heads import GaussianActivation
from lyra_model.decoder.inputs import DecoderInput
from lyra_model.decoder.latents import denormalise, encode_rays, encode_times, join_views
from tests.conformance.linear_codec import LinearCodec

Pairs = list[tuple[str, Tensor, Tensor]]
"""Name of what is compared, ours, by the statement."""

FRAMES, LATENTS, HEIGHT, WIDTH = 17, 3, 16, 24
DIM = 8


def encode_views() -> Pairs:
    """[V T, 3, H, W] -> [V t, 16, h, w], views slowest; one view is the same without the split."""
    pairs = []
    for num_views in (1, 3):
        draws, codec = _draws(), _codec()
        video = _uniform(draws, num_views * FRAMES, 3, HEIGHT, WIDTH)
        ours = join_views([codec.encode(_time_second(view)) for view in video.split(FRAMES)])
        expected = torch.empty(num_views * LATENTS, 16, HEIGHT // 8, WIDTH // 8)
        for view, latent in product(range(num_views), range(LATENTS)):
            # Latent frame k of the codec: frame 0 alone, then the mean of frames 8k-7 .. 8k.
            group = [0] if latent == 0 else range(8 * latent - 7, 8 * latent + 1)
            picture = torch.stack([video[view * FRAMES + frame] for frame in group]).mean(0)
            for row, column in product(range(HEIGHT // 8), range(WIDTH // 8)):
                block = picture[:, 8 * row : 8 * row + 8, 8 * column : 8 * column + 8]
                value = codec.weight @ block.mean((1, 2)) + codec.bias
                expected[view * LATENTS + latent, :, row, column] = value
        pairs.append((f"{num_views} views encoded", ours, expected))
    return pairs


def decode_views() -> Pairs:
    """[V t, 16, h, w] -> [V T, 3, H, W], clipped to [-1, 1]."""
    draws, codec, num_views = _draws(), _codec(), 2
    latents = 3 * _uniform(draws, num_views * LATENTS, 16, HEIGHT // 8, WIDTH // 8)
    assert codec.inverse is not None
    views = [codec.decode(_time_second(view)) for view in latents.split(LATENTS)]
    expected = torch.empty(num_views * FRAMES, 3, HEIGHT, WIDTH)
    for view, frame in product(range(num_views), range(FRAMES)):
        latent = latents[view * LATENTS + (frame + 7) // 8]
        for row, column in product(range(HEIGHT // 8), range(WIDTH // 8)):
            colour = (codec.inverse @ latent[:, row, column]).clamp(-1, 1)
            block = (slice(8 * row, 8 * row + 8), slice(8 * column, 8 * column + 8))
            expected[view * FRAMES + frame, :, block[0], block[1]] = colour[:, None, None]
    assert bool((expected.abs() == 1).any()), "nothing was clipped, so clipping was not checked"
    return [("decoded", join_views(views), expected)]


def encode_time() -> Pairs:
    """Times spread over the image, scaled to 2x - 1, encoded as a view; the target joined last."""
    draws, codec = _draws(), _codec()
    inputs, target = _uniform(draws, FRAMES, 3), _uniform(draws, 1, 3)
    ours = encode_times(torch.cat([inputs, target]), codec, height=HEIGHT, width=WIDTH)
    parts = []
    for times in (inputs, target):
        video = torch.empty(3, len(times), HEIGHT, WIDTH)
        for frame, time in enumerate(times):
            video[:, frame] = (2 * time - 1)[:, None, None]
        parts.append(codec.encode(video).transpose(0, 1))
    return [("times", ours, torch.cat(parts))]


def time_in_decoder() -> Pairs:
    """Input times added latent frame by latent frame, the target's to all, alike in every view."""
    draws, num_views = _draws(), 2
    height, width = HEIGHT // 8, WIDTH // 8 + 1  # an even latent width, as the decoder asks
    torch.manual_seed(0)
    images, rays, times, target = (LatentEmbedding(c, DIM) for c in (16, 32, 16, 16))
    decoder = GaussianDecoder(
        blocks=[],
        norm=nn.Identity(),
        latent_embedding=images,
        pluecker_embedding=rays,
        input_time_embedding=times,
        target_time_embedding=target,
        head=nn.Identity(),
        activation=GaussianActivation.__new__(GaussianActivation),
        dynamic=True,
    )
    inputs = DecoderInput(
        latents=_uniform(draws, 1, num_views * LATENTS, 16, height, width),
        plucker_latents=_uniform(draws, 1, num_views * LATENTS, 32, height, width),
        rays_o=torch.zeros(1, num_views * FRAMES, 3, height, width),
        rays_d=torch.zeros(1, num_views * FRAMES, 3, height, width),
        num_views=num_views,
        scene_scale=1.0,
        time_latents=_uniform(draws, 1, LATENTS + 1, 16, height, width),
    )
    assert inputs.time_latents is not None
    tokens = []
    for view, latent in product(range(num_views), range(LATENTS)):
        place = view * LATENTS + latent
        tokens.append(
            images(inputs.latents[:, [place]])
            + rays(inputs.plucker_latents[:, [place]])
            + times(inputs.time_latents[:, [latent]])
            + target(inputs.time_latents[:, [LATENTS]])
        )
    return [("tokens", decoder.embed(inputs), torch.cat(tokens, dim=1))]


def encode_pluecker() -> Pairs:
    """Moments (channels 0-2) and directions (3-5) encoded apart, not rescaled, joined to 32."""
    draws, codec, num_views = _draws(), _codec(), 2
    pluecker = 2 * _uniform(draws, num_views * FRAMES, 6, HEIGHT, WIDTH)
    ours = torch.cat([encode_rays(view, codec) for view in pluecker.split(FRAMES)])
    expected = torch.empty(num_views * LATENTS, 32, HEIGHT // 8, WIDTH // 8)
    for view, part in product(range(num_views), range(2)):
        frames = pluecker[view * FRAMES : (view + 1) * FRAMES, 3 * part : 3 * part + 3]
        encoded = codec.encode(_time_second(frames))
        for latent in range(LATENTS):
            channels = slice(16 * part, 16 * part + 16)
            expected[view * LATENTS + latent, channels] = encoded[:, latent]
    return [("rays", ours, expected)]


def chunks_change_nothing() -> Pairs:
    """The reference encodes so many views at a time; ours one, which gives the same numbers."""
    draws, codec = _draws(), _codec()
    views = list(_uniform(draws, 5, 3, FRAMES, HEIGHT, WIDTH))
    ours = join_views([codec.encode(view) for view in views])
    pairs = []
    for chunk in (1, 2, 4):
        side_by_side = [
            codec.encode(torch.cat(views[start : start + chunk], dim=-1)).split(WIDTH // 8, dim=-1)
            for start in range(0, len(views), chunk)
        ]
        parts = [part for split in side_by_side for part in split]
        pairs.append((f"{chunk} at a time", ours, join_views(parts)))
    return pairs


def latent_files() -> Pairs:
    """[1, 16, t, h, w] normalised to 0.5 a view; without the 1, views join on axis 0."""
    draws, num_views = _draws(), 3
    files = [_uniform(draws, 1, 16, LATENTS, 2, 3) for _ in range(num_views)]
    mean, std = _uniform(draws, 16, LATENTS), _uniform(draws, 16, LATENTS).abs()
    ours = join_views([denormalise(file[0], mean, std) for file in files])
    joined = torch.cat([file[0] for file in files])
    expected = torch.empty(num_views * LATENTS, 16, 2, 3)
    for view, latent, channel in product(range(num_views), range(LATENTS), range(16)):
        value = joined[view * 16 + channel, latent] / 0.5 * std[channel, latent]
        expected[view * LATENTS + latent, channel] = value + mean[channel, latent]
    return [("denormalised", ours, expected)]


STATEMENTS: dict[str, Callable[[], Pairs]] = {
    "encode_multi_view_video": encode_views,
    "decode_multi_view_latents": decode_views,
    "encode_latent_time_vae": encode_time,
    "time_in_model": time_in_decoder,
    "encode_plucker_vae": encode_pluecker,
    "chunking": chunks_change_nothing,
    "latent_file": latent_files,
}
"""Key of semantics.json -> what holds our code against it."""


def _draws() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def _uniform(draws: torch.Generator, *shape: int) -> Tensor:
    """Uniform in [-1, 1]."""
    return torch.rand(shape, generator=draws) * 2 - 1


def _codec() -> LinearCodec:
    draws = torch.Generator().manual_seed(1)
    return LinearCodec(_uniform(draws, 16, 3), _uniform(draws, 16), _uniform(draws, 3, 16))


def _time_second(frames: Tensor) -> Tensor:
    """[frame, c, h, w] -> [c, frame, h, w]."""
    return frames.transpose(0, 1)
