"""judge: renders of any method scored as pixelSplat, NoPoSplat and WorldMirror score them."""

from __future__ import annotations

import json
import math
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from typer.testing import CliRunner

from lyra_data.engine.hashing import sha256_of_file
from lyra_data.media.images import write_png
from lyra_data.scene.pixel_values import unit_from_bytes
from lyra_model.export.ply import read_ply, write_ply
from lyra_model.gaussians import Gaussians
from lyra_model.judging.perceptual_weights import load_lpips
from lyra_model.judging.protocols.built_in import find_protocol
from lyra_model.judging.protocols.files import protocol_values
from lyra_model.judging.protocols.protocol import Protocol
from lyra_model.judging.truth.opening import open_truth
from lyra_model.metrics import flip
from lyra_model.metrics.flip import FlipConvention
from lyra_model.metrics.psnr import psnr
from lyra_model.metrics.ssim import ssim
from lyra_model.rendering import render
from stages.cli import app
from stages.verbs.judge import Background, _rendering
from tests.metric_fixtures import lpips_weights
from tests.truth_fixtures import (
    SPLIT,
    noisy,
    picture,
    seed_of,
    write_chunks,
    write_dl3dv,
    write_pictures,
    write_renders,
    write_split,
    write_tanks,
)

WITHIN = {"psnr_db": 0.01, "ssim": 0.001, "lpips_vgg": 0.001, "lpips_alex": 0.001}


def run(*arguments: str | Path) -> dict:
    result = CliRunner().invoke(app, ["judge", *map(str, arguments), "--json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def refused(*arguments: str | Path) -> str:
    """Return the one message of a run that ends with exit code 2, without a traceback."""
    result = CliRunner().invoke(app, ["judge", *map(str, arguments), "--json"])
    assert result.exit_code == 2, result.output
    error = json.loads(result.stdout)["error"]
    assert error["fix"], error
    assert "Traceback" not in result.output
    return f"{error['where']}: {error['what']} ({error['fix']})"


def means(result: dict) -> dict[str, float]:
    return {name: float(value["mean"]) for name, value in result["mean"].items()}


def own_protocol(folder: Path, known: str, split: Path, **changes) -> Path:
    """Write a protocol like a built-in one, for the small split of the fixtures."""
    protocol = find_protocol(known).protocol
    values = json.loads(split.read_text())
    used = [frames for frames in values.values() if frames]
    key = protocol.split.context_key
    small = replace(
        protocol.split,
        file=split.name,
        sha256=sha256_of_file(split),
        num_listed=len(values),
        num_used=len(used),
        scenes_with_inputs_as_targets=sum(bool(set(f[key]) & set(f["target"])) for f in used),
    )
    return write_protocol(folder, replace(protocol, name="mine", split=small, **changes))


def write_protocol(folder: Path, protocol: Protocol) -> Path:
    path = folder / "protocol.json"
    path.write_text(json.dumps(protocol_values(protocol)))
    return path


def write_weights(folder: Path, net: str) -> Path:
    path = folder / f"lpips_{net}.safetensors"
    save_file({name: tensor.contiguous() for name, tensor in lpips_weights(net).items()}, path)
    return path


@pytest.fixture(scope="module")
def re10k(tmp_path_factory) -> Path:
    """Chunks, renders in pixelSplat's layout and the split file."""
    folder = tmp_path_factory.mktemp("re10k")
    write_chunks(folder / "truth")
    write_renders(
        folder / "renders", SPLIT, original=(360, 640), size=(256, 256), colour_folder="color"
    )
    write_split(folder)
    return folder


def arguments_of(folder: Path, protocol: Path | str) -> list[str | Path]:
    return [
        *(folder / "renders", "--protocol", protocol, "--truth", folder / "truth"),
        *("--split", folder / "index_mine.json"),
    ]


PIXELSPLATS_OWN = {"psnr_db": 26.663881301879883, "ssim": 0.5644674301147461}
PIXELSPLATS_OWN_SMALL = {
    "psnr_db": 26.66412353515625,
    "ssim": 0.7945628762245178,
    "lpips_vgg": 0.1463281363248825,
}
"""dcharatan/pixelsplat@32b1b66 and cvg/NoPoSplat@9b04307 on the same chunks, renders and random
weights of LPIPS: rescale_and_crop of src/dataset/shims/crop_shim.py and src/evaluation/metrics.py
with lpips 0.1.4, means over scenes; small: chunks of 160x90 cut to 64x64."""


def check(result: dict, theirs: dict[str, float]) -> None:
    assert list(result["mean"]) == list(theirs)
    for name, value in means(result).items():
        assert value == pytest.approx(theirs[name], abs=WITHIN[name])


def test_scores_are_those_of_pixelsplats_own_code(re10k, tmp_path) -> None:
    protocol = own_protocol(tmp_path, "re10k-pixelsplat", re10k / "index_mine.json")
    result = run(*arguments_of(re10k, protocol), "--without", "lpips")
    check(result, PIXELSPLATS_OWN)
    assert (result["num_scenes"], result["num_frames"]) == (2, 6)
    assert result["scenes"]["00aa"]["mean"]["psnr_db"] == pytest.approx(26.66253, abs=0.001)
    assert result["cautions"] == ["targets include inputs in 1 of 2 scenes"]
    assert result["missing"] == {} and result["unused"] == []


@pytest.mark.parametrize("known", ["re10k-pixelsplat", "re10k-noposplat"])
def test_lpips_too_is_that_of_pixelsplats_and_noposplats_own_code(tmp_path, known) -> None:
    write_chunks(tmp_path / "truth", size=(90, 160))
    write_renders(tmp_path / "renders", SPLIT, original=(90, 160), size=(64, 64))
    sizes = {"truth_height": 90, "truth_width": 160, "height": 64, "width": 64}
    pictures = replace(find_protocol(known).protocol.pictures, **sizes)
    protocol = own_protocol(tmp_path, known, write_split(tmp_path), pictures=pictures)
    weights = write_weights(tmp_path, "vgg")
    result = run(*arguments_of(tmp_path, protocol), "--lpips-weights", weights)
    check(result, PIXELSPLATS_OWN_SMALL)
    assert list(result["hashes"]["weights"]) == ["lpips_vgg"]


def test_fitted_poses_are_said_first_of_all(re10k, tmp_path) -> None:
    protocol = own_protocol(tmp_path, "re10k-noposplat", re10k / "index_mine.json")
    shown = CliRunner().invoke(
        app, ["judge", *map(str, arguments_of(re10k, protocol)), "--without", "lpips"]
    )
    notes = " ".join(shown.stdout.split()).partition("note: ")[2]
    assert notes.startswith("target poses are fitted from the target pictures themselves")


WORLDMIRRORS_OWN = {"psnr_db": 26.66880226135254, "ssim": 0.49925318360328674}
WORLDMIRRORS_OWN_SMALL = {
    "psnr_db": 26.666029930114746,
    "ssim": 0.7653833627700806,
    "lpips_alex": 0.16940174251794815,
}
"""Tencent-Hunyuan/HunyuanWorld-Mirror@c61300e on the same folders, renders and random weights:
rescale_and_crop of training/data/eval/dl3dv_nvs.py and training/utils/eval/nvs_eval.py with lpips
0.1.4; of the first scene at their size, and of both where 120x68 is brought to 130x94."""


def worldmirror(
    folder: Path, scenes: list[str], size: tuple[int, int], compared: tuple[int, int]
) -> list[str | Path]:
    write_dl3dv(folder / "truth", size=size)
    used = {scene: SPLIT[scene] for scene in scenes}
    write_renders(folder / "renders", used, original=size, size=compared)
    values = {
        scene: {"input": frames["context"], "target": frames["target"]}
        for scene, frames in used.items()
    }
    pictures = replace(
        find_protocol("dl3dv-worldmirror").protocol.pictures,
        height=compared[0],
        width=compared[1],
    )
    split = write_split(folder, values)
    return arguments_of(folder, own_protocol(folder, "dl3dv-worldmirror", split, pictures=pictures))


def test_scores_are_those_of_worldmirrors_own_code(tmp_path) -> None:
    result = run(*worldmirror(tmp_path, ["00aa"], (270, 480), (378, 518)), "--without", "lpips")
    check(result, WORLDMIRRORS_OWN)


def test_lpips_too_is_that_of_worldmirrors_own_code(tmp_path) -> None:
    arguments = worldmirror(tmp_path, ["00aa", "11bb"], (68, 120), (94, 130))
    weights = write_weights(tmp_path, "alex")
    check(run(*arguments, "--lpips-weights", weights), WORLDMIRRORS_OWN_SMALL)


# --- plain pictures ---------------------------------------------------------------------------


def plain(folder: Path) -> list[str | Path]:
    """Write plain truth and noisy renders of it; return the arguments that judge them."""
    write_pictures(folder / "truth")
    for scene in ("00aa", "11bb"):
        (folder / "renders" / scene).mkdir(parents=True)
        for place in range(3):
            levels = noisy(picture(seed_of(scene, place), 64, 96), place)
            write_png(levels, folder / "renders" / scene / f"v{place}.png")
    return [folder / "renders", "--truth", folder / "truth"]


def test_our_own_protocol_gives_the_figures_of_evaluate(tmp_path) -> None:
    """`score` of lyra_model/evaluation/scoring.py is psnr and ssim of the same pictures."""
    result = run(*plain(tmp_path))
    ours, theirs = [], []
    for scene in ("00aa", "11bb"):
        for place in range(3):
            levels = picture(seed_of(scene, place), 64, 96)
            theirs.append(unit_from_bytes(levels))
            ours.append(unit_from_bytes(noisy(levels, place)))
    predicted, true = torch.stack(ours), torch.stack(theirs)
    expected = {"psnr_db": psnr(predicted, true).mean, "ssim": ssim(predicted, true).mean}
    assert means(result) == pytest.approx(expected, abs=1e-9)
    assert result["protocol"]["name"] == "lyra-views"


def test_the_same_input_gives_the_same_file(tmp_path) -> None:
    arguments = plain(tmp_path)
    texts = []
    for name in ("a.json", "b.json"):
        run(*arguments, "--output", tmp_path / name)
        texts.append((tmp_path / name).read_bytes())
    assert texts[0] == texts[1]


def test_frames_or_scenes_are_averaged_as_the_protocol_says(tmp_path) -> None:
    arguments = plain(tmp_path)
    (tmp_path / "truth" / "11bb" / "v2.png").unlink()
    (tmp_path / "truth" / "11bb" / "v1.png").unlink()
    frames = run(*arguments)
    views = find_protocol("lyra-views").protocol
    protocol = write_protocol(tmp_path, replace(views, name="mine", aggregation="scenes"))
    scenes = run(*arguments, "--protocol", protocol)
    of_scene = [scenes["scenes"][name]["mean"]["psnr_db"] for name in ("00aa", "11bb")]
    assert means(scenes)["psnr_db"] == pytest.approx(sum(of_scene) / 2)
    assert means(frames)["psnr_db"] == pytest.approx((3 * of_scene[0] + of_scene[1]) / 4)
    assert frames["protocol"]["fingerprint"] != scenes["protocol"]["fingerprint"]


def flip_protocol(folder: Path) -> Path:
    views = find_protocol("lyra-views").protocol
    metrics = replace(views.metrics, ssim=None, flip=FlipConvention())
    return write_protocol(folder, replace(views, name="mine", metrics=metrics))


def test_flip_is_a_metric_of_ones_own_protocol(tmp_path) -> None:
    pytest.importorskip("flip_evaluator")
    result = run(*plain(tmp_path), "--protocol", flip_protocol(tmp_path))
    assert list(result["mean"]) == ["psnr_db", "flip"]
    assert 0 < means(result)["flip"] < 1


def test_flip_without_its_package_is_one_message(tmp_path, monkeypatch) -> None:
    def refuse(name: str):
        raise ImportError(name)

    monkeypatch.setattr(flip.importlib, "import_module", refuse)
    assert "lyra-data[judge]" in refused(*plain(tmp_path), "--protocol", flip_protocol(tmp_path))


def test_the_fingerprint_names_the_frames_where_no_split_was_published(tmp_path) -> None:
    arguments = plain(tmp_path)
    before = run(*arguments)["protocol"]["fingerprint"]
    (tmp_path / "truth" / "11bb" / "v2.png").unlink()
    assert run(*arguments)["protocol"]["fingerprint"] != before


def test_equal_pictures_have_an_infinite_psnr_that_json_can_hold(tmp_path) -> None:
    plain(tmp_path)
    output = tmp_path / "scores.json"
    run(tmp_path / "truth", "--truth", tmp_path / "truth", "--output", output)
    written = json.loads(output.read_text())
    assert written["mean"]["psnr_db"]["mean"] == "inf" and written["mean"]["ssim"]["mean"] == 1
    again = run(tmp_path / "truth", "--truth", tmp_path / "truth", "--against", output)
    assert again["difference"]["ssim"]["mean"] == 0
    assert again["difference"]["psnr_db"]["num_scenes"] == 0


def test_hashes_name_pixels_and_not_the_files_around_them(tmp_path) -> None:
    arguments = plain(tmp_path)
    before = run(*arguments)["hashes"]
    path = tmp_path / "renders" / "00aa" / "v0.png"
    with Image.open(path) as image:
        image.load()
    image.save(path, "PNG", compress_level=0)
    assert run(*arguments)["hashes"] == before
    write_png(picture(7, 64, 96), path)
    after = run(*arguments)["hashes"]
    assert after["renders"] != before["renders"] and after["figures"] != before["figures"]
    assert after["truth"] == before["truth"]


def test_a_single_scene_needs_no_folder_of_its_own(tmp_path) -> None:
    plain(tmp_path)
    result = run(tmp_path / "renders" / "00aa", "--truth", tmp_path / "truth" / "00aa")
    assert list(result["scenes"]) == ["00aa"]


@pytest.mark.parametrize("rounding", ["down", "nearest", "none"])
def test_pictures_of_floats_are_rounded_as_the_protocol_says(tmp_path, rounding) -> None:
    write_pictures(tmp_path / "truth")
    views = find_protocol("lyra-views").protocol
    pictures = replace(views.pictures, rounding=rounding)
    protocol = write_protocol(tmp_path, replace(views, name="mine", pictures=pictures))
    values = torch.rand(3, 64, 96, generator=torch.Generator().manual_seed(3))
    folder = tmp_path / "renders"
    folder.mkdir()
    for place in range(3):
        np.save(folder / f"v{place}.npy", values.permute(1, 2, 0).numpy())
    arguments = ["--truth", tmp_path / "truth" / "00aa", "--protocol", protocol]
    result = run(folder, *arguments)
    levels = {"down": (values * 255).floor(), "nearest": (values * 255).round()}
    expected = levels[rounding] / 255 if rounding in levels else values
    true = unit_from_bytes(picture(seed_of("00aa", 0), 64, 96))
    ours = result["scenes"]["00aa"]["frames"]["v0"]["psnr_db"]
    assert ours == pytest.approx(psnr(expected[None], true[None]).mean, abs=1e-9)


# --- Gaussians --------------------------------------------------------------------------------


def gaussians() -> Gaussians:
    generator = torch.Generator().manual_seed(5)
    number = 60
    means = torch.rand(number, 3, generator=generator) * 2 - 1
    means[:, 2] += 4
    return Gaussians(
        means=means,
        opacities=torch.full((number,), 0.9),
        scales=torch.full((number, 3), 0.15),
        quats=torch.tensor([[1.0, 0, 0, 0]]).repeat(number, 1),
        colors=torch.rand(number, 3, generator=generator),
    )


def tanks_protocol(folder: Path, **changes) -> Path:
    views = find_protocol("lyra-views").protocol
    pictures = replace(views.pictures, truth_format="colmap")
    return write_protocol(folder, replace(views, name="tanks", pictures=pictures, **changes))


@pytest.mark.parametrize("place", ["00aa.ply", "00aa/gaussians.ply"])
def test_gaussians_are_rendered_along_the_given_cameras(tmp_path, place) -> None:
    write_tanks(tmp_path / "truth")
    target = tmp_path / "renders" / place
    target.parent.mkdir(parents=True)
    write_ply(gaussians(), target)
    protocol = tanks_protocol(tmp_path)
    arguments = [tmp_path / "renders", "--protocol", protocol, "--truth", tmp_path / "truth"]
    result = run(*arguments, "--partial")
    assert result["missing"] == {"11bb": "no render"}
    assert result["rendering"]["background"] == [1, 1, 1]
    views = find_protocol("lyra-views").protocol
    forms = replace(views.pictures, truth_format="colmap")
    frame = open_truth(tmp_path / "truth", forms).scene("00aa").frames[2]
    assert frame.camera_of is not None
    drawn = render(read_ply(target), frame.camera_of(68, 120), _rendering(Background.white))
    expected = psnr(drawn.rgb, unit_from_bytes(frame.read())[None]).mean
    ours = result["scenes"]["00aa"]["frames"]["000003"]["psnr_db"]
    assert ours == pytest.approx(expected, abs=1e-4)
    black = run(*arguments, "--partial", "--background", "black")
    assert black["hashes"]["renders"] != result["hashes"]["renders"]


def test_one_ply_is_enough_for_a_single_scene(tmp_path) -> None:
    write_tanks(tmp_path / "truth", num_frames=2)
    write_ply(gaussians(), tmp_path / "any.ply")
    result = run(
        *(tmp_path / "any.ply", "--protocol", tanks_protocol(tmp_path)),
        *("--truth", tmp_path / "truth" / "00aa"),
    )
    assert list(result["scenes"]) == ["00aa"] and result["num_frames"] == 2


def test_gaussians_of_nan_have_no_score(tmp_path) -> None:
    write_tanks(tmp_path / "truth", num_frames=2)
    scene = gaussians()
    scene.means[7, 0] = math.nan
    write_ply(scene, tmp_path / "any.ply")
    message = refused(
        *(tmp_path / "any.ply", "--protocol", tanks_protocol(tmp_path)),
        *("--truth", tmp_path / "truth" / "00aa"),
    )
    assert "1 Gaussians are NaN or infinite" in message


def test_gaussians_are_refused_where_poses_are_fitted_to_the_targets(tmp_path) -> None:
    write_tanks(tmp_path / "truth", num_frames=2)
    write_ply(gaussians(), tmp_path / "any.ply")
    poses = find_protocol("re10k-noposplat").protocol.poses
    message = refused(
        *(tmp_path / "any.ply", "--protocol", tanks_protocol(tmp_path, poses=poses)),
        *("--truth", tmp_path / "truth" / "00aa"),
    )
    assert "has poses fitted from the targets" in message


# --- bad input --------------------------------------------------------------------------------


def test_missing_scenes_are_counted_and_refused_unless_partial(tmp_path) -> None:
    arguments = plain(tmp_path)
    whole = run(*arguments)["protocol"]["fingerprint"]
    (tmp_path / "renders" / "00aa" / "v1.png").unlink()
    message = refused(*arguments)
    assert "1 of 2 scenes are missing (00aa: 1 of 3 renders are missing)" in message
    assert "--partial" in message
    partial = run(*arguments, "--partial")
    assert partial["num_scenes"] == 1 and partial["protocol"]["fingerprint"] != whole
    assert "partial result" in partial["cautions"][0]


def test_nothing_but_missing_scenes_is_an_error_even_if_partial(tmp_path) -> None:
    arguments = plain(tmp_path)
    (tmp_path / "empty").mkdir()
    message = refused(tmp_path / "empty", *arguments[1:], "--partial")
    assert "2 of 2 scenes are missing" in message


def test_scenes_without_truth_are_missing_too(re10k, tmp_path) -> None:
    values = {**SPLIT, "77ee": {"context": [0], "target": [1]}}
    split = write_split(tmp_path, values)
    protocol = own_protocol(tmp_path, "re10k-pixelsplat", split)
    arguments = arguments_of(re10k, protocol)[:-1]
    message = refused(*arguments, split, "--without", "lpips")
    assert "1 of 3 scenes are missing (77ee: no ground truth)" in message


def test_a_frame_beyond_the_scene_is_named(re10k, tmp_path) -> None:
    split = write_split(tmp_path, {"00aa": {"context": [0], "target": [5]}})
    protocol = own_protocol(tmp_path, "re10k-pixelsplat", split)
    folder = tmp_path / "renders" / "00aa"
    folder.mkdir(parents=True)
    write_png(picture(1, 256, 256), folder / "000005.png")
    message = refused(
        *(tmp_path / "renders", "--protocol", protocol, "--truth", re10k / "truth"),
        *("--split", split, "--without", "lpips"),
    )
    assert "frame 5 of scene 00aa, which has 5" in message


@pytest.mark.parametrize("name", ["v0.jpg", "v0.png", "v0.JPEG"])
def test_jpegs_are_refused_whatever_they_are_called(tmp_path, name) -> None:
    arguments = plain(tmp_path)
    folder = tmp_path / "renders" / "00aa"
    with Image.open(folder / "v0.png") as image:
        image.load()
    (folder / "v0.png").unlink()
    image.save(folder / name, "JPEG")
    message = refused(*arguments)
    assert name in message and "lost some of them to compression" in message


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.full((64, 96, 3), np.nan, np.float32), "6144 pixels are NaN or infinite"),
        (np.full((64, 96, 3), 200, np.float32), "its values reach 200"),
        (np.full((64, 96, 3), 200, np.uint8), "is no picture"),
        (np.zeros((64, 96), np.float32), "is no picture"),
        (np.zeros((32, 96, 3), np.float32), "the render has 96x32 pixels, the true picture 96x64"),
    ],
)
def test_floats_that_are_no_picture_are_refused(tmp_path, values, expected) -> None:
    arguments = plain(tmp_path)
    (tmp_path / "renders" / "00aa" / "v0.png").unlink()
    np.save(tmp_path / "renders" / "00aa" / "v0.npy", values)
    message = refused(*arguments)
    assert expected in message and "v0.npy" in message


def test_a_frame_in_two_forms_is_refused(tmp_path) -> None:
    arguments = plain(tmp_path)
    np.save(tmp_path / "renders" / "00aa" / "v0.npy", np.zeros((64, 96, 3), np.float32))
    assert "as .png and as .npy" in refused(*arguments)


def test_a_render_of_another_size_is_refused(tmp_path) -> None:
    arguments = plain(tmp_path)
    write_png(picture(1, 64, 95), tmp_path / "renders" / "00aa" / "v0.png")
    assert "the render has 95x64 pixels, the true picture 96x64" in refused(*arguments)


def test_a_picture_too_small_for_a_metric_is_refused(tmp_path) -> None:
    write_pictures(tmp_path / "truth", size=(10, 40))
    message = refused(tmp_path / "truth", "--truth", tmp_path / "truth")
    assert "too small for ssim, which needs 11" in message


def test_renders_that_no_scene_asks_for_are_named(tmp_path) -> None:
    arguments = plain(tmp_path)
    (tmp_path / "renders" / "stray").mkdir()
    assert run(*arguments)["unused"] == ["stray"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], "the folder of renders is not named"),
        (["."], "the ground truth is not named"),
        ([".", "--truth", ".", "--protocol", "nothing"], "unknown protocol 'nothing'"),
        ([".", "--truth", "nowhere"], "no such folder"),
        (["nowhere", "--truth", "."], "there is no such file or folder"),
        ([".", "--without", "psnr", "--without", "ssim"], "no metric is left"),
    ],
)
def test_what_is_not_named_or_unknown_is_said(tmp_path, monkeypatch, arguments, expected) -> None:
    monkeypatch.chdir(tmp_path)
    assert expected in refused(*arguments)


def test_a_protocol_without_its_split_file_says_where_to_fetch_it(re10k) -> None:
    message = refused(
        re10k / "renders", "--protocol", "re10k-pixelsplat", "--truth", re10k / "truth"
    )
    assert "needs its split file" in message and "github.com/dcharatan/pixelsplat" in message


# --- weights of LPIPS -------------------------------------------------------------------------


@pytest.fixture
def no_weights(tmp_path, monkeypatch) -> Path:
    """A machine without weights of LPIPS, and without the packages that hold its vectors."""
    monkeypatch.setenv("LYRA_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.chdir(tmp_path)
    kept = [folder for folder in sys.path if not (Path(folder) / "lpips").is_dir()]
    kept = [folder for folder in kept if not (Path(folder) / "torchmetrics").is_dir()]
    monkeypatch.setattr(sys, "path", kept)
    return tmp_path


def test_lpips_without_weights_says_how_to_get_them(re10k, no_weights) -> None:
    protocol = own_protocol(no_weights, "re10k-pixelsplat", re10k / "index_mine.json")
    message = refused(*arguments_of(re10k, protocol))
    assert "LPIPS with vgg needs weights" in message
    assert "lyra-data weights pull lpips-vgg" in message and "--without lpips" in message


def test_pulled_weights_need_the_learned_vectors_beside_them(no_weights, monkeypatch) -> None:
    weights = lpips_weights("vgg")
    folder = no_weights / "weights" / "downloads" / "lpips-vgg"
    folder.mkdir(parents=True)
    backbone = {name: each for name, each in weights.items() if name.startswith("features")}
    save_file(backbone | {"head.fc.bias": torch.zeros(3)}, folder / "model.safetensors")
    with pytest.raises(Exception, match="five learned vectors"):
        load_lpips("vgg")
    package = no_weights / "site" / "lpips" / "weights" / "v0.1"
    package.mkdir(parents=True)
    (no_weights / "site" / "lpips" / "__init__.py").write_text("raise RuntimeError('imported')")
    heads = {f"lin{index}.model.1.weight": weights[f"lin{index}.weight"] for index in range(5)}
    torch.save(heads, package / "vgg.pth")
    monkeypatch.syspath_prepend(str(no_weights / "site"))
    network, sha256 = load_lpips("vgg")
    assert torch.equal(network.heads[2], weights["lin2.weight"].flatten())
    whole = write_weights(no_weights, "vgg")
    assert load_lpips("vgg", [whole])[1] == sha256  # the numbers count, not the files


def test_a_file_of_the_other_backbone_is_refused(re10k, tmp_path) -> None:
    protocol = own_protocol(tmp_path, "re10k-pixelsplat", re10k / "index_mine.json")
    weights = write_weights(tmp_path, "alex")
    message = refused(*arguments_of(re10k, protocol), "--lpips-weights", weights)
    assert "holds the backbone vgg" in message


# --- comparing --------------------------------------------------------------------------------


def test_scores_are_compared_where_protocol_truth_and_weights_are_the_same(tmp_path) -> None:
    arguments = plain(tmp_path)
    scores = tmp_path / "scores.json"
    run(*arguments, "--output", scores)
    assert run(*arguments, "--against", scores)["difference"]["psnr_db"]["mean"] == 0
    for scene in ("00aa", "11bb"):
        for place in range(3):
            path = tmp_path / "renders" / scene / f"v{place}.png"
            write_png(picture(seed_of(scene, place), 64, 96), path)
    better = run(*arguments, "--against", scores)["difference"]
    assert better["ssim"]["mean"] > 0 and math.isfinite(better["ssim"]["mean"])


def test_scores_of_another_protocol_are_refused_with_what_differs(tmp_path) -> None:
    arguments = plain(tmp_path)
    scores = tmp_path / "scores.json"
    run(*arguments, "--output", scores)
    message = refused(*arguments, "--against", scores, "--without", "ssim")
    assert "metrics.ssim.covariance: nothing | sample" in message
    (tmp_path / "truth" / "11bb" / "v2.png").unlink()
    assert "split.sha256: " in refused(*arguments, "--against", scores)


def test_scores_over_another_truth_are_refused(tmp_path) -> None:
    arguments = plain(tmp_path)
    scores = tmp_path / "scores.json"
    run(*arguments, "--output", scores)
    write_png(picture(9, 64, 96), tmp_path / "truth" / "11bb" / "v2.png")
    assert "the truth behind them are not the same" in refused(*arguments, "--against", scores)


@pytest.mark.parametrize("text", ["{}", "[]", '{"format": "lyra-scores", "version": 2}'])
def test_what_is_no_file_of_scores_is_refused(tmp_path, text) -> None:
    arguments = plain(tmp_path)
    (tmp_path / "scores.json").write_text(text)
    assert "not a readable file of scores" in refused(
        *arguments, "--against", tmp_path / "scores.json"
    )


def test_scores_whose_protocol_was_edited_are_refused(tmp_path) -> None:
    arguments = plain(tmp_path)
    scores = tmp_path / "scores.json"
    run(*arguments, "--output", scores)
    values = json.loads(scores.read_text())
    values["protocol"]["values"]["poses"]["source"] = "fitted"
    scores.write_text(json.dumps(values))
    assert "its protocol was changed" in refused(*arguments, "--against", scores)


def test_a_protocol_that_is_shown_can_be_used_as_a_file(tmp_path) -> None:
    path = tmp_path / "table.json"
    shown = run("--protocol", "lyra-table1", "--show", "--output", path)
    assert "unpublished" in shown["cautions"][0] and shown["sources"]
    again = run("--protocol", path, "--show")
    assert again["fingerprint"] == shown["fingerprint"]
