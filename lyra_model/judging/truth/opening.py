"""Open ground truth in the form that a protocol states."""

from __future__ import annotations

from pathlib import Path

from lyra_data.engine.errors import InputError
from lyra_model.judging.protocols.protocol import Pictures
from lyra_model.judging.truth.frames import Truth
from lyra_model.judging.truth.pictures import PictureTruth
from lyra_model.judging.truth.posed_folders import ColmapTruth, Dl3dvTruth
from lyra_model.judging.truth.re10k import ChunkTruth, TextTruth

FORMS = {
    "re10k": "chunks (*.torch, index.json), or SCENE.txt with a folder SCENE of frames",
    "dl3dv": "a folder for every scene, with transforms.json",
    "colmap": "a folder for every scene, with sparse/0 and images",
    "pictures": "a folder of pictures for every scene",
}


def open_truth(folder: Path, pictures: Pictures) -> Truth:
    """Open the ground truth in a folder; no picture is read yet.

    Raises:
        InputError: there is no such folder, or no scene of that form in it.
    """
    if not folder.is_dir():
        raise InputError(
            "there is no such folder", where=str(folder), fix="give the folder of the ground truth"
        )
    truth = _opened(folder, pictures)
    if not truth.scene_names:
        raise InputError(
            f"no scene of form {pictures.truth_format} is here",
            where=str(folder),
            fix=f"give a folder with {FORMS[pictures.truth_format]}",
        )
    return truth


def _opened(folder: Path, pictures: Pictures) -> Truth:
    if pictures.truth_format == "dl3dv":
        return Dl3dvTruth(folder, pictures.picture_folder)
    if pictures.truth_format == "colmap":
        return ColmapTruth(folder, pictures.picture_folder)
    if pictures.truth_format == "pictures":
        return PictureTruth(folder)
    has_texts = any(folder.glob("*.txt")) and not any(folder.glob("*.torch"))
    return TextTruth(folder) if has_texts else ChunkTruth(folder)
