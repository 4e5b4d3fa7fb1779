"""Fitting: what is read is shown better, never worse than the start, and a kill changes nothing."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import torch
from torch import Tensor

from lyra_data.engine.errors import CorruptDataError, ParamsError
from lyra_data.engine.seeds import torch_generator
from lyra_model.batches.targets import Targets
from lyra_model.evaluation.baselines import Viewpoints
from lyra_model.evaluation.fit_baseline import FitBaseline
from lyra_model.fitting import fit as fit_module
from lyra_model.fitting.fast_ssim import mean_ssim
from lyra_model.fitting.fit import Fitted, fit
from lyra_model.fitting.measuring import mean_psnr_db
from lyra_model.fitting.params import FitParams
from lyra_model.fitting.states import STATE_FILE
from lyra_model.fitting.unproject import UnprojectParams, unproject_frames
from lyra_model.gaussians import Gaussians
from lyra_model.metrics.ssim import ssim_map
from lyra_model.rendering import render
from lyra_model.rendering.base import RenderingParams
from tests.factories import make_cameras

RENDERING = RenderingParams(
    near=0.1,
    far=500.0,
    background=(1.0, 1.0, 1.0),
    patch_pixels=None,
    with_ut=False,
    with_eval3d=False,
)
PARAMS = FitParams(steps=30, measure_every=10)
CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@cache
def frames() -> Targets:
    """Return nine pictures of a bumpy wall of Gaussians, with its depth."""
    cameras = make_cameras(9, 32, 48)
    generator = torch_generator(0, "test", "wall")
    count = 3000
    means = torch.rand(count, 3, generator=generator) * torch.tensor([4.0, 3.0, 0.4])
    wall = Gaussians(
        means=means + torch.tensor([-2.0, -1.5, 1.8]),
        scales=torch.full((count, 3), 0.05),
        quats=torch.tensor([1.0, 0.0, 0.0, 0.0]).repeat(count, 1),
        opacities=torch.full((count,), 0.9),
        colors=0.5 + 0.4 * torch.sin(9.0 * means),
    )
    shown = render(wall, cameras, RENDERING)
    known = torch.ones_like(shown.depth, dtype=torch.bool)
    times = torch.arange(9, dtype=torch.float32)
    return Targets(shown.rgb, shown.depth, known, cameras, times, filled=~known)


@cache
def start() -> Gaussians:
    return unproject_frames(frames()[:1], UnprojectParams(scale_pixels=0.3, margin=0), seed=0)


def run(params: FitParams = PARAMS, **changes) -> Fitted:
    values = {"start": start(), "read": frames()[:7], "kept_back": frames()[7:]} | changes
    return fit(params=params, rendering=RENDERING, seed=0, device=CPU, **values)


def same(first: Gaussians, second: Gaussians) -> bool:
    return all(
        torch.equal(a, b) for a, b in zip(vars(first).values(), vars(second).values(), strict=True)
    )


def test_a_fit_shows_frames_read_and_kept_back_better() -> None:
    fitted = run()
    for shown, gain in ((frames()[:7], 3.0), (frames()[7:], 1.0)):
        before = mean_psnr_db(start(), shown, RENDERING)
        assert mean_psnr_db(fitted.gaussians, shown, RENDERING) > before + gain
    assert [row["step"] for row in fitted.history] == [0, 10, 20, 30]


def test_the_best_measured_step_is_returned_not_the_last() -> None:
    kept_back = replace(frames()[7:], rgb=render(start(), frames()[7:].cameras, RENDERING).rgb)
    fitted = run(kept_back=kept_back)
    assert fitted.best_step == 0
    assert same(fitted.gaussians, start())


def test_what_a_few_frames_call_better_is_measured_on_all() -> None:
    read = frames()[:7]
    as_start = render(start(), read.cameras, RENDERING).rgb
    as_start[0] = read.rgb[0]  # the one frame that is measured on the way gets better
    fitted = run(
        PARAMS.model_copy(update={"measured_frames": 1}), kept_back=replace(read, rgb=as_start)
    )
    assert fitted.history[-1]["psnr_db"] > fitted.history[0]["psnr_db"]
    assert fitted.best_step == 0


def test_without_frames_kept_back_the_last_step_is_returned() -> None:
    fitted = run(kept_back=None)
    assert (fitted.steps, fitted.best_step, fitted.history) == (30, 30, [])


def test_no_step_changes_nothing() -> None:
    assert same(run(PARAMS.model_copy(update={"steps": 0})).gaussians, start())


def test_the_same_values_give_the_same_bytes_and_another_seed_others() -> None:
    first, again = run(), run()
    assert same(first.gaussians, again.gaussians)
    values = {"start": start(), "read": frames()[:7], "kept_back": None}
    other = fit(params=PARAMS, rendering=RENDERING, seed=1, device=CPU, **values)
    assert not same(first.gaussians, other.gaussians)


def test_threads_change_no_byte_of_a_fitted_scene() -> None:
    """The arrays are so large that torch would share them among its threads."""
    size = (144, 240)
    pictures = {name: resize(getattr(frames(), name).float(), size) for name in ("rgb", "depth")}
    pictures |= {"depth_valid": pictures["depth"] > 0, "filled": pictures["depth"] <= 0}
    pictures["depth_valid"][:, 40:60, 50:90] = False
    large = replace(frames(), cameras=frames().cameras.resized(*size), **pictures)[:2]
    predicted = []
    for number in (1, 2):
        torch.set_num_threads(number)
        baseline = FitBaseline(large, RENDERING, steps=1, device=CPU)
        predicted.append(baseline.predict(Viewpoints(large.cameras[[1]], None)))
    assert torch.get_num_threads() == 2
    assert torch.equal(predicted[0].rgb, predicted[1].rgb)
    assert torch.equal(predicted[0].depth, predicted[1].depth)


def resize(values: Tensor, size: tuple[int, int]) -> Tensor:
    """Return frames [frame height width] or [frame 3 height width] of another size."""
    maps = values if values.ndim == 4 else values[:, None]
    larger = torch.nn.functional.interpolate(maps, size, mode="nearest")
    return larger if values.ndim == 4 else larger[:, 0]


class _KilledError(Exception):
    pass


@pytest.mark.parametrize("killed_after", [1, 2])
def test_a_killed_fit_goes_on_to_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, killed_after: int
) -> None:
    whole, saved, taken = run(), [], []
    save, take_step = fit_module.save_state, fit_module.SceneFit.take_step

    def save_then_die(state, folder) -> None:
        save(state, folder)
        saved.append(state.step)
        if len(saved) == killed_after:
            raise _KilledError

    def counted(self) -> None:
        taken.append(self.step)
        take_step(self)

    with monkeypatch.context() as patched:
        patched.setattr(fit_module, "save_state", save_then_die)
        with pytest.raises(_KilledError):
            run(state_folder=tmp_path, state_steps=7)
    monkeypatch.setattr(fit_module.SceneFit, "take_step", counted)
    resumed = run(state_folder=tmp_path, state_steps=7)
    assert taken[0] == 7 * killed_after
    assert same(resumed.gaussians, whole.gaussians)
    assert resumed.history == whole.history


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-9], lambda data: data[:200] + b"?" + data[201:]]
)
def test_a_damaged_state_is_refused(tmp_path: Path, damage) -> None:
    run(state_folder=tmp_path, state_steps=30)
    path = tmp_path / STATE_FILE
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(CorruptDataError, match="cut or altered"):
        run(state_folder=tmp_path)


def test_frames_of_a_round_come_once_before_any_comes_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    drawn = []
    original = Targets.__getitem__

    def watched(self, which):
        drawn.extend(which if isinstance(which, list) else [])
        return original(self, which)

    monkeypatch.setattr(Targets, "__getitem__", watched)
    read = original(frames(), slice(0, 7))
    run(FitParams(steps=7, frames_per_step=2, photo_share=0.0), read=read, kept_back=None)
    assert sorted(drawn[:7]) == sorted(drawn[7:]) == list(range(7))
    assert drawn[:7] != drawn[7:]


def test_frames_without_invented_pixels_are_drawn_more_often_for_their_share(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    drawn = []
    step = fit_module.SceneFit._frames_of_step

    def watched(self) -> list[int]:
        drawn.extend(step(self))
        return drawn[-1:]

    monkeypatch.setattr(fit_module.SceneFit, "_frames_of_step", watched)
    filled = torch.ones_like(frames().filled)
    filled[3] = False
    run(FitParams(steps=20, photo_share=0.5), read=replace(frames(), filled=filled), kept_back=None)
    assert 6 <= drawn.count(3) <= 16
    drawn.clear()
    run(FitParams(steps=9, photo_share=1.0), read=frames()[:3], kept_back=None)
    assert drawn.count(0) == drawn.count(1) == drawn.count(2) == 3


def test_pixels_that_a_teacher_invented_weigh_less() -> None:
    read = frames()[:1]
    wrong = read.rgb.clone()
    wrong[..., :24] = 0.0
    filled = torch.zeros_like(read.filled)
    filled[..., :24] = True
    read = replace(read, rgb=wrong, filled=filled)
    params = FitParams(steps=20, ssim=0.0, filled=0.0)
    # The invented part is black; the fit follows it where it is trusted.
    ignored = render(run(params, read=read, kept_back=None).gaussians, read.cameras, RENDERING)
    trusted = run(params.model_copy(update={"filled": 1.0}), read=read, kept_back=None)
    copied = render(trusted.gaussians, read.cameras, RENDERING)
    assert float(copied.rgb[..., :20].mean()) < float(ignored.rgb[..., :20].mean()) - 0.05


def test_the_fast_ssim_and_its_gradient_are_those_of_the_metric() -> None:
    predicted, target = frames().rgb[:2].clone().requires_grad_(), frames().rgb[3:5]
    fast = mean_ssim(predicted, target)
    (gradient,) = torch.autograd.grad(fast, predicted)
    exact = predicted.detach().double().requires_grad_()
    slow = ssim_map(exact, target.double()).mean()
    (expected,) = torch.autograd.grad(slow, exact)
    assert float(fast.detach()) == pytest.approx(float(slow.detach()), abs=1e-6)
    error = (gradient - expected).norm() / expected.norm()
    assert float(error) < 1e-4  # float32 variances are differences of nearly equal numbers


def test_rates_that_break_everything_are_refused() -> None:
    with pytest.raises((ParamsError, ValueError), match=r"diverged|NaN"):
        run(PARAMS.model_copy(update={"means_rate": 1e38, "scales_rate": 1e38}), kept_back=None)
