"""load_decoder: a checkpoint's folder becomes a decoder that runs, as evaluation runs it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml

from lyra_data.engine.errors import CorruptDataError, InputError
from lyra_data.models.codecs import create_codec
from lyra_data.scene.view import View
from lyra_model.decoder import DecoderParams, create_decoder
from lyra_model.decoder.inputs import prepare_inputs
from lyra_model.phases.checkpoints import Checkpoint, save_checkpoint
from lyra_model.phases.trained_decoder import TrainedDecoder, load_decoder
from tests.factories import make_view
from tests.goldens import REPOSITORY
from tests.pipeline.project import tiny_params

CODEC = create_codec("dct")
NUM_READ = 9


def config(*, is_released: bool = False, dynamic: bool = False) -> dict:
    train = tiny_params()["train"]
    facts = {
        "decoder": {**train["decoder"], "dynamic": dynamic, "scene_scale": 0.5},
        "codec": "dct",
        "codec_fingerprint": None if is_released else CODEC.fingerprint,
    }
    if is_released:
        return facts
    return {**facts, "phase": train["phases"]["demo"], "rendering": train["rendering"]}


def saved(folder: Path, facts: dict) -> Path:
    network = create_decoder(DecoderParams.parse(facts["decoder"], where="decoder"), seed=1)
    save_checkpoint(Checkpoint(network.state_dict(), facts, history=[]), folder)
    return folder


def moved_view(**changes) -> View:
    """A view whose first camera is not the world's origin."""
    view = make_view(num_frames=17, height=32, width=48, codec_fingerprint=CODEC.fingerprint)
    move = torch.eye(4)
    move[:3, :3] = torch.tensor([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 0.0]])
    move[:3, 3] = torch.tensor([1.0, 2.0, 3.0])
    cameras = replace(view.cameras, camera_to_world=move @ view.cameras.camera_to_world)
    return replace(view, cameras=cameras, **changes)


@pytest.fixture(scope="module")
def decoder(tmp_path_factory: pytest.TempPathFactory) -> TrainedDecoder:
    return load_decoder(saved(tmp_path_factory.mktemp("models") / "demo", config()), device="cpu")


def test_a_loaded_decoder_gives_what_its_network_gives_in_the_world_of_the_cameras(decoder):
    view = moved_view()
    inputs = prepare_inputs(
        [view.cameras[:NUM_READ]], [view.latents[:, :2]], CODEC, scene_scale=0.5
    )
    prune_ratio = tiny_params()["train"]["phases"]["demo"]["prune_ratio"]
    (expected,) = decoder.network(inputs, prune_ratio=prune_ratio)
    expected = expected.transformed(view.cameras.camera_to_world[0])
    gaussians = decoder.reconstruct([view], CODEC)
    for name in ("means", "scales", "quats", "opacities", "colors"):
        assert torch.equal(getattr(gaussians, name), getattr(expected, name)), name
    assert not decoder.network.training
    assert not any(weight.requires_grad for weight in decoder.network.parameters())
    assert decoder.rendering is not None
    assert decoder.rendering.near == tiny_params()["train"]["rendering"]["near"]


def test_the_scene_moves_with_the_world_of_its_cameras(decoder):
    still = make_view(num_frames=17, height=32, width=48, codec_fingerprint=CODEC.fingerprint)
    moved = moved_view()
    world = moved.cameras.camera_to_world[0] @ torch.linalg.inv(still.cameras.camera_to_world[0])
    expected = decoder.reconstruct([still], CODEC).transformed(world)
    # atol: both go through one rotation more or less in float32, in a scene of some ten units.
    torch.testing.assert_close(
        decoder.reconstruct([moved], CODEC).means, expected.means, atol=1e-4, rtol=1e-4
    )


def test_released_weights_read_all_whole_groups_of_frames_and_prune_nothing(tmp_path):
    released = load_decoder(saved(tmp_path / "lyra", config(is_released=True)), device="cpu")
    view = moved_view()
    assert (released.phase, released.rendering) == (None, None)
    whole = released.reconstruct([view], CODEC)
    assert len(whole) == 17 * (32 // 8) * (48 // 8)
    assert len(released.reconstruct([view], CODEC, num_frames=9, prune_ratio=0.5)) == 9 * 4 * 6 // 2


def test_a_dynamic_decoder_reconstructs_moments(tmp_path):
    dynamic = load_decoder(saved(tmp_path / "dynamic", config(dynamic=True)), device="cpu")
    with torch.no_grad():  # a fresh one starts without any influence of the time
        torch.nn.init.normal_(next(dynamic.network.patch_time_embed_tgt.parameters()), std=0.1)
    view = moved_view()
    first = dynamic.reconstruct([view], CODEC)
    assert torch.equal(first.means, dynamic.reconstruct([view], CODEC, moment=0).means)
    assert not torch.equal(first.means, dynamic.reconstruct([view], CODEC, moment=8).means)


@pytest.mark.parametrize(
    ("views", "options", "message"),
    [
        ([], {}, "no views"),
        ([moved_view(motion_reversed=True)], {}, "backwards"),
        ([moved_view()], {"num_frames": 25}, "17 frames, 25 are read"),
        ([moved_view()], {"num_frames": 16}, "not 8k\\+1"),
        ([moved_view()], {"moment": 3}, "static decoder"),
        ([moved_view(), make_view(num_frames=17, height=32, width=64)], {}, "32x48, 32x64"),
        (
            [make_view(num_frames=17, height=32, width=48)],
            {},
            r"of codec dct \(dct-test\), not",
        ),
    ],
)
def test_views_that_it_cannot_read_are_refused(decoder, views, options, message):
    with pytest.raises(InputError, match=message) as caught:
        decoder.reconstruct(views, CODEC, **options)
    assert caught.value.fix


@pytest.mark.parametrize(
    ("changes", "codec"),
    [({"codec_name": "cosmos"}, "cosmos"), ({"codec_fingerprint": "dct-other"}, "dct-other")],
)
def test_latents_of_another_codec_are_refused(decoder, changes, codec):
    with pytest.raises(InputError, match=f"trained on latents of {codec}\n") as caught:
        replace(decoder, **changes)._refuse_codec(CODEC)
    assert "create_codec(" in str(caught.value.fix)


def test_what_is_no_checkpoint_is_refused_with_what_makes_one(tmp_path):
    released = tmp_path / "lyra_static.pt"
    released.write_bytes(b"")
    for path, message in ((released, "a file"), (tmp_path / "nowhere", "no such folder")):
        with pytest.raises(InputError, match=message) as caught:
            load_decoder(path)
        assert "weights convert lyra" in str(caught.value.fix)


def test_settings_of_another_release_are_refused(tmp_path):
    facts = config()
    folder = saved(tmp_path / "demo", facts | {"phase": {**facts["phase"], "unheard_of": 1}})
    with pytest.raises(CorruptDataError, match=r"another release.*unheard_of") as caught:
        load_decoder(folder)
    assert caught.value.where == str(folder)


def test_the_params_file_chooses_a_codec_that_create_codec_knows():
    codec = yaml.safe_load((REPOSITORY / "params.yaml").read_text())["train"]["codec"]
    assert create_codec(**codec).fingerprint == CODEC.fingerprint
