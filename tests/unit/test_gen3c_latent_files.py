from __future__ import annotations

import numpy as np
import pytest
import torch

from lyra_data.errors import InputError
from lyra_data.gen3c.latent_files import dataset_latents, read_latent_file
from lyra_data.gen3c.statistics import LatentStatistics
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
        (np.zeros((1, 16, 3, 2, 4), "int64"), "latents"),
    ],
)
def test_what_is_not_latents_is_refused(tmp_path, value, message):
    with pytest.raises(InputError, match=message):
        read_latent_file(saved(value, tmp_path / "latent.pkl"))


def test_a_cut_or_missing_file_is_refused(tmp_path):
    path = saved(np.zeros((1, 16, 3, 2, 4), "float32"), tmp_path / "latent.pkl")
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(InputError, match="cut"):
        read_latent_file(path)
    with pytest.raises(InputError, match="no such file"):
        read_latent_file(tmp_path / "nowhere.pkl")


def test_dataset_latents_are_the_vae_s_own_time_first():
    statistics = LatentStatistics.of(tiny_vae())
    raw = torch.randn(1, 16, 3, 2, 4, generator=torch.Generator().manual_seed(0))
    found = dataset_latents(statistics.normalise(raw), statistics)
    assert torch.allclose(found, raw[0].transpose(0, 1), atol=1e-5)
