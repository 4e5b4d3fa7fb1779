"""Damaged checkpoints: read, or refused in words; never a traceback."""

from __future__ import annotations

import os
import struct
import zipfile
from itertools import chain
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from lyra_data.engine.errors import InputError
from lyra_data.models.weights.checkpoint_files import load_safely, read_state_dict
from lyra_data.models.weights.manifest import Manifest, hash_files
from lyra_data.models.weights.sources import read_together
from lyra_data.models.weights.torchscript_archive import is_torchscript_archive
from tests.damage import damaged, damaged_inside

TENSORS = {"a": torch.arange(6.0).reshape(2, 3), "b": torch.ones(4, dtype=torch.bfloat16)}


def small_file(folder: Path, name: str) -> Path:
    path = folder / name
    if path.suffix == ".safetensors":
        save_file(TENSORS, path)
    elif path.suffix == ".jit":
        torch.jit.script(torch.nn.Conv2d(1, 2, 1)).save(str(path))
    else:
        torch.save(TENSORS, path)
    return path


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("read", [read_state_dict, load_safely])
@pytest.mark.parametrize("name", ["model.pt", "model.jit", "model.safetensors"])
def test_a_damaged_file_is_read_or_refused_and_never_a_traceback(tmp_path, name, read):
    path = small_file(tmp_path, name)
    whole = path.read_bytes()
    inside = () if path.suffix == ".safetensors" else damaged_inside(whole, "data.pkl")
    refused = 0
    for data in chain(damaged(whole), inside):
        path.write_bytes(data)
        try:
            read(path)
        except InputError as error:
            assert error.where == str(path) and error.fix
            refused += 1
    assert refused > 12


def test_a_checkpoint_of_several_disks_is_refused(tmp_path):
    """Python's zipfile raises while it looks whether a file is a zip file at all."""
    path = small_file(tmp_path, "model.pt")
    data = path.read_bytes()
    end = data.rindex(b"PK\x05\x06")
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, end, 2)
    path.write_bytes(data[:end] + locator + data[end:])
    for read in (read_state_dict, load_safely, is_torchscript_archive):
        with pytest.raises(InputError, match="multiple disks"):
            read(path)


def test_a_name_that_is_no_text_is_refused(tmp_path):
    """Read by name, the archive's directory raised a UnicodeDecodeError."""
    path = tmp_path / "model.jit"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("m/é.pkl", b"")
    path.write_bytes(path.read_bytes().replace("é".encode(), b"\xc3\x28"))
    with pytest.raises(InputError, match="not a readable"):
        is_torchscript_archive(path)


def test_an_assertion_inside_torch_is_the_files_fault(tmp_path, monkeypatch):
    path = small_file(tmp_path, "model.pt")
    monkeypatch.setattr(torch, "load", lambda *_, **__: (_ for _ in ()).throw(AssertionError()))
    with pytest.raises(InputError, match="not a readable checkpoint: AssertionError"):
        read_state_dict(path)


def test_want_of_memory_is_not_the_files_fault(tmp_path, monkeypatch):
    path = small_file(tmp_path, "model.pt")
    monkeypatch.setattr(torch, "load", lambda *_, **__: (_ for _ in ()).throw(MemoryError()))
    with pytest.raises(MemoryError):
        read_state_dict(path)


def test_a_tensor_in_one_file_and_none_in_the_other_is_refused(tmp_path):
    torch.save({"a": torch.zeros(2)}, tmp_path / "encoder.jit")
    torch.save({"a": 3}, tmp_path / "decoder.jit")
    with pytest.raises(InputError, match="a is another one here"):
        read_together([tmp_path / "encoder.jit", tmp_path / "decoder.jit"])


ENDLESS = b"\x80\x02})" + b"2\x86" * 40 + b"K\x01s."


@pytest.mark.parametrize("parts", [("data.pkl", "version"), ("DATA.PKL", "version")])
def test_a_checkpoint_that_never_ends_is_refused(tmp_path, parts):
    path = tmp_path / "model.pt"
    with zipfile.ZipFile(path, "w") as archive:
        for part in parts:
            archive.writestr(f"model/{part}", ENDLESS)
    with pytest.raises(InputError, match="too many times"):
        read_state_dict(path)


def test_an_archive_of_modules_that_never_ends_is_refused(tmp_path):
    path = tmp_path / "model.jit"
    with zipfile.ZipFile(path, "w") as archive:
        for part in ("data.pkl", "constants.pkl"):
            archive.writestr(f"model/{part}", ENDLESS)
    with pytest.raises(InputError, match="too many times"):
        read_state_dict(path)


@pytest.mark.parametrize("read", [read_state_dict, load_safely])
def test_a_flipped_bit_of_a_weight_is_refused(tmp_path, read):
    """Memory mapping looks at no checksum, so the weights would be others without a word."""
    path = small_file(tmp_path, "model.pt")
    data = bytearray(path.read_bytes())
    data[data.index(TENSORS["a"].numpy().tobytes()) + 6] ^= 64
    path.write_bytes(data)
    with pytest.raises(InputError, match="checksum of its part"):
        read(path)


@pytest.mark.parametrize("name", ["model.pt", "model.safetensors"])
def test_another_file_than_was_pulled_is_refused(tmp_path, name):
    """No container's own checksum sees this, and safetensors has none."""
    path = small_file(tmp_path, name)
    Manifest("download", hash_files(tmp_path)).write(tmp_path)
    assert torch.equal(read_state_dict(path)["a"], TENSORS["a"])
    others = {**TENSORS, "a": TENSORS["a"] + 1}
    torch.save(others, path) if path.suffix == ".pt" else save_file(others, path)
    with pytest.raises(InputError, match="is not the file that was pulled"):
        read_state_dict(path)


def test_a_pipe_in_place_of_weights_is_refused(tmp_path):
    os.mkfifo(tmp_path / "model.pt")
    for read in (load_safely, is_torchscript_archive):
        with pytest.raises(InputError, match="no regular file"):
            read(tmp_path / "model.pt")
