"""Reading speed and size of the dataset, against the layout of Lyra 1's own data, in one run.

    python -m benchmarks.dataset [FOLDER] [--height 704 --width 1280 --frames 121 --rounds 5]

FOLDER keeps what is written. One scene of six views, made up: a picture under a
slow pan and zoom, smooth depth of slanted walls with relief, latents of random numbers.
The original layout is read as its own loader does: an MP4 of GOP 250 a view through decord (through
PyAV where it is not installed), half EXR files in a ZIP, arrays that torch.save pickled. K12 is a
training sample: six latents, the cameras, and two random frames with depth of each view. Rounds of
the readers take turns; a figure is the median, with files in the page cache.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import cv2
import fsspec
import numpy as np
import OpenEXR
import skimage.data
import torch

from lyra_data.cameras import Cameras
from lyra_data.dataset.byte_ranges import RemoteFiles
from lyra_data.dataset.encoding import Encoding
from lyra_data.dataset.fields import Row, row_from_view
from lyra_data.dataset.media.half_depth import decode_half, encode_half
from lyra_data.dataset.packed_scene import PackedScene, pack_scene
from lyra_data.dataset.reader import SceneDataset
from lyra_data.dataset.writer import assemble_dataset
from lyra_data.view import View
from lyra_data.view_quality import ViewQuality

VIEWS = 6
ENCODINGS = {
    "train": Encoding("train", "half", "half"),
    "compat": Encoding("compat", "half", "half"),
}


def make_view(number: int, num_frames: int, height: int, width: int) -> View:
    draw = np.random.default_rng(number)
    picture = cv2.resize(skimage.data.astronaut(), (width * 2, height * 2))
    frames = np.empty((num_frames, 3, height, width), np.uint8)
    depth = np.empty((num_frames, height, width), np.float32)
    rows = np.linspace(0, 1, height, dtype=np.float32)[:, None]
    for index in range(num_frames):
        share = index / max(num_frames - 1, 1)
        scale, shift = 1.2 + 0.4 * share, (number - 2.5) * share * width * 0.1
        matrix = np.array([[scale, 0, width * 0.2 + shift], [0, scale, height * 0.2]], np.float32)
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        moved = cv2.warpAffine(picture, matrix, (width, height), flags=flags)
        frames[index] = moved.transpose(2, 0, 1)
        walls = 4.0 - 2.0 * rows + cv2.cvtColor(moved, cv2.COLOR_RGB2GRAY) / 200.0
        depth[index] = cv2.GaussianBlur(walls.astype(np.float32), (0, 0), 3)
    latent_frames = (num_frames - 1) // 8 + 1
    latents = draw.standard_normal((16, latent_frames, height // 8, width // 8), np.float32)
    intrinsics = torch.tensor([width, width, width / 2, height / 2]).float().repeat(num_frames, 1)
    known = torch.ones(num_frames, height, width, dtype=torch.bool)
    return View(
        scene_id="scene",
        view_index=number,
        trajectory="left",
        motion_reversed=False,
        frames=torch.from_numpy(frames),
        cameras=Cameras(torch.eye(4).repeat(num_frames, 1, 1), intrinsics, height, width),
        latents=torch.from_numpy(latents).half().float(),
        depth=torch.from_numpy(depth),
        depth_valid=known,
        filled=~known,
        depth_scale="metric",
        fps=24.0,
        movement_distance=0.2,
        seed=number,
        quality=ViewQuality.unmeasured(),
        provenance={"codec": "made up", "codec_fingerprint": "made up"},
    )


def prepare(folder: Path, num_frames: int, height: int, width: int) -> None:
    """Write the original layout and both datasets; what is there already stays."""
    if (folder / "done").exists():
        return
    packed: dict[str, list[PackedScene]] = {name: [] for name in ENCODINGS}
    for name, encoding in ENCODINGS.items():

        def rows(original: bool) -> Iterator[Row]:
            for number in range(VIEWS):
                view = make_view(number, num_frames, height, width)
                if original:
                    write_original(view, folder / "original")
                yield row_from_view(view)

        packed[name].append(pack_scene(rows(name == "train"), encoding))
        assemble_dataset(
            packed[name],
            folder / name,
            splits=None,
            scenes_per_shard=1,
            provenance={},
            encoding=encoding,
        )
    (folder / "done").touch()


def write_original(view: View, folder: Path) -> None:
    """One view as Lyra 1 stores it."""
    for kind in ("rgb", "depth", "latent", "pose", "intrinsics"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
    number = view.view_index
    height, width = view.frames.shape[2:]
    with av.open(str(folder / "rgb" / f"{number}.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=24, options={"crf": "18"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.gop_size = 250
        for picture in view.frames.permute(0, 2, 3, 1).contiguous().numpy():
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    with zipfile.ZipFile(folder / "depth" / f"{number}.zip", "w") as archive:
        for index, depth in enumerate(view.depth.numpy()):
            path = folder / "depth" / "one.exr"
            header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
            with OpenEXR.File(header, {"Z": depth.astype(np.float16)}) as file:
                file.write(str(path))
            archive.writestr(f"{index:05d}.exr", path.read_bytes())
            path.unlink()
    torch.save(view.latents[None].numpy(), folder / "latent" / f"{number}.pkl")
    np.savez(folder / "pose" / f"{number}.npz", data=view.cameras.camera_to_world.numpy())
    np.savez(folder / "intrinsics" / f"{number}.npz", data=view.cameras.intrinsics.numpy())


def read_original(folder: Path, latents: bool, frames: dict[int, list[int]], depth: bool) -> int:
    """A sample as Lyra 1 reads it, in float32; how many values it holds."""
    total = 0
    for number in range(VIEWS):
        np.load(folder / "pose" / f"{number}.npz")["data"]
        np.load(folder / "intrinsics" / f"{number}.npz")["data"]
        if latents:
            # As that reader does. These pickles are the benchmark's own, of a moment ago.
            loaded = torch.load(folder / "latent" / f"{number}.pkl", weights_only=False)
            total += torch.from_numpy(loaded).numel()
        if number not in frames:
            continue
        pictures = read_video(folder / "rgb" / f"{number}.mp4", frames[number])
        total += (torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255.0).numel()
        if depth:
            total += read_depths(folder / "depth" / f"{number}.zip", frames[number]).numel()
    return total


def read_depths(path: Path, frames: list[int]) -> torch.Tensor:
    maps = []
    with zipfile.ZipFile(path) as archive:
        for frame in frames:
            scratch = path.with_suffix(".exr")
            scratch.write_bytes(archive.read(f"{frame:05d}.exr"))
            with OpenEXR.File(str(scratch)) as file:
                maps.append(torch.from_numpy(file.channels()["Z"].pixels.astype(np.float32)))
    return torch.stack(maps)


def read_video(path: Path, frames: list[int]) -> np.ndarray:
    if importlib.util.find_spec("decord") is None:
        return read_video_by_av(path, frames)
    decord = importlib.import_module("decord")  # no dependency of ours
    return decord.VideoReader(str(path), num_threads=1).get_batch(frames).asnumpy()


def read_video_by_av(path: Path, frames: list[int]) -> np.ndarray:
    found = {}
    with av.open(str(path)) as container:
        container.streams.video[0].codec_context.thread_count = 1
        for index, frame in enumerate(container.decode(video=0)):
            if index in frames:
                found[index] = frame.to_ndarray(format="rgb24")
            if index >= max(frames):
                break
    return np.stack([found[frame] for frame in frames])


def medians(readers: dict[str, Callable[[int], object]], rounds: int) -> dict[str, float]:
    """Seconds of each reader; they take turns, and the first turn does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in readers}
    for number in range(rounds + 1):
        for name, read in readers.items():
            started = time.perf_counter()
            read(number)
            if number:
                seconds[name].append(time.perf_counter() - started)
    return {name: statistics.median(values) for name, values in seconds.items()}


def draw_frames(number: int, num_frames: int, per_view: int) -> dict[int, list[int]]:
    draw = np.random.default_rng(1000 + number)
    return {view: draw.integers(num_frames, size=per_view).tolist() for view in range(VIEWS)}


def compare(what: str, num_frames: int, folder: Path, rounds: int, depth: bool, count: int) -> None:
    """One line of the table for each reader."""
    latents = what.startswith("K12")
    every = list(range(VIEWS)) if latents else []
    datasets = {name: SceneDataset(folder / name) for name in ENCODINGS}

    def ours(name: str, dtype: str) -> Callable[[int], object]:
        return lambda number: datasets[name][0].read(
            latents=every,
            frames=draw_frames(number, num_frames, count),
            depth=depth,
            dtype=dtype,  # type: ignore[arg-type]
        )

    readers: dict[str, Callable[[int], object]] = {
        "original": lambda number: read_original(
            folder / "original", latents, draw_frames(number, num_frames, count), depth
        ),
        **{f"{name} {dtype}": ours(name, dtype) for name in ENCODINGS for dtype in ("lean", "f32")},
    }
    found = medians(readers, rounds)
    for name, seconds in found.items():
        print(f"| {what} | {name} | {seconds:.3f} s | {found['original'] / seconds:.1f}x |")


def compare_parts(folder: Path, num_frames: int, rounds: int) -> None:
    """Latents alone, and one depth map."""
    dataset = SceneDataset(folder / "train")
    original = folder / "original"
    found = medians(
        {
            "original": lambda _: [
                torch.from_numpy(torch.load(original / f"latent/{view}.pkl", weights_only=False))
                for view in range(VIEWS)
            ],
            "half": lambda _: dataset.read_fields("scene", ["latents"], as_stored=True),
        },
        rounds,
    )
    print(
        f"| six latents | half | {found['half']:.3f} s | {found['original'] / found['half']:.1f}x |"
    )
    frame = num_frames // 2
    with zipfile.ZipFile(original / "depth/0.zip") as archive:
        exr = archive.read(f"{frame:05d}.exr")
    depth = read_depths(original / "depth/0.zip", [frame])[0].numpy()
    blob = encode_half(depth)
    assert np.array_equal(decode_half(blob, *depth.shape), depth.astype(np.float16))
    found = medians(
        {
            "original": lambda _: read_depths(original / "depth/0.zip", [frame]),
            "half": lambda _: decode_half(blob, *depth.shape),
        },
        rounds,
    )
    print(
        f"| a depth map | half | {found['half'] * 1e3:.1f} ms | "
        f"{found['original'] / found['half']:.1f}x, {len(blob) / len(exr):.2f}x of the size |"
    )


def compare_sizes(folder: Path) -> None:
    def size(path: Path) -> int:
        return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())

    original = size(folder / "original")
    parts = {"rgb": "rgb", "depth": "depth", "latent": "latent"}
    for name in ENCODINGS:
        share = size(folder / name) / original
        print(f"| disk, all | {name} | {size(folder / name) / 1e6:.1f} MB | {share:.2f}x |")
        for part, ours in parts.items():
            ratio = size(folder / name / "data" / ours) / size(folder / "original" / part)
            print(f"| disk, {part} | {name} | | {ratio:.2f}x |")


def compare_remote(folder: Path, num_frames: int) -> None:
    """Bytes and requests of one K12 sample, against the original's whole files."""
    system = fsspec.filesystem("memory")
    for name in ENCODINGS:
        for path in (folder / name).rglob("*"):
            if path.is_file():
                place = path.relative_to(folder).as_posix()
                system.pipe_file(f"/benchmark/{place}", path.read_bytes())
        dataset = SceneDataset(
            f"memory://benchmark/{name}", modalities=("rgb", "latent", "depth", "camera")
        )
        assert isinstance(dataset.files, RemoteFiles)
        frames = draw_frames(1, num_frames, 2)
        dataset[0].read(latents=list(range(VIEWS)), frames=frames)
        requests, read = dataset.files.num_requests, dataset.files.num_bytes
        whole = sum(path.stat().st_size for path in (folder / "original").rglob("*.*"))
        print(
            f"| K12 from afar, first | {name} | {read / 1e6:.1f} MB, {requests} requests "
            f"| {read / whole:.3f}x |"
        )
        before = dataset.files.num_requests, dataset.files.num_bytes
        dataset[0].read(latents=list(range(VIEWS)), frames=draw_frames(2, num_frames, 2))
        requests, read = (
            dataset.files.num_requests - before[0],
            dataset.files.num_bytes - before[1],
        )
        print(
            f"| K12 from afar, next | {name} | {read / 1e6:.1f} MB, {requests} requests "
            f"| {read / whole:.3f}x |"
        )


def peak_memory(folder: Path, num_frames: int, kind: str) -> int:
    """Highest resident size in KiB of a process that reads three K12 samples."""
    code = (
        "from benchmarks.dataset import one_process\n"
        f"one_process({str(folder)!r}, {num_frames}, {kind!r})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return int(done.stdout.split()[-1])


def one_process(folder: str, num_frames: int, kind: str) -> None:
    """Read, or only import everything (`nothing`), and print the peak."""
    for number in range(3):
        frames = draw_frames(number, num_frames, 2)
        if kind == "original":
            read_original(Path(folder) / "original", True, frames, True)
        elif kind != "nothing":
            SceneDataset(Path(folder) / kind)[0].read(latents=list(range(VIEWS)), frames=frames)
    status = Path("/proc/self/status").read_text()
    print(status.partition("VmHWM:")[2].split()[0])  # getrusage would tell the parent's


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--height", type=int, default=704)
    parser.add_argument("--width", type=int, default=1280)
    parser.add_argument("--frames", type=int, default=121)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    if options.folder is None:
        with tempfile.TemporaryDirectory() as folder:
            return run(Path(folder), options)
    return run(options.folder, options)


def run(folder: Path, options: argparse.Namespace) -> None:
    prepare(folder, options.frames, options.height, options.width)
    print(f"{VIEWS} views of {options.frames} frames, {options.height}x{options.width}")
    print("| what | reader | result | against the original |\n| --- | --- | --- | --- |")
    for what, depth, count in (("K12", True, 2), ("9 frames x 6 views", False, 9)):
        compare(what, options.frames, folder, options.rounds, depth, count)
    compare_parts(folder, options.frames, options.rounds)
    compare_sizes(folder)
    compare_remote(folder, options.frames)
    nothing = peak_memory(folder, options.frames, "nothing")
    original = peak_memory(folder, options.frames, "original")
    for name in ENCODINGS:
        peak = peak_memory(folder, options.frames, name)
        print(
            f"| peak memory | {name} | {peak / 1024:.0f} MiB ({nothing / 1024:.0f} for imports) "
            f"| {peak / original:.2f}x |"
        )


if __name__ == "__main__":
    main()
