from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lyra_data.engine.seeds import numpy_generator
from lyra_model.phases.view_sampling import (
    BIASES,
    StepDraw,
    StepSeed,
    TargetSampling,
    ViewList,
    draw_step,
    frame_chances,
)

FORWARD = ViewList((False,) * 6, 17)
BOTH = ViewList((False,) * 6 + (True,) * 6, 17)

SAMPLING = TargetSampling(
    num_frames=9, held_out_frames=4, num_targets=5, bias="uniform", dynamic=False
)
MOVING = {"views": BOTH, "dynamic": True, "num_targets": 12}


def draw(
    step: int = 0,
    *,
    seed: int = 42,
    phase: str = "small",
    rank: int = 0,
    scene_ids: tuple[str, ...] = ("a", "b", "c"),
    views: ViewList | dict[str, ViewList] = FORWARD,
    **sampling: object,
) -> StepDraw:
    """Draw a step; `sampling` changes SAMPLING."""
    return draw_step(
        StepSeed(seed, phase, step, rank),
        replace(SAMPLING, **sampling),
        scene_ids,
        lambda scene_id: views[scene_id] if isinstance(views, dict) else views,
    )


def test_a_step_draws_the_same_whatever_was_drawn_before():
    in_order = [draw(step) for step in range(10)]
    assert [draw(step) for step in reversed(range(10))] == in_order[::-1]


def test_steps_phases_and_seeds_draw_differently():
    first = draw(0)
    assert draw(1) != first
    assert draw(0, phase="demo") != first
    assert draw(0, seed=43) != first


def test_targets_are_different_frames_of_known_views():
    for step in range(50):
        frames = draw(step).frames
        assert len(set(frames)) == 5
        assert all(0 <= view < 6 and 0 <= frame < 9 for view, frame in frames)


def test_every_scene_view_and_frame_is_drawn_sooner_or_later():
    draws = [draw(step) for step in range(200)]
    assert {drawn.scene_id for drawn in draws} == {"a", "b", "c"}
    assert len({place for drawn in draws for place in drawn.frames}) == 6 * 9


def test_more_targets_than_frames_means_all_frames():
    drawn = draw(0, num_targets=100)
    assert sorted(drawn.frames) == [(view, frame) for view in range(6) for frame in range(9)]


def test_only_views_that_a_scene_has_are_drawn():
    lists = {"a": ViewList((False,), 17), "b": FORWARD}
    unequal = {"scene_ids": ("a", "b"), "views": lists}
    draws = [draw(step, **unequal) for step in range(100)]
    views = {
        name: {view for d in draws if d.scene_id == name for view, _ in d.frames} for name in "ab"
    }
    assert views == {"a": {0}, "b": set(range(6))}


def test_uniform_draws_are_those_of_a_plain_choice():
    """What trained before the bias was an option trains alike."""
    drawn = draw(3)
    generator = numpy_generator(42, "small", "targets of step 3")
    generator.integers(3)
    chosen = generator.choice(6 * 9, size=5, replace=False)
    assert drawn.frames == tuple((int(place) // 9, int(place) % 9) for place in chosen)


@pytest.mark.parametrize("bias", BIASES)
def test_later_frames_are_never_less_likely_and_views_are_alike(bias):
    chances = frame_chances(9, bias)
    assert chances.sum() == pytest.approx(1)
    assert (np.diff(chances) >= 0).all()
    counts = np.zeros((6, 9))
    for step in range(600):
        for view, frame in draw(step, bias=bias).frames:
            counts[view, frame] += 1
    early, late = counts[:, :4].sum(), counts[:, 5:].sum()
    assert (late > 1.5 * early) == (bias != "uniform")
    assert counts.sum(1).min() > 0.75 * counts.sum(1).max()


@pytest.mark.parametrize("bias", BIASES)
def test_biased_targets_are_different_frames_too(bias):
    for step in range(30):
        frames = draw(step, bias=bias).frames
        assert len(set(frames)) == 5


def test_frames_without_a_chance_are_not_drawn_even_where_more_are_asked_for():
    drawn = draw(0, bias="linear", num_targets=100)
    assert sorted(drawn.frames) == [(view, frame) for view in range(6) for frame in range(1, 9)]


@pytest.mark.parametrize("bias", BIASES)
def test_a_view_of_one_frame_is_drawn_under_every_bias(bias):
    drawn = draw(0, num_frames=1, num_targets=2, bias=bias)
    assert len(drawn.frames) == 2


def test_a_still_decoder_is_supervised_by_forward_views_alone():
    mixed = ViewList((True, False, True, False), 17)
    settings = {"views": mixed, "num_targets": 100}
    drawn = draw(0, **settings)
    assert sorted(drawn.frames) == [(view, frame) for view in (1, 3) for frame in range(9)]
    assert drawn.time is None


def test_all_targets_of_a_dynamic_step_show_one_moment():
    for step in range(50):
        drawn = draw(step, **MOVING)
        for view, frame in drawn.frames:
            assert (16 - frame if BOTH.motion_reversed[view] else frame) == drawn.time


def test_no_held_out_frame_of_either_direction_supervises_a_dynamic_step():
    draws = [draw(step, **MOVING) for step in range(300)]
    assert {drawn.time for drawn in draws} == set(range(9))
    assert max(frame for drawn in draws for _, frame in drawn.frames) == 16 - 4
    for drawn in draws:  # frame 16 - time of a reversed view is held out where time < 4
        assert len(drawn.frames) == (6 if drawn.time < 4 else 12)


def test_later_moments_are_drawn_more_often_where_asked_for():
    times = [draw(step, **MOVING, bias="squared").time for step in range(200)]
    assert sum(time > 4 for time in times) > 2 * sum(time < 4 for time in times)


def test_the_number_of_views_to_read_is_drawn_between_its_limits():
    draws = [draw(step, num_views=(2, 4)) for step in range(100)]
    assert {len(drawn.read) for drawn in draws} == {2, 3, 4}
    assert {view for drawn in draws for view in drawn.read} == set(range(6))
    assert all(list(drawn.read) == sorted(set(drawn.read)) for drawn in draws)


def test_frames_are_drawn_alike_however_many_views_are_read():
    for step in range(20):
        alone = draw(step)
        assert alone.read == tuple(range(6))
        assert draw(step, num_views=(1, 6)).frames == alone.frames


def test_supervision_by_read_views_draws_no_frame_of_another():
    narrow = {"num_views": (1, 3), "supervision": "read_views"}
    for step in range(50):
        drawn = draw(step, **narrow)
        assert {view for view, _ in drawn.frames} <= set(drawn.read)


def test_reversed_views_supervise_whichever_forward_views_are_read():
    narrow = {"num_views": (1, 1), "supervision": "read_views"}
    draws = [draw(step, **MOVING, **narrow) for step in range(100)]
    for drawn in draws:
        forward = {view for view, _ in drawn.frames if view < 6}
        assert forward == set(drawn.read) and len(drawn.read) == 1
    assert {view for drawn in draws for view, _ in drawn.frames} == set(range(12))


def test_processes_draw_for_themselves_and_the_first_as_if_alone():
    alone = [draw(step) for step in range(10)]
    first, second = ([draw(step, rank=rank) for step in range(10)] for rank in (0, 1))
    assert first == alone and second != alone
