"""Training reads what a step draws and nothing else, and its values are those of whole scenes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from lyra_data.dataset.reading.reader import SceneDataset
from lyra_data.dataset.writing.writer import write_dataset
from lyra_data.engine.errors import InputError, ParamsError
from lyra_data.models.codecs import CODECS
from lyra_data.packing.encoding import Encoding
from lyra_model.batches.distance_check import DistanceCheck
from lyra_model.batches.part_cache import PartCache
from lyra_model.batches.step_reader import StepBatch, StepReader
from lyra_model.phases.view_sampling import StepDraw
from tests.unit import test_dynamic_training as dynamic
from tests.unit.test_processes import make_trainer
from tests.unit.test_training import (
    make_dataset,
    make_params,
    scene_loader,
    shape_of,
    whole_scene,
)

CPU = torch.device("cpu")
DRAW = StepDraw("a", ((1, 5), (0, 3), (1, 2)), None, (0, 1))


def reader_of(dataset: SceneDataset, *, limit_bytes: int = 1 << 30, **shape) -> StepReader:
    codec = CODECS.create({"name": "dct"}, where="test")
    return StepReader(dataset, codec, shape_of(**shape), device=CPU, cache=PartCache(limit_bytes))


def batch_of(reader: StepReader, draw: StepDraw) -> StepBatch:
    return reader.batch(reader.read(draw))


def assert_same(step: StepBatch, dataset: SceneDataset, draw: StepDraw, **shape) -> None:
    """The step's tensors are, to the bit, those of the batch of the whole scene."""
    loader = scene_loader(dataset, **shape)
    batch = loader.reading(whole_scene(loader, draw.scene_id), draw.read)
    time = None if draw.time is None else float(draw.time)
    expected = loader.inputs_at(batch, time)
    for name, value in vars(step.inputs).items():
        other = getattr(expected, name)
        assert torch.equal(value, other) if isinstance(value, torch.Tensor) else value == other
    for index, (view, frame) in enumerate(draw.frames):
        made, whole = step.targets[[index]], batch.targets[view][[frame]]
        for name in ("rgb", "depth", "depth_valid", "times"):
            assert torch.equal(getattr(made, name), getattr(whole, name)), name
        assert torch.equal(made.cameras.camera_to_world, whole.cameras.camera_to_world)
        assert torch.equal(made.cameras.intrinsics, whole.cameras.intrinsics)


@pytest.mark.parametrize("read", [(0, 1), (1,)])
@pytest.mark.parametrize("shape", [{}, {"width": 16}, {"num_frames": 17, "readable": 13}])
@pytest.mark.parametrize("limit_bytes", [0, 1 << 30])
def test_a_step_has_the_values_of_the_whole_scene(tmp_path, shape, read, limit_bytes):
    dataset = make_dataset(tmp_path / "data")
    draw = replace(DRAW, read=read)
    reader = reader_of(dataset, limit_bytes=limit_bytes, **shape)
    for _ in range(2):  # from the dataset, and from memory where there is any
        assert_same(batch_of(reader, draw), dataset, draw, **shape)


def test_a_step_of_a_moving_scene_has_the_values_of_the_whole_scene(tmp_path):
    dataset = dynamic.make_dataset(tmp_path / "data", directions=(False, True, False))
    draw = StepDraw("a", ((2, 4), (1, 12), (0, 4)), 4, (0, 2))
    batch = batch_of(reader_of(dataset, dynamic=True), draw)
    assert_same(batch, dataset, draw, dynamic=True)
    assert batch.targets.times.tolist() == [4.0, 4.0, 4.0]


def test_frames_stored_as_halves_and_lossy_video_have_the_values_of_the_whole_scene(tmp_path):
    views = make_dataset(tmp_path / "lossless").scene("a")
    write_dataset(
        views,
        tmp_path / "lean",
        splits=None,
        scenes_per_shard=1,
        provenance={},
        encoding=Encoding(rgb="compat", depth="half", latents="half"),
    )
    dataset = SceneDataset(tmp_path / "lean")
    assert_same(batch_of(reader_of(dataset), DRAW), dataset, DRAW)


def test_a_step_decodes_its_latents_and_its_frames_with_depth_and_nothing_else(tmp_path):
    dataset = make_dataset(tmp_path / "data", scenes=("a", "b"))
    dataset.counts.reset()
    batch_of(reader_of(dataset), replace(DRAW, read=(1,)))
    assert dict(dataset.counts.blobs) == {"frames": 2, "depth": 2, "latents": 1}
    assert dataset.counts.parts["depth"] == len(DRAW.frames)


def test_a_part_that_memory_has_is_not_decoded_again_and_one_it_lost_is(tmp_path):
    dataset = make_dataset(tmp_path / "data")
    for limit_bytes, again in ((1 << 30, {}), (0, {"frames": 2, "depth": 2, "latents": 2})):
        reader = reader_of(dataset, limit_bytes=limit_bytes)
        reader.read(DRAW)
        dataset.counts.reset()
        reader.read(DRAW)
        assert dict(dataset.counts.blobs) == again
    later = replace(DRAW, frames=((0, 3), (0, 7)))
    reader = reader_of(dataset)
    reader.read(DRAW)
    dataset.counts.reset()
    reader.read(later)
    assert dict(dataset.counts.blobs) == {"frames": 1, "depth": 1}
    assert dataset.counts.parts["depth"] == 1


def test_pictures_of_another_size_are_encoded_once(tmp_path):
    dataset = make_dataset(tmp_path / "data")
    reader = reader_of(dataset, width=16)
    batch_of(reader, DRAW)
    assert dataset.counts.parts["depth"] == len(DRAW.frames)
    dataset.counts.reset()
    batch_of(reader, replace(DRAW, read=(1,)))
    assert dict(dataset.counts.blobs) == {}


def test_what_is_kept_of_scenes_stays_within_the_limit(tmp_path):
    dataset = make_dataset(tmp_path / "data", scenes=("a", "b", "c"))
    limit_bytes = 60_000
    reader = reader_of(dataset, limit_bytes=limit_bytes)
    largest = 0
    for number in range(12):
        scene_id = "abc"[number % 3]
        reader.read(StepDraw(scene_id, ((0, number % 9), (1, number % 9)), None, (0, 1)))
        largest = max(largest, reader.cache.num_bytes)
    assert limit_bytes / 2 < largest <= limit_bytes


def test_the_sizes_that_are_counted_are_those_of_the_tensors(tmp_path):
    dataset = make_dataset(tmp_path / "data")
    reader = reader_of(dataset)
    data = reader.read(DRAW)
    inputs = data.inputs.prepared(reader.codec)
    tensors = [value for value in vars(inputs).values() if isinstance(value, torch.Tensor)]
    assert data.inputs.num_bytes == sum(tensor.nbytes for tensor in tensors)


def test_a_scene_without_forward_views_is_refused_where_a_step_draws_it(tmp_path):
    backwards = dynamic.make_dataset(tmp_path / "data", directions=(True, True))
    with pytest.raises(InputError, match="none shows the motion forwards"):
        reader_of(backwards).read(replace(DRAW, read=(0,)))


def with_depth(folder: Path, share_far: float) -> SceneDataset:
    """A scene that is 2 away, and in a share of its frames, from the first on, 50."""
    (view, _) = make_dataset(folder / "model").scene("a")
    depth = torch.full_like(view.depth, 2.0)
    depth[: round(share_far * len(depth))] = 50.0
    known = torch.ones_like(view.depth_valid)
    write_dataset(
        [replace(view, depth=depth, depth_valid=known)],
        folder / "data",
        splits=None,
        scenes_per_shard=1,
        provenance={},
    )
    return SceneDataset(folder / "data")


@pytest.mark.parametrize(("share_far", "is_refused"), [(0.9, True), (0.3, False)])
def test_a_scene_is_refused_for_its_depth_and_not_for_that_of_a_single_frame(
    tmp_path, caplog, share_far, is_refused
):
    dataset = with_depth(tmp_path, share_far)
    check = DistanceCheck(dataset, make_params().decoder)  # up to 12
    targets = reader_of(dataset).read(StepDraw("a", ((0, 0),), None, (0,))).targets
    assert float(targets.depth.min()) == 50.0
    if is_refused:
        with pytest.raises(ParamsError, match="lies outside"):
            check.check("a", targets)
        return
    check.check("a", targets)
    assert "lies outside" in caplog.text


def test_a_scene_within_the_range_is_checked_without_reading_more_of_it(tmp_path):
    dataset = make_dataset(tmp_path / "data")
    targets = reader_of(dataset).read(DRAW).targets
    dataset.counts.reset()
    DistanceCheck(dataset, make_params().decoder).check("a", targets)
    assert dict(dataset.counts.blobs) == {}


def test_steps_are_the_same_whatever_was_read_before(tmp_path):
    """A run that goes on from a state, in another process, reads what the first one read."""
    make_dataset(tmp_path / "data", scenes=("a", "b", "c"))
    in_order, alone = make_trainer(tmp_path), make_trainer(tmp_path)
    read = [in_order.steps.take(step) for step in range(3)]
    again = alone.steps.read(2)
    assert again.draw == read[2].draw
    assert torch.equal(again.targets.rgb, read[2].targets.rgb)
    in_order.steps.close()
