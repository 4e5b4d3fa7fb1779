"""Metrics against the numbers of other implementations, on pictures that a seed makes.

Each number below was printed by the package or the repository named beside it, run on the fixtures
of tests/metric_fixtures.py with torch 2.13.0 on a CPU.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from lyra_data.engine.errors import InputError
from lyra_model.losses.perceptual_network import PerceptualNetwork
from lyra_model.metrics import flip as flip_module
from lyra_model.metrics.depth import aligned_depth, depth_scores
from lyra_model.metrics.flip import FlipConvention, flip
from lyra_model.metrics.lpips import LpipsConvention, lpips
from lyra_model.metrics.points import point_scores
from lyra_model.metrics.poses import pair_errors, pose_auc
from lyra_model.metrics.psnr import PsnrConvention, psnr
from lyra_model.metrics.ssim import SsimConvention, ssim
from tests.metric_fixtures import lpips_weights, pictures, points, poses

DECIBELS = 1e-4
UNITS = 1e-5


def network(backbone: str) -> PerceptualNetwork:
    made = PerceptualNetwork(backbone, 256)
    weights = lpips_weights(backbone)
    made.load_state_dict(
        {
            name: weights[f"lin{name[-1]}.weight"].flatten() if "heads" in name else weights[name]
            for name in made.state_dict()
        }
    )
    return made


def test_the_present_functions_give_the_numbers_that_they_gave_before_conventions() -> None:
    predicted, true = pictures()
    assert psnr(predicted, true).values.tolist() == pytest.approx(GOLDEN_PSNR, abs=1e-9)
    assert ssim(predicted, true).values.tolist() == pytest.approx(GOLDEN_SSIM, abs=1e-9)
    scores = depth_scores(predicted[:, 0], true[:, 0] + 0.1, true[:, 1] > 0.2)
    assert scores.absolute_relative.values.tolist() == pytest.approx(GOLDEN_DEPTH[0], abs=1e-9)
    assert scores.within_delta.values.tolist() == pytest.approx(GOLDEN_DEPTH[1], abs=1e-9)
    loss = network("vgg")(predicted, true).tolist()
    assert loss == pytest.approx([0.38826611638069153, 0.05031117796897888], abs=UNITS)


GOLDEN_PSNR = [18.83669597669356, 30.834708773329673]
GOLDEN_SSIM = [0.4030698891927256, 0.8872616550109996]
GOLDEN_DEPTH = (
    [0.21814832860092193, 0.19320750367532524],
    [0.564126109580655, 0.6373576992210904],
)


def test_psnr_and_ssim_are_those_of_torchmetrics() -> None:
    """torchmetrics 1.9.0: peak_signal_noise_ratio, structural_similarity_index_measure."""
    predicted, true = pictures()
    theirs = [18.83669512227514, 30.83470737469038]
    assert psnr(predicted, true).values.tolist() == pytest.approx(theirs, abs=DECIBELS)
    scores = ssim(predicted, true, convention=SsimConvention("population", "reflect"))
    theirs = [0.40367433468741476, 0.884393283435163]
    assert scores.values.tolist() == pytest.approx(theirs, abs=UNITS)


@pytest.mark.parametrize(
    ("net", "network_range", "averaging", "theirs"),
    [
        ("vgg", "[-1, 1]", "stage", [0.38826611638069153, 0.05031117796897888]),
        ("vgg", "[0, 1]", "stage", [0.057935070246458054, 0.004620636813342571]),
        ("vgg", "[-1, 1]", "pixel", [0.3882661461830139, 0.05031117796897888]),
        ("alex", "[-1, 1]", "stage", [0.43320876359939575, 0.048337310552597046]),
        ("alex", "[0, 1]", "stage", [0.07197336852550507, 0.005656814202666283]),
        ("alex", "[-1, 1]", "pixel", [0.43318113684654236, 0.048351649194955826]),
    ],
)
def test_lpips_is_that_of_its_package_on_the_same_weights(net, network_range, averaging, theirs):
    """lpips 0.1.4: LPIPS(net, spatial=averaging == "pixel")(..., normalize=...)."""
    convention = LpipsConvention(net, network_range, averaging)
    scores = lpips(*pictures(), network(net), convention=convention)
    assert scores.values.tolist() == pytest.approx(theirs, abs=UNITS)
    assert scores.num_pixels.tolist() == [72 * 96] * 2


def test_pixelsplats_noposplats_and_depthsplats_own_metrics_give_the_same() -> None:
    """src/evaluation/metrics.py of dcharatan/pixelsplat@32b1b66, cvg/NoPoSplat@9b04307 and
    cvg/depthsplat@2dad25a: three copies of one file, with the same numbers."""
    predicted, true = pictures()
    ours = psnr(predicted, true).values.tolist()
    assert ours == pytest.approx([18.83669662475586, 30.83470916748047], abs=DECIBELS)
    ours = ssim(predicted, true).values.tolist()
    assert ours == pytest.approx([0.4030698835849762, 0.8872616291046143], abs=UNITS)
    ours = lpips(predicted, true, network("vgg")).values.tolist()
    assert ours == pytest.approx([0.38826611638069153, 0.05031117796897888], abs=UNITS)


def test_worldmirrors_own_metrics_give_the_same() -> None:
    """training/utils/eval/nvs_eval.py of Tencent-Hunyuan/HunyuanWorld-Mirror@c61300e: it adds 1e-8
    to the error, counts windows beyond the border, and asks AlexNet pixel by pixel."""
    predicted, true = pictures()
    scores = psnr(predicted, true, convention=PsnrConvention(clip=False, floor=1e-8))
    theirs = [18.836692810058594, 30.83465576171875]
    assert scores.values.tolist() == pytest.approx(theirs, abs=DECIBELS)
    convention = SsimConvention("population", "zeros")
    scores = ssim(predicted, true, convention=convention)
    theirs = [0.4664750397205353, 0.9033886790275574]
    assert scores.values.tolist() == pytest.approx(theirs, abs=UNITS)
    scores = lpips(
        predicted, true, network("alex"), convention=LpipsConvention("alex", averaging="pixel")
    )
    theirs = [0.43318113684654236, 0.048351649194955826]
    assert scores.values.tolist() == pytest.approx(theirs, abs=UNITS)


def test_ssim_that_counts_borders_takes_masks_of_the_whole_picture() -> None:
    predicted, true = pictures()
    mask = torch.zeros(2, 72, 96, dtype=torch.bool)
    mask[:, :3, :3] = True
    scores = ssim(predicted, true, mask, convention=SsimConvention(border="zeros"))
    assert scores.num_pixels.tolist() == [9, 9]


def test_flip_is_that_of_nvidias_package() -> None:
    """flip-evaluator 1.7: evaluate(reference, test, "LDR", parameters={"ppd": ...})."""
    pytest.importorskip("flip_evaluator")
    predicted, true = pictures()
    theirs = [0.2103830724954605, 0.07288846373558044]
    assert flip(predicted, true).values.tolist() == pytest.approx(theirs, abs=UNITS)
    scores = flip(predicted, true, convention=FlipConvention(pixels_per_degree=40.0))
    theirs = [0.29153212904930115, 0.10895531624555588]
    assert scores.values.tolist() == pytest.approx(theirs, abs=UNITS)
    assert flip(true, true).values.tolist() == [0, 0]


def test_flip_without_its_package_says_what_to_install(monkeypatch) -> None:
    def refuse(name: str):
        raise ImportError(name)

    monkeypatch.setattr(flip_module.importlib, "import_module", refuse)
    with pytest.raises(InputError, match="flip-evaluator") as caught:
        flip(*pictures())
    assert "lyra-data[judge]" in str(caught.value.fix)


def test_relative_poses_have_the_errors_and_areas_of_noposplat() -> None:
    """compute_pose_error and pose_auc of cvg/NoPoSplat@9b04307."""
    errors = pair_errors(*poses()).largest
    assert errors.tolist() == pytest.approx(NOPOSPLAT_ERRORS, abs=1e-4)
    areas = pose_auc(errors)
    assert list(areas) == [5, 10, 20, 30]
    theirs = [0.0, 0.0481113605905903, 0.21102802742516028, 0.41428903507287207]
    assert list(areas.values()) == pytest.approx(theirs, abs=UNITS)


NOPOSPLAT_ERRORS = [
    7.831607748986932, 9.903376324849047, 10.374029550893582, 15.844345983305914,
    16.742861645797834, 17.47900541392741, 18.172444733333673, 41.56236073552618,
    18.708113351214944, 15.13368312027068, 15.856180575479376, 21.639479606923388,
    26.43897775997355, 22.665317282238018, 36.38478388725318,
]  # fmt: skip


def test_areas_of_whole_degrees_are_those_of_worldmirror() -> None:
    """calculate_auc of HunyuanWorld-Mirror@c61300e, training/utils/eval/camera_pose_eval.py."""
    areas = pose_auc(torch.tensor(NOPOSPLAT_ERRORS), rule="whole degrees")
    theirs = [0.0, 0.024242424242424242, 0.1968253968253968, 0.3956989247311828]
    assert list(areas.values()) == pytest.approx(theirs, abs=UNITS)


def test_poses_that_differ_by_a_similarity_have_no_error() -> None:
    _, true = poses()
    moved = true.clone()
    moved[:, :3, 3] = 3 * true[:, :3, 3]  # another scale
    moved = torch.linalg.inv(true[2]) @ moved  # another world
    errors = pair_errors(moved, true)
    assert float(errors.largest.max()) < 1e-6
    assert pose_auc(errors.largest)[5.0] == pytest.approx(1, abs=1e-6)


def test_cameras_at_one_place_have_no_direction_and_a_lost_one_counts_as_wrong() -> None:
    _, true = poses()
    still = true.clone()
    still[:, :3, 3] = 0
    assert pair_errors(true, still).translation.tolist() == [0] * 15
    assert pair_errors(still, true).translation.tolist() == [90] * 15


def test_chamfer_and_f1_are_those_of_all_pairs() -> None:
    predicted, true = (cloud.numpy() for cloud in points())
    distances = np.linalg.norm(predicted[:, None] - true[None], axis=2)
    to_true, to_predicted = distances.min(1), distances.min(0)
    scores = point_scores(predicted, true, thresholds=[0.02, 0.05])
    assert scores.accuracy == pytest.approx(to_true.mean(), abs=1e-12)
    assert scores.completeness == pytest.approx(to_predicted.mean(), abs=1e-12)
    assert scores.chamfer == pytest.approx((to_true.mean() + to_predicted.mean()) / 2, abs=1e-12)
    for limit in (0.02, 0.05):
        precision, recall = (to_true < limit).mean(), (to_predicted < limit).mean()
        f1 = 2 * precision * recall / (precision + recall)
        assert scores.f1[limit] == pytest.approx(f1, abs=1e-12)
    assert 0 < scores.f1[0.02] < scores.f1[0.05] < 1


def test_a_cloud_without_points_is_infinitely_far_and_never_right() -> None:
    scores = point_scores(np.zeros((0, 3)), np.zeros((1, 3)), thresholds=[1.0])
    assert scores.chamfer == math.inf and scores.f1 == {1.0: 0.0}


def test_depth_of_another_scale_and_shift_is_right_once_it_is_aligned() -> None:
    _, true = pictures()
    target = true[:, 0] + 1
    valid = true[:, 1] > 0.3
    scaled, shifted = target * 0.5, target * 0.5 + 0.2
    assert depth_scores(scaled, target, valid).absolute_relative.mean == pytest.approx(0.5)
    aligned = depth_scores(scaled, target, valid, alignment="median")
    assert aligned.absolute_relative.mean == pytest.approx(0, abs=1e-6)
    wrong = depth_scores(shifted, target, valid, alignment="median").absolute_relative.mean
    right = depth_scores(shifted, target, valid, alignment="least_squares").absolute_relative.mean
    assert wrong > 0.01 and right == pytest.approx(0, abs=1e-5)


def test_scale_and_shift_are_those_of_numpys_least_squares() -> None:
    predicted, true = (images[:, 0].double() + 1 for images in pictures())
    valid = true > 1.3
    predicted[:, :5] = 0  # not predicted: takes no part, and stays so
    aligned = aligned_depth(predicted, true, valid, alignment="least_squares")
    assert bool((aligned[:, :5] == 0).all())
    for index in range(2):
        counted = valid[index] & (predicted[index] > 0)
        columns = np.stack([predicted[index][counted].numpy(), np.ones(int(counted.sum()))], 1)
        solution = np.linalg.lstsq(columns, true[index][counted].numpy(), rcond=None)[0]
        expected = predicted[index, 5:].numpy() * solution[0] + solution[1]
        assert np.abs(aligned[index, 5:].numpy() - expected).max() < 1e-9
