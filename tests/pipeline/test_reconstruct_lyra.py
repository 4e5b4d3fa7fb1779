"""reconstruct of Lyra's layout with released weights: read exactly as Lyra's sample.py reads it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from lyra_data.engine.errors import InputError, ParamsError
from lyra_data.engine.placement import Placement
from lyra_data.generation.params import GenerateParams
from lyra_data.models.codecs import create_codec
from lyra_data.models.codecs.cosmos import CosmosCodec
from lyra_data.models.gen3c.statistics import LatentStatistics
from lyra_data.scene.cameras import Cameras
from lyra_model.decoder.decoder import GaussianDecoder
from lyra_model.decoder.inputs import DecoderInput
from lyra_model.decoder.latents import encode_rays, encode_times
from lyra_model.decoder.rays import coarse_rays, pluecker
from lyra_model.decoder.times import embed_times
from lyra_model.export.ply import read_ply
from lyra_model.gaussians import Gaussians
from lyra_model.phases.train_params import TrainParams
from lyra_model.phases.trained_decoder import load_decoder
from lyra_model.reconstruction.assembly import create_reconstructor
from lyra_model.reconstruction.methods import views_read
from lyra_model.reconstruction.params import ReconstructParams
from lyra_model.reconstruction.scene_source import SceneSource
from stages.cli import app
from stages.params import load_yaml
from stages.presets import preset_file
from stages.verbs.lyra_scene import convert_scene
from stages.verbs.reconstruct_inputs import reconstruct_inputs
from tests.factories import make_view
from tests.factories_gen3c import tiny_vae
from tests.lyra_layout import NUM_FRAMES, latents_of, path_cameras, write_clip
from tests.pipeline.test_reconstruct_inputs import request
from tests.unit.test_released_decoder import release

READ = (5, 0)
"""Folders of the clips in the order in which sample.py reads them: '5', '0', '1', ..."""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in, with the codec's weights where `weights convert` puts them."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LYRA_WEIGHTS", str(tmp_path / "weights"))
    tiny_vae().save_pretrained(tmp_path / "weights" / "cosmos-tokenizer" / "vae")
    return tmp_path


def converted(place: Path, name: str) -> Path:
    """Released weights, random and small, as `lyra-data weights convert lyra` writes them."""
    file, _ = release(place, name)
    arguments = ["weights", "convert", "lyra", "--decoder", str(file), "--output", "weights/lyra"]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    return place / "weights" / "lyra"


def changes(**others: Any) -> dict[str, Any]:
    """Section reconstruct with a short video."""
    video = load_yaml(preset_file("scene"))["reconstruct"]["video"]
    short = {**video, "num_frames": 2, "amplitude": 2.0}
    return {"frames_per_view": 2, "moments": 2, "video": short, **others}


def expected(weights: Path, moment: float | None) -> Gaussians:
    """What sample.py does, step by step, in the world of the clips.

    Its steps: poses relative to the first pose of clip 5; latents / .5 * std + mean, views slowest;
    rays of every view encoded as videos; [t, cos t, sin t] of times from 0 to 1; the most opaque
    int(N (1 - .8)) Gaussians.
    """
    decoder = load_decoder(weights, device="cpu")
    codec = create_codec("cosmos", weights=str(Path("weights/cosmos-tokenizer/vae").absolute()))
    statistics = LatentStatistics.of(tiny_vae())
    mean, std = (part[:, :3, None, None] for part in (statistics.mean, statistics.std))
    clips = [path_cameras(index) for index in READ]
    origin = clips[0].camera_to_world[0]
    relative = [clip.relative_to(origin) for clip in clips]
    latents = [torch.from_numpy(latents_of(index)[0]) / 0.5 * std + mean for index in READ]
    times = None
    if moment is not None:
        frames = torch.arange(NUM_FRAMES).float()
        embedded = embed_times(torch.cat([frames, torch.tensor([moment])]) / (NUM_FRAMES - 1))
        times = encode_times(embedded, codec, height=96, width=128)[None]
    origins, directions = coarse_rays(Cameras.concatenate(relative), 8)
    inputs = DecoderInput(
        latents=torch.cat([one.transpose(0, 1) for one in latents])[None],
        plucker_latents=torch.cat([encode_rays(pluecker(one), codec) for one in relative])[None],
        rays_o=origins[None],
        rays_d=directions[None],
        num_views=len(READ),
        scene_scale=1.0,
        time_latents=times,
    )
    network: GaussianDecoder = decoder.network
    with torch.no_grad():
        (whole,) = network(inputs, prune_ratio=0.0)
    num_kept = int(len(whole) * (1 - 0.8))
    kept = whole.opacities.argsort(descending=True, stable=True)[:num_kept]
    return whole[kept].transformed(origin)


def assert_same(ours: Gaussians, theirs: Gaussians) -> None:
    """The same Gaussians; pruning may leave them in another order, and colours are stored."""
    assert len(ours) == len(theirs)
    ours, theirs = (one[one.means.double().sum(dim=1).argsort()] for one in (ours, theirs))
    for name in ("means", "scales", "opacities", "colors"):
        torch.testing.assert_close(
            getattr(ours, name), getattr(theirs, name), atol=2e-3, rtol=1e-4, msg=name
        )


@pytest.mark.parametrize(
    "name", ["lyra_static.pt", pytest.param("lyra_dynamic.pt", marks=pytest.mark.slow)]
)
def test_released_weights_read_a_demo_sample_as_sample_py_does(place: Path, name: str) -> None:
    is_dynamic = "dynamic" in name
    for index in reversed(READ):
        write_clip(place / "demo", index, "00172", depth=not is_dynamic)
    weights = converted(place, name)
    asked = request("demo", changes=changes(method="decoder", weights="weights/lyra"))
    done = reconstruct_inputs(asked)
    (scene,) = done.facts["scenes"].values()
    folder, report = Path(scene["folder"]), scene["report"]
    assert report["moves"] is is_dynamic
    stated = json.loads((weights / "config.json").read_text())
    assert report["decoder_sha256"] == stated["weights_sha256"]
    if is_dynamic:
        files = {float(moment): f"moments/{moment:05d}.ply" for moment in (0, NUM_FRAMES - 1)}
    else:
        files = {None: "scene.ply"}
    for moment, file in files.items():
        assert_same(read_ply(folder / file), expected(weights, moment))
    assert json.loads((folder / "report.json").read_text())["gaussians"] == 1305


def test_without_the_tokenizer_the_command_that_gets_it_is_named(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_clip(place / "demo", 0, depth=False)
    weights = converted(place, "lyra_static.pt")
    monkeypatch.setenv("LYRA_WEIGHTS", str(place / "elsewhere"))
    with pytest.raises(ParamsError) as caught:
        reconstruct_inputs(request("demo", changes=changes(method="decoder", weights=str(weights))))
    assert "lyra-data weights pull cosmos-tokenizer && " in str(caught.value.fix)


def test_one_scene_of_several_is_converted_alone(tmp_path: Path) -> None:
    for name in ("house", "boat"):
        write_clip(tmp_path / "demo", 0, name, depth=False)
    dataset = convert_scene(tmp_path / "demo", "boat", tmp_path / "data")
    assert dataset.scene_ids == ["boat"]
    for scene, message in (("", r"2 scenes \(boat, house\)"), ("car", "no scene 'car'")):
        with pytest.raises(InputError, match=message) as caught:
            convert_scene(tmp_path / "demo", scene, tmp_path / "other")
        assert str(caught.value.fix).endswith("demo#boat")
    assert not (tmp_path / "other").exists()


def test_views_of_another_codec_are_encoded_by_the_decoders(place: Path) -> None:
    params = load_yaml(preset_file("scene"))
    section = {**params["reconstruct"], "method": "decoder"}
    section["weights"] = str(converted(place, "lyra_static.pt"))
    parsed = ReconstructParams.parse(section, where="reconstruct")
    made, _ = create_reconstructor(
        parsed,
        TrainParams.parse(params["train"], where="train"),
        GenerateParams.parse(params["generate"], where="generate"),  # its codec is dct
        Placement("cpu", root=place),
        models=place / "models",
        seed=1,
    )
    codec, view = made.codec, make_view("a", 0, 9, 32, 48)
    assert isinstance(codec, CosmosCodec)
    backwards = replace(view, view_index=1, motion_reversed=True)
    scene = SceneSource("a", (view, backwards), clip=None, real_photos=(), moves=False)
    encoded, untouched = made.prepared(scene).views
    video = view.frames.permute(1, 0, 2, 3).float() / 127.5 - 1.0
    torch.testing.assert_close(encoded.latents, codec.encode(video))
    stated = (encoded.provenance["codec"], encoded.provenance["codec_fingerprint"])
    assert stated == ("cosmos", codec.fingerprint)
    assert untouched is backwards


def test_released_weights_get_views_in_the_order_of_sample_py(place: Path) -> None:
    decoder = load_decoder(converted(place, "lyra_static.pt"), device="cpu")
    names = ["left", "mine", "zoom_in", "clockwise"]
    views = [make_view("a", n, 9, 32, 48, trajectory=name) for n, name in enumerate(names)]
    in_order = [view.trajectory for view in views_read(views, decoder)]
    assert in_order == ["clockwise", "left", "zoom_in", "mine"]
