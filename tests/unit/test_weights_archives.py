"""Reading TorchScript archives without their code: exact, and refusing whatever is not a weight."""

from __future__ import annotations

import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lyra_data.engine.errors import InputError
from lyra_data.models.weights.torchscript_archive import (
    is_torchscript_archive,
    read_torchscript_tensors,
)


class _Inner(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 2).bfloat16()
        self.transposed = nn.Parameter(torch.randn(4, 3).t())

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x)


class _Module(nn.Module):
    """Everything that a scripted module keeps beside its weights."""

    def __init__(self) -> None:
        super().__init__()
        self.parts = nn.ModuleList([_Inner(), nn.Conv3d(1, 2, (1, 3, 3))])
        self.register_buffer("steps", torch.arange(5))
        self.empty = nn.Parameter(torch.randn(2, 0, 3).half())
        self.count = 3
        self.sizes = [1, 2]
        self.words = {"a": 1}
        self.extra = [torch.zeros(2)]
        base = torch.randn(10)
        self.first, self.second = nn.Parameter(base[2:5]), nn.Parameter(base[5:])

    def forward(self, x: Tensor) -> Tensor:
        return x + self.count + self.sizes[0] + self.words["a"] + self.extra[0].sum()


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    torch.jit.script(_Module()).save(str(tmp_path / "module.jit"))
    return tmp_path / "module.jit"


def test_every_weight_is_read_as_torch_itself_reads_it(archive):
    expected = torch.jit.load(str(archive)).state_dict()
    found = read_torchscript_tensors(archive)
    assert found.keys() == expected.keys()
    for name, tensor in found.items():
        assert tensor.dtype == expected[name].dtype
        assert torch.equal(tensor, expected[name]), name


def test_the_archives_program_is_not_loaded(archive, monkeypatch):
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("the program was loaded")

    monkeypatch.setattr(torch.jit, "load", refuse)
    monkeypatch.setattr(torch._C, "import_ir_module", refuse)
    assert read_torchscript_tensors(archive)


def test_a_checkpoint_is_no_archive(tmp_path):
    torch.save({"a": torch.zeros(2)}, tmp_path / "model.pt")
    assert not is_torchscript_archive(tmp_path / "model.pt")


def rewritten(archive: Path, **changed: bytes) -> Path:
    """The archive with other content in some of its files."""
    target = archive.with_name("rewritten.jit")
    with zipfile.ZipFile(archive) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            inner = name.partition("/")[2]
            new.writestr(name, changed.get(inner.replace(".", "_"), old.read(name)))
    return target


class _Call:
    def __init__(self, function: Any, *arguments: Any) -> None:
        self.function, self.arguments = function, arguments

    def __reduce__(self) -> tuple[Any, ...]:
        return self.function, self.arguments


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (os.system, "posix.system"),
        (eval, "__builtin__.eval"),
        (getattr, "__builtin__.getattr"),
    ],
)
def test_code_in_an_archive_is_named_and_not_run(archive, tmp_path, function, name):
    trap = pickle.dumps(_Call(function, f"open({str(tmp_path / 'was_run')!r}, 'w')"), protocol=2)
    with pytest.raises(InputError, match=f"asks for {name}, which is not part of"):
        read_torchscript_tensors(rewritten(archive, data_pkl=trap))
    assert not (tmp_path / "was_run").exists()


def test_only_the_named_names_are_allowed(archive):
    for name in (b"torch load", b"torch._utils _import_dotted_name", b"torch.jit._pickle os"):
        module, attribute = name.split()
        data = b"\x80\x02c" + module + b"\n" + attribute + b"\n."
        with pytest.raises(InputError, match=f"asks for {name.decode().replace(' ', '.')}"):
            read_torchscript_tensors(rewritten(archive, data_pkl=data))


SHELL = b"\x80\x02c__torch__\nA\n)\x81"
STORAGE = (
    b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x05tQ"
)


def module_with(value: bytes) -> bytes:
    """Pickled: a module whose attribute `w` is the value."""
    return SHELL + b"}X\x01\x00\x00\x00w" + value + b"sb."


def tensor_of(size: bytes) -> bytes:
    """Pickled: `size` numbers (32 bits, little-endian) of storage 0, one after the other."""
    rebuild = b"ctorch._utils\n_rebuild_tensor_v2\n"
    return rebuild + b"(" + STORAGE + b"K\x00(J" + size + b"t(K\x01t\x89NtR"


def test_a_tensor_that_reaches_beyond_its_bytes_is_refused(archive):
    five = {"data/0": bytes(5 * 4)}
    fits = module_with(tensor_of(b"\x05\x00\x00\x00"))
    assert read_torchscript_tensors(rewritten(archive, data_pkl=fits, **five))["w"].shape == (5,)
    beyond = module_with(tensor_of(b"\x06\x00\x00\x00"))
    with pytest.raises(InputError, match="more numbers than the 5 of its storage"):
        read_torchscript_tensors(rewritten(archive, data_pkl=beyond, **five))

    shifted = module_with(tensor_of(b"\x05\x00\x00\x00").replace(b"tQK\x00(", b"tQK\x01("))
    with pytest.raises(InputError, match="out of bounds for storage of size 20"):
        read_torchscript_tensors(rewritten(archive, data_pkl=shifted, **five))


def test_a_tensor_without_strides_is_not_larger_than_its_bytes(archive):
    """One stored number, repeated 2^30 times by a stride of zero."""
    huge = tensor_of(b"\x00\x00\x00\x40").replace(b"(K\x01t\x89", b"(K\x00t\x89")
    with pytest.raises(InputError, match="more numbers than the 1 of its storage"):
        read_torchscript_tensors(
            rewritten(archive, data_pkl=module_with(huge), **{"data/0": bytes(4)})
        )


def test_the_state_of_a_tensor_is_not_set_by_an_archive(archive):
    five = {"data/0": bytes(5 * 4)}
    state = tensor_of(b"\x05\x00\x00\x00") + b"(" + STORAGE + b"K\x00(K\x01t(K\x01ttb"
    with pytest.raises(InputError, match="sets the state of a tensor"):
        read_torchscript_tensors(rewritten(archive, data_pkl=module_with(state), **five))


@pytest.mark.parametrize("leaf", [b"N", b"w"])
def test_modules_that_share_their_parts_make_no_endless_tree(archive, leaf):
    """Each level holds the one below twice: a few hundred bytes, 2^35 tensors, or none at all."""
    one = {"data/0": bytes(4)}
    data = (
        SHELL
        + b"}X\x01\x00\x00\x00w"
        + leaf.replace(b"w", tensor_of(b"\x01\x00\x00\x00"))
        + b"sbq\x00"
    )
    for level in range(35):
        below = bytes([level])
        parts = b"X\x01\x00\x00\x00ah" + below + b"X\x01\x00\x00\x00bh" + below
        data += SHELL[2:] + b"}(" + parts + b"ubq" + bytes([level + 1])
    with pytest.raises(InputError, match="more than 100,000 attributes"):
        read_torchscript_tensors(rewritten(archive, data_pkl=data + b".", **one))


def test_a_compressed_storage_is_refused(archive):
    """A thousandth of its size in the file, and all of it in memory."""
    with zipfile.ZipFile(archive) as old:
        entries = {name: old.read(name) for name in old.namelist()}
    with zipfile.ZipFile(archive, "w") as new:
        for name, data in entries.items():
            packed = zipfile.ZIP_DEFLATED if name.endswith("data/0") else zipfile.ZIP_STORED
            new.writestr(name, data, compress_type=packed)
    with pytest.raises(InputError, match="data/0 is compressed"):
        read_torchscript_tensors(archive)


def test_a_far_place_to_remember_takes_no_memory(archive):
    far = SHELL + b"r" + (2**32 - 1).to_bytes(4, "little") + b"."
    with pytest.raises(InputError, match="remembers something at place 4294967295"):
        read_torchscript_tensors(rewritten(archive, data_pkl=far))


def test_a_module_inside_itself_is_refused(archive):
    data = SHELL + b"q\x00}X\x01\x00\x00\x00wh\x00sb."
    with pytest.raises(InputError, match="contains itself"):
        read_torchscript_tensors(rewritten(archive, data_pkl=data))


def test_numbers_in_the_other_byte_order_are_refused(archive):
    with pytest.raises(InputError, match="big-endian"):
        read_torchscript_tensors(rewritten(archive, byteorder=b"big"))


def test_a_changed_bit_in_a_weight_is_noticed(archive):
    with zipfile.ZipFile(archive) as opened:
        weight = max(
            (entry for entry in opened.infolist() if "/data/" in entry.filename),
            key=lambda entry: entry.file_size,
        )
        data = opened.read(weight)
    raw = bytearray(archive.read_bytes())
    raw[raw.index(data)] ^= 1
    archive.write_bytes(raw)
    with pytest.raises(InputError, match="CRC"):
        read_torchscript_tensors(archive)


@pytest.mark.parametrize("data", [b"", b"garbage", b"\x80\x02N.", b"\x80\x02]q\x00h\x00a."])
def test_a_description_that_makes_no_module_is_refused(archive, data):
    with pytest.raises(InputError, match="not a readable TorchScript archive"):
        read_torchscript_tensors(rewritten(archive, data_pkl=data))
