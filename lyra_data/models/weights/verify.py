"""Verify: every byte and every weight of a folder against what weights.json and configs say."""

from __future__ import annotations

from pathlib import Path

from safetensors import SafetensorError, safe_open

from lyra_data.engine.documents import read_json_object
from lyra_data.engine.errors import CorruptDataError
from lyra_data.engine.foreign_files import first_line
from lyra_data.engine.hashing import sha256_of_file
from lyra_data.engine.progress import Progress, silent
from lyra_data.models.weights.key_check import Shape, check_converted
from lyra_data.models.weights.manifest import COMPARED, Manifest, files_of, read_manifest
from lyra_data.models.weights.models import CLASSES, expected_shapes
from lyra_data.models.weights.shards import NAME


def verify_weights(folder: Path, *, progress: Progress = silent) -> Manifest:
    """Check a folder that convert or pull has written.

    Raises:
        InputError: the folder has no weights.json.
        CorruptDataError: naming every file that is missing, cut or altered, and every weight that
            is missing, unexpected or misshapen for its model's configuration.
    """
    manifest = read_manifest(folder)
    problems = _wrong_files(folder, manifest, progress)
    for part in CLASSES:
        if any(name.startswith(f"{part}/") for name in manifest.files):
            problems += _wrong_weights(folder / part, part)
    if problems:
        raise CorruptDataError(
            "\n  ".join(["not what weights.json and the configurations say", *problems]),
            where=str(folder),
            fix="convert or pull these weights again",
        )
    return manifest


def unlisted_files(folder: Path, manifest: Manifest) -> list[str]:
    """List files that weights.json does not know: no fault, but nobody vouches for them."""
    return [name for name in files_of(folder) if name not in manifest.files]


def provenance_notes(manifest: Manifest) -> list[str]:
    """Say of converted weights which sources were held against what the Hub stated of them."""
    if manifest.kind == "download" or not manifest.sources:
        return []
    compared = manifest.facts.get(COMPARED)
    if not isinstance(compared, list):
        return ["the release that converted these weights did not compare its sources with a pull"]
    others = [name for name in sorted(manifest.sources) if name not in compared]
    notes = []
    if len(others) < len(manifest.sources):
        named = ", ".join(name for name in sorted(manifest.sources) if name in compared)
        notes.append(f"converted from what `weights pull` had checked: {named}")
    if others:
        notes.append(
            f"converted without the weights.json of a pull beside it: {', '.join(others)}; whether "
            "it had arrived whole is not known"
        )
    return notes


def _wrong_files(folder: Path, manifest: Manifest, progress: Progress) -> list[str]:
    problems = []
    progress.start("Hashing", len(manifest.files), "files")
    for name, record in manifest.files.items():
        path = folder / name
        if not path.is_file():
            problems.append(f"missing  {name}")
        elif path.stat().st_size < record.size and path.suffix != ".json":
            size = path.stat().st_size
            problems.append(f"cut      {name}: {size} of {record.size} bytes")
        elif path.stat().st_size != record.size or sha256_of_file(path) != record.sha256:
            problems.append(f"altered  {name}: its sha256 is not {record.sha256}")
        progress.advance()
    progress.finish()
    return problems


def _wrong_weights(folder: Path, part: str) -> list[str]:
    """Return problems of one model; what cannot be read was reported as a file already."""
    try:
        config = read_json_object(
            folder / "config.json", kind="configuration", fix="", allow_nan=True
        )
        expected = expected_shapes(part, config)
    except MemoryError:
        raise
    except Exception as error:  # models stumble over their values in many ways
        return [f"{part}/config.json makes no {CLASSES[part]}: {first_line(error)}"]
    problems = []
    shapes: dict[str, Shape] = {}
    file_of: dict[str, str] = {}
    for path in sorted(folder.glob("*.safetensors")):
        try:
            with safe_open(path, framework="pt") as file:
                for name in file.keys():  # noqa: SIM118 (not a mapping)
                    shapes[name] = tuple(file.get_slice(name).get_shape())
                    file_of[name] = path.name
        except (SafetensorError, OSError) as error:
            problems.append(f"{part}/{path.name} cannot be read: {error}")
    check = check_converted(part, shapes, expected)
    if check.problems:
        problems.append(str(check).replace("\n", "\n  "))
    index = folder / f"{NAME}.safetensors.index.json"
    if index.is_file():
        problems += _wrong_index(index, part, file_of)
    if part == "vae":
        problems += _wrong_statistics(config)
    return problems


def _wrong_index(index: Path, part: str, file_of: dict[str, str]) -> list[str]:
    try:
        stated = read_json_object(index, kind="index", fix="")["weight_map"].items()
    except (OSError, CorruptDataError, KeyError, AttributeError):
        return [f"{part}/{index.name} cannot be read"]
    stated = dict(stated)
    names = stated.keys() | file_of.keys()
    moved = sorted(name for name in names if stated.get(name) != file_of.get(name))
    if not moved:
        return []
    return [f"{part}/{index.name} does not tell where these weights are: {', '.join(moved)}"]


def _wrong_statistics(config: dict) -> list[str]:
    mean, std = config.get("latents_mean") or [], config.get("latents_std") or []
    if mean and len(mean) == len(std) and len(mean) % config["latent_channels"] == 0:
        return []
    return [
        f"vae/config.json has {len(mean)} latents_mean and {len(std)} latents_std "
        f"for {config['latent_channels']} channels"
    ]
