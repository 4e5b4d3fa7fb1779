from __future__ import annotations

import pytest
import torch

from lyra_data.engine.errors import CorruptDataError, ParamsError
from lyra_data.engine.placement import Placement
from lyra_data.models.codecs import CODECS
from lyra_data.models.codecs.base import reconstruction_psnr
from lyra_data.models.gen3c.statistics import LatentStatistics
from tests.factories_gen3c import tiny_pipeline, tiny_vae


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights")
    tiny_vae().save_pretrained(folder / "vae")
    return folder


def make_codec(root):
    codec = CODECS.create({"name": "cosmos", "weights": "vae"}, where="test")
    codec.run_on(Placement("cpu", root=root))
    return codec


def make_video(num_frames=17, height=32, width=48):
    generator = torch.Generator().manual_seed(0)
    return torch.rand(3, num_frames, height, width, generator=generator) * 2 - 1


def test_a_video_becomes_16_channels_8_times_smaller_and_comes_back_in_range(root):
    codec = make_codec(root)
    latents = codec.encode(make_video())
    assert latents.shape == (16, 3, 4, 6)
    video = codec.decode(5 * latents)
    assert video.shape == (3, 17, 32, 48)
    assert float(video.abs().max()) == 1.0
    assert reconstruction_psnr(codec, make_video(), latents) > 0


def test_latents_are_causal(root):
    codec, video = make_codec(root), make_video()
    whole = codec.encode(video)
    assert torch.allclose(codec.encode(video[:, :9]), whole[:, :2], atol=1e-5)
    assert torch.allclose(codec.encode(video[:, :1]), whole[:, :1], atol=1e-5)
    assert torch.allclose(codec.decode(whole[:, :2]), codec.decode(whole)[:, :9], atol=1e-5)


def test_latents_are_not_normalised_like_those_the_teacher_returns(root):
    codec, pipeline, video = make_codec(root), tiny_pipeline(), make_video(9)
    statistics = LatentStatistics.of(pipeline.vae)
    with torch.no_grad():
        normalised = statistics.normalise(pipeline._encode(video[None]))
    assert torch.allclose(codec.encode(video), statistics.denormalise(normalised)[0], atol=1e-5)


def test_the_fingerprint_follows_the_weights(root, tmp_path):
    tiny_vae(seed=1).save_pretrained(tmp_path / "vae")
    assert make_codec(root).fingerprint == make_codec(root).fingerprint
    assert make_codec(tmp_path).fingerprint != make_codec(root).fingerprint


def test_what_does_not_fit_names_the_nearest_that_does(root):
    with pytest.raises(
        ParamsError, match=r"(?s)12 frames.*30 rows.*9 or 17 frames; .*24 or 32 rows"
    ):
        make_codec(root).encode(make_video(12, height=30))


def test_missing_and_cut_weights_are_refused(tmp_path):
    codec = make_codec(tmp_path)
    with pytest.raises(ParamsError, match="weights pull"):
        _ = codec.fingerprint
    with pytest.raises(ParamsError, match="weights pull"):
        codec.encode(make_video())
    tiny_vae().save_pretrained(tmp_path / "vae")
    (file,) = (tmp_path / "vae").glob("*.safetensors")
    file.write_bytes(file.read_bytes()[:-50])
    with pytest.raises(CorruptDataError):
        codec.encode(make_video())
