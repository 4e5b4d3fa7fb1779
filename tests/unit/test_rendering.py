"""The renderers: the plain loop, the torch oracle and the CPU kernels draw the same.

Long because its cases share the random scenes.
"""

from __future__ import annotations

import gc
import math
import multiprocessing
import pickle
import sys
import weakref
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from lyra_data.engine.errors import ParamsError
from lyra_data.engine.seeds import torch_generator
from lyra_data.scene.cameras import Cameras
from lyra_model.gaussians import Gaussians
from lyra_model.rendering import cpu, render, torch_reference
from lyra_model.rendering.base import Render, RenderingParams
from lyra_model.rendering.cpu_kernels import kernel, source_stamp
from lyra_model.rendering.cpu_rasterization import rasterize
from lyra_model.rendering.deferred import loss_over_views

PARAMS = RenderingParams(
    near=0.1,
    far=500.0,
    background=(1.0, 0.5, 0.2),
    patch_pixels=None,
    with_ut=False,
    with_eval3d=False,
)
FIELDS = ("means", "scales", "quats", "opacities", "colors")


@pytest.fixture(autouse=True)
def _one_thread():
    """Tests that need more set them; on a busy machine more would only slow the others."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def random_scene(
    num_gaussians: int,
    height: int,
    width: int,
    num_frames: int = 1,
    *,
    size_pixels: float = 2.0,
    seed: int = 0,
) -> tuple[Gaussians, Cameras]:
    """Gaussians in, around, behind and in front of the view of cameras that move and turn."""
    draws = torch_generator(seed, "scene", "test_rendering")
    focal = 0.9 * width
    z = torch.rand(num_gaussians, 1, generator=draws) * 4.0 + 1.5
    z[::23] *= -1.0
    spread = torch.tensor([width, height]) * 1.4 / focal
    xy = (torch.rand(num_gaussians, 2, generator=draws) - 0.5) * spread * z
    log_scales = 0.6 * torch.randn(num_gaussians, 3, generator=draws)
    gaussians = Gaussians(
        means=torch.cat([xy, z], dim=1),
        scales=torch.exp(log_scales) * size_pixels * 3.0 / focal,
        quats=torch.randn(num_gaussians, 4, generator=draws),
        opacities=0.95 * torch.rand(num_gaussians, generator=draws),
        colors=torch.rand(num_gaussians, 3, generator=draws),
    )
    angles = torch.linspace(0.05, 0.2, num_frames)
    poses = torch.eye(4).repeat(num_frames, 1, 1)
    poses[:, 0, 0] = poses[:, 2, 2] = angles.cos()
    poses[:, 0, 2], poses[:, 2, 0] = angles.sin(), -angles.sin()
    poses[:, :3, 3] = torch.stack([0.3 * angles, -angles, angles], dim=1)
    intrinsics = torch.tensor([focal, 1.1 * focal, 0.47 * width, 0.55 * height])
    return gaussians, Cameras(poses, intrinsics.repeat(num_frames, 1), height, width)


def facing_camera(height: int, width: int, focal: float) -> Cameras:
    intrinsics = torch.tensor([[focal, focal, width / 2, height / 2]])
    return Cameras(torch.eye(4)[None], intrinsics, height, width)


def one_gaussian(z: float, *, scale: float = 0.2, opacity: float = 0.8) -> Gaussians:
    return Gaussians(
        means=torch.tensor([[0.0, 0.0, z]]),
        scales=torch.full((1, 3), scale),
        quats=torch.tensor([[1.0, 0.0, 0.0, 0.0]]),
        opacities=torch.tensor([opacity]),
        colors=torch.tensor([[0.1, 0.6, 0.9]]),
    )


def with_gradients(
    gaussians: Gaussians, cameras: Cameras, dtype: torch.dtype = torch.float32
) -> tuple[Gaussians, Cameras, list[Tensor]]:
    gaussians = gaussians.map(lambda field: field.detach().to(dtype).clone().requires_grad_())
    pose = cameras.camera_to_world.to(dtype).clone().requires_grad_()
    cameras = replace(cameras.to(dtype), camera_to_world=pose)
    return gaussians, cameras, [*(getattr(gaussians, name) for name in FIELDS), pose]


def images(view: Render) -> list[Tensor]:
    return [view.rgb, view.depth, view.alpha]


def weighted_sum(view: Render) -> Tensor:
    """A loss in which every number of a render has its own, fixed weight."""
    draws = torch_generator(1, "weights", "test_rendering")
    total = view.rgb.new_zeros((), dtype=torch.float64)
    for image in images(view):
        weights = torch.rand(image.shape, generator=draws, dtype=torch.float64) - 0.3
        total = total + (image * weights).sum()
    return total


def gradients(module, gaussians: Gaussians, cameras: Cameras, dtype=torch.float32) -> list[Tensor]:
    gaussians, cameras, inputs = with_gradients(gaussians, cameras, dtype)
    return list(
        torch.autograd.grad(weighted_sum(module.render(gaussians, cameras, PARAMS)), inputs)
    )


def cosine(one: Tensor, other: Tensor) -> float:
    return float(torch.cosine_similarity(one.double().flatten(), other.double().flatten(), dim=0))


def drawn_by_hand(gaussians: Gaussians, cameras: Cameras, row: int, column: int) -> list[float]:
    """Colour, depth and alpha of one pixel, from the definition, one Gaussian after another."""
    view = cameras.world_to_camera[0].double()
    fx, fy, cx, cy = cameras.intrinsics[0].double().tolist()
    centres = gaussians.means.double() @ view[:3, :3].T + view[:3, 3]
    transmittance, sums = 1.0, [0.0] * 4
    for index in sorted(range(len(gaussians)), key=lambda index: float(centres[index, 2])):
        x, y, z = centres[index].tolist()
        if not PARAMS.near <= z <= PARAMS.far:
            continue
        quat = gaussians.quats[index].double()
        w, i, j, k = (quat / quat.norm()).tolist()
        rotation = torch.tensor(
            [
                [w * w + i * i - j * j - k * k, 2 * (i * j - w * k), 2 * (i * k + w * j)],
                [2 * (i * j + w * k), w * w - i * i + j * j - k * k, 2 * (j * k - w * i)],
                [2 * (i * k - w * j), 2 * (j * k + w * i), w * w - i * i - j * j + k * k],
            ],
            dtype=torch.float64,
        )
        covariance = rotation @ torch.diag(gaussians.scales[index].double() ** 2) @ rotation.T
        covariance = view[:3, :3] @ covariance @ view[:3, :3].T
        margin_x, margin_y = 0.15 * cameras.width / fx, 0.15 * cameras.height / fy
        tx = z * min(max(x / z, -cx / fx - margin_x), (cameras.width - cx) / fx + margin_x)
        ty = z * min(max(y / z, -cy / fy - margin_y), (cameras.height - cy) / fy + margin_y)
        jacobian = torch.tensor(
            [[fx / z, 0.0, -fx * tx / z**2], [0.0, fy / z, -fy * ty / z**2]], dtype=torch.float64
        )
        screen = jacobian @ covariance @ jacobian.T + 0.3 * torch.eye(2, dtype=torch.float64)
        offset = torch.tensor(
            [fx * x / z + cx - (column + 0.5), fy * y / z + cy - (row + 0.5)], dtype=torch.float64
        )
        sigma = 0.5 * float(offset @ torch.linalg.solve(screen, offset))
        alpha = min(0.999, float(gaussians.opacities[index]) * math.exp(-sigma))
        if alpha < 1 / 255:
            continue
        if transmittance * (1 - alpha) <= 1e-4:
            break
        for channel, value in enumerate([*gaussians.colors[index].tolist(), z]):
            sums[channel] += transmittance * alpha * value
        transmittance *= 1 - alpha
    colour = [sums[c] + transmittance * PARAMS.background[c] for c in range(3)]
    return [*colour, sums[3] / max(1 - transmittance, 1e-10), 1 - transmittance]


def test_the_oracle_draws_what_the_definition_says():
    gaussians, cameras = random_scene(60, 9, 13, size_pixels=1.0)
    gaussians = gaussians.to(torch.float64)
    gaussians.opacities[:20] = 0.9999
    view = torch_reference.render(gaussians, cameras.to(torch.float64), PARAMS)
    found = torch.cat([view.rgb[0], view.depth, view.alpha])
    for row in range(9):
        for column in range(13):
            expected = drawn_by_hand(gaussians, cameras, row, column)
            assert found[:, row, column].tolist() == pytest.approx(expected, abs=1e-5)


def test_the_oracles_gradient_is_that_of_finite_differences():
    gaussians, cameras = random_scene(5, 6, 7, size_pixels=4.0, seed=3)
    gaussians.means[:, 2].abs_()
    gaussians, cameras, inputs = with_gradients(gaussians, cameras, torch.float64)

    def drawn(*changed: Tensor) -> tuple[Tensor, ...]:
        moved = replace(cameras, camera_to_world=changed[-1])
        return tuple(images(torch_reference.render(Gaussians(*changed[:-1]), moved, PARAMS)))

    assert torch.autograd.gradcheck(drawn, inputs, fast_mode=True)


@pytest.mark.parametrize(
    ("height", "width", "num_gaussians", "size_pixels"),
    [(48, 70, 600, 2.0), (33, 17, 800, 0.3), (17, 31, 40, 30.0), (1, 1, 30, 3.0)],
)
def test_the_cpu_draws_what_the_oracle_draws(height, width, num_gaussians, size_pixels):
    gaussians, cameras = random_scene(num_gaussians, height, width, 2, size_pixels=size_pixels)
    found = cpu.render(gaussians, cameras, PARAMS)
    oracle = torch_reference.render(gaussians.to(torch.float64), cameras.to(torch.float64), PARAMS)
    assert float(oracle.alpha.max()) > 0.5
    for image, expected in zip(images(found), images(oracle), strict=True):
        difference = (image - expected).abs().flatten()
        assert difference.mean() < 1e-5
        assert difference.quantile(0.99) < 1e-4


@pytest.mark.parametrize("size_pixels", [0.5, 2.0, 20.0])
def test_the_cpus_gradients_are_the_oracles(size_pixels):
    scene = random_scene(500, 49, 66, 2, size_pixels=size_pixels)
    for name, found, expected in zip(
        [*FIELDS, "camera_to_world"],
        gradients(cpu, *scene),
        gradients(torch_reference, *scene, dtype=torch.float64),
        strict=True,
    ):
        assert cosine(found, expected) > 0.9999, name
        assert float(found.norm() / expected.norm()) == pytest.approx(1.0, abs=1e-3), name


@pytest.mark.parametrize(("which", "step"), enumerate([1e-3, 1e-2, 1e-3, 1e-3, 1e-3, 1e-3]))
def test_a_step_along_the_cpus_gradient_changes_the_loss_by_its_length(which, step):
    # So large and faint that no pixel is near a threshold, where the picture jumps.
    gaussians, cameras = random_scene(40, 20, 25, size_pixels=100.0)
    gaussians.opacities.mul_(0.2).add_(0.05)
    gradient = gradients(cpu, gaussians, cameras)[which]
    length = float(gradient.norm())
    losses = []
    for signed_step in (-step, step):
        changed_gaussians, changed_cameras, inputs = with_gradients(gaussians, cameras)
        with torch.no_grad():
            inputs[which] += signed_step * gradient / length
        losses.append(
            float(weighted_sum(cpu.render(changed_gaussians, changed_cameras, PARAMS)).detach())
        )
    assert (losses[1] - losses[0]) / (2.0 * step) == pytest.approx(length, rel=0.02)


def test_gradients_of_depth_colour_and_alpha_all_flow():
    gaussians, cameras = random_scene(50, 20, 20, size_pixels=4.0)
    for output in range(3):
        gaussians, cameras, inputs = with_gradients(gaussians, cameras)
        images(cpu.render(gaussians, cameras, PARAMS))[output].sum().backward()
        assert all(float(tensor.grad.abs().sum()) > 0 for tensor in (inputs[0], inputs[3]))


def everything_drawn(scene: tuple[Gaussians, Cameras], num_threads: int) -> bytes:
    """The bytes of all images and gradients; calls hardly any of torch's own threaded functions."""
    torch.set_num_threads(num_threads)
    gaussians, cameras, inputs = with_gradients(*scene)
    drawn = images(cpu.render(gaussians, cameras, PARAMS))
    torch.autograd.backward(drawn, [image.detach() for image in drawn])
    tensors = [*drawn, *(tensor.grad for tensor in inputs)]
    return b"".join(tensor.detach().numpy().tobytes() for tensor in tensors)


def test_the_number_of_threads_changes_no_bit():
    scene = random_scene(3000, 65, 90, 2)
    expected = everything_drawn(scene, 1)
    assert everything_drawn(scene, 2) == expected
    assert everything_drawn(scene, 3) == expected


def test_concurrent_threads_draw_the_same_bits():
    scene = random_scene(3000, 65, 90, 2)
    expected = everything_drawn(scene, 1)
    with ThreadPoolExecutor(4) as pool:
        drawn = pool.map(lambda _: everything_drawn(scene, 2), range(8))
        assert all(one == expected for one in drawn)


def test_a_forked_process_draws_the_same_bits():
    scene = random_scene(3000, 65, 90, 2)
    expected = everything_drawn(scene, 2)  # starts threads that do not live on in the fork
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=lambda: sender.send_bytes(everything_drawn(scene, 2)))
    child.start()
    try:
        assert receiver.poll(timeout=60.0), "the forked process hangs"
        assert receiver.recv_bytes() == expected
    finally:
        child.terminate()
        child.join()


@pytest.mark.parametrize("module", [cpu, torch_reference])
def test_without_visible_gaussians_only_the_background_is_drawn(module):
    _, cameras = random_scene(3, 10, 19)
    background = torch.tensor(PARAMS.background)[None, :, None, None]
    behind, beyond, faint = (
        one_gaussian(-2.0),
        one_gaussian(600.0),
        one_gaussian(2.0, opacity=0.003),
    )
    for unseen in (one_gaussian(2.0)[:0], behind, beyond, one_gaussian(0.05), faint):
        gaussians, moved, inputs = with_gradients(unseen, cameras)
        view = module.render(gaussians, moved, PARAMS)
        assert torch.equal(view.rgb, background.expand(1, 3, 10, 19))
        assert not view.depth.any() and not view.alpha.any()
        for gradient in torch.autograd.grad(
            weighted_sum(view), inputs, allow_unused=True, materialize_grads=True
        ):
            assert not gradient.any()


def test_only_gaussians_between_near_and_far_are_drawn():
    cameras = facing_camera(16, 16, 16.0)
    params = RenderingParams(
        near=1.0,
        far=3.0,
        background=(0.0, 0.0, 0.0),
        patch_pixels=None,
        with_ut=False,
        with_eval3d=False,
    )
    drawn = [
        bool(cpu.render(one_gaussian(z), cameras, params).alpha.any())
        for z in (0.99, 1.0, 3.0, 3.01)
    ]
    assert drawn == [False, True, True, False]


def test_the_order_of_the_gaussians_does_not_change_the_picture():
    gaussians, cameras = random_scene(2000, 50, 60)
    order = torch.randperm(2000, generator=torch_generator(0, "order", "test_rendering"))
    one, other = (
        cpu.render(gaussians, cameras, PARAMS),
        cpu.render(gaussians[order], cameras, PARAMS),
    )
    assert all(torch.equal(a, b) for a, b in zip(images(one), images(other), strict=True))


def test_what_lies_behind_an_opaque_gaussian_is_hidden():
    near = one_gaussian(2.0, scale=2.0, opacity=1.0)
    far = replace(one_gaussian(3.0, scale=2.0, opacity=1.0), colors=torch.tensor([[9.0, 9.0, 9.0]]))
    cameras = facing_camera(16, 16, 64.0)
    alone = cpu.render(near, cameras, PARAMS)
    together = cpu.render(Gaussians.concatenate([far, near]), cameras, PARAMS)
    assert torch.equal(together.rgb[..., 7:9, 7:9], alone.rgb[..., 7:9, 7:9])
    assert together.depth[0, 8, 8] == pytest.approx(2.0, rel=1e-6)


def test_the_background_shows_in_colour_only():
    gaussians, cameras = random_scene(200, 30, 40)
    black = cpu.render(
        gaussians, cameras, PARAMS.model_copy(update={"background": (0.0, 0.0, 0.0)})
    )
    tinted = cpu.render(gaussians, cameras, PARAMS)
    assert torch.equal(black.depth, tinted.depth)
    assert torch.equal(black.alpha, tinted.alpha)
    background = torch.tensor(PARAMS.background)[None, :, None, None]
    expected = black.rgb + (1.0 - black.alpha[:, None]) * background
    torch.testing.assert_close(tinted.rgb, expected, atol=1e-6, rtol=0.0)


def test_the_expected_depth_of_a_wall_is_its_distance():
    row, column = torch.meshgrid(*[torch.arange(-2.0, 2.0, 0.1)] * 2, indexing="ij")
    points = torch.stack([column.flatten(), row.flatten(), torch.full((1600,), 3.0)], dim=1)
    wall = Gaussians(
        means=points,
        scales=torch.tensor([[0.1, 0.1, 0.001]]).expand(1600, 3),
        quats=torch.tensor([[1.0, 0.0, 0.0, 0.0]]).expand(1600, 4),
        opacities=torch.full((1600,), 0.5),
        colors=torch.full((1600, 3), 0.5),
    )
    view = cpu.render(wall, facing_camera(24, 24, 30.0), PARAMS)
    assert float(view.alpha.min()) > 0.9
    torch.testing.assert_close(view.depth, torch.full((1, 24, 24), 3.0), atol=1e-5, rtol=0.0)


@pytest.mark.parametrize("module", [cpu, torch_reference])
def test_quaternions_may_have_any_length(module):
    gaussians, cameras = random_scene(100, 30, 30)
    longer = replace(gaussians, quats=gaussians.quats * 3.0)
    one, other = module.render(gaussians, cameras, PARAMS), module.render(longer, cameras, PARAMS)
    torch.testing.assert_close(one.rgb, other.rgb, atol=1e-5, rtol=0.0)
    quats, scaled = gradients(module, gaussians, cameras)[2], gradients(module, longer, cameras)[2]
    assert cosine(quats, scaled) > 0.9999
    assert float(quats.norm() / scaled.norm()) == pytest.approx(3.0, rel=1e-3)


def test_a_gaussian_without_orientation_is_not_drawn():
    shapeless = replace(one_gaussian(2.0), quats=torch.zeros(1, 4))
    cameras = facing_camera(16, 16, 16.0)
    assert not cpu.render(shapeless, cameras, PARAMS).alpha.any()
    assert not torch_reference.render(shapeless, cameras, PARAMS).alpha.any()


def test_extreme_gaussians_give_finite_pictures_and_gradients():
    parts = [
        one_gaussian(2.0, scale=1e6),
        one_gaussian(2.1, scale=0.0),
        one_gaussian(0.1001, scale=50.0),
        replace(one_gaussian(2.2), means=torch.tensor([[1e30, 0.0, 2.0]])),
        replace(one_gaussian(2.3), scales=torch.tensor([[1e4, 1e-8, 1e-8]])),
        one_gaussian(2.4, scale=1e-30, opacity=1.0),
    ]
    gaussians, cameras, inputs = with_gradients(
        Gaussians.concatenate(parts), facing_camera(20, 20, 20.0)
    )
    view = cpu.render(gaussians, cameras, PARAMS)
    assert all(bool(image.isfinite().all()) for image in images(view))
    for gradient in torch.autograd.grad(weighted_sum(view), inputs):
        assert bool(gradient.isfinite().all())


@pytest.mark.parametrize("field", FIELDS)
def test_a_nan_is_refused_with_the_gaussians_number(field):
    gaussians, cameras = random_scene(10, 16, 16)
    getattr(gaussians, field)[4] = math.nan
    with pytest.raises(ValueError, match=r"1 of 10 Gaussians hold NaN or inf, .* number 4"):
        cpu.render(gaussians, cameras, PARAMS)


def test_other_types_and_devices_are_refused_by_name():
    gaussians, cameras = random_scene(10, 16, 16)
    with pytest.raises(ValueError, match=r"opacities is torch\.float64"):
        cpu.render(replace(gaussians, opacities=gaussians.opacities.double()), cameras, PARAMS)
    with pytest.raises(ValueError, match="means is on cpu"):
        render(gaussians, cameras, PARAMS, backend="gsplat")


def test_an_unknown_backend_is_refused_with_the_known_ones():
    gaussians, cameras = random_scene(10, 16, 16)
    with pytest.raises(ParamsError, match="did you mean 'gsplat'"):
        render(gaussians, cameras, PARAMS, backend="gsplatt")


def test_on_the_cpu_the_kernels_are_used_and_without_numba_the_oracle(monkeypatch):
    gaussians, cameras = random_scene(200, 20, 20)
    by_kernels = cpu.render(gaussians, cameras, PARAMS).rgb
    by_oracle = torch_reference.render(gaussians, cameras, PARAMS).rgb
    assert not torch.equal(by_kernels, by_oracle)
    assert torch.equal(render(gaussians, cameras, PARAMS).rgb, by_kernels)
    monkeypatch.setitem(sys.modules, "lyra_model.rendering.cpu", None)
    assert torch.equal(render(gaussians, cameras, PARAMS).rgb, by_oracle)


def test_a_kernel_that_cannot_be_kept_on_disk_still_runs(monkeypatch):
    monkeypatch.setattr("numba.core.config.CACHE_DIR", "")
    names: dict = {}
    exec("def double(value):\n    return 2 * value\n", names)  # a function without a file
    assert kernel(names["double"])(21) == 42


def test_kept_kernels_are_renewed_when_any_of_their_sources_changes():
    cpu.render(*random_scene(10, 16, 16), PARAMS)
    cache = rasterize._cache
    index = Path(cache.cache_path) / cache._cache_file._index_name
    with index.open("rb") as file:
        pickle.load(file)  # numba's version
        stamp, _ = pickle.load(file)
    assert stamp == source_stamp()


def test_a_loss_over_views_has_the_gradient_of_rendering_them_together():
    gaussians, cameras = random_scene(400, 30, 40, num_frames=3)
    draws = torch_generator(5, "targets", "test_rendering")
    targets = torch.rand(3, 3, 30, 40, generator=draws)

    def loss_of_view(view: Render, shown: Gaussians, frame: int) -> Tensor:
        return (view.rgb[0] - targets[frame]).square().sum() + view.depth.mean()

    gaussians, cameras, inputs = with_gradients(gaussians, cameras)
    together = render(gaussians, cameras, PARAMS)
    expected = (together.rgb - targets).square().sum() + together.depth.mean((1, 2)).sum()
    found = loss_over_views(gaussians, cameras, PARAMS, loss_of_view)
    torch.testing.assert_close(found, expected)
    for one, other in zip(
        torch.autograd.grad(2.0 * found, inputs),
        torch.autograd.grad(2.0 * expected, inputs),
        strict=True,
    ):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4 * float(other.abs().max()))


def test_a_loss_over_views_holds_one_view_at_a_time():
    gaussians, cameras, _ = with_gradients(*random_scene(50, 16, 16, num_frames=4))
    alive: list[weakref.ref] = []

    def loss_of_view(view: Render, shown: Gaussians, frame: int) -> Tensor:
        gc.collect()
        assert [reference() for reference in alive] == [None] * frame
        alive.append(weakref.ref(view))
        return view.rgb.sum()

    assert loss_over_views(gaussians, cameras, PARAMS, loss_of_view).requires_grad
    alive.clear()
    with torch.no_grad():
        assert not loss_over_views(gaussians, cameras, PARAMS, loss_of_view).requires_grad
