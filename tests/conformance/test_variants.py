"""Other sizes, numbers of cases and names than the published files have are compared too."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from tests.conformance.base import check_entry, find_entry, load_arrays
from tests.conformance.cache_inputs import build, reference_params, targets_of
from tests.conformance.rounding import find_steady_pixels
from tests.goldens import goldens_or_skip


@pytest.fixture(scope="module")
def goldens():
    return goldens_or_skip()


def check_changed(goldens, folder, file, change):
    """The result of a golden .npz whose arrays `change` made others of."""
    entry = find_entry(goldens, file)
    with np.load(goldens / file) as arrays:
        changed = change(dict(arrays))
    (folder / file).parent.mkdir(exist_ok=True)
    np.savez(folder / file, **changed)
    return check_entry(entry, folder)


def test_outside_training_the_target_time_follows_the_input_frames(goldens, tmp_path):
    def lengthen(arrays):
        return {**arrays, "in_times": np.append(arrays["in_times"], np.array([40, 41], np.float32))}

    result = check_changed(goldens, tmp_path, "images/sample_assembly_0.npz", lengthen)
    assert result.ok, str(result)


@pytest.mark.parametrize("limits", [(1.6, 2.0), (1.4873, 2.3119)])
def test_limits_that_no_entry_states_are_read_off_the_colours(goldens, tmp_path, limits):
    file, (near, far) = "images/visualisation_24x32.npz", limits

    def recolour(arrays):
        depth = arrays["in_depth"][0, :, 0]
        codes = ((depth.clip(near, far) - near) / (far - near) * 255).astype(np.uint8)
        pictures = [cv2.applyColorMap(frame, cv2.COLORMAP_JET) for frame in codes]
        return {**arrays, "out_jet_range": np.stack(pictures).transpose(0, 3, 1, 2)[None]}

    def and_one_wrong(arrays):
        arrays = recolour(arrays)
        arrays["out_jet_range"][0, 0, :, 3, 5] = (128, 0, 0)
        return arrays

    def another_picture(arrays):
        return {**arrays, "out_jet_range": np.full_like(arrays["out_jet"], 7)}

    result = check_changed(goldens, tmp_path, file, recolour)
    assert result.ok and not result.notes, str(result)
    wrong = check_changed(goldens, tmp_path, file, and_one_wrong)
    assert [failure.partition(":")[0] for failure in wrong.failures] == ["jet_range"]
    unknown = check_changed(goldens, tmp_path, file, another_picture)
    assert unknown.ok and "not compared: jet_range" in str(unknown)


def test_every_case_of_an_alignment_file_is_compared(goldens, tmp_path):
    file = "cache/align_depth_32x48.npz"

    def only_first(arrays):
        return {name: values for name, values in arrays.items() if name.startswith("case0")}

    def with_wrong_third(arrays):
        third = {name.replace("case0", "case2"): values for name, values in arrays.items()}
        return {**only_first(arrays), **third, "case2__out_rigid": arrays["case0__out_rigid"] + 1}

    assert check_changed(goldens, tmp_path, file, only_first).ok
    failures = check_changed(goldens, tmp_path, file, with_wrong_third).failures
    assert [failure.partition(":")[0] for failure in failures] == ["case2 rigid"]


def test_every_frame_of_a_warp_is_compared(goldens, tmp_path):
    """A frame once more changes no other: what is taken over the batch is a largest value."""
    file = "cache/forward_warp_32x48.npz"

    def three_frames(arrays):
        meshes = {name: values for name, values in arrays.items() if name.startswith("out_mesh")}
        thrice = {name: arrays[name][[0, 1, 0]] for name in arrays.keys() - meshes.keys()}
        third = {name.replace("mesh0", "mesh2"): meshes[name] for name in meshes}
        return {**thrice, **third, **meshes}

    def and_a_wrong_mesh(arrays):
        changed = three_frames(arrays)
        return {**changed, "out_mesh2_raylength": changed["out_mesh2_raylength"] + 1}

    result = check_changed(goldens, tmp_path, file, three_frames)
    assert result.ok, str(result)
    failures = check_changed(goldens, tmp_path, file, and_a_wrong_mesh).failures
    assert [failure.partition(":")[0] for failure in failures] == ["mesh2_raylength"]


def test_as_many_views_are_splatted_together_as_the_entry_states(goldens, tmp_path):
    """Two views twice in one target are their mean still."""
    file = "cache/bilinear_splatting_32x48.npz"
    entry = find_entry(goldens, file)
    entry["params"]["n_views"] = 4
    with np.load(goldens / file) as arrays:
        doubled = {
            name: arrays[name] if "nviews" in name else arrays[name][[0, 1, 0, 1]]
            for name in arrays
        }
    (tmp_path / "cache").mkdir()
    np.savez(tmp_path / file, **doubled)
    result = check_entry(entry, tmp_path)
    assert result.ok, str(result)


def test_the_reference_mask_of_depth_without_channels_is_compared(goldens, tmp_path):
    def turned(arrays):
        return {**arrays, "out_mask_3d_input": ~arrays["out_mask_3d_input"]}

    result = check_changed(goldens, tmp_path, "cache/reliable_depth_mask_32x48.npz", turned)
    assert [text.partition(":")[0] for text in result.failures] == ["out_mask_3d_input"]


def test_an_update_is_made_where_its_buffer_is_not_moved(goldens, tmp_path):
    file = "cache/cache3d_update_rigid_32x48.npz"
    entry = find_entry(goldens, file)
    entry["params"]["rounding_sensitive"] = [{"buffer": 1, "frame": 3}, {"buffer": 0, "frame": 0}]
    entry["file"] = "cache/cache3d_update_rigid_32x48_seed_7.npz"
    with np.load(goldens / file) as arrays:
        by_frame = ("in_target", "out_pixels", "out_masks")
        turned = {
            name: arrays[name][:, ::-1] if name.startswith(by_frame) else arrays[name]
            for name in arrays
        }
    (tmp_path / "cache").mkdir()
    np.savez(tmp_path / entry["file"], **turned)
    result = check_entry(entry, tmp_path)
    assert result.ok, str(result)


def test_a_ply_is_made_of_the_gaussians_it_is_named_after(goldens, tmp_path):
    entry = find_entry(goldens, "ply/gaussians_37_pruned.ply")
    (tmp_path / "ply").mkdir()
    for name in ("gaussians_9_b.npz", "gaussians_9_b_pruned.ply"):
        source = goldens / "ply" / name.replace("9_b", "37")
        (tmp_path / "ply" / name).write_bytes(source.read_bytes())
    np.savez(tmp_path / "ply" / "gaussians_9.npz", in_gaussians=np.ones((1, 2, 14), np.float32))
    result = check_entry({**entry, "file": "ply/gaussians_9_b_pruned.ply"}, tmp_path)
    assert result.ok, str(result)


@pytest.mark.parametrize(("moved_by", "ok"), [(1, True), (100, False)], ids=["an ulp", "many"])
def test_numbers_of_a_ply_may_differ_in_their_last_bit_and_no_further(
    goldens, tmp_path, moved_by, ok
):
    file = "ply/gaussians_37_full.ply"
    (tmp_path / "ply").mkdir()
    published, source = (goldens / file).read_bytes(), "ply/gaussians_37.npz"
    (tmp_path / source).write_bytes((goldens / source).read_bytes())
    start = published.index(b"end_header\n") + len(b"end_header\n")
    bits = np.frombuffer(published[start:], "<i4").copy()
    bits[6::14] += moved_by  # the opacities, logits
    (tmp_path / file).write_bytes(published[:start] + bits.tobytes())
    result = check_entry(find_entry(goldens, file), tmp_path)
    assert result.ok is ok, str(result)
    (tmp_path / file).write_bytes(published.replace(b"rot_3", b"rot_4"))
    assert not check_entry(find_entry(goldens, file), tmp_path).ok


@pytest.mark.parametrize("moved", [True, False])
def test_pixels_that_rounding_moves_may_differ_and_others_may_not(goldens, tmp_path, moved):
    file = "cache/cache3d_plain_32x48.npz"
    entry = find_entry(goldens, file)
    arrays, params = load_arrays(entry, goldens), entry["params"]

    def render(inputs):
        return build(inputs, reference_params(params)).render(targets_of(inputs))

    steady = find_steady_pixels(render, arrays, colour_tolerance=2e-4).known[0, 0].numpy()
    assert 0.02 < 1 - steady.mean() < 0.5

    def turned(arrays):
        masks = arrays["out_masks"].copy()
        chosen = ~steady if moved else steady & (np.arange(48) < 24)
        masks[0, 0, 0, 0][chosen] = 1 - masks[0, 0, 0, 0][chosen]
        return {**arrays, "out_masks": masks}

    result = check_changed(goldens, tmp_path, file, turned)
    assert result.ok is moved, str(result)
