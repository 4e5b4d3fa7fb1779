"""Views that `generate` keeps as the dataset does: encoded once, one copy, and nothing lost."""

from __future__ import annotations

import dataclasses
import pickle
import shutil
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lyra_data.dataset.generated_views import DatasetViews, read_view
from lyra_data.dataset.packaging import runner as packaging
from lyra_data.dataset.packaging.params import PackageParams
from lyra_data.dataset.packaging.runner import package_views
from lyra_data.dataset.reading.reader import SceneDataset
from lyra_data.engine.errors import CorruptDataError, ParamsError
from lyra_data.engine.hashing import canonical_json, sha256_of_folder
from lyra_data.engine.placement import Placement
from lyra_data.engine.progress import silent
from lyra_data.generation.jobs import Job
from lyra_data.generation.params import GenerateParams
from lyra_data.generation.runner import Generation, generate_views
from lyra_data.packing.blob_store import BlobStore
from lyra_data.packing.encoding import Encoding
from lyra_data.packing.view_files import (
    BLOBS,
    content_hash,
    encoding_of,
    read_columns,
    read_encoded,
    read_row,
    write_row,
)
from lyra_data.scene.clip import Clip
from lyra_data.scene.view import View
from lyra_data.views.store import view_files
from stages.package import check_store
from tests.factories import assert_views_equal, make_frames
from tests.generation_stubs import StubMaker, stub_params, write_clips

COMPAT = {"rgb": "compat", "depth": "half", "latents": "half"}
TRAJECTORIES = ("left", "right", "up")


@dataclass(frozen=True)
class DistinctViews(StubMaker):
    """Makes the stub's views with frames of their own: no two have the same blobs."""

    def __call__(self, params: GenerateParams, placement: Placement) -> Any:
        stub = super().__call__(params, placement)
        make = stub.make

        def make_distinct(clip: Clip, job: Job) -> View:
            frames = make_frames(seed=zlib.crc32(job.name.encode()))
            return dataclasses.replace(make(clip, job), frames=frames)

        stub.make = make_distinct  # type: ignore[method-assign]
        return stub


@dataclass(frozen=True)
class Made:
    """A project's folders and what can be done in them."""

    root: Path

    @property
    def views(self) -> Path:
        return self.root / "outputs" / "views"

    @property
    def dataset(self) -> Path:
        return self.root / "outputs" / "dataset"

    @property
    def maker(self) -> DistinctViews:
        return DistinctViews(self.root / "log")

    def generate(self, *trajectories: str, **changes: object) -> Generation:
        return generate_views(
            stub_params(*(trajectories or TRAJECTORIES), **{"store": "compat", **changes}),
            seed=1,
            clips=self.root / "clips",
            views=self.views,
            scratch=self.root / ".work",
            progress=silent,
            maker=self.maker,
            held=DatasetViews(self.dataset),
        )

    def package(self, **changes: object) -> str:
        """Package, and return the hash of all the dataset's bytes."""
        params = {
            "scenes_per_shard": 2,
            "validation_fraction": 0.0,
            "validation_scenes": (),
            **COMPAT,
            **changes,
        }
        package_views(
            PackageParams(**params),  # type: ignore[arg-type]
            views=self.views,
            dataset=self.dataset,
            scratch=self.root / ".work",
            progress=silent,
        )
        return sha256_of_folder(self.dataset)

    def stored(self) -> list[str]:
        """Return the names of the blobs that are kept beside the views."""
        folder = self.root / "outputs" / "encoded"
        return [path.name for path in folder.iterdir() if path.is_dir()] if folder.is_dir() else []


@pytest.fixture
def made(tmp_path: Path) -> Made:
    write_clips(tmp_path / "clips", "a", "b", "c")
    return Made(tmp_path)


@pytest.fixture
def another(tmp_path: Path) -> Made:
    write_clips(tmp_path / "another" / "clips", "a", "b", "c")
    return Made(tmp_path / "another")


@pytest.fixture
def encodes_nothing(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    def refuse(*arguments: object) -> None:
        raise AssertionError("package encodes what generate has encoded")

    return lambda: monkeypatch.setattr(packaging, "_encode", refuse)


@pytest.mark.parametrize("rgb", ["compat", "train"])
def test_the_dataset_has_the_same_bytes_whichever_form_views_were_kept_in(
    made: Made, another: Made, encodes_nothing: Callable[[], None], rgb: str
) -> None:
    another.generate(store="lossless")
    expected = another.package(rgb=rgb)
    made.generate(store=rgb)
    encodes_nothing()
    assert made.package(rgb=rgb) == expected


def test_views_are_compared_before_they_are_encoded(made: Made, another: Made) -> None:
    made.generate()
    another.generate(store="lossless")
    for one, other in zip(view_files(made.views), view_files(another.views), strict=True):
        names = ["sibling_psnr_db", "sibling_displacement_pixels", "view_index"]
        assert read_columns(one, names) == read_columns(other, names)
        assert read_columns(one, names)["sibling_psnr_db"] is not None


def test_once_packaged_the_dataset_has_the_only_bytes_and_views_are_read_from_it(
    made: Made,
) -> None:
    made.generate()
    before = {path: (read_view(path), content_hash(path)) for path in view_files(made.views)}
    assert len(made.stored()) == len(before) > 0
    made.package()
    assert made.stored() == []
    dataset = SceneDataset(made.dataset, verify="full")
    for path, (view, content) in before.items():
        assert content_hash(path) == content
        assert_views_equal(read_view(path), view)
        assert_views_equal(dataset[view.scene_id].read_view(view.view_index), view)


def test_packaged_views_are_found_finished_and_packaged_again_without_their_own_bytes(
    made: Made,
) -> None:
    made.generate()
    first = made.package()
    again = made.generate()
    assert (again.made, again.reused) == (0, 9)
    assert made.package() == first
    assert made.package(scenes_per_shard=1) != first
    assert made.package() == first


def test_a_trajectory_is_added_without_making_packaged_views_again(
    made: Made, another: Made
) -> None:
    made.generate("left", "right")
    made.package()
    added = made.generate("left", "up", "right")
    assert (added.made, added.reused) == (3, 6)
    another.generate("left", "up", "right")
    assert made.package() == another.package()


def test_views_whose_bytes_are_gone_are_refused_and_made_again(made: Made) -> None:
    made.generate()
    first = made.package()
    shutil.rmtree(made.dataset)
    with pytest.raises(CorruptDataError, match=r"neither in .*encoded nor in .*dataset") as told:
        made.package()
    assert "lyra-data generate" in str(told.value)
    assert made.generate().made == 9
    assert made.package() == first


def test_blobs_stay_where_the_dataset_holds_others(made: Made) -> None:
    made.generate()
    made.package(rgb="train")
    assert len(made.stored()) == 9


def test_packaged_in_another_encoding_and_back_no_byte_is_lost(made: Made) -> None:
    made.generate()
    first = made.package()
    compat = SceneDataset(made.dataset)["a"].read_fields(["depth", "latents"])
    made.package(rgb="train")
    assert len(made.stored()) == 9, "the compat bytes are brought back from the dataset"
    train = SceneDataset(made.dataset)
    assert train.manifest.encoding["rgb"] == "train"
    for one, other in zip(compat, train["a"].read_fields(["depth", "latents"]), strict=True):
        assert all((one[name] == other[name]).all() for name in one)
    assert not train["a"].stored.rows("latent", ["latent_source_exact"])[0]["latent_source_exact"]
    assert made.package() == first


def test_views_kept_without_loss_are_encoded_and_not_made_again(made: Made, another: Made) -> None:
    made.generate(store="lossless")
    assert made.generate(store="compat").made == 9
    assert made.maker.jobs() == sorted(set(made.maker.jobs()))
    another.generate(store="compat")
    assert made.package() == another.package()


def test_the_form_is_part_of_a_key_only_where_it_is_not_lossless(made: Made) -> None:
    made.generate(store="lossless")
    assert made.generate(store="lossless").reused == 9
    (made.root / "log").unlink()
    assert made.generate(store="train").made == 9
    assert made.generate(store="compat").made == 9
    assert made.generate(store="lossless").reused == 9
    assert made.maker.jobs() == []


def test_lossless_packaging_of_lossy_views_is_refused(made: Made) -> None:
    made.generate()
    with pytest.raises(ParamsError, match=r"package.depth.*lossless depth.*half"):
        made.package(depth="lossless")
    params = PackageParams(
        scenes_per_shard=1,
        validation_fraction=0.0,
        validation_scenes=(),
        rgb="lossless",
        depth="half",
        latents="half",
    )
    with pytest.raises(ParamsError, match=r"generate\.store: lossless"):
        check_store(params, "compat")
    check_store(params, "lossless")


def test_a_damaged_blob_is_refused_and_the_view_made_again(made: Made) -> None:
    made.generate()
    key = read_encoded(view_files(made.views)[0]).key
    path = made.root / "outputs" / "encoded" / key / "blobs"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(CorruptDataError, match="do not have the hashes"):
        made.package()
    assert made.generate().made == 1
    made.package()


def test_a_file_that_states_other_sizes_than_a_view_s_is_refused(made: Made) -> None:
    made.generate()
    path = view_files(made.views)[0]
    row, encoding = read_row(path)
    cuts = {name: dict(cut) for name, cut in read_encoded(path).cuts.items()}
    for cut in cuts.values():
        cut["config"] = ""
    cuts["depth"]["shape"] = [9, 10**6, 10**6]
    write_row(path, {**row, BLOBS: canonical_json(cuts)}, encoding)
    with pytest.raises(CorruptDataError, match="its depth are half of shape"):
        read_encoded(path)
    write_row(path, {**row, "blobs_key": "../../clips"}, encoding)
    with pytest.raises(CorruptDataError, match="does not name the blobs"):
        read_view(path)


def test_a_cut_file_is_refused(made: Made) -> None:
    made.generate()
    path = view_files(made.views)[0]
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(CorruptDataError, match="cut or altered"):
        encoding_of(path)


def test_what_knows_the_dataset_reaches_workers_and_sees_that_it_changed(made: Made) -> None:
    made.generate()
    view = read_encoded(view_files(made.views)[0])
    held = DatasetViews(made.dataset)
    assert held.media(view) is None
    made.package()
    assert held.media(view) is not None
    assert pickle.loads(pickle.dumps(held)).media(view) is not None
    shutil.rmtree(made.dataset)
    assert held.media(view) is None


def test_git_leaves_the_blobs_alone(made: Made) -> None:
    made.generate()
    assert (made.root / "outputs" / "encoded" / ".gitignore").read_text() == "*\n"


def test_a_former_encoding_is_known_by_its_name(made: Made) -> None:
    made.generate()
    assert encoding_of(view_files(made.views)[0]) == Encoding(**COMPAT)  # type: ignore[arg-type]
    assert BlobStore(made.root / "outputs").media(read_encoded(view_files(made.views)[0]))
