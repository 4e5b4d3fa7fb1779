"""PLY files: what is written comes back, and what cannot be read is refused with a reason."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from lyra_data.engine.errors import InputError
from lyra_model.export.ply import FIELDS, header, read_ply, read_splat_file, write_ply
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
        (lambda data: data[:-5], "expected for 11 vertices"),
        (lambda data: b"splat" + data, "not a PLY file"),
        (lambda data: data.replace(b"binary_little", b"binary_middle"), "a line of its header"),
        (lambda data: data.replace(b"format binary_little_endian 1.0\n", b""), "no format"),
        (lambda data: data.replace(b"property float opacity\n", b""), "no property opacity"),
        (lambda data: data.replace(b"float scale_1", b"quad scale_1"), "a line of its header"),
        (lambda data: data.replace(b"float scale_1", b"list uchar int scale_1"), "lists"),
        (lambda data: data.replace(b"float scale_1", b"float scale_0"), "twice"),
        (lambda data: data.replace(b"float scale_2", b"float size_2"), "surfels"),
        (lambda data: data.replace(b"vertex 11", b"vertex " + b"9" * 12), "999999999999 vertices"),
        (
            lambda data: data.replace(b"vertex 11", b"vertex " + b"9" * 4000),
            "no number of elements",
        ),
        (lambda data: data.replace(b"vertex 11", b"vertex -1"), "no number of elements"),
        (lambda data: data.replace(b"vertex", b"ver\0tex"), "no text"),
        (lambda data: data.replace(b"vertex", b"ver\x1b[2Jtex"), "no text"),
        (lambda data: data.replace(b"vertex", b"points"), "not vertices, but: .points"),
        (lambda data: data.replace(b"end_header", b"comment " + b"x" * (1 << 20)), "not a PLY"),
        (lambda data: b"", "not a PLY file"),
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


def columns_of(gaussians: Gaussians) -> dict[str, np.ndarray]:
    """A file's columns as another tool writes them: activated where the name says so."""
    columns = {axis: gaussians.means[:, i].numpy() for i, axis in enumerate("xyz")}
    columns |= {f"f_dc_{i}": (gaussians.colors[:, i].numpy() - 0.5) / C0 for i in range(3)}
    columns["opacity"] = torch.logit(gaussians.opacities).numpy()
    columns |= {f"scale_{i}": gaussians.scales[:, i].log().numpy() for i in range(3)}
    return columns | {f"rot_{i}": gaussians.quats[:, i].numpy() for i in range(4)}


C0 = 0.28209479177387814
TYPES = {"f4": "float", "f8": "double", "u1": "uchar", "i4": "int"}


def write_table(
    path: Path,
    columns: dict[str, np.ndarray],
    *,
    types: dict[str, str] | None = None,
    kind: str = "binary_little_endian",
    comments: tuple[str, ...] = (),
    more: str = "",
    tail: bytes = b"",
    newline: str = "\n",
) -> None:
    types = {name: (types or {}).get(name, "f4") for name in columns}
    count = len(next(iter(columns.values())))
    lines = ["ply", f"format {kind} 1.0", *(f"comment {text}" for text in comments)]
    lines += [f"element vertex {count}"]
    lines += [f"property {TYPES[types[name]]} {name}" for name in columns]
    lines += [*more.split("\n")] * bool(more) + ["end_header", ""]
    order = ">" if kind == "binary_big_endian" else "<"
    table = np.empty(count, [(name, order + type_) for name, type_ in types.items()])
    for name, values in columns.items():
        table[name] = values
    body = table.tobytes()
    if kind == "ascii":
        body = "\n".join(" ".join(str(value) for value in row) for row in table).encode() + b"\n"
    path.write_bytes(newline.join(lines).encode() + body + tail)


def assert_alike(found: Gaussians, expected: Gaussians, atol: float = 1e-5) -> None:
    for name in ("means", "scales", "opacities", "colors"):
        assert torch.allclose(getattr(found, name), getattr(expected, name), atol=atol), name
    agreement = (found.quats * expected.quats).sum(-1).abs()
    assert bool((agreement > 1 - 1e-5).all())


@pytest.mark.parametrize("kind", ["binary_little_endian", "binary_big_endian", "ascii"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_numbers_of_every_order_and_type_are_read(tmp_path: Path, kind: str, newline: str) -> None:
    gaussians, path = some_gaussians(), tmp_path / "scene.ply"
    columns = columns_of(gaussians) | {"label": np.arange(11)}
    types = {"x": "f8", "opacity": "f8", "label": "u1"}
    write_table(path, columns, types=types, kind=kind, newline=newline)
    file = read_splat_file(path)
    assert_alike(file.gaussians, gaussians)
    assert file.conventions.others == ("label",)
    assert kind.replace("_", " ") in file.conventions.format


def test_activated_values_are_recognised_and_said(tmp_path: Path) -> None:
    gaussians, path = some_gaussians(200), tmp_path / "scene.ply"
    columns = columns_of(gaussians) | {"opacity": gaussians.opacities.numpy()}
    columns |= {f"scale_{i}": gaussians.scales[:, i].numpy() for i in range(3)}
    write_table(path, columns)
    file = read_splat_file(path)
    assert_alike(file.gaussians, gaussians)
    said = "; ".join(file.conventions.sentences())
    assert "opacities as they are" in said and "scales as they are" in said


def test_opacities_alone_may_be_activated(tmp_path: Path) -> None:
    gaussians, path = some_gaussians(200), tmp_path / "scene.ply"
    write_table(path, columns_of(gaussians) | {"opacity": gaussians.opacities.numpy()})
    assert_alike(read_ply(path), gaussians)


def test_our_own_files_are_never_taken_for_activated(tmp_path: Path) -> None:
    """Half transparent Gaussians have logits in 0..1; large ones have positive logarithms."""
    gaussians, path = some_gaussians(200), tmp_path / "scene.ply"
    gaussians.opacities.copy_(torch.linspace(0.5, 0.7, 200))
    gaussians.means.mul_(300)
    gaussians.scales.copy_(torch.linspace(1.0, 6.0, 600).reshape(200, 3))
    write_ply(gaussians, path)
    assert_alike(read_ply(path), gaussians, atol=1e-3)


@pytest.mark.parametrize(("coefficients", "degree"), [(0, 0), (9, 1), (24, 2), (45, 3), (7, None)])
def test_higher_harmonics_are_passed_over_and_said(
    tmp_path: Path, coefficients: int, degree: int | None
) -> None:
    gaussians, path = some_gaussians(), tmp_path / "scene.ply"
    rest = {f"f_rest_{i}": np.full(11, 9.0) for i in range(coefficients)}
    normals = {f"n{axis}": np.zeros(11) for axis in "xyz"}
    write_table(path, normals | columns_of(gaussians) | rest)
    file = read_splat_file(path)
    assert_alike(file.gaussians, gaussians)
    assert file.conventions.harmonics_degree == degree
    assert file.conventions.others == ("normals",)


def test_byte_colours_stand_for_missing_harmonics(tmp_path: Path) -> None:
    gaussians, path = some_gaussians(), tmp_path / "scene.ply"
    columns = {n: v for n, v in columns_of(gaussians).items() if not n.startswith("f_dc")}
    rgb = (gaussians.colors * 255).round()
    names = ("red", "green", "blue")
    columns |= {name: rgb[:, i].numpy() for i, name in enumerate(names)}
    write_table(path, columns, types=dict.fromkeys(names, "u1"))
    assert torch.allclose(read_ply(path).colors, rgb / 255, atol=1e-6)


@pytest.mark.parametrize(
    ("comments", "up"),
    [
        ((), "-y"),
        (("Generated by Nerfstudio", "Vertical Axis: z"), "z"),
        (("Vertical axis: y",), "y"),
        (("Exported from Brush", "Vertical axis: y"), "-y"),
    ],
)
def test_the_axis_that_points_up_comes_from_a_comment_that_means_it(
    tmp_path: Path, comments: tuple[str, ...], up: str
) -> None:
    path = tmp_path / "scene.ply"
    write_table(path, columns_of(some_gaussians()), comments=comments)
    assert read_splat_file(path).conventions.up == up


def test_a_file_trained_with_3dgut_says_that_wide_angles_differ(tmp_path: Path) -> None:
    path = tmp_path / "scene.ply"
    write_table(path, columns_of(some_gaussians()), comments=("3DGRUT export",))
    assert any("3DGUT" in text for text in read_splat_file(path).conventions.sentences())


def test_the_filter_of_mip_splatting_widens_and_keeps_what_is_covered(tmp_path: Path) -> None:
    gaussians, path = some_gaussians(), tmp_path / "scene.ply"
    write_table(path, columns_of(gaussians) | {"filter_3D": np.full(11, 0.2)})
    found = read_ply(path)
    expected = torch.sqrt(gaussians.scales**2 + 0.04)
    assert torch.allclose(found.scales, expected, atol=1e-5)
    mass = gaussians.opacities * gaussians.scales.prod(-1)
    assert torch.allclose(found.opacities * found.scales.prod(-1), mass, rtol=1e-3)


def test_rows_of_nan_are_left_out_and_zero_rotations_are_none(tmp_path: Path) -> None:
    gaussians, path = some_gaussians(), tmp_path / "scene.ply"
    columns = columns_of(gaussians)
    columns["opacity"] = columns["opacity"].copy()
    columns["opacity"][3] = np.nan
    for i in range(4):
        columns[f"rot_{i}"] = np.where(np.arange(11) == 5, 0.0, columns[f"rot_{i}"])
    write_table(path, columns)
    file = read_splat_file(path)
    assert (len(file.gaussians), file.num_dropped) == (10, 1)
    assert file.gaussians.quats[4].tolist() == [1, 0, 0, 0]


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        (
            "element face 2\nproperty list uchar int vertex_indices",
            r"a mesh \(2 faces\) of 11 points",
        ),
        ("", "a point cloud of 11 points"),
    ],
)
def test_meshes_and_point_clouds_are_refused_in_words(
    tmp_path: Path, more: str, reason: str
) -> None:
    path = tmp_path / "mesh.ply"
    columns = {axis: np.zeros(11) for axis in "xyz"} | {"red": np.zeros(11)}
    write_table(path, columns, types={"red": "u1"}, more=more)
    with pytest.raises(InputError, match=reason):
        read_ply(path)


def test_a_compressed_ply_is_refused_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "scene.compressed.ply"
    write_table(path, {"packed_position": np.zeros(3)}, types={"packed_position": "i4"})
    with pytest.raises(InputError, match="compressed PLY of PlayCanvas"):
        read_ply(path)


@pytest.mark.parametrize("kind", ["binary_little_endian", "ascii"])
def test_a_count_beyond_the_file_is_refused_before_memory_is_taken(
    tmp_path: Path, kind: str
) -> None:
    path = tmp_path / "scene.ply"
    write_table(path, columns_of(some_gaussians()), kind=kind)
    path.write_bytes(path.read_bytes().replace(b"vertex 11", b"vertex 1000000000000"))
    with pytest.raises(InputError, match="the file was cut"):
        read_ply(path)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "absent.ply"):
        with pytest.raises(InputError):
            read_ply(path)


def test_infinite_logits_are_opacities_of_zero_and_one(tmp_path: Path) -> None:
    gaussians, path = some_gaussians(), tmp_path / "scene.ply"
    columns = columns_of(gaussians)
    columns["opacity"] = np.where(np.arange(11) < 2, [np.inf, -np.inf] + [0.0] * 9, 1.0)
    write_table(path, columns)
    file = read_splat_file(path)
    assert file.num_dropped == 0
    assert file.gaussians.opacities[:2].tolist() == [1.0, pytest.approx(0.0)]
