from __future__ import annotations

import os

import pytest
import torch

from lyra_data.engine.errors import ParamsError
from lyra_model.decoder import create_decoder
from lyra_model.decoder.inputs import prepare_inputs
from lyra_model.training.assembly import MOST_CACHED_BYTES, cache_bytes
from tests.unit.test_training import (
    assert_same_weights,
    make_dataset,
    make_params,
    scene_loader,
    train,
    whole_scene,
)


def test_processes_of_one_machine_share_what_is_kept_of_scenes(monkeypatch):
    gib = 2**30
    sizes = {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 16 * gib // 4096}
    monkeypatch.setattr(os, "sysconf", sizes.__getitem__)
    monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)
    assert cache_bytes() == 2 * gib
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "8")
    assert cache_bytes() == gib // 4
    sizes["SC_PHYS_PAGES"] *= 1000
    assert cache_bytes() == MOST_CACHED_BYTES


def test_gradient_checkpointing_changes_no_bit_of_a_gradient(tmp_path):
    inputs = whole_scene(scene_loader(make_dataset(tmp_path / "data"))).inputs
    gradients = []
    for checkpointing in (False, True):
        decoder = create_decoder(make_params().decoder, seed=3)
        decoder.gradient_checkpointing = checkpointing
        (gaussians,) = decoder(inputs, prune_ratio=0.0)
        (gaussians.means.square().sum() + gaussians.colors.sum()).backward()
        gradients.append({n: p.grad for n, p in decoder.named_parameters() if p.grad is not None})
    assert gradients[0].keys() == gradients[1].keys() and len(gradients[0]) > 10
    for name, gradient in gradients[0].items():
        assert torch.equal(gradient, gradients[1][name]), name


def test_a_phase_trained_with_gradient_checkpointing_has_the_same_weights(tmp_path):
    dataset = make_dataset(tmp_path / "data")
    made = [
        train(make_params(gradient_checkpointing=value), ["small", "demo"], dataset, tmp_path / n)
        for n, value in (("a", False), ("b", True))
    ]
    assert_same_weights(made[0]["demo"], made[1]["demo"])


def test_a_phase_in_bfloat16_trains_close_to_float32_and_keeps_float32_weights(tmp_path):
    dataset = make_dataset(tmp_path / "data")
    fine, coarse = (
        train(make_params(precision=name), ["small", "demo"], dataset, tmp_path / name)["demo"]
        for name in ("float32", "bfloat16")
    )
    assert all(tensor.dtype == torch.float32 for tensor in coarse.weights.values())
    assert any(not torch.equal(coarse.weights[name], fine.weights[name]) for name in fine.weights)
    for one, other in zip(fine.history, coarse.history, strict=True):
        assert one["loss"] == pytest.approx(other["loss"], rel=0.02)


def test_gaussians_of_a_network_in_bfloat16_are_float32(tmp_path):
    inputs = whole_scene(scene_loader(make_dataset(tmp_path / "data"))).inputs
    decoder = create_decoder(make_params().decoder, seed=3)
    with torch.autocast("cpu", torch.bfloat16):
        (coarse,) = decoder(inputs, prune_ratio=0.0)
    (fine,) = decoder(inputs, prune_ratio=0.0)
    assert all(tensor.dtype == torch.float32 for tensor in vars(coarse).values())
    assert not torch.equal(coarse.means, fine.means)
    torch.testing.assert_close(coarse.means, fine.means, atol=0.1, rtol=0.05)


def test_a_decoder_that_reads_one_view_sees_its_first_camera_as_the_world(tmp_path):
    loader = scene_loader(make_dataset(tmp_path / "data"))
    batch = whole_scene(loader)
    views = loader.dataset.scene("a")
    moved = views[1].cameras.relative_to(views[0].cameras.camera_to_world[3])  # no identity
    batch.targets[1].cameras.camera_to_world[:] = moved.camera_to_world
    part = loader.reading(batch, [1])
    first = part.targets[1].cameras.camera_to_world[0]
    torch.testing.assert_close(first, torch.eye(4), atol=1e-6, rtol=0)
    alone = prepare_inputs(
        [views[1].cameras[:9]], [views[1].latents[:, :2]], loader.codec, scene_scale=1.0
    )
    assert part.inputs.num_views == 1
    for name in ("latents", "plucker_latents", "rays_o", "rays_d"):
        torch.testing.assert_close(
            getattr(part.inputs, name), getattr(alone, name), atol=1e-5, rtol=0
        )
    between = [
        torch.linalg.inv(of.targets[0].cameras.camera_to_world[2])
        @ of.targets[1].cameras.camera_to_world[5]
        for of in (batch, part)
    ]
    torch.testing.assert_close(*between, atol=1e-5, rtol=0)


def test_a_decoder_that_reads_all_views_gets_the_batch_itself(tmp_path):
    loader = scene_loader(make_dataset(tmp_path / "data"))
    batch = whole_scene(loader)
    assert loader.reading(batch, [0, 1]) is batch


def test_a_decoder_of_few_views_is_judged_on_the_first_ones(tmp_path):
    loader = scene_loader(make_dataset(tmp_path / "data"))
    batch = whole_scene(loader)
    assert loader.judging(batch, None) is batch
    alone = loader.judging(batch, 1)
    assert alone.inputs.num_views == 1
    latents = batch.inputs.latents[:, : alone.inputs.latents.shape[1]]
    assert torch.equal(alone.inputs.latents, latents)


def test_reading_as_many_views_as_there_are_trains_as_reading_all(tmp_path):
    dataset = make_dataset(tmp_path / "data")
    made = [
        train(make_params(**changes), ["small", "demo"], dataset, tmp_path / name)["demo"]
        for name, changes in (("all", {}), ("six", {"min_views": 6, "max_views": 6}))
    ]
    assert_same_weights(*made)


@pytest.mark.parametrize("supervision", ["read_views", "all_views"])
def test_a_phase_that_reads_one_view_at_a_time_trains(tmp_path, supervision):
    params = make_params(min_views=1, max_views=1, supervision=supervision)
    made = train(params, ["small", "demo"], make_dataset(tmp_path / "data"), tmp_path)
    assert len(made["demo"].history) == 5


@pytest.mark.parametrize(
    ("least", "most", "what"), [(3, 2, "min_views 3 is above"), (None, 2, "null for both")]
)
def test_a_range_of_views_that_is_none_is_refused(least, most, what):
    with pytest.raises(ParamsError, match=what):
        make_params(min_views=least, max_views=most)
