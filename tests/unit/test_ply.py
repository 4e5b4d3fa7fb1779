"""PLY files: what is written comes back, and what cannot be read is refused with a reason."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from lyra_data.engine.errors import InputError
from lyra_model.export.ply import FIELDS, header, read_ply, write_ply
from lyra_model.gaussians import Gaussians


def some_gaussians(num: int = 11) -> Gaussians:
    generator = torch.Generator().manual_seed(num)
    quats = torch.randn(num, 4, generator=generator)
    return Gaussians(
        means=torch.randn(num, 3, generator=generator),
        scales=torch.rand(num, 3, generator=generator) * 0.3 + 1e-3,
        quats=quats / quats.norm(dim=1, keepdim=True),
        opacities=torch.rand(num, generator=generator) * 0.98 + 0.01,
        colors=torch.rand(num, 3, generator=generator),
    )


def test_gaussians_come_back_from_a_file(tmp_path: Path) -> None:
    gaussians, path = some_gaussians(), tmp_path / "scene.ply"
    write_ply(gaussians, path)
    back = read_ply(path)
    for name in ("means", "scales", "quats", "opacities", "colors"):
        assert torch.allclose(getattr(back, name), getattr(gaussians, name), atol=1e-5), name
    assert [file.name for file in tmp_path.iterdir()] == ["scene.ply"]


def test_opacities_of_zero_and_one_stay_finite(tmp_path: Path) -> None:
    gaussians, path = some_gaussians(2), tmp_path / "scene.ply"
    gaussians.opacities.copy_(torch.tensor([0.0, 1.0]))
    write_ply(gaussians, path)
    table = np.frombuffer(path.read_bytes()[len(header(2)) :], "<f4")
    assert np.isfinite(table).all()
    assert torch.allclose(read_ply(path).opacities, torch.tensor([0.0, 1.0]), atol=1e-5)


def test_properties_are_found_by_name_whatever_their_order(tmp_path: Path) -> None:
    gaussians, path = some_gaussians(), tmp_path / "scene.ply"
    write_ply(gaussians, path)
    starts = header(11)
    table = np.frombuffer(path.read_bytes()[len(starts) :], "<f4").reshape(11, 14)
    lines = starts.decode().split("\n")
    properties = lines[3:17]
    other = [*lines[:3], "property float nx", *properties[::-1], *lines[17:]]
    rows = np.concatenate([np.zeros((11, 1), "<f4"), table[:, ::-1]], axis=1)
    path.write_bytes("\n".join(other).encode() + rows.tobytes())
    assert torch.allclose(read_ply(path).means, gaussians.means)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda data: data[:-5], "expected for 11 Gaussians"),
        (lambda data: b"splat" + data, "not a PLY file"),
        (lambda data: data.replace(b"binary_little", b"binary_big"), "little-endian"),
        (lambda data: data.replace(b"property float opacity\n", b""), "no property opacity"),
        (lambda data: data.replace(b"float scale_1", b"double scale_1"), "scale_1 is double"),
        (lambda data: data.replace(b"vertex 11", b"vertex many"), "many"),
    ],
)
def test_an_unreadable_file_is_refused_with_its_name_and_reason(
    tmp_path: Path, spoil, reason: str
) -> None:
    path = tmp_path / "scene.ply"
    write_ply(some_gaussians(), path)
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(InputError, match=reason) as caught:
        read_ply(path)
    assert caught.value.where == str(path)


def test_the_header_lists_every_field_once() -> None:
    lines = header(3).decode().split("\n")
    assert [line.split()[-1] for line in lines if line.startswith("property")] == list(FIELDS)
    assert "element vertex 3" in lines
