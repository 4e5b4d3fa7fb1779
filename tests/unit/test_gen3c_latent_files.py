from __future__ import annotations

import contextlib
import zipfile

import numpy as np
import pytest
import torch

from lyra_data.engine.errors import InputError
from lyra_data.models.gen3c import pickled_array
from lyra_data.models.gen3c.latent_files import dataset_latents, read_latent_file
from lyra_data.models.gen3c.statistics import LatentStatistics
from tests.damage import damaged, damaged_inside
from tests.factories_gen3c import tiny_vae


def saved(value, path):
    torch.save(value, path)
    return path


class Trap:
    """Unpickled without care, it makes a folder."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        import os

        return os.mkdir, (str(self.folder),)


@pytest.mark.parametrize("kind", ["float32", "float16", "float64"])
def test_an_array_comes_back_as_it_was_saved(tmp_path, kind):
    array = np.random.default_rng(0).standard_normal((1, 16, 3, 2, 4)).astype(kind)
    found = read_latent_file(saved(array, tmp_path / "latent.pkl"))
    assert found.dtype == torch.float32
    assert np.array_equal(found.numpy(), array.astype("float32"))


def test_code_in_a_latent_file_never_runs(tmp_path):
    path = saved(Trap(tmp_path / "trapped"), tmp_path / "latent.pkl")
    with pytest.raises(InputError, match="not a file of latents"):
        read_latent_file(path)
    assert not (tmp_path / "trapped").exists()


def test_code_hidden_in_an_array_of_objects_never_runs(tmp_path):
    array = np.empty((1, 16, 1, 1, 1), dtype=object)
    array[:] = Trap(tmp_path / "trapped")
    with pytest.raises(InputError):
        read_latent_file(saved(array, tmp_path / "latent.pkl"))
    assert not (tmp_path / "trapped").exists()


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.zeros((16, 3, 2, 4), "float32"), "have shape"),
        (np.zeros((1, 4, 3, 2, 4), "float32"), "have shape"),
        ({"latents": 1}, "holds dict"),
        ([1], "holds list"),
        (np.zeros((1, 16, 3, 2, 4), "int64"), "latents"),
    ],
)
def test_what_is_not_latents_is_refused(tmp_path, value, message):
    with pytest.raises(InputError, match=message):
        read_latent_file(saved(value, tmp_path / "latent.pkl"))


def text(value):
    return b"X" + len(value).to_bytes(4, "little") + value.encode()


def number(value):
    return b"J" + value.to_bytes(4, "little", signed=True)


def dtype_with(code="f4", order="<", fields=b"N", names=b"N", flags=0):
    made = b"cnumpy\ndtype\n(" + text(code) + b"\x89\x88tR"
    state = b"(K\x03" + text(order) + b"N" + names + fields
    return made + state + number(-1) + number(-1) + number(flags) + b"tb"


def array_with(path, dtype=None, shape=(1, 16, 1, 1, 1), raw=None, extra=b"", end=b"."):
    """A file whose pickle says of its array whatever is asked."""
    raw = b"c_codecs\nencode\n(" + text("A" * 64) + text("latin1") + b"tR" if raw is None else raw
    made = b"cnumpy._core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00tNtR"
    lengths = b"(" + b"".join(map(number, shape)) + b"t"
    state = b"(K\x01" + lengths + (dtype or dtype_with()) + b"\x89" + raw + b"tb"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("latent/data.pkl", b"\x80\x02" + made + state + extra + end)
    return path


FIELD = b"}(" + text("a") + b"(cnumpy\ndtype\n(" + text("O8") + b"\x89\x88tR" + number(0) + b"tu"


@pytest.mark.parametrize(
    ("crafted", "message"),
    [
        ({"dtype": dtype_with(flags=1)}, "little-endian floats"),
        ({"dtype": dtype_with(flags=0x3F)}, "little-endian floats"),
        ({"dtype": dtype_with("O8")}, "little-endian floats"),
        ({"dtype": dtype_with("V8")}, "little-endian floats"),
        ({"dtype": dtype_with(order=">")}, "little-endian floats"),
        ({"dtype": dtype_with(fields=FIELD, names=b"(" + text("a") + b"t")}, "little-endian"),
        ({"dtype": b"N"}, "no dtype"),
        ({"shape": (1, 16, 2, 1, 1)}, "64 bytes, which do not fill its shape"),
        ({"shape": (1, 16, 60_000, 60_000, 1)}, "do not fill its shape"),
        ({"shape": (-1, 16, -1, 1, 1)}, "do not fill its shape"),
        ({"raw": b"](NNe"}, "no bytes"),
    ],
)
def test_what_a_file_says_of_its_array_is_never_believed(tmp_path, crafted, message):
    """Given to NumPy's own `__setstate__`, several of these end the process."""
    assert read_latent_file(array_with(tmp_path / "latent.pkl")).shape == (1, 16, 1, 1, 1)
    with pytest.raises(InputError, match=message):
        read_latent_file(array_with(tmp_path / "latent.pkl", **crafted))


def test_numpy_s_own_unpickling_is_never_asked(tmp_path, monkeypatch):
    names = []
    reader = pickled_array._Reader
    monkeypatch.setattr(
        reader,
        "find_class",
        lambda self, *name: names.append(pickled_array._allowed()[name]) or names[-1],
    )
    read_latent_file(saved(np.zeros((1, 16, 1, 2, 4), "float32"), tmp_path / "latent.pkl"))
    assert len(names) == 4
    assert not any((getattr(name, "__module__", "") or "").startswith("numpy") for name in names)


def test_a_far_place_to_remember_takes_no_memory(tmp_path):
    """Python's Unpickler would make room up to that place: here for 4e9 of them."""
    far = b"r" + (2**32 - 1).to_bytes(4, "little")
    with pytest.raises(InputError, match="remembers something at place 4294967295"):
        read_latent_file(array_with(tmp_path / "latent.pkl", extra=far))


@pytest.mark.parametrize("order", ["C", "F"])
def test_an_array_laid_out_by_columns_is_read_by_columns(tmp_path, order):
    array = np.arange(1 * 16 * 3 * 2 * 4, dtype="float32").reshape(1, 16, 3, 2, 4)
    path = saved(np.asarray(array, order=order), tmp_path / "latent.pkl")
    assert np.array_equal(read_latent_file(path).numpy(), array)


def test_a_compressed_file_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "latent.pkl", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("latent/data.pkl", bytes(2**20))
    with pytest.raises(InputError, match="compressed"):
        read_latent_file(tmp_path / "latent.pkl")


def test_a_damaged_file_is_read_right_or_refused_and_never_a_traceback(tmp_path):
    array = np.random.default_rng(0).standard_normal((1, 16, 1, 1, 2)).astype("float32")
    whole = saved(array, tmp_path / "latent.pkl").read_bytes()
    for data in damaged(whole):
        (tmp_path / "damaged.pkl").write_bytes(data)
        try:
            found = read_latent_file(tmp_path / "damaged.pkl")
        except InputError as error:
            assert error.fix
        else:
            assert np.array_equal(found.numpy(), array)
    for data in damaged_inside(whole, "data.pkl"):
        (tmp_path / "damaged.pkl").write_bytes(data)
        with contextlib.suppress(InputError):
            assert read_latent_file(tmp_path / "damaged.pkl").shape[1] == 16


def test_a_cut_or_missing_file_is_refused(tmp_path):
    path = saved(np.zeros((1, 16, 3, 2, 4), "float32"), tmp_path / "latent.pkl")
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(InputError, match="cut"):
        read_latent_file(path)
    with pytest.raises(InputError, match="no such file"):
        read_latent_file(tmp_path / "nowhere.pkl")
    (tmp_path / "empty.pkl").touch()
    with pytest.raises(InputError, match="not a file of latents"):
        read_latent_file(tmp_path / "empty.pkl")


def test_dataset_latents_are_the_vae_s_own_time_first():
    statistics = LatentStatistics.of(tiny_vae())
    raw = torch.randn(1, 16, 3, 2, 4, generator=torch.Generator().manual_seed(0))
    found = dataset_latents(statistics.normalise(raw), statistics)
    assert torch.allclose(found, raw[0].transpose(0, 1), atol=1e-5)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\x80\x02})" + b"2\x86" * 40 + b"K\x01s.", "hold one another too many times"),
        (b"\x80\x02" + b"]" * 20_000 + b"a" * 19_999 + b".", "nested more than 100"),
    ],
)
def test_a_latent_file_that_never_ends_is_refused(tmp_path, data, message):
    path = tmp_path / "latent.pkl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("latent/data.pkl", data)
    with pytest.raises(InputError, match=message):
        read_latent_file(path)
