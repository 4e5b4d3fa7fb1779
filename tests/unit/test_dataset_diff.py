"""diff: every kind of difference is named, equal data are equal, and media stay unread."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import fsspec
import pytest
import torch
from typer.testing import CliRunner

from lyra_data.dataset.comparison.compare import compare_datasets
from lyra_data.dataset.comparison.differences import DatasetDifference, FieldChange
from lyra_data.dataset.comparison.page import write_page
from lyra_data.dataset.comparison.plain_values import amounts_of
from lyra_data.dataset.format.layout import MODALITIES
from lyra_data.dataset.reading.dataset_files import DatasetFiles
from lyra_data.dataset.writing.writer import write_dataset
from lyra_data.engine.errors import InputError, StageOrderError
from lyra_data.engine.progress import silent
from lyra_data.packing.encoding import Encoding
from lyra_data.scene.view import View
from stages.cli import app
from tests.browser import browser_page
from tests.factories import make_quality, make_view


def views_of(names: str = "abc", num_views: int = 2) -> list[View]:
    views = []
    for scene in names:
        for index in range(num_views):
            view = make_view(scene, index, seed=ord(scene) + index, trajectory="right")
            quality = make_quality(sharpness_ratio=0.5 + 0.1 * index)
            views.append(replace(view, quality=quality))
    return views


def write(folder: Path, views: list[View], **options: Any) -> str:
    settings = {"splits": None, "scenes_per_shard": 2, "provenance": {"params_hash": "one"}}
    write_dataset(views, folder, **settings | options)
    return str(folder)


def compared(first: str, second: str, **options: Any) -> DatasetDifference:
    return compare_datasets(first, second, progress=silent, **options)


@pytest.fixture(scope="module")
def former(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write(tmp_path_factory.mktemp("former") / "dataset", views_of())


def changed(views: list[View], scene: str, index: int, **changes: Any) -> list[View]:
    return [
        replace(view, **changes) if (view.scene_id, view.view_index) == (scene, index) else view
        for view in views
    ]


def test_the_same_data_in_other_shards_are_equal(former: str, tmp_path: Path) -> None:
    later = write(tmp_path / "later", views_of(), scenes_per_shard=1)
    difference = compared(former, later)
    assert difference.is_equal
    assert difference.num_equal == 3
    assert difference.a.dataset_hash != difference.b.dataset_hash
    assert not [shift for shift in difference.numbers if shift.is_shifted]
    assert compared(former, former).is_equal


def test_scenes_and_views_that_one_alone_has_are_named(former: str, tmp_path: Path) -> None:
    views = [view for view in views_of("bcd", 3) if view.scene_id != "c" or view.view_index]
    splits = {"b": "validation", "c": "train", "d": "train"}
    difference = compared(former, write(tmp_path / "later", views, splits=splits))
    assert (difference.added, difference.removed) == (("d",), ("a",))
    first, second = difference.changed
    assert (first.scene_id, first.splits) == ("b", ("train", "validation"))
    assert (first.added_views, first.removed_views, first.fields) == ((2,), (), ())
    assert (second.scene_id, second.added_views, second.removed_views) == ("c", (2,), (0,))


def test_changed_fields_are_named_with_how_much(former: str, tmp_path: Path) -> None:
    views = views_of()
    one = views[0]
    poses = one.cameras.camera_to_world.clone()
    poses[3, 0, 3] += 0.25
    frames = one.frames.clone()
    frames[2, 0, 0, 0] = (frames[2, 0, 0, 0].int() + 100) % 256
    views = changed(
        views,
        *("a", 0),
        cameras=replace(one.cameras, camera_to_world=poses),
        frames=frames,
        quality=replace(one.quality, sharpness_ratio=0.9),
        provenance={**one.provenance, "teacher": "another"},
    )
    views = changed(views, "c", 1, latents=views[5].latents + 0.5)
    difference = compared(former, write(tmp_path / "later", views))
    fields = {change.field: change for change in difference.fields}
    assert set(fields) - {"latent_std"} == {
        *("sharpness_ratio", "provenance", "camera_to_world", "frames", "latents", "teacher"),
        *("rgb_mean", "rgb_std", "latent_mean"),
    }
    assert fields["camera_to_world"].amounts["moved"] == pytest.approx(0.25)
    assert fields["sharpness_ratio"].amounts == {"largest": pytest.approx(0.4)}
    assert 0 < fields["frames"].changed_parts <= fields["frames"].parts
    assert fields["frames"].amounts == {}
    assert difference.view_provenance == {"teacher": 1}
    assert [change.scene_id for change in difference.changed] == ["a", "c"]
    assert difference.num_equal == 1


def test_media_are_decoded_where_it_is_asked(former: str, tmp_path: Path) -> None:
    views = views_of()
    frames, depth = views[0].frames.clone(), views[0].depth.clone()
    frames[:, 0] = frames[:, 0] ^ 4
    depth[views[0].depth_valid] *= 1.5
    views = changed(views, "a", 0, frames=frames, depth=depth)
    views = changed(views, "b", 1, latents=views[3].latents + 0.5, filled=~views[3].filled)
    later = write(tmp_path / "later", views)
    amounts = {one.field: one for one in compared(former, later, media_views=2).fields}
    assert amounts["frames"].amounts["largest_levels"] == 4
    assert amounts["frames"].amounts["rms_levels"] == pytest.approx(4 / 3**0.5)
    assert amounts["depth"].amounts["relative"] == pytest.approx(0.5)
    assert amounts["latents"].amounts["rms"] == pytest.approx(0.5, abs=1e-6)
    assert amounts["filled"].amounts == {"share": 1.0}
    assert amounts["filled"].media_views == 1


def test_numbers_sizes_and_settings_shift(former: str, tmp_path: Path) -> None:
    views = [
        replace(view, quality=replace(view.quality, sharpness_ratio=0.8)) for view in views_of()
    ]
    encoding = Encoding(depth="half")
    difference = compared(
        former, write(tmp_path / "later", views, encoding=encoding, provenance={"more": 1})
    )
    shifts = {shift.name: shift for shift in difference.numbers}
    sharpness = shifts["sharpness_ratio"]
    assert sharpness.means == (pytest.approx(0.55), pytest.approx(0.8))
    assert sharpness.paired_shift == pytest.approx(0.25)
    assert sharpness.paired_views == 6
    assert not shifts["known_fraction"].is_shifted
    assert difference.a.sizes["depth"] > difference.b.sizes["depth"]
    assert [(one.name, one.a, one.b) for one in difference.settings] == [
        ("encoding.depth", "lossless", "half"),
        ("provenance.params_hash", "one", None),
        ("provenance.more", None, "1"),
    ]


def test_media_are_never_read_unless_asked(
    former: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    views = changed(views_of(), "a", 0, frames=255 - views_of()[0].frames)
    later = write(tmp_path / "later", views)
    plain: dict[str, list[tuple[int, int]]] = {}
    for side in (former, later):
        files = DatasetFiles.open(side)
        for modality in MODALITIES:
            for scene in files.manifest.scenes:
                for entry in files.blobs(scene, modality).values():
                    if entry.table.codec:
                        plain.setdefault(entry.file, []).append(entry.bounds(0))
    read = DatasetFiles.read

    def watched(self: DatasetFiles, ranges: Any) -> Any:
        for part in ranges:
            for begin, end in plain.get(part.file, ()):
                assert part.end <= begin or end <= part.begin, part
        return read(self, ranges)

    monkeypatch.setattr(DatasetFiles, "read", watched)
    assert [one.field for one in compared(former, later).fields if one.parts] == ["frames"]


def test_a_small_turn_of_a_camera_is_not_lost_to_rounding() -> None:
    angle = torch.tensor(1e-5, dtype=torch.float64)
    turned = torch.eye(4, dtype=torch.float64)
    turned[:2, :2] = torch.tensor([[angle.cos(), -angle.sin()], [angle.sin(), angle.cos()]])
    amounts = amounts_of(
        "camera_to_world", [torch.eye(4).flatten().tolist()], [turned.flatten().tolist()]
    )
    assert amounts["turned_degrees"] == pytest.approx(1e-5 * 57.29578, rel=1e-6)
    half = torch.diag(torch.tensor([-1.0, -1.0, 1.0, 1.0]))
    amounts = amounts_of(
        "camera_to_world", [torch.eye(4).flatten().tolist()], [half.flatten().tolist()]
    )
    assert amounts["turned_degrees"] == pytest.approx(180)


def test_an_address_is_compared_with_a_folder(former: str) -> None:
    system = fsspec.filesystem("memory")
    system.put(former, "/diff-former", recursive=True)
    assert compared(former, "memory://diff-former").is_equal


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of DVC: its dataset as it was at tag v1, and another one in the folder now."""
    root = tmp_path_factory.mktemp("project")

    def run(*command: str) -> None:
        user = ("-c", "user.name=a", "-c", "user.email=a@b")
        words = ("git", *user, *command[1:]) if command[0] == "git" else command
        subprocess.run(words, cwd=root, check=True, capture_output=True)

    run("git", "init", "-q")
    run("dvc", "init", "-q")
    run("dvc", "config", "core.analytics", "false")
    write(root / "outputs" / "dataset", views_of())
    for tag, views in (("v1", None), ("v2", changed(views_of("ab"), "b", 0, seed=77))):
        if views is not None:
            write(root / "outputs" / "dataset", views)
        run("dvc", "add", "-q", "outputs/dataset")
        run("git", "add", ".")
        run("git", "commit", "-q", "-m", tag)
        run("git", "tag", tag)
    return root


def test_a_revision_of_a_project_is_compared_without_checking_it_out(
    project: Path, former: str
) -> None:
    dataset = str(project / "outputs" / "dataset")
    assert compared(f"{dataset}@v1", former).is_equal
    difference = compared(f"{dataset}@v1", dataset)
    assert difference.removed == ("c",)
    assert [one.scene_id for one in difference.changed] == ["b"]
    assert [change.field for change in difference.fields] == ["seed"]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("outputs/dataset@nothing", "cannot be read at revision 'nothing'"),
        ("outputs/other@v1", "no such folder at this revision"),
        ("outputs@v1", "or this is no dataset"),
    ],
)
def test_revisions_that_cannot_be_read_are_refused(
    project: Path, former: str, name: str, reason: str
) -> None:
    with pytest.raises(InputError, match=reason):
        compared(str(project / name), former)


def test_a_revision_whose_data_are_gone_says_how_to_fetch_them(
    project: Path, former: str, tmp_path: Path
) -> None:
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", project, clone], check=True)
    with pytest.raises(InputError, match="dvc fetch"):
        compared(str(clone / "outputs" / "dataset@v1"), former)


def test_what_is_no_dataset_is_refused(former: str, tmp_path: Path) -> None:
    with pytest.raises(StageOrderError):
        compared(former, str(tmp_path / "nothing"))
    with pytest.raises(InputError, match="no project of DVC"):
        compared(former, str(tmp_path / "nothing@v1"))
    done = CliRunner().invoke(app, ["diff", former, str(tmp_path / "nothing")])
    assert done.exit_code == 2


def test_the_verb_prints_tables_of_80_columns_and_json(former: str, tmp_path: Path) -> None:
    views = changed(views_of("abd"), "a", 0, fps=30.0)
    later = write(tmp_path / "a name that is quite long, with [brackets]", views)
    done = CliRunner().invoke(app, ["diff", former, later])
    assert done.exit_code == 0, done.output
    assert max(map(len, done.stdout.splitlines()[1:])) <= 80
    assert "1 added, 1 removed, 1 changed, 1 equal" in done.stdout
    assert "[brackets]" in done.stdout.replace("\n", "")
    page = tmp_path / "page.html"
    done = CliRunner().invoke(app, ["diff", former, later, "--json", "--html", str(page)])
    facts = json.loads(done.stdout)
    assert facts["equal"] is False
    assert facts["added"] == ["d"]
    assert facts["changed"][0]["fields"][0]["amounts"] == {"largest": 6.0}
    assert page.is_file()
    assert json.loads(CliRunner().invoke(app, ["diff", former, former, "--json"]).stdout)["equal"]


def test_the_page_is_one_file_whose_texts_are_text(former: str, tmp_path: Path) -> None:
    hostile = "<script>alert(1)</script>"
    views = changed(views_of("abd"), "a", 0, fps=30.0)
    later = write(tmp_path / "later", views, provenance={"params_hash": hostile})
    difference = compared(former, later)
    write_page(difference, tmp_path / "one.html")
    write_page(difference, tmp_path / "two.html")
    text = (tmp_path / "one.html").read_text()
    assert text == (tmp_path / "two.html").read_text()
    assert hostile not in text
    assert "http" not in text
    assert all(word in text for word in ("<li>d</li>", "fps", "params_hash"))


@pytest.mark.parametrize("width", [1440, 390])
def test_the_page_fits_a_wide_and_a_narrow_window(former: str, tmp_path: Path, width: int) -> None:
    later = write(tmp_path / "later", changed(views_of("abd"), "a", 0, fps=30.0))
    write_page(compared(former, later), tmp_path / "page.html")
    with browser_page(tmp_path / "browser") as page:
        page.resize(width, 900, mobile=width < 500)
        page.open((tmp_path / "page.html").as_uri())
        page.wait_for("document.readyState === 'complete' && document.querySelector('h1')")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate("document.querySelectorAll('.line b').length") > 10
        assert not page.complaints
        assert [address for address in page.requests if not address.startswith("file:")] == []


def test_changes_of_many_scenes_are_added() -> None:
    from lyra_data.dataset.comparison.differences import add_changes

    changes = [FieldChange("depth", 2, 1, 3, 9, {"largest": one}) for one in (0.5, 0.25)]
    assert add_changes(changes) == [FieldChange("depth", 4, 2, 6, 18, {"largest": 0.5})]
