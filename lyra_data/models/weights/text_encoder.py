"""A T5 text encoder taken into a converted folder as it is: linked, or copied across disks."""

from __future__ import annotations

import errno
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from lyra_data.engine.documents import read_json_object
from lyra_data.engine.errors import CorruptDataError, InputError

TOKENIZER_FILES = (
    "spiece.model",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
)
WEIGHT_PATTERNS = ("*.safetensors", "*.safetensors.index.json", "pytorch_model*.bin*")
"""Patterns in the order they are preferred; the files of one pattern are enough."""


@dataclass(frozen=True)
class TextEncoderFiles:
    """Files by their place in the pipeline's folder; none where prompts are not wanted."""

    files: dict[str, Path]

    @property
    def present(self) -> bool:
        return bool(self.files)

    def num_bytes_to_copy(self, output: Path) -> int:
        """Return the bytes that need space on the disk of `output`: none where links do."""
        existing = next(path for path in (output, *output.absolute().parents) if path.exists())
        device = existing.stat().st_dev
        return sum(
            path.stat().st_size for path in self.files.values() if path.stat().st_dev != device
        )

    def write_into(self, folder: Path) -> None:
        for name, path in self.files.items():
            target = folder / name
            target.parent.mkdir(exist_ok=True)
            try:
                os.link(path.resolve(), target)
            except OSError as error:
                if error.errno not in (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP):
                    raise
                shutil.copyfile(path, target)


def find_text_encoder(folder: Path | None, *, width: int) -> TextEncoderFiles:
    """Find the files of a transformers folder that T5EncoderModel and its tokenizer need.

    Args:
        width: of the embeddings that the network takes.

    Raises:
        InputError: a file is missing, or the embeddings have another width.
    """
    if folder is None:
        return TextEncoderFiles({})
    config = folder / "config.json"
    if not config.is_file():
        raise InputError(
            "holds no config.json",
            where=str(folder),
            fix="give a transformers folder of T5 with --text-encoder",
        )
    try:
        actual_width = read_json_object(config, kind="configuration", fix="", allow_nan=True)[
            "d_model"
        ]
    except (CorruptDataError, KeyError) as error:
        raise InputError(
            "does not tell d_model", where=str(config), fix="give the configuration of a T5 model"
        ) from error
    if actual_width != width:
        raise InputError(
            f"its embeddings have {actual_width} numbers, the network takes {width}",
            where=str(config),
            fix="give the text encoder that the network was trained with (google-t5/t5-11b)",
        )
    sets = [sorted(folder.glob(WEIGHT_PATTERNS[0])), sorted(folder.glob(WEIGHT_PATTERNS[2]))]
    weights = next(filter(None, sets), [])
    if sets[0]:
        weights += sorted(folder.glob(WEIGHT_PATTERNS[1]))
    tokens = [folder / name for name in TOKENIZER_FILES if (folder / name).is_file()]
    if not weights or not tokens:
        raise InputError(
            f"holds no {'weights' if not weights else 'tokenizer'}",
            where=str(folder),
            fix="fetch the text encoder again with `lyra-data weights pull t5`",
        )
    return TextEncoderFiles(
        {f"text_encoder/{path.name}": path for path in (config, *weights)}
        | {f"tokenizer/{path.name}": path for path in tokens}
    )
