"""Protocols: what they state, which files they accept, and which scores they keep apart."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from lyra_data.engine.errors import InputError
from lyra_data.engine.hashing import sha256_of_file
from lyra_model.judging.protocols.built_in import BUILT_IN, find_protocol
from lyra_model.judging.protocols.comparison import (
    cautions,
    differing_entries,
    require_comparable,
)
from lyra_model.judging.protocols.files import open_protocol, protocol_values
from lyra_model.judging.protocols.protocol import Protocol
from lyra_model.judging.protocols.split_files import (
    SceneFrames,
    read_split,
    with_frames,
    with_split,
    without_scenes,
)

PIXELSPLAT = find_protocol("re10k-pixelsplat").protocol
NOPOSPLAT = find_protocol("re10k-noposplat").protocol


def with_file(protocol: Protocol, path: Path, *, listed: int, used: int) -> Protocol:
    split = replace(protocol.split, sha256=sha256_of_file(path), num_listed=listed, num_used=used)
    return replace(protocol, name="mine", split=split)


def write(path: Path, values: object) -> Path:
    path.write_text(json.dumps(values))
    return path


def test_every_built_in_protocol_has_a_fingerprint_of_its_own_and_names_its_sources() -> None:
    fingerprints = {known.protocol.fingerprint for known in BUILT_IN.values()}
    assert len(fingerprints) == len(BUILT_IN) == 9
    for name, known in BUILT_IN.items():
        assert known.protocol.name == name
        assert known.sources and known.summary.endswith(".")
        assert (known.split_address is None) == (known.protocol.split.file is None)


def test_the_two_split_files_of_one_name_are_told_apart() -> None:
    assert PIXELSPLAT.split.file == NOPOSPLAT.split.file == "evaluation_index_re10k.json"
    assert (PIXELSPLAT.split.num_used, NOPOSPLAT.split.num_used) == (6474, 5601)
    assert PIXELSPLAT.split.sha256 != NOPOSPLAT.split.sha256


def test_any_entry_changes_the_fingerprint() -> None:
    changed = [
        replace(PIXELSPLAT, aggregation="frames"),
        replace(PIXELSPLAT, pictures=replace(PIXELSPLAT.pictures, rounding="none")),
        replace(PIXELSPLAT, metrics=replace(PIXELSPLAT.metrics, lpips=())),
        replace(PIXELSPLAT, poses=NOPOSPLAT.poses),
        without_scenes(PIXELSPLAT, ["a"]),
        without_scenes(PIXELSPLAT, ["b"]),
    ]
    assert len({PIXELSPLAT.fingerprint, *(each.fingerprint for each in changed)}) == 7
    assert without_scenes(PIXELSPLAT, []) == PIXELSPLAT


def test_the_fingerprint_of_a_protocol_is_the_same_from_one_release_to_the_next() -> None:
    """A change here makes every stored score incomparable: change it with the reason in mind."""
    assert PIXELSPLAT.fingerprint == PIXELSPLAT_FINGERPRINT


PIXELSPLAT_FINGERPRINT = "c7384303c94fc5774dac3f58be823aa4f10c37e9ead6cca02859870327eb06f2"


def test_scores_of_two_protocols_are_not_compared_and_every_difference_is_named() -> None:
    require_comparable(PIXELSPLAT.entries(), PIXELSPLAT.entries(), where="here")
    with pytest.raises(InputError) as caught:
        require_comparable(PIXELSPLAT.entries(), NOPOSPLAT.entries(), where="scores.json")
    differing = differing_entries(PIXELSPLAT.entries(), NOPOSPLAT.entries())
    assert {"split.sha256", "poses.source", "pictures.rounding"} < set(differing)
    for name, (ours, theirs) in differing.items():
        assert f"{name}: " in caught.value.what
        assert str(ours) in caught.value.what and str(theirs) in caught.value.what
    assert caught.value.where == "scores.json"


def test_an_entry_that_only_one_of_two_protocols_has_is_a_difference() -> None:
    without = replace(PIXELSPLAT, metrics=replace(PIXELSPLAT.metrics, ssim=None))
    names = differing_entries(PIXELSPLAT.entries(), without.entries())
    assert names["metrics.ssim.covariance"] == ("sample", "nothing")


def test_poses_that_were_fitted_to_the_target_are_said_first() -> None:
    first, second = cautions(NOPOSPLAT)
    assert "fitted from the target pictures themselves" in first
    assert "434 of 5601" in second
    assert "140 of 140" in cautions(find_protocol("dl3dv-depthsplat-6").protocol)[0]
    first, second = cautions(find_protocol("dl3dv-worldmirror").protocol)
    assert "predicted" in first and "67 of 112" in second
    assert "unpublished" in cautions(find_protocol("lyra-table1").protocol)[0]
    assert cautions(find_protocol("lyra-views").protocol) == []


def test_a_split_file_gives_the_scenes_that_have_frames(tmp_path) -> None:
    values = {
        "a": {"context": [0, 9], "target": [3, 5], "overlap": 0.4},
        "b": None,
        "c": {"context": [1, 2], "target": [2]},
    }
    path = write(tmp_path / "index.json", values)
    protocol = with_file(PIXELSPLAT, path, listed=3, used=2)
    scenes = read_split(path, protocol)
    assert scenes == {"a": SceneFrames((0, 9), (3, 5)), "c": SceneFrames((1, 2), (2,))}
    assert with_split(protocol, path, scenes) == protocol


def test_the_key_of_inputs_is_the_protocols_own(tmp_path) -> None:
    path = write(tmp_path / "DL3DV.json", {"a": {"input": [0], "target": [1]}})
    worldmirror = find_protocol("dl3dv-worldmirror").protocol
    scenes = read_split(path, with_file(worldmirror, path, listed=1, used=1))
    assert scenes["a"] == SceneFrames((0,), (1,))


def test_a_file_of_the_same_name_with_another_content_is_refused(tmp_path) -> None:
    path = write(tmp_path / "evaluation_index_re10k.json", {"a": {"context": [0], "target": [1]}})
    with pytest.raises(InputError, match="not the split file of protocol re10k-pixelsplat") as it:
        read_split(path, PIXELSPLAT)
    assert "fbcff9b4" in it.value.what and "github.com/dcharatan" in str(it.value.fix)


def test_the_file_of_another_protocol_is_recognised(tmp_path, monkeypatch) -> None:
    path = write(tmp_path / "evaluation_index_re10k.json", {"a": {"context": [0], "target": [1]}})
    mine = with_file(NOPOSPLAT, path, listed=1, used=1)
    known = replace(BUILT_IN["re10k-noposplat"], protocol=mine)
    monkeypatch.setitem(BUILT_IN, "re10k-noposplat", known)
    with pytest.raises(InputError, match="it is the file of protocol re10k-noposplat") as caught:
        read_split(path, PIXELSPLAT)
    assert caught.value.fix == "name --protocol re10k-noposplat"


@pytest.mark.parametrize(
    "values",
    [
        {"a": {"context": [0]}},
        {"a": {"context": [0], "target": []}},
        {"a": {"context": [0], "target": ["1"]}},
        {"a": {"context": [0], "target": [-1]}},
        {"a": {"context": [0], "target": [1, 1]}},
        {"a": {"context": [0], "target": [True]}},
        {"a": [0, 1]},
        {"../a": {"context": [0], "target": [1]}},
        {"a": None},
    ],
)
def test_what_is_no_split_file_is_refused(tmp_path, values) -> None:
    path = write(tmp_path / "index.json", values)
    with pytest.raises(InputError):
        read_split(path, with_file(PIXELSPLAT, path, listed=1, used=1))


def test_another_number_of_scenes_than_stated_is_refused(tmp_path) -> None:
    path = write(tmp_path / "index.json", {"a": {"context": [0], "target": [1]}})
    with pytest.raises(InputError, match="1 scenes are listed, and protocol mine says 2"):
        read_split(path, with_file(PIXELSPLAT, path, listed=2, used=1))


def test_where_nothing_was_published_the_users_own_list_becomes_part_of_the_protocol(tmp_path):
    table = find_protocol("lyra-table1").protocol
    path = write(tmp_path / "mine.json", {"a": {"context": [0], "target": [0, 1]}})
    scenes = read_split(path, table)
    own = with_split(table, path, scenes)
    assert own.split.sha256 == sha256_of_file(path)
    assert own.split.scenes_with_inputs_as_targets == 1
    assert own.fingerprint != table.fingerprint
    one, other = with_frames(table, {"a": ["0"]}), with_frames(table, {"a": ["0", "1"]})
    assert one.fingerprint != other.fingerprint


def test_a_protocol_goes_through_a_file_unchanged(tmp_path) -> None:
    for known in BUILT_IN.values():
        path = write(tmp_path / "protocol.json", protocol_values(known.protocol))
        assert open_protocol(str(path)) == known.protocol
    assert open_protocol("re10k-noposplat") == NOPOSPLAT


def test_a_file_with_a_wrong_entry_or_a_taken_name_is_refused(tmp_path) -> None:
    values = protocol_values(PIXELSPLAT)
    path = write(tmp_path / "a.json", values | {"agregation": "scenes"})
    with pytest.raises(InputError, match="agregation"):
        open_protocol(str(path))
    write(path, values | {"aggregation": "views"})
    with pytest.raises(InputError, match="aggregation"):
        open_protocol(str(path))
    write(path, values | {"aggregation": "frames"})
    with pytest.raises(InputError, match="another protocol than the built-in"):
        open_protocol(str(path))
    pictures = values["pictures"] | {"height": None}
    write(path, values | {"name": "mine", "pictures": pictures})
    with pytest.raises(InputError, match="are no size"):
        open_protocol(str(path))
    lpips = [values["metrics"]["lpips"][0]] * 2
    write(path, values | {"name": "mine", "metrics": values["metrics"] | {"lpips": lpips}})
    with pytest.raises(InputError, match="its metrics are psnr_db, ssim, lpips_vgg, lpips_vgg"):
        open_protocol(str(path))
    with pytest.raises(InputError, match="unknown protocol") as caught:
        open_protocol("re10k-pixelsplatt")
    assert "re10k-pixelsplat" in str(caught.value.fix)
