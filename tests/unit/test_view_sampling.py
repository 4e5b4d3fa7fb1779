from __future__ import annotations

from lyra_model.view_sampling import sample_step

SETTINGS = {
    "seed": 42,
    "phase": "small",
    "num_views": {"a": 6, "b": 6, "c": 6},
    "num_frames": 9,
    "num_targets": 5,
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
