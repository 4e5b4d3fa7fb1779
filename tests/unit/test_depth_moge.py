"""MoGe: sky stays unknown, intrinsics become pixels, what is missing names its command.

The package `moge` is faked (tests/fake_moge.py): it is installed from a git repository and has
weights of a gigabyte. What is tested is our side of its interface.
"""

from __future__ import annotations

import json
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch

from lyra_data.engine.errors import InputError, ParamsError
from lyra_data.engine.placement import Placement
from lyra_data.models.depth import DEPTH_ESTIMATORS
from lyra_data.models.depth.moge import Moge
from tests import fake_moge
from tests.factories import make_frames

HEIGHT, WIDTH = 40, 64
SKY = 10
"""Rows of sky."""


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a checkpoint, on a machine where MoGe is installed."""
    fake_moge.install(monkeypatch)
    fake_moge.write_checkpoint(tmp_path / "moge")
    return tmp_path


def estimator(root: Path, **changes: Any) -> Moge:
    values = {
        "name": "moge",
        "model": "moge",
        "revision": None,
        "version": "v1",
        "resolution_level": 7,
        "half_precision": False,
        "reference": False,
    }
    created = DEPTH_ESTIMATORS.create(values | changes, where="annotate.depth")
    assert isinstance(created, Moge)
    created.run_on(Placement("cpu", root=root))
    return created


def picture(height: int = HEIGHT, width: int = WIDTH) -> torch.Tensor:
    return make_frames(1, height, width)[0]


def floor_depth() -> torch.Tensor:
    rows = (torch.arange(HEIGHT) + 0.5) / HEIGHT
    return (9.0 - 8.0 * rows)[:, None].expand(HEIGHT, WIDTH)


def test_sky_is_unknown_and_the_rest_is_what_moge_tells(root: Path) -> None:
    estimate = estimator(root).estimate(picture(), None)
    assert not bool(estimate.valid[:SKY].any()) and bool(estimate.valid[SKY:].all())
    assert bool((estimate.depth[:SKY] == 0).all())
    torch.testing.assert_close(estimate.depth[SKY:], floor_depth()[SKY:])
    assert not estimate.depth.is_inference()


def test_intrinsics_of_a_picture_of_size_one_become_pixels(root: Path) -> None:
    intrinsics = estimator(root).estimate(picture(), None).intrinsics
    focal = fake_moge.FOCAL * WIDTH
    assert intrinsics is not None
    torch.testing.assert_close(intrinsics, torch.tensor([focal, focal, WIDTH / 2, HEIGHT / 2]))


def test_given_intrinsics_tell_moge_the_field_of_view_and_are_kept(root: Path) -> None:
    given = torch.tensor([32.0, 32.0, 30.0, 21.0])
    moge = estimator(root)
    estimate = moge.estimate(picture(), given)
    assert estimate.intrinsics is not None
    assert torch.equal(estimate.intrinsics, given)
    (call,) = moge._model.calls
    assert call["fov_x"] == pytest.approx(90.0)
    assert (call["level"], call["half"]) == (7, False)


def test_only_a_second_moge_with_a_scale_head_tells_metres(root: Path) -> None:
    fake_moge.write_checkpoint(root / "scaled", scale=2.0)
    metric = estimator(root, version="v2", model="scaled").estimate(picture(), None)
    assert metric.scale == "metric"
    torch.testing.assert_close(metric.depth[SKY:], 2.0 * floor_depth()[SKY:])
    for version in ("v1", "v2"):
        assert estimator(root, version=version).estimate(picture(), None).scale == "up_to_scale"


def test_the_reference_option_squeezes_the_picture_and_puts_sky_at_a_thousand(root: Path) -> None:
    moge = estimator(root, reference=True)
    estimate = moge.estimate(picture(), None)
    (call,) = moge._model.calls
    assert call["image"].shape == (3, 720, 1280)
    assert bool(estimate.valid.all())
    assert bool((estimate.depth[: SKY - 1] == 1000).all())
    torch.testing.assert_close(
        estimate.depth[SKY + 1 :], floor_depth()[SKY + 1 :], atol=0.02, rtol=0
    )
    assert estimate.intrinsics is not None
    fx, fy, cx, cy = estimate.intrinsics.tolist()
    assert fx == pytest.approx(fake_moge.FOCAL * WIDTH)
    assert fy == pytest.approx(fake_moge.FOCAL * 1280 / 720 * HEIGHT)
    assert (cx, cy) == (WIDTH / 2, HEIGHT / 2)


def test_the_model_is_loaded_once(root: Path) -> None:
    moge = estimator(root)
    moge.estimate(picture(), None)
    (root / "moge" / "model.pt").unlink()
    moge.estimate(picture(), None)
    assert len(moge._model.calls) == 2


def test_other_weights_or_settings_have_another_fingerprint(root: Path) -> None:
    fake_moge.write_checkpoint(root / "other", far=3.0)
    prints = {
        estimator(root, **changes).fingerprint
        for changes in (
            {},
            {"model": "other"},
            {"version": "v2"},
            {"resolution_level": 9},
            {"half_precision": True},
            {"reference": True},
        )
    }
    assert len(prints) == 6
    assert not any(str(root) in text for text in prints)


# What is refused


def refused(root: Path, **changes: Any) -> ParamsError:
    with pytest.raises(ParamsError) as caught:
        estimator(root, **changes).estimate(picture(), None)
    assert caught.value.fix is not None
    return caught.value


def test_a_package_that_is_not_installed_names_its_command(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "moge.model.v1", None)
    error = refused(root)
    assert "MoGe is not installed" in error.what
    assert "`pip install git+https://github.com/microsoft/MoGe.git`" in str(error.fix)


def test_weights_that_are_not_there_name_their_command(root: Path) -> None:
    error = refused(root, model="Ruicheng/moge-vitl")
    assert "'Ruicheng/moge-vitl' is not on this machine" in error.what
    assert "`lyra-data weights pull moge`" in str(error.fix)
    other = refused(root, model="Ruicheng/moge-2-vitl")
    assert "`hf download Ruicheng/moge-2-vitl`" in str(other.fix)


def test_pulled_weights_are_found_by_the_name_of_their_repository(root: Path) -> None:
    from lyra_data.models.weights.manifest import Manifest, hash_files

    folder = fake_moge.write_checkpoint(root / "weights" / "downloads" / "moge")
    facts = {"repository": "Ruicheng/moge-vitl", "revision": "c0ffee"}
    Manifest("download", hash_files(folder), facts=facts).write(folder)
    moge = estimator(root, model="Ruicheng/moge-vitl")
    assert bool(moge.estimate(picture(), None).valid.any())
    assert moge.fingerprint.endswith("Ruicheng/moge-vitl@c0ffee")
    refused(root, model="Ruicheng/moge-vitl", revision="another")


def test_a_cut_checkpoint_is_refused(root: Path) -> None:
    path = root / "moge" / "model.pt"
    path.write_bytes(path.read_bytes()[:-200])
    assert f"{path} is cut" in refused(root).what


def test_a_folder_without_a_checkpoint_is_refused(root: Path) -> None:
    (root / "moge" / "model.pt").rename(root / "moge" / "other.pt")
    assert "model.pt is missing" in refused(root).what


def test_the_checkpoint_of_another_model_is_refused(root: Path) -> None:
    torch.save({"weights": torch.zeros(2)}, root / "moge" / "model.pt")
    error = refused(root)
    assert "is no MoGe v1" in error.what
    torch.save({"model_config": {"width": 3}, "model": {}}, root / "moge" / "model.pt")
    assert "is no MoGe v1" in refused(root).what


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_weights_that_the_model_lacks_or_does_not_know_are_refused_by_name(
    root: Path, version: str
) -> None:
    """MoGe 2 itself would run on, with random weights."""
    path = root / "moge" / "model.pt"
    whole = torch.load(path, weights_only=True)
    odd = {"model_config": whole["model_config"], "model": {"depth_head.0": torch.zeros(2)}}
    torch.save(odd, path)
    error = refused(root, version=version)
    assert f"is no MoGe {version}" in error.what
    assert "far" in error.what and "depth_head.0" in error.what
    torch.save({**odd, "model": {**whole["model"], **odd["model"]}}, path)
    assert "depth_head.0" in refused(root, version=version).what
    scaled = {"scale_head": {"dims": [1]}, **whole["model_config"]}
    torch.save({**whole, "model_config": scaled}, path)
    if version == "v2":  # v1 has no scale head and ignores its settings
        assert "1 missing weights (scale_head.0)" in refused(root, version=version).what


def test_a_picture_of_nothing_but_sky_is_refused(root: Path) -> None:
    fake_moge.write_checkpoint(root / "moge", near=-1.0, far=-1.0)
    with pytest.raises(InputError, match="no depth for any of the 2560 pixels"):
        estimator(root).estimate(picture(), None)


def test_a_picture_too_small_to_tell_depth_of_is_refused_with_its_size(root: Path) -> None:
    with pytest.raises(InputError, match="a picture of 64x16 pixels is too small"):
        estimator(root).estimate(picture(16, 64), None)


def test_params_say_what_is_known(root: Path) -> None:
    with pytest.raises(ParamsError, match="version = 'v3'"):
        estimator(root, version="v3")
    with pytest.raises(ParamsError, match="resolution_level = 10"):
        estimator(root, resolution_level=10)
    assert json.dumps(estimator(root).params.model_dump(mode="json"))


def test_a_checkpoint_that_never_ends_is_refused(root: Path) -> None:
    with zipfile.ZipFile(root / "moge" / "model.pt", "w") as archive:
        archive.writestr("model/data.pkl", b"\x80\x02})" + b"2\x86" * 40 + b"K\x01s.")
    assert "too many times" in refused(root).what
