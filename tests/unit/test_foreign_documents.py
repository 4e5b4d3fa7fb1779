"""JSON, YAML, names and pickles of unknown origin are bounded before they cost anything."""

from __future__ import annotations

import json
import os
import pickle
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch

from lyra_data.engine.documents import (
    build_from_json,
    parse_json,
    parse_yaml,
    read_json,
    read_json_object,
)
from lyra_data.engine.errors import CorruptDataError, InputError
from lyra_data.engine.foreign_files import file_at_fault, require_regular_file
from lyra_data.engine.names import checked_name, checked_path, inside, is_safe_name, stays_inside
from lyra_data.engine.pickles import refuse_endless_checkpoint, refuse_endless_pickle


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        "[" * 65 + "]" * 65,
        '{"a": ' * 65 + "1" + "}" * 65,
        '{"a": 1e999}',
        '{"a": ' + "9" * 400 + "}",
        '{"a": -18446744073709551616}',
        '{"a": NaN}',
        '{"a": -Infinity}',
        "{",
        "",
    ],
)
def test_json_without_bounds_is_refused_as_a_value_error(text):
    with pytest.raises(ValueError):
        parse_json(text)


def test_json_within_bounds_is_read_as_it_stands():
    values = {"a": [1, -2, 2**63, 0.5], "b": {"c": None, "d": '[[[[ {{ " ]]'}}
    assert parse_json(json.dumps(values).encode()) == values
    assert parse_json("[" * 64 + "]" * 64)
    assert np.isnan(parse_json("NaN", allow_nan=True))


def test_json_that_is_no_utf8_is_refused():
    with pytest.raises(ValueError):
        parse_json(b'{"a": "\xff\xfe"}')


@pytest.mark.parametrize("content", [b"[]", b"null", b"3", b"\xff", b"[[", b'"' + b"a" * 9])
def test_a_json_file_that_holds_no_object_names_the_file_and_the_fix(tmp_path: Path, content):
    file = tmp_path / "manifest.json"
    file.write_bytes(content)
    with pytest.raises(CorruptDataError) as raised:
        read_json_object(file, kind="manifest", fix="make it again")
    assert str(file) in str(raised.value) and "make it again" in str(raised.value)


def test_a_missing_json_file_is_told_by_its_reader_not_as_damage(tmp_path: Path):
    with pytest.raises(FileNotFoundError):
        read_json(tmp_path / "no.json", kind="manifest", fix="")


def test_a_yaml_key_that_stands_twice_is_refused_with_both_lines():
    with pytest.raises(ValueError, match=r"'a' stands twice, in lines 1 and 3"):
        parse_yaml("a: 1\nb: 2\na: 3\n")
    with pytest.raises(ValueError, match=r"'x' stands twice, in lines 2 and 3"):
        parse_yaml("a:\n  x: 1\n  x: 1\n")


@pytest.mark.parametrize("value", ["042", "1_000", "1:30", "0b11", "-007", "yes", "off", "9" * 400])
def test_a_yaml_value_that_readers_take_for_different_ones_is_refused(value):
    with pytest.raises(ValueError, match="line 1"):
        parse_yaml(f"seed: {value}\n")


def test_plain_yaml_is_read_as_before():
    text = "a: 42\nb: 0x1f\nc: [true, False, -3, 1.5, ~]\nd: &d {e: x}\nf: *d\ng: '042'\n"
    assert parse_yaml(text) == {
        "a": 42, "b": 31, "c": [True, False, -3, 1.5, None], "d": {"e": "x"}, "f": {"e": "x"},
        "g": "042",
    }  # fmt: skip
    assert parse_yaml("") is None


def test_yaml_references_that_expand_without_bound_are_refused_before_they_expand():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    with pytest.raises(ValueError, match="expands to more than"):
        parse_yaml("\n".join(lines))
    with pytest.raises(ValueError, match="contains itself"):
        parse_yaml("a: &a [*a]")
    with pytest.raises(ValueError, match="nested"):
        parse_yaml("[" * 5_000)


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", ".hidden", "a/b", "/etc", "a\\b", "a b", "a\n", "a\0", "ä", "x" * 201, 3, None],
)
def test_a_name_that_is_no_plain_file_name_is_refused(name):
    assert not is_safe_name(name)
    with pytest.raises(CorruptDataError, match="scene_id"):
        checked_name(name, noun="scene_id", where="clip.json")


@pytest.mark.parametrize("name", ["motorcycle", "street.v1", "-a", "_", "0" * 200])
def test_a_plain_name_passes(name):
    assert checked_name(name, noun="scene_id", where="clip.json") == name


@pytest.mark.parametrize("path", ["", ".", "/a", "../a", "a/../../b", "a\0b", "a\\..\\b", None, 3])
def test_a_path_that_leads_out_of_its_folder_is_refused(path):
    assert not stays_inside(path)
    with pytest.raises(InputError, match="outside its folder"):
        checked_path(path, noun="file", where="manifest.json", error=InputError)


def test_a_path_through_a_link_that_leads_out_is_not_inside(tmp_path: Path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "link").symlink_to(tmp_path)
    assert stays_inside("link/a") and not inside(tmp_path / "folder", "link/a")
    assert inside(tmp_path / "folder", "data/a.parquet")


def test_a_pipe_is_refused_before_a_reader_waits_for_it(tmp_path: Path):
    os.mkfifo(tmp_path / "clip.mp4")
    with pytest.raises(InputError, match="no regular file"):
        require_regular_file(tmp_path / "clip.mp4")
    require_regular_file(tmp_path)
    require_regular_file(tmp_path / "missing")
    require_regular_file(Path("a\0b"))


def test_the_door_turns_everything_but_known_errors_and_want_of_memory_into_one_message():
    for raised in (KeyError("a"), RecursionError(), UnicodeDecodeError("utf-8", b"", 0, 1, "bad")):
        with (
            pytest.raises(CorruptDataError, match="not a readable index"),
            file_at_fault("f", kind="index", fix="again", error=CorruptDataError),
        ):
            raise raised
    for passing in (MemoryError(), InputError("told"), FileNotFoundError(2, "missing")):
        with pytest.raises(type(passing)), file_at_fault("f", kind="index", fix="again"):
            raise passing


def test_pickles_that_real_writers_make_pass():
    for protocol in (2, 3, 4, 5):
        refuse_endless_pickle(pickle.dumps({"a": [1, (2, 3)], "b": OrderedDict(c=1)}, protocol))


@pytest.mark.parametrize("zipped", [True, False])
def test_checkpoints_that_torch_writes_pass(tmp_path: Path, zipped: bool):
    layer = torch.nn.Linear(4, 4)
    optimiser = torch.optim.AdamW(layer.parameters())
    layer(torch.ones(4)).sum().backward()
    optimiser.step()
    states = {"model": layer.state_dict(), "optimiser": optimiser.state_dict(), "step": 3}
    for name, value in {"states": states, "array": np.ones((2, 3))}.items():
        file = tmp_path / f"{name}.pt"
        torch.save(value, file, _use_new_zipfile_serialization=zipped)
        refuse_endless_checkpoint(file)


def doubled_tuples(levels: int) -> bytes:
    """A mapping whose key is a tuple of two of a tuple of two ...: 2^levels steps to hash."""
    return b"\x80\x02})" + b"2\x86" * levels + b"K\x01s."


def nested_lists(levels: int) -> bytes:
    return b"\x80\x02" + b"]" * levels + b"a" * (levels - 1) + b"."


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (doubled_tuples(40), "hold one another too many times"),
        (pickle.dumps({(1, 2): 1}, 2), "neither a number nor a text"),
        (nested_lists(200_000), "nested more than 100"),
        (pickle.dumps({1, 2, 3}, 4), "no need of"),
        (b"\x80\x02]r\x00\x00\x00\x7f.", "remembers something"),
        (b"\x80\x02a.", "nothing to act on"),
        (b"\x80\x02](e", "exhausted"),
    ],
)
def test_a_pickle_that_costs_without_bound_is_refused(data: bytes, why: str):
    with pytest.raises(ValueError, match=why):
        refuse_endless_pickle(data)


def test_a_checkpoint_with_such_a_pickle_is_refused_in_both_containers(tmp_path: Path):
    file = tmp_path / "weights.pt"
    torch.save({"a": torch.ones(2)}, file)
    torch.save({("a", "b"): torch.ones(2)}, tmp_path / "keys.pt")
    torch.save({("a", "b"): 1}, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    refuse_endless_checkpoint(file)
    for name in ("keys.pt", "old.pt"):
        with pytest.raises(ValueError, match="neither a number nor a text"):
            refuse_endless_checkpoint(tmp_path / name)


def test_a_json_key_that_stands_twice_is_refused():
    with pytest.raises(ValueError, match="'fx' stands twice"):
        parse_json('{"a": 1, "b": {"fx": 1, "fy": 2, "fx": 3}}')


@pytest.mark.parametrize(
    "text",
    ["a: !!timestamp x", "a: !!int x", "a: !!float x", "? [a]\n: b", "a: \0", "[" * 100_000],
)
def test_yaml_that_the_library_stumbles_over_is_refused(text: str):
    with pytest.raises(ValueError, match=r".+"):
        parse_yaml(text)


def test_what_a_record_is_built_from_is_checked(tmp_path: Path):
    file = tmp_path / "record.json"
    for text in ("[]", "null", "{}", '{"a": ', "\xff"):
        file.write_bytes(text.encode("latin1"))
        with pytest.raises(CorruptDataError, match="not a readable record"):
            build_from_json(file, lambda values: values["a"], kind="record", fix="again")
    file.write_text('{"a": 3}')
    assert build_from_json(file, lambda values: values["a"], kind="record", fix="again") == 3
