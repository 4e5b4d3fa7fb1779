from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest
import torch

from lyra_data.engine.errors import CorruptDataError
from lyra_data.engine.hashing import sha256_of_bytes
from lyra_model.training.states import StateFolder, TrainingState, Upkeep, load_state, step_of


def state_of(step: int) -> TrainingState:
    return TrainingState(step, {"w": torch.full((3,), float(step))}, {}, [{"step": float(step)}])


def folder_after(steps: int, folder: Path, **upkeep: int) -> StateFolder:
    states = StateFolder(folder, Upkeep(checkpoint_steps=2, **upkeep))
    for step in range(2, steps + 1, 2):
        states.keep(state_of(step))
    return states


def steps_kept(states: StateFolder) -> list[int]:
    return [step_of(path) for path in states.files()]


def test_a_state_comes_back_as_it_was(tmp_path):
    state = folder_after(6, tmp_path).newest()
    assert state is not None and (state.step, state.history) == (6, [{"step": 6.0}])
    assert torch.equal(state.decoder["w"], torch.full((3,), 6.0))


def test_without_states_there_is_nothing_to_go_on_from(tmp_path):
    assert StateFolder(tmp_path / "nothing", Upkeep()).newest() is None


def test_the_newest_states_are_kept_and_no_older_ones(tmp_path):
    assert steps_kept(folder_after(20, tmp_path, keep_newest=3)) == [16, 18, 20]


def test_every_kth_state_is_kept_for_good(tmp_path):
    assert steps_kept(folder_after(20, tmp_path, keep_newest=1, keep_every=4)) == [8, 16, 20]


@pytest.mark.parametrize("num_bytes", [0, 40, -1])
def test_an_unreadable_newest_state_is_refused_naming_the_one_before_and_stays(tmp_path, num_bytes):
    states = folder_after(6, tmp_path)
    newest = states.files()[-1]
    newest.write_bytes(newest.read_bytes()[:num_bytes])
    with pytest.raises(CorruptDataError, match="cut or altered") as caught:
        states.newest()
    assert caught.value.where == str(newest) and newest.is_file()
    assert "goes on after step 4 (state_00000004.pt)" in str(caught.value.fix)
    newest.rename(tmp_path / "moved_away")
    state = states.newest()
    assert state is not None and state.step == 4


def test_without_an_older_state_the_refusal_says_that_the_phase_starts_anew(tmp_path):
    states = folder_after(2, tmp_path)
    states.files()[0].write_bytes(b"")
    with pytest.raises(CorruptDataError) as caught:
        states.newest()
    assert "is trained from its start" in str(caught.value.fix)


def test_files_of_other_names_are_neither_read_nor_removed(tmp_path):
    (tmp_path / "state_mine.pt").write_bytes(b"x")
    assert steps_kept(folder_after(6, tmp_path, keep_newest=1)) == [6]
    assert (tmp_path / "state_mine.pt").is_file()


def test_a_sealed_state_with_a_pickle_that_never_ends_is_refused(tmp_path):
    """The hash in front of it is right: whoever makes such a file writes it too."""
    nested = b"\x80\x02})" + b"2\x86" * 40 + b"K\x01s."
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("state/data.pkl", nested)
        archive.writestr("state/version", b"3\n")
    for content in (buffer.getvalue(), nested):
        path = tmp_path / "state_00000007.pt"
        path.write_bytes(sha256_of_bytes(content).encode() + content)
        with pytest.raises(CorruptDataError, match="not a readable training state"):
            load_state(path, without_it="is trained from its start")


@pytest.mark.parametrize("content", [[1, 2], {"step": 1}, {"step": "1", "decoder": {}}])
def test_a_sealed_file_of_something_else_is_no_state(tmp_path, content):
    buffer = io.BytesIO()
    torch.save(content, buffer)
    path = tmp_path / "state_00000007.pt"
    path.write_bytes(sha256_of_bytes(buffer.getvalue()).encode() + buffer.getvalue())
    with pytest.raises(CorruptDataError, match="not a readable training state"):
        load_state(path, without_it="is trained from its start")
