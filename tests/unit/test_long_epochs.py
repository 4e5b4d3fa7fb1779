"""Epochs over 10,000 scenes: each comes once, ranks share them, any step can be gone on from."""

from __future__ import annotations

import copy
import pickle
from collections import Counter
from dataclasses import replace

import pytest

from lyra_data.dataset.reading.reader import SceneDataset
from lyra_data.dataset.reading.sampler import SceneSampler
from lyra_model.batches.part_cache import PartCache
from lyra_model.batches.step_reader import DrawReader
from lyra_model.batches.step_source import StepSetup, StepSource
from lyra_model.phases.view_sampling import ViewList
from tests.unit.test_training import make_dataset, make_params, shape_of

NUM_SCENES = 10_000


class ReaderOfEntries(DrawReader):
    """Knows the views of scenes of which there are only entries."""

    def listed(self, scene_id: str) -> ViewList:
        assert scene_id.startswith("scene-")
        return ViewList((False, False), 17)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> SceneDataset:
    """A dataset whose list names 10,000 scenes; none of them is there."""
    real = make_dataset(tmp_path_factory.mktemp("epochs") / "data")
    many = copy.copy(real)
    many.scenes = [replace(real.scenes[0], scene_id=f"scene-{n:05}") for n in range(NUM_SCENES)]
    return many


def setup_of(dataset: SceneDataset, rank: int, num_processes: int) -> StepSetup:
    params = make_params().model_copy(update={"scene_order": "epochs"})
    return StepSetup(params, "demo", 42, dataset, shape_of(), rank, num_processes)


def source_of(setup: StepSetup) -> StepSource:
    return setup.source(ReaderOfEntries(setup.dataset, setup.shape, cache=PartCache(0)))


@pytest.mark.parametrize("num_processes", [1, 8, 7])
def test_every_epoch_has_every_scene_once_between_all_processes(dataset, num_processes) -> None:
    orders = [
        SceneSampler(dataset, seed=3, rank=rank, world_size=num_processes)
        for rank in range(num_processes)
    ]
    steps = -(-NUM_SCENES // num_processes)
    epochs = []
    for epoch in range(2):
        drawn = [
            order.at_step(epoch * steps + turn).position
            for turn in range(steps)
            for order in orders
        ]
        assert set(drawn) == set(range(NUM_SCENES))
        assert len(drawn) - NUM_SCENES == steps * num_processes - NUM_SCENES < num_processes
        assert max(Counter(drawn[:NUM_SCENES]).values()) == 1
        epochs.append(drawn)
    assert epochs[0] != epochs[1]


@pytest.mark.parametrize("num_processes", [1, 8])
def test_any_step_is_the_one_of_a_run_that_never_stopped(dataset, num_processes) -> None:
    """Whatever was read before it, in this process or in the one that was killed."""
    steps = NUM_SCENES // num_processes
    rank = num_processes - 1
    whole = source_of(setup_of(dataset, rank, num_processes))
    stops = (1, steps // 2, steps - 1, steps, steps + 1, 3 * steps + 456)
    drawn = {}
    for step in sorted({stop + more for stop in stops for more in range(3)}):
        drawn[step] = whole.draws.draw(step)
    setup = pickle.loads(pickle.dumps(setup_of(dataset, rank, num_processes)))
    for stop in reversed(stops):
        resumed = source_of(setup)
        assert [resumed.draws.draw(stop + more) for more in range(3)] == [
            drawn[stop + more] for more in range(3)
        ]
    assert len({draw.scene_id for draw in drawn.values()}) > len(drawn) / 2


def test_processes_read_different_scenes_and_frames_of_their_own(dataset) -> None:
    sources = [source_of(setup_of(dataset, rank, 8)) for rank in range(8)]
    for step in (0, 1249, 1250, 9999):
        draws = [source.draws.draw(step) for source in sources]
        assert len({draw.scene_id for draw in draws}) == 8
        assert len({draw.frames for draw in draws}) > 1
