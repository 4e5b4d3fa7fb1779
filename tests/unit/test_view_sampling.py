from __future__ import annotations

import numpy as np
import pytest

from lyra_data.seeds import numpy_generator
from lyra_model.view_sampling import BIASES, frame_chances, sample_step

SETTINGS = {
    "seed": 42,
    "phase": "small",
    "num_views": {"a": 6, "b": 6, "c": 6},
    "num_frames": 9,
    "num_targets": 5,
    "bias": "uniform",
}


def test_a_step_draws_the_same_whatever_was_drawn_before():
    in_order = [sample_step(step=step, **SETTINGS) for step in range(10)]
    assert [sample_step(step=step, **SETTINGS) for step in reversed(range(10))] == in_order[::-1]


def test_steps_phases_and_seeds_draw_differently():
    first = sample_step(step=0, **SETTINGS)
    assert sample_step(step=1, **SETTINGS) != first
    assert sample_step(step=0, **{**SETTINGS, "phase": "demo"}) != first
    assert sample_step(step=0, **{**SETTINGS, "seed": 43}) != first


def test_targets_are_different_frames_of_known_views():
    for step in range(50):
        frames = sample_step(step=step, **SETTINGS).frames
        assert len(set(frames)) == 5
        assert all(0 <= view < 6 and 0 <= frame < 9 for view, frame in frames)


def test_every_scene_view_and_frame_is_drawn_sooner_or_later():
    draws = [sample_step(step=step, **SETTINGS) for step in range(200)]
    assert {draw.scene_id for draw in draws} == {"a", "b", "c"}
    assert len({place for draw in draws for place in draw.frames}) == 6 * 9


def test_more_targets_than_frames_means_all_frames():
    draw = sample_step(step=0, **{**SETTINGS, "num_targets": 100})
    assert sorted(draw.frames) == [(view, frame) for view in range(6) for frame in range(9)]


def test_only_views_that_a_scene_has_are_drawn():
    unequal = {**SETTINGS, "num_views": {"a": 1, "b": 6}}
    draws = [sample_step(step=step, **unequal) for step in range(100)]
    views = {
        name: {view for d in draws if d.scene_id == name for view, _ in d.frames} for name in "ab"
    }
    assert views == {"a": {0}, "b": set(range(6))}


def test_uniform_draws_are_those_of_a_plain_choice():
    """What trained before the bias was an option trains alike."""
    draw = sample_step(step=3, **SETTINGS)
    generator = numpy_generator(42, "small", "targets of step 3")
    generator.integers(3)
    chosen = generator.choice(6 * 9, size=5, replace=False)
    assert draw.frames == tuple((int(place) // 9, int(place) % 9) for place in chosen)


@pytest.mark.parametrize("bias", BIASES)
def test_later_frames_are_never_less_likely_and_views_are_alike(bias):
    chances = frame_chances(9, bias)
    assert chances.sum() == pytest.approx(1)
    assert (np.diff(chances) >= 0).all()
    counts = np.zeros((6, 9))
    for step in range(600):
        for view, frame in sample_step(step=step, **{**SETTINGS, "bias": bias}).frames:
            counts[view, frame] += 1
    early, late = counts[:, :4].sum(), counts[:, 5:].sum()
    assert (late > 1.5 * early) == (bias != "uniform")
    assert counts.sum(1).min() > 0.75 * counts.sum(1).max()


@pytest.mark.parametrize("bias", BIASES)
def test_biased_targets_are_different_frames_too(bias):
    for step in range(30):
        frames = sample_step(step=step, **{**SETTINGS, "bias": bias}).frames
        assert len(set(frames)) == 5


def test_frames_without_a_chance_are_not_drawn_even_where_more_are_asked_for():
    draw = sample_step(step=0, **{**SETTINGS, "bias": "linear", "num_targets": 100})
    assert sorted(draw.frames) == [(view, frame) for view in range(6) for frame in range(1, 9)]


@pytest.mark.parametrize("bias", BIASES)
def test_a_view_of_one_frame_is_drawn_under_every_bias(bias):
    draw = sample_step(step=0, **{**SETTINGS, "num_frames": 1, "num_targets": 2, "bias": bias})
    assert len(draw.frames) == 2
