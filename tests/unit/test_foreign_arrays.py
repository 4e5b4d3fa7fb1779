"""Arrays, pictures and archives that state more than they hold: refused before room is made."""

from __future__ import annotations

import io
import struct
import tarfile
import zipfile
import zlib
from pathlib import Path

import cv2
import numpy as np
import OpenEXR
import pytest

from lyra_data.clips.formats.vipe_cameras import read_indexed
from lyra_data.clips.formats.vipe_maps import read_phrases
from lyra_data.dataset.convert.depth_halves import UnknownBits, UnknownFiller
from lyra_data.dataset.convert.tar_members import tar_members
from lyra_data.engine.errors import InputError
from lyra_data.engine.foreign_arrays import read_array, read_arrays
from lyra_data.media import depth_files
from lyra_data.media.depth_files import read_depth
from lyra_data.media.images import read_photo
from lyra_data.media.png_data import decode_png


def npy_header(shape: tuple[int, ...], dtype: str = "<f8") -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        file, {"descr": dtype, "fortran_order": False, "shape": shape}
    )
    return file.getvalue()


def png_of(width: int, height: int) -> bytes:
    """A PNG that states a size and holds one row of nothing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        checksum = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = zlib.compress(bytes(100))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        (chunk(b"IHDR", header), chunk(b"IDAT", rows), chunk(b"IEND", b""))
    )


@pytest.mark.parametrize(
    "array", [np.eye(4), np.zeros((0, 3), np.float32), np.arange(6, dtype=">i2")]
)
def test_arrays_come_back_as_they_were_saved(tmp_path: Path, array: np.ndarray):
    np.save(tmp_path / "a.npy", array)
    np.savez_compressed(tmp_path / "a.npz", data=array, other=array)
    read = read_array(tmp_path / "a.npy", fix="again")
    assert read.dtype == array.dtype and np.array_equal(read, array)
    arrays = read_arrays(tmp_path / "a.npz", ["data"], most_bytes=10_000, fix="again")
    assert list(arrays) == ["data"] and np.array_equal(arrays["data"], array)


@pytest.mark.parametrize(
    "data",
    [
        npy_header((10**9, 4)),
        npy_header((10**30,)),
        npy_header((-1, -4)) + bytes(100),
        npy_header((2,), "|O") + bytes(100),
        b"\x93NUMPY\x01\x00",
        b"",
    ],
)
def test_an_array_that_states_more_than_it_holds_is_refused(tmp_path: Path, data: bytes):
    (tmp_path / "a.npy").write_bytes(data)
    with pytest.raises(InputError, match=r"not a readable \.npy array"):
        read_array(tmp_path / "a.npy", fix="again")
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("data.npy", data)
    with pytest.raises(InputError, match=r"not a readable \.npz archive"):
        read_arrays(tmp_path / "a.npz", ["data"], most_bytes=10_000, fix="again")


def test_poses_that_unpack_to_more_than_poses_need_are_refused(tmp_path: Path, monkeypatch):
    monkeypatch.setattr("lyra_data.clips.formats.vipe_cameras.MAX_INDEXED_BYTES", 10_000)
    poses = np.tile(np.eye(4), (100, 1, 1))
    np.savez_compressed(tmp_path / "poses.npz", inds=np.arange(100), data=poses)
    with pytest.raises(InputError, match="of 10000 allowed"):
        read_indexed(tmp_path / "poses.npz")
    monkeypatch.setattr("lyra_data.clips.formats.vipe_cameras.MAX_INDEXED_BYTES", 20_000)
    assert np.array_equal(read_indexed(tmp_path / "poses.npz")[1], poses)


def test_a_bare_array_in_place_of_poses_is_refused(tmp_path: Path):
    with (tmp_path / "poses.npz").open("wb") as file:
        np.save(file, np.eye(4))
    with pytest.raises(InputError, match="npz archive"):
        read_indexed(tmp_path / "poses.npz")


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_picture_is_refused_by_the_size_that_its_header_states(tmp_path: Path):
    (tmp_path / "image.png").write_bytes(png_of(11_000, 16_000))
    with pytest.raises(InputError, match="11000x16000 pixels"):
        read_photo(tmp_path / "image.png")
    for width, height in ((2**31 - 1, 2**31 - 1), (11_000, 16_000), (0, 5)):
        with pytest.raises(ValueError, match="the picture states"):
            decode_png(png_of(width, height), cv2.IMREAD_COLOR)


def test_an_exr_is_refused_by_the_size_that_its_header_states(tmp_path: Path, monkeypatch):
    depth = np.ones((40, 30), np.float32)
    header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
    OpenEXR.File(header, {"Z": depth}).write(str(tmp_path / "depth.exr"))
    assert np.array_equal(read_depth(tmp_path / "depth.exr").depth.numpy(), depth)
    monkeypatch.setattr("lyra_data.media.images.MAX_PIXELS", 1000)
    with pytest.raises(InputError, match="30x40 pixels"):
        depth_files.read_depth(tmp_path / "depth.exr")


@pytest.mark.parametrize("line", ["²: person", "9" * 5000 + ": person"])
def test_a_number_that_int_refuses_is_told(tmp_path: Path, line: str):
    (tmp_path / "phrases.txt").write_text(line + "\n", encoding="utf-8")
    with pytest.raises(InputError, match="a line is"):
        read_phrases(tmp_path / "phrases.txt")


@pytest.mark.parametrize(
    "text",
    ["zz", "7e00;AAAA", "7e00,0000;eJw=", "7e00,0000;" + "!" * 8, "fffff", "7e00,0000"],
)
def test_a_note_of_unknown_depth_that_nothing_made_is_refused(text: str):
    with pytest.raises((ValueError, zlib.error)):
        for _ in range(2):
            UnknownFiller(text).fill(np.zeros((4, 4), np.uint16))
            UnknownFiller(text + ",x").fill(np.zeros((4, 4), np.uint16))


def test_a_note_of_unknown_depth_comes_back_over_several_frames():
    maps = [np.array([[0, 0x7E00], [0x3C00, 0]], np.uint16), np.array([[0x7E00, 5], [0, 0]], "u2")]
    noted = UnknownBits()
    for bits in maps:
        noted.add(bits, "a")
    filler = UnknownFiller(noted.text())
    for bits in maps:
        known = np.where((bits > 0) & (bits < 0x7C00), bits, 0).astype(np.uint16)
        assert np.array_equal(filler.fill(known), bits)


def tar_with(path: Path, name: str, size: int) -> Path:
    info = tarfile.TarInfo(name)
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as archive:
        archive.addfile(info, io.BytesIO())
    info.size = size
    data = bytearray(path.read_bytes())
    data[:512] = info.tobuf(tarfile.GNU_FORMAT, errors="surrogateescape")[:512]
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("size", [-5, 2**40, 2**62])
def test_a_tar_member_of_an_impossible_size_is_refused(tmp_path: Path, size: int):
    with pytest.raises(InputError, match="uncompressed tar"):
        list(tar_members(tar_with(tmp_path / "a.tar", "0/rgb/a.mp4", size)))


def test_a_tar_member_whose_name_is_no_text_is_refused(tmp_path: Path):
    path = tar_with(tmp_path / "a.tar", "0/rgb/\udcff.mp4", 0)
    with pytest.raises(InputError, match="no text"):
        list(tar_members(path))


def test_a_nul_in_a_path_is_told(tmp_path: Path):
    with pytest.raises(InputError, match="a NUL"):
        read_photo(tmp_path / "a\0b.png")


@pytest.mark.parametrize(
    "header",
    [
        b"(" * 5000,
        b"-" * 5000 + b"1",
        b"{'descr': '<f4', 'fortran_order': False, 'shape': (True, 2)}",
    ],
)
def test_a_header_that_is_no_description_of_an_array_is_refused(tmp_path: Path, header: bytes):
    data = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + bytes(64)
    (tmp_path / "depth.npy").write_bytes(data)
    with pytest.raises(InputError, match=r"no \.npy array"):
        read_depth(tmp_path / "depth.npy")
    with pytest.raises(InputError, match=r"not a readable \.npy array"):
        read_array(tmp_path / "depth.npy", fix="again")
