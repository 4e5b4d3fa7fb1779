"""Lyra's released files to Gaussians: the reference's small weights, latents and cameras, written
as its release has them, become the reference's Gaussians."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from lyra_data.dataset.reading.reader import SceneDataset
from lyra_data.models.codecs.cosmos import CosmosCodec, CosmosCodecParams
from lyra_data.models.gen3c.statistics import LatentStatistics
from lyra_model.phases.checkpoints import Checkpoint, load_checkpoint, save_checkpoint
from lyra_model.phases.trained_decoder import TrainedDecoder, load_decoder
from lyra_model.training.released_decoder import convert_decoder
from tests.conformance.base import Comparison, find_entry, load_arrays
from tests.conformance.linear_codec import LinearCodec
from tests.conformance.model import to_array
from tests.conversions import convert
from tests.goldens import goldens_or_skip
from tests.lyra_layout import mp4_of

STATISTICS = LatentStatistics(
    mean=torch.zeros(16, 16), std=2.0 ** (torch.arange(16) % 3 - 1).float()[:, None].repeat(1, 16)
)
"""Powers of two, so that normalising loses nothing."""


class LinearCosmos(CosmosCodec):
    """The codec `cosmos` with the goldens' stand-in for its network."""

    def __init__(self, linear: LinearCodec) -> None:
        super().__init__(CosmosCodecParams(name="cosmos", weights="none"))
        self.linear = linear

    @property
    def fingerprint(self) -> str:
        return "linear"

    @property
    def statistics(self) -> LatentStatistics:
        return STATISTICS

    def encode(self, video: Tensor) -> Tensor:
        return self.linear.encode(video)


@pytest.mark.parametrize("name", ["static_v1", "static_v2_prune", "static_v3_t25"])
def test_released_weights_and_clips_become_the_references_gaussians(name, tmp_path) -> None:
    folder = goldens_or_skip()
    entry = find_entry(folder, f"model/{name}.npz")
    arrays = {key: torch.from_numpy(one) for key, one in load_arrays(entry, folder).items()}
    settings = entry["params"]
    decoder = released_decoder(folder, settings["weights"], tmp_path)
    codec = LinearCosmos(LinearCodec(arrays["vae_W"], arrays["vae_b"]))
    comparison = Comparison(entry)
    for scene in range(settings["batch"]):
        write_layout(arrays, settings, scene, tmp_path / f"source{scene}")
        convert(tmp_path / f"source{scene}", tmp_path / f"data{scene}", latents="lossless")
        views = SceneDataset(tmp_path / f"data{scene}").scene(0)
        ratio = settings["gaussians_prune_ratio"]
        made = decoder.reconstruct(views, codec, prune_ratio=None if ratio == 0.8 else ratio)
        ours, expected = to_array(made), arrays["out_gaussians"][scene]
        tolerance = entry["tolerance"]
        comparison.add(
            f"{scene} means",
            ours[:, :3],
            expected[:, :3],
            tolerance["out_gaussians position (0-2)"],
        )
        others = tolerance["out_gaussians other channels"]
        comparison.add(f"{scene} others", ours[:, 3:], expected[:, 3:], others)
    assert comparison.result().ok, comparison.result()


def released_decoder(folder: Path, weights: str, output: Path) -> TrainedDecoder:
    """Convert the goldens' weights as a release; their number of heads, which no shape tells, is
    set by hand."""
    torch.save({"module": load_file(folder / weights)}, output / "lyra_static.pt")
    convert_decoder(decoder=output / "lyra_static.pt", output=output / "lyra", dynamic=None)
    checkpoint = load_checkpoint(output / "lyra")
    heads = find_entry(folder, weights)["params"]["enc_num_heads"]
    config = {**checkpoint.config, "decoder": {**checkpoint.config["decoder"], "num_heads": heads}}
    facts = {key: value for key, value in config.items() if not key.endswith("s_sha256")}
    facts.pop("config_sha256")
    save_checkpoint(Checkpoint(checkpoint.weights, facts, history=[]), output / "heads")
    return load_decoder(output / "heads", device="cpu")


def write_layout(
    arrays: dict[str, Tensor], settings: dict[str, Any], scene: int, root: Path
) -> None:
    """Write a scene's clips as Lyra's data generation does; nobody looks at their pictures."""
    num_frames, num_latents = settings["frames"], settings["latent_frames"]
    height, width = settings["image_size"]
    grey = np.full((num_frames, height, width, 3), 128, np.uint8)
    inds = np.arange(num_frames)
    for view in range(settings["num_input_multi_views"]):
        frames = slice(view * num_frames, (view + 1) * num_frames)
        raw = arrays["in_latents"][scene, view * num_latents : (view + 1) * num_latents]
        saved = STATISTICS.normalise(raw.transpose(0, 1)[None])
        clip = root / str(view)
        for part in ("rgb", "pose", "intrinsics", "latent"):
            (clip / part).mkdir(parents=True)
        (clip / "rgb" / "scene.mp4").write_bytes(mp4_of(grey))
        cameras = {"pose": arrays["in_c2w"], "intrinsics": arrays["in_K"]}
        for part, values in cameras.items():
            np.savez(clip / part / "scene.npz", data=values[scene, frames].numpy(), inds=inds)
        torch.save(saved.numpy(), clip / "latent" / "scene.pkl")
