from __future__ import annotations

import numpy as np
import pytest

from lyra_data.engine.seeds import numpy_generator
from lyra_model.phases.view_sampling import BIASES, ViewList, frame_chances, sample_step

FORWARD = ViewList((False,) * 6, 17)
BOTH = ViewList((False,) * 6 + (True,) * 6, 17)

SETTINGS = {
    "seed": 42,
    "phase": "small",
    "scene_ids": ["a", "b", "c"],
    "views_of": lambda scene_id: FORWARD,
    "num_frames": 9,
    "held_out_frames": 4,
    "num_targets": 5,
    "bias": "uniform",
    "dynamic": False,
}
MOVING = {**SETTINGS, "views_of": lambda scene_id: BOTH, "dynamic": True, "num_targets": 12}


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
    lists = {"a": ViewList((False,), 17), "b": FORWARD}
    unequal = {**SETTINGS, "scene_ids": ["a", "b"], "views_of": lists.__getitem__}
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


def test_a_still_decoder_is_supervised_by_forward_views_alone():
    mixed = ViewList((True, False, True, False), 17)
    settings = {**SETTINGS, "views_of": lambda scene_id: mixed, "num_targets": 100}
    draw = sample_step(step=0, **settings)
    assert sorted(draw.frames) == [(view, frame) for view in (1, 3) for frame in range(9)]
    assert draw.time is None


def test_all_targets_of_a_dynamic_step_show_one_moment():
    for step in range(50):
        draw = sample_step(step=step, **MOVING)
        for view, frame in draw.frames:
            assert (16 - frame if BOTH.motion_reversed[view] else frame) == draw.time


def test_no_held_out_frame_of_either_direction_supervises_a_dynamic_step():
    draws = [sample_step(step=step, **MOVING) for step in range(300)]
    assert {draw.time for draw in draws} == set(range(9))
    assert max(frame for draw in draws for _, frame in draw.frames) == 16 - 4
    for draw in draws:  # frame 16 - time of a reversed view is held out where time < 4
        assert len(draw.frames) == (6 if draw.time < 4 else 12)


def test_later_moments_are_drawn_more_often_where_asked_for():
    times = [sample_step(step=step, **{**MOVING, "bias": "squared"}).time for step in range(200)]
    assert sum(time > 4 for time in times) > 2 * sum(time < 4 for time in times)


def test_the_number_of_views_to_read_is_drawn_between_its_limits():
    draws = [sample_step(step=step, **SETTINGS, num_views=(2, 4)) for step in range(100)]
    assert {len(draw.read) for draw in draws} == {2, 3, 4}
    assert {view for draw in draws for view in draw.read} == set(range(6))
    assert all(list(draw.read) == sorted(set(draw.read)) for draw in draws)


def test_frames_are_drawn_alike_however_many_views_are_read():
    for step in range(20):
        alone = sample_step(step=step, **SETTINGS)
        assert alone.read == tuple(range(6))
        assert sample_step(step=step, **SETTINGS, num_views=(1, 6)).frames == alone.frames


def test_supervision_by_read_views_draws_no_frame_of_another():
    narrow = {"num_views": (1, 3), "supervision": "read_views"}
    for step in range(50):
        draw = sample_step(step=step, **SETTINGS, **narrow)
        assert {view for view, _ in draw.frames} <= set(draw.read)


def test_reversed_views_supervise_whichever_forward_views_are_read():
    narrow = {"num_views": (1, 1), "supervision": "read_views"}
    draws = [sample_step(step=step, **MOVING, **narrow) for step in range(100)]
    for draw in draws:
        forward = {view for view, _ in draw.frames if view < 6}
        assert forward == set(draw.read) and len(draw.read) == 1
    assert {view for draw in draws for view, _ in draw.frames} == set(range(12))


def test_processes_draw_for_themselves_and_the_first_as_if_alone():
    alone = [sample_step(step=step, **SETTINGS) for step in range(10)]
    first, second = (
        [sample_step(step=step, **SETTINGS, rank=rank) for step in range(10)] for rank in (0, 1)
    )
    assert first == alone and second != alone
