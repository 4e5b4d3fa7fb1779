"""A dataset is read from afar by byte ranges, and as exactly as from a folder."""

from __future__ import annotations

import pickle
import re
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import fsspec
import pytest
import torch

from lyra_data.dataset.files.remote_files import RemoteFiles
from lyra_data.dataset.files.sparse_file import SparseFile
from lyra_data.dataset.reading.reader import SceneDataset
from lyra_data.dataset.writing.writer import write_dataset
from lyra_data.engine.errors import CorruptDataError, InputError
from lyra_data.packing.encoding import Encoding
from tests.factories import assert_views_equal, make_view

VIEWS = [make_view(scene, index, seed=ord(scene)) for scene in "abc" for index in range(2)]


class RangeHandler(SimpleHTTPRequestHandler):
    """Serves files, and parts of them where a request names a range."""

    def log_message(self, *arguments: object) -> None:
        pass

    def do_GET(self) -> None:
        path = Path(self.translate_path(self.path))
        if not path.is_file():
            return self.send_error(404)
        data, wanted = path.read_bytes(), self.headers.get("Range")
        if wanted is None or not self.server.answers_ranges:  # type: ignore[attr-defined]
            self.send_response(200)
        else:
            begin, end = re.fullmatch(r"bytes=(\d+)-(\d+)", wanted).groups()  # type: ignore[union-attr]
            total = len(data)
            data = data[int(begin) : int(end) + 1]
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {begin}-{end}/{total}")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    target = tmp_path / "dataset"
    write_dataset(VIEWS, target, splits=None, scenes_per_shard=2, provenance={})
    return target


@pytest.fixture
def server(folder: Path) -> Iterator[ThreadingHTTPServer]:
    handler = partial(RangeHandler, directory=str(folder))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.answers_ranges = True  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def address(server: ThreadingHTTPServer) -> str:
    return f"http://127.0.0.1:{server.server_address[1]}"


def put_in_memory(folder: Path, name: str) -> str:
    system = fsspec.filesystem("memory")
    for path in folder.rglob("*"):
        if path.is_file():
            system.pipe_file(f"/{name}/{path.relative_to(folder).as_posix()}", path.read_bytes())
    return f"memory://{name}"


def assert_reads_all(dataset: SceneDataset) -> None:
    found = [view for scene in range(len(dataset)) for view in dataset.scene(scene)]
    for one, other in zip(found, VIEWS, strict=True):
        assert_views_equal(one, other)


def test_a_dataset_on_a_server_is_the_one_in_the_folder(server: ThreadingHTTPServer) -> None:
    assert_reads_all(SceneDataset(address(server)))
    assert_reads_all(SceneDataset(address(server), verify="full"))


def test_a_dataset_anywhere_that_fsspec_reads_is_the_one_in_the_folder(folder: Path) -> None:
    assert_reads_all(SceneDataset(put_in_memory(folder, "anywhere"), verify="full"))


def test_a_frame_from_afar_costs_a_small_part_of_the_files(
    server: ThreadingHTTPServer, tmp_path: Path
) -> None:
    big = [make_view("a", index, num_frames=33, height=64, width=96) for index in range(6)]
    write_dataset(big, tmp_path / "big", splits=None, scenes_per_shard=1, provenance={})
    uri = put_in_memory(tmp_path / "big", "big")
    dataset = SceneDataset(uri, modalities=("rgb", "camera"))
    assert isinstance(dataset.files.ranges, RemoteFiles)
    sample = dataset[0].read(frames={2: [20]}, depth=False)
    assert torch.equal(sample.frames[2], big[2].frames[[20]])
    total = sum(path.stat().st_size for path in (tmp_path / "big" / "data").rglob("*.parquet"))
    assert dataset.files.ranges.num_bytes < 0.1 * total
    before = dataset.files.ranges.num_requests
    dataset[0].read(frames={2: [21]}, depth=False)
    assert dataset.files.ranges.num_requests <= before + 2


def test_what_was_read_from_afar_is_kept_and_not_asked_for_again(
    server: ThreadingHTTPServer, tmp_path: Path
) -> None:
    for times in range(2):
        dataset = SceneDataset(address(server), cache_dir=tmp_path / "cache")
        assert_views_equal(dataset["b"].read_view(1), VIEWS[3])
        assert isinstance(dataset.files.ranges, RemoteFiles)
        assert dataset.files.ranges.num_requests == 1 or times == 0  # the manifest alone


def test_a_server_that_ignores_ranges_is_refused(server: ThreadingHTTPServer) -> None:
    dataset = SceneDataset(address(server))
    server.answers_ranges = False  # type: ignore[attr-defined]
    with pytest.raises((InputError, CorruptDataError)):
        dataset.scene("a")


def test_a_changed_byte_on_a_server_is_refused_with_its_file(
    server: ThreadingHTTPServer, folder: Path
) -> None:
    path = folder / "data" / "latent" / "train-00000-of-00002.parquet"
    data = bytearray(path.read_bytes())
    data[data.index(VIEWS[0].latents.numpy().tobytes()) + 10] ^= 1
    path.write_bytes(data)
    with pytest.raises(CorruptDataError, match=r"bytes \d+ to \d+ do not") as caught:
        assert_reads_all(SceneDataset(address(server)))
    assert caught.value.where == f"{address(server)}/data/latent/{path.name}"


def test_a_wrong_address_is_told(server: ThreadingHTTPServer) -> None:
    with pytest.raises(CorruptDataError, match="never finished"):
        SceneDataset(f"{address(server)}/nowhere")
    with pytest.raises(InputError, match="cannot be reached"):
        SceneDataset("http://127.0.0.1:9/dataset")
    with pytest.raises(InputError, match="cannot be read"):
        SceneDataset("gopher://dataset")
    with pytest.raises(InputError, match="only hf:// has revisions"):
        SceneDataset(address(server), revision="v1")


def test_an_opened_dataset_can_be_pickled(server: ThreadingHTTPServer, folder: Path) -> None:
    for uri in (folder, address(server)):
        dataset = SceneDataset(uri)
        dataset["a"].read_view(0)
        assert_views_equal(pickle.loads(pickle.dumps(dataset))["c"].read_view(1), VIEWS[5])


def test_a_modality_that_is_not_there_is_named(folder: Path, tmp_path: Path) -> None:
    for path in (folder / "data" / "depth").iterdir():
        path.unlink()
    with pytest.raises(CorruptDataError, match=r"(?s)data/depth/.*missing.*modalities="):
        SceneDataset(folder)
    dataset = SceneDataset(folder, modalities=("preview", "rgb", "latent", "camera"))
    assert torch.equal(dataset.read_fields("a", ["frames"])[1]["frames"], VIEWS[1].frames)
    with pytest.raises(InputError, match="depth is read, but the dataset was opened without"):
        dataset.read_fields("a", ["depth"])
    with pytest.raises(InputError, match="no modality 'flow'"):
        SceneDataset(folder, modalities=("flow",))


@pytest.mark.parametrize("modality", ["rgb", "depth", "latent"])
def test_a_mix_of_codecs_is_refused(folder: Path, tmp_path: Path, modality: str) -> None:
    other = tmp_path / "other"
    encoding = Encoding("compat", "half", "half")
    write_dataset(VIEWS, other, splits=None, scenes_per_shard=2, provenance={}, encoding=encoding)
    mixed = [*(other / "data" / modality).iterdir(), other / f"meta/index/{modality}.parquet"]
    for path in mixed:
        (folder / path.relative_to(other)).write_bytes(path.read_bytes())
    with pytest.raises(CorruptDataError) as caught:
        assert_reads_all(SceneDataset(folder))
    assert modality in str(caught.value.where)


def test_unknown_ranges_of_a_sparse_file_are_zero() -> None:
    file = SparseFile(10, [(2, b"ab"), (7, b"xyz")])
    assert file.read(5) == b"\0\0ab\0" and file.read() == b"\0\0xyz"
    file.seek(-2, 2)
    assert file.read() == b"yz" and file.read(1) == b""
