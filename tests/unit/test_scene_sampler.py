"""Scenes come in an order that the seed alone decides, with any number of ranks and workers."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest
import torch
from torch.utils.data import DataLoader

from lyra_data.dataset.reading.reader import SceneDataset
from lyra_data.dataset.reading.sampler import SceneSampler, SceneSamples
from lyra_data.dataset.reading.scene_reader import SceneReader
from lyra_data.dataset.writing.writer import write_dataset
from lyra_data.engine.errors import InputError
from tests.children import succeeds_in_fresh_process
from tests.factories import make_view

NUM_SCENES = 7


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> SceneDataset:
    folder = tmp_path_factory.mktemp("sampler") / "dataset"
    views = [make_view(f"scene-{n}", index, seed=n) for n in range(NUM_SCENES) for index in (0, 1)]
    write_dataset(views, folder, splits=None, scenes_per_shard=3, provenance={})
    return SceneDataset(folder)


def draw_frames(scene: SceneReader, generator: torch.Generator) -> dict:
    frames = torch.randint(9, (2,), generator=generator).tolist()
    sample = scene.read(latents=[0, 1], frames={1: frames})
    return {
        "scene": sample.scene_id,
        "frames": sample.frames[1],
        "depth": sample.depth[1],
        "latents": torch.stack([sample.latents[0], sample.latents[1]]),
    }


def keep(items: list) -> dict:
    (item,) = items
    return item


def loaded(dataset: SceneDataset, sampler: SceneSampler, num_workers: int) -> list[dict]:
    samples = SceneSamples(dataset, draw_frames, seed=5)
    settings = {"batch_size": 1, "collate_fn": keep, "num_workers": num_workers}
    return list(DataLoader(samples, sampler=sampler, **settings))


def assert_equal_samples(one: list[dict], other: list[dict]) -> None:
    assert [sample["scene"] for sample in one] == [sample["scene"] for sample in other]
    for first, second in zip(one, other, strict=True):
        for name in ("frames", "depth", "latents"):
            assert torch.equal(first[name], second[name])


def test_an_epoch_has_every_scene_once_and_each_epoch_another_order(dataset) -> None:
    orders = [
        [draw.position for draw in SceneSampler(dataset, seed=1, epoch=epoch)] for epoch in range(3)
    ]
    assert all(sorted(order) == list(range(NUM_SCENES)) for order in orders)
    assert len({tuple(order) for order in orders}) == 3
    assert orders[1] == [draw.position for draw in SceneSampler(dataset, seed=1, epoch=1)]
    assert orders[0] != [draw.position for draw in SceneSampler(dataset, seed=2)]


@pytest.mark.parametrize("world_size", [2, 3])
def test_ranks_take_turns_in_one_order(dataset, world_size: int) -> None:
    parts = [
        list(SceneSampler(dataset, seed=1, rank=rank, world_size=world_size))
        for rank in range(world_size)
    ]
    assert len({len(part) for part in parts}) == 1
    together = [draw for turn in zip(*parts, strict=True) for draw in turn]
    whole = list(SceneSampler(dataset, seed=1))
    assert together[:NUM_SCENES] == whole
    filled = [draw.position for draw in together[NUM_SCENES:]]
    assert filled == [draw.position for draw in whole[: len(filled)]]


@pytest.mark.slow
def test_workers_change_no_sample_and_resume_anywhere(dataset) -> None:
    assert succeeds_in_fresh_process(_load_with_workers, Path(dataset.uri))


def _load_with_workers(folder: Path) -> None:
    dataset = SceneDataset(folder)
    dataset["scene-0"].read_view(0)  # files are open when the workers fork
    alone = loaded(dataset, SceneSampler(dataset, seed=5), 0)
    assert_equal_samples(alone, loaded(dataset, SceneSampler(dataset, seed=5), 2))
    later = SceneSampler(dataset, seed=5)
    later.advance(4)
    assert_equal_samples(alone[4:], loaded(dataset, later, 2))


def test_a_resumed_epoch_goes_on_with_any_number_of_ranks(dataset) -> None:
    whole = loaded(dataset, SceneSampler(dataset, seed=5), 0)
    first = SceneSampler(dataset, seed=5, world_size=2)
    first.advance(2)
    state = first.state_dict()
    assert state["global_samples"] == 4 and set(state) == {
        "manifest",
        "seed",
        "epoch",
        "global_samples",
    }
    second = SceneSampler(dataset, seed=5)
    second.load_state_dict(state)
    assert_equal_samples(loaded(dataset, second, 0), whole[4:])
    second.advance(3)
    assert (second.epoch, second.global_samples) == (1, 0)


def test_a_state_of_another_dataset_or_seed_is_refused(dataset) -> None:
    state = SceneSampler(dataset, seed=5).state_dict()
    with pytest.raises(InputError, match="not of"):
        SceneSampler(dataset, seed=6).load_state_dict(state)
    with pytest.raises(InputError, match="not of"):
        SceneSampler(dataset, seed=5).load_state_dict({**state, "manifest": "x"})


@pytest.mark.slow
def test_a_thousand_samples_leak_neither_memory_nor_files(dataset) -> None:
    samples = SceneSamples(dataset, draw_frames, seed=5)
    draws = list(SceneSampler(dataset, seed=5))

    def used() -> tuple[int, int]:
        gc.collect()
        status = Path("/proc/self/status").read_text()
        resident = int(status.partition("VmRSS:")[2].split()[0])
        return resident, len(list(Path("/proc/self/fd").iterdir()))

    for number in range(100):
        samples[draws[number % NUM_SCENES]]
    resident, files = used()
    for number in range(1000):
        samples[draws[number % NUM_SCENES]]
    resident_after, files_after = used()
    assert files_after <= files
    assert resident_after - resident < 8 * 1024  # KiB: a sample is 60
