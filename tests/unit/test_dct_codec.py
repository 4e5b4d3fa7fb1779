"""The dct codec keeps its promise: causal, orthonormal, linear, repeatable."""

from __future__ import annotations

import numpy as np
import pytest
import skimage.data
import torch
from skimage.transform import downscale_local_mean

from lyra_data.engine.errors import ParamsError
from lyra_data.models.codecs import CODECS
from lyra_data.models.codecs.base import num_latent_frames, reconstruction_psnr
from lyra_data.models.codecs.dct import DctCodec, DctCodecParams


@pytest.fixture(scope="module")
def codec() -> DctCodec:
    return DctCodec(DctCodecParams(name="dct"))


def noise(*shape: int) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(0)) * 2 - 1


def panned_photo(num_frames: int, pixels_per_frame: int) -> torch.Tensor:
    """The Motorcycle photo at half size, panned to the right: [3, frame, 192, 288]."""
    photo = downscale_local_mean(skimage.data.stereo_motorcycle()[0], (2, 2, 1)) / 127.5 - 1
    shifts = [frame * pixels_per_frame for frame in range(num_frames)]
    frames = np.stack([photo[20:212, shift : shift + 288] for shift in shifts])
    return torch.from_numpy(frames).float().permute(3, 0, 1, 2).contiguous()


def test_the_registry_builds_the_codec_from_its_name() -> None:
    assert isinstance(CODECS.create({"name": "dct"}, where="generate.codec"), DctCodec)


def test_a_misspelt_codec_key_is_refused() -> None:
    with pytest.raises(ParamsError, match="quality"):
        CODECS.create({"name": "dct", "quality": 3}, where="generate.codec")


def test_latents_are_an_eighth_of_the_video_in_each_direction(codec: DctCodec) -> None:
    latents = codec.encode(noise(3, 17, 16, 24))
    assert latents.shape == (16, num_latent_frames(17), 2, 3)
    assert codec.decode(latents).shape == (3, 17, 16, 24)


@pytest.mark.parametrize("num_frames", [1, 9])
def test_the_latents_of_a_start_are_the_start_of_the_latents(
    codec: DctCodec, num_frames: int
) -> None:
    video = noise(3, 25, 16, 24)
    prefix = codec.encode(video[:, :num_frames])
    # A matrix product of another size may round differently.
    beginning = codec.encode(video)[:, : prefix.shape[1]]
    torch.testing.assert_close(prefix, beginning, atol=1e-5, rtol=0)


def test_later_frames_do_change_their_own_latent_frame(codec: DctCodec) -> None:
    video = noise(3, 17, 16, 16)
    changed = video.clone()
    changed[:, 9] += 0.5
    difference = (codec.encode(changed) - codec.encode(video)).abs().amax(dim=(0, 2, 3))
    assert difference[:2].max() == 0
    assert difference[2] > 0.1


def test_the_directions_are_orthonormal(codec: DctCodec) -> None:
    for rows in (codec._first.rows, codec._later.rows):
        torch.testing.assert_close(rows @ rows.T, torch.eye(16), atol=1e-5, rtol=0)


def test_any_latents_survive_decoding_and_encoding(codec: DctCodec) -> None:
    latents = noise(16, 3, 4, 5)
    again = codec.encode(codec.decode_linear(latents))
    torch.testing.assert_close(again, latents, atol=1e-5, rtol=0)


def test_decoding_an_encoded_video_twice_changes_nothing_more(codec: DctCodec) -> None:
    once = codec.decode_linear(codec.encode(noise(3, 9, 16, 16)))
    twice = codec.decode_linear(codec.encode(once))
    torch.testing.assert_close(twice, once, atol=1e-5, rtol=0)


def test_what_is_lost_is_orthogonal_to_what_is_kept(codec: DctCodec) -> None:
    video = noise(3, 9, 16, 16)
    kept = codec.decode_linear(codec.encode(video))
    cosine = torch.nn.functional.cosine_similarity((video - kept).flatten(), kept.flatten(), dim=0)
    assert abs(float(cosine)) < 1e-5


def test_encoding_is_linear_far_outside_the_range_of_pictures(codec: DctCodec) -> None:
    first, second = noise(3, 9, 16, 16), noise(3, 9, 16, 16).flip(1)
    together = codec.encode(100 * first - 7 * second)
    apart = 100 * codec.encode(first) - 7 * codec.encode(second)
    torch.testing.assert_close(together, apart, atol=1e-3, rtol=1e-4)


def test_a_constant_colour_comes_back_as_it_was(codec: DctCodec) -> None:
    colour = torch.tensor([0.9, -0.3, 0.1]).reshape(3, 1, 1, 1)
    video = colour.expand(3, 17, 16, 24).contiguous()
    torch.testing.assert_close(codec.decode(codec.encode(video)), video, atol=2e-5, rtol=0)


def test_a_still_video_has_the_same_shared_channels_in_every_latent_frame(codec: DctCodec) -> None:
    latents = codec.encode(noise(3, 1, 16, 16).expand(3, 17, 16, 16).contiguous())
    torch.testing.assert_close(latents[:11, 1], latents[:11, 0], atol=1e-5, rtol=0)
    torch.testing.assert_close(latents[:, 2], latents[:, 1], atol=1e-5, rtol=0)
    assert latents[11:, 1].abs().max() < 1e-5  # nothing moves


def test_decoded_video_is_clamped(codec: DctCodec) -> None:
    decoded = codec.decode(noise(16, 2, 2, 2) * 100)
    assert decoded.abs().max() == 1.0


@pytest.mark.parametrize(
    ("pixels_per_frame", "decibels"),
    [(0, 22.2), (1, 20.3), (2, 19.2), (4, 17.8)],  # as measured, less a few hundredths
)
def test_psnr_on_a_panned_photo_does_not_fall(
    codec: DctCodec, pixels_per_frame: int, decibels: float
) -> None:
    video = panned_photo(17, pixels_per_frame)
    assert reconstruction_psnr(codec, video, codec.encode(video)) > decibels


def test_latents_of_a_photo_are_of_about_unit_size(codec: DctCodec) -> None:
    latents = codec.encode(panned_photo(17, 1))
    size = latents.square().mean(dim=(2, 3)).sqrt()
    assert float(size.min()) > 0.2
    assert float(size.max()) < 2.0


@pytest.mark.parametrize(
    ("shape", "fix"),
    [
        ((3, 10, 16, 16), "use 9 or 17 frames"),
        ((3, 8, 16, 16), "use 1 or 9 frames"),
        ((3, 9, 20, 16), "use a height of 16 or 24"),
        ((3, 9, 16, 7), "use a width of 8"),
    ],
)
def test_a_size_the_codec_cannot_take_is_refused_with_the_nearest_ones(
    codec: DctCodec, shape: tuple[int, ...], fix: str
) -> None:
    with pytest.raises(ParamsError, match=fix):
        codec.encode(torch.zeros(shape))


def test_equal_codecs_have_one_fingerprint(codec: DctCodec) -> None:
    again = DctCodec(DctCodecParams(name="dct"))
    assert again.fingerprint == codec.fingerprint
    assert codec.fingerprint.startswith("dct-")
