"""The source `vipe` brings a whole scene: nothing is left to be estimated."""

from __future__ import annotations

import pytest
import torch

from lyra_data.annotation.annotators.given import GivenAnnotator, GivenAnnotatorParams
from lyra_data.clips.formats.vipe import write_vipe
from lyra_data.engine.errors import InputError, ParamsError
from lyra_data.scene.material import SourceMaterial
from lyra_data.sources import SOURCES
from lyra_data.sources.vipe import RELEASED
from tests import ray_cast

NUM_FRAMES = 3


@pytest.fixture(scope="module")
def clip():
    return ray_cast.clip_of(ray_cast.MOVING, ray_cast.moving_cameras(NUM_FRAMES), "ball")


@pytest.fixture
def root(clip, tmp_path):
    write_vipe(clip, tmp_path / "inputs/result", "ball")
    return tmp_path


def read(root, **changes) -> SourceMaterial:
    values = {
        "name": "vipe",
        "folder": "inputs/result",
        "clip": None,
        "scene_id": "scene",
        "loading": "native",
        **changes,
    }
    return SOURCES.create(SOURCES.parse(values, where="annotate.sources"), where="here").read(root)


def test_everything_that_the_result_holds_is_brought(root, clip):
    material = read(root)
    assert material.scene_id == "scene" and material.fps == clip.fps
    assert torch.equal(material.frames, clip.frames)
    assert material.depth_scale == "metric"
    assert torch.equal(material.depth_valid, clip.depth_valid)
    assert torch.equal(material.dynamic_mask, clip.dynamic_mask)
    assert material.location == str(root / "inputs/result")
    for noun in ("video", "poses", "intrinsics", "depth", "masks", "phrases"):
        assert len(material.provenance[f"{noun}_sha256"]) == 64
    assert all(isinstance(fact, str) for fact in material.provenance.values())


def test_it_is_framed_as_given_material_is(root, clip):
    params = GivenAnnotatorParams(name="given", height=96, width=128, framing="centred", fps=24)
    made = GivenAnnotator(params).annotate(read(root))
    assert torch.equal(made.frames, clip.frames)
    assert torch.equal(made.dynamic_mask, clip.dynamic_mask)


def test_a_single_frame_has_no_rate(clip, tmp_path):
    write_vipe(clip.taking([0]), tmp_path / "inputs/result", "ball")
    assert read(tmp_path).fps is None


def test_released_models_were_made_from_121_frames_of_1280x704():
    assert (RELEASED.num_frames, RELEASED.crop, RELEASED.read_mask) == (121, (704, 1280), False)


def test_reference_loading_keeps_frames_cameras_and_depth_together(root, clip, monkeypatch):
    monkeypatch.setattr("lyra_data.sources.vipe.RELEASED", RELEASED._replace(num_frames=5))
    material = read(root, loading="reference")
    assert material.frames.shape == (5, 3, 704, 1280)
    assert torch.equal(material.frames[2], material.frames[4])
    assert material.dynamic_mask is None and material.depth_valid.any()
    assert (material.cameras.height, material.cameras.width) == (704, 1280)
    scale = torch.tensor([1280 / 128, 720 / 96, 1280 / 128, 720 / 96])
    expected = clip.cameras.intrinsics[1] * scale - torch.tensor([0.0, 0, 0, 8])
    assert torch.allclose(material.cameras.intrinsics[1], expected)
    last = clip.cameras.camera_to_world[2]
    assert torch.allclose(material.cameras.camera_to_world[4], last, atol=1e-6)
    assert "as the reference" in material.provenance["loading"]


def test_reference_loading_passes_over_no_defect(root):
    (root / "inputs/result/mask/ball.zip").write_bytes(b"cut")
    with pytest.raises(InputError, match=r"ball\.zip"):
        read(root, loading="reference")


def test_wrong_keys_are_explained(root):
    with pytest.raises(ParamsError, match="loading"):
        read(root, loading="fast")
    with pytest.raises(InputError, match="no such folder"):
        read(root, folder="nowhere")
    with pytest.raises(InputError, match="no clip 'cube'"):
        read(root, clip="cube")
