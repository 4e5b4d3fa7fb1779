"""Stands in for ViPE: the same command line, and a result in ViPE's format from known geometry.

python tests/vipe_stand_in.py [--geometry FILE] [--behaviour NAME] infer VIDEO -p lyra --output DIR

It imports nothing of ours, so that our reader is tested against files that our writer did not
write. FILE is an .npz of `camera_to_world`, `intrinsics`, `depth` and perhaps `instances`.
Behaviours: "well", "fails", "no-depth" (an incomplete result), "others" (frames of another video),
"hangs" (starts a child that sleeps, and says both process ids), "progress" (a bar of carriage
returns), "old" (knows no --version).
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
import zipfile
from fractions import Fraction
from pathlib import Path

VERSION = "1.2.0"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--geometry", type=Path)
    parser.add_argument("--behaviour", default="well")
    if "--version" in sys.argv:
        if "old" in sys.argv:
            sys.exit("Error: No such option: --version")
        sys.stdout.write(f"vipe, version {VERSION}\n")
        return
    infer = parser.add_subparsers(required=True).add_parser("infer")
    infer.add_argument("video", type=Path)
    infer.add_argument("--pipeline", "-p", default="default")
    infer.add_argument("--output", "-o", type=Path)
    arguments = parser.parse_args()
    if arguments.behaviour == "fails":
        for step in range(30):
            sys.stderr.write(f"step {step}\n")
        sys.exit("torch.OutOfMemoryError: CUDA out of memory")
    if arguments.behaviour == "hangs":
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        sys.stdout.write(f"ids {os.getpid()} {child.pid}\n")
        sys.stdout.flush()
        time.sleep(600)
    if arguments.behaviour == "progress":
        for step in range(40):
            sys.stderr.write(f"\rSLAM: {step / 40:4.0%}|\x1b[32m#\x1b[0m")
        sys.stderr.write("\n")
    write_result(arguments)
    sys.stdout.write(f"INFO: finished with pipeline {arguments.pipeline}\n")


def write_result(arguments: argparse.Namespace) -> None:
    """As `vipe infer` leaves it. ViPE stores colours lossy and depth as half floats."""
    import av
    import cv2
    import Imath
    import numpy as np
    import OpenEXR

    out, name = arguments.output, arguments.video.stem
    for folder in ("rgb", "pose", "intrinsics", "depth", "mask", "vipe"):
        (out / folder).mkdir(parents=True, exist_ok=True)
    geometry = np.load(arguments.geometry)

    capture = cv2.VideoCapture(str(arguments.video))
    with av.open(str(out / "rgb" / f"{name}.mp4"), "w") as output:
        rate = round(capture.get(cv2.CAP_PROP_FPS) * 1000)
        stream = output.add_stream("libx264", rate=Fraction(rate, 1000))
        stream.pix_fmt, num_frames = "yuv420p", 0
        stream.width = int(capture.get(cv2.CAP_PROP_FRAME_WIDTH))
        stream.height = int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
        while (read := capture.read())[0]:
            picture = 255 - read[1] if arguments.behaviour == "others" else read[1]
            output.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
            num_frames += 1
        output.mux(stream.encode())

    frames = np.arange(num_frames)
    np.savez(out / "pose" / f"{name}.npz", data=geometry["camera_to_world"], inds=frames)
    np.savez(out / "intrinsics" / f"{name}.npz", data=geometry["intrinsics"], inds=frames)
    lines = [f"{index}: PINHOLE\n" for index in frames]
    (out / "intrinsics" / f"{name}_camera.txt").write_text("".join(lines))
    (out / "vipe" / f"{name}_info.pkl").write_bytes(b"\x80\x04not to be opened")
    if arguments.behaviour == "no-depth":
        return
    with zipfile.ZipFile(out / "depth" / f"{name}.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for index, depth in enumerate(geometry["depth"]):
            header = OpenEXR.Header(depth.shape[1], depth.shape[0])
            header["channels"] = {"Z": Imath.Channel(Imath.PixelType(Imath.PixelType.HALF))}
            with tempfile.NamedTemporaryFile(suffix=".exr") as file:
                picture = OpenEXR.OutputFile(file.name, header)
                picture.writePixels({"Z": depth.astype(np.float16).tobytes()})
                picture.close()
                archive.write(file.name, f"{index:05d}.exr")
    if "instances" in geometry:
        with zipfile.ZipFile(out / "mask" / f"{name}.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            for index, instances in enumerate(geometry["instances"]):
                data = cv2.imencode(".png", instances)[1]
                archive.writestr(f"{index:05d}.png", data.tobytes())
        (out / "mask" / f"{name}.txt").write_text("1: ball\n2: sky\n")


if __name__ == "__main__":
    main()
