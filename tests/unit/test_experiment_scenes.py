from __future__ import annotations

import json

import numpy as np
import pytest
import yaml

from experiments.many_scenes import inputs
from experiments.many_scenes.camera import FOCAL_PIXELS, HEIGHT, WIDTH, look
from experiments.many_scenes.inputs import write_rooms
from experiments.many_scenes.photos import SEEN, UNSEEN, look_up
from experiments.many_scenes.room import Box, Paint, Room, Sphere, room
from experiments.many_scenes.variants import VARIANTS, variant, whole
from lyra_data.sources.files import FilesParams, FilesSource
from tests.goldens import REPOSITORY

VALUES = yaml.safe_load((REPOSITORY / "params.yaml").read_text())
PAINT = Paint("brick", 1.0, np.zeros(2), np.ones(3))


def unproject(depth: np.ndarray, camera_to_world: np.ndarray) -> np.ndarray:
    y, x = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    rays = np.stack([(x - WIDTH / 2) / FOCAL_PIXELS, (y - HEIGHT / 2) / FOCAL_PIXELS], axis=-1)
    own = np.concatenate([rays, np.ones_like(rays[..., :1])], axis=-1) * depth[..., None]
    return own.reshape(-1, 3) @ camera_to_world[:3, :3].T + camera_to_world[:3, 3]


def test_depth_is_that_of_the_surfaces():
    wall = Box(np.array([0, 0, 1.0]), np.array([2, 1.5, 4.0]), 0.0, (PAINT,) * 3, from_inside=True)
    ball = Sphere(np.array([0.3, 0.2, 2.0]), 0.4, PAINT)
    camera_to_world = np.eye(4)
    camera_to_world[:3, 3] = (0.1, -0.1, 0.3)
    points = unproject(look(Room((wall, ball)), camera_to_world).depth, camera_to_world)
    to_wall = np.abs(wall.half_size - np.abs(points - wall.centre)).min(axis=1)
    to_ball = np.abs(np.linalg.norm(points - ball.centre, axis=1) - ball.radius)
    assert np.minimum(to_wall, to_ball).max() < 1e-9
    assert (to_ball < 1e-9).sum() > 500


def test_two_cameras_see_a_surface_in_the_same_colours():
    shown = room(3)
    here, there = look(shown, np.eye(4)), np.eye(4)
    there[0, 3] = 0.4
    points = unproject(here.depth, np.eye(4)) - there[:3, 3]
    x = points[:, 0] / points[:, 2] * FOCAL_PIXELS + WIDTH / 2
    y = points[:, 1] / points[:, 2] * FOCAL_PIXELS + HEIGHT / 2
    inside = (x > 0) & (x < WIDTH) & (y > 0) & (y < HEIGHT)
    from_there = look(shown, there)
    column, row = x[inside].astype(int), y[inside].astype(int)
    visible = np.abs(from_there.depth[row, column] - points[inside, 2]) < 0.02
    assert visible.mean() > 0.8
    colours = here.rgb.reshape(-1, 3)[inside][visible].astype(float)
    apart = np.abs(colours - from_there.rgb[row, column][visible]).mean()
    other = np.abs(colours - np.roll(from_there.rgb, 9, axis=1)[row, column][visible]).mean()
    assert apart < 0.4 * other


def test_textures_run_back_and_forth_without_a_seam():
    ramp = np.linspace(0, 1, 11)[None, :, None] * np.ones((5, 1, 3))
    places = np.stack([np.linspace(-3, 3, 601), np.zeros(601)], axis=1)
    colours = look_up(ramp, places)[:, 0]
    assert np.abs(np.diff(colours)).max() < 0.012
    assert colours.min() == pytest.approx(0, abs=0.01)
    assert colours.max() == pytest.approx(1, abs=0.01)


def test_a_room_is_drawn_from_its_seed_alone_and_unseen_photos_stay_unseen():
    assert (look(room(5), np.eye(4)).rgb == look(room(5), np.eye(4)).rgb).all()
    assert not set(SEEN) & set(UNSEEN)
    for seed in range(5):
        for unseen, photos in ((False, SEEN), (True, UNSEEN)):
            things = room(seed, unseen_photos=unseen).things
            paints = [
                paint
                for thing in things
                for paint in (thing.paints if isinstance(thing, Box) else (thing.paint,))
            ]
            assert {paint.photo for paint in paints} <= set(photos)


def test_rooms_are_sources_with_true_pictures_held_out(tmp_path, monkeypatch):
    monkeypatch.setattr(inputs, "NUM_KEPT", 0)
    assert write_rooms(tmp_path / "inputs", 1) == ["room_00"]
    source = FilesSource(
        FilesParams(name="files", folder=str(tmp_path / "inputs" / "room_00"), scene_id="room_00")
    )
    material = source.read()
    assert len(material.held_out) == len(inputs.HELD_OUT_SHIFTS)
    assert material.depth_scale == "metric"
    pose = json.loads((tmp_path / "inputs/room_00/held_out/left.json").read_text())
    matrix = np.array(pose["camera_to_world"])
    assert np.allclose(matrix[:3, :3] @ matrix[:3, :3].T, np.eye(3))
    centre = matrix[:3, 2] * -matrix[0, 3] / matrix[0, 2] + matrix[:3, 3]
    assert centre[:2] == pytest.approx([0, 0], abs=1e-6)  # it looks at the source's axis


@pytest.mark.parametrize("name", [name for name in VARIANTS if name != "whole"])
def test_a_variant_leaves_out_one_thing_and_changes_no_data(name):
    params = whole(VALUES, ["room_00"], ["kept_*"])
    changed = variant(name, params)
    assert changed != params
    for section in ("annotate", "generate", "package", "evaluate"):
        assert changed[section] == params[section]
