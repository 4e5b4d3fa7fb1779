"""Weights of LPIPS: found among the user's files, never shipped with this project.

The backbones are torchvision's, trained on ImageNet. The five vectors that were learned for LPIPS
take 6 kB and come inside the PyPI packages `lpips` and `torchmetrics`, from where they are read
without running either.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from lyra_data.engine.errors import InputError
from lyra_data.engine.hashing import content_key, sha256_of_bytes
from lyra_data.models.places import DOWNLOADS, PROJECT_FOLDER, find_weights
from lyra_data.models.weights.checkpoint_files import read_state_dict
from lyra_model.losses.perceptual_network import PerceptualNetwork, build_perceptual

OPTION = "--lpips-weights"
RELEASES = {"vgg": "lpips-vgg"}
HUB_FILES = {"vgg": "vgg16-397923af.pth", "alex": "alexnet-owt-7be5be79.pth"}
"""Names under which torchvision, and with it the package lpips, keeps what it fetched."""

HEADS = {
    "lpips": "weights/v0.1/{net}.pth",
    "torchmetrics": "functional/image/lpips_models/{net}.pth",
}
FIRST_KERNEL = {"vgg": 3, "alex": 11}


def load_lpips(
    net: str, files: Sequence[Path] = (), *, root: Path = Path()
) -> tuple[PerceptualNetwork, str]:
    """Return the network of a backbone, and a hash of its weights, whatever files they lay in.

    Args:
        files: the user's own, each with backbone and vectors (docs/training.md), or a backbone
            alone; the first that is of this backbone is taken. None: those that `weights pull`,
            torchvision or the package lpips left.
        root: the project's folder, where a folder `weights` may be.

    Raises:
        InputError: there are no weights, or they cannot be read; how to get them is said.
    """
    tensors, sources = _backbone(net, files, root)
    if not any(name.startswith("lin") for name in tensors):
        heads, source = _heads(net)
        tensors, sources = {**tensors, **heads}, f"{sources} with {source}"
    network = build_perceptual(
        tensors, net, max_height=1 << 30, source=sources, where=OPTION, error=InputError
    )
    return network.eval(), weights_hash(network)


def weights_hash(network: PerceptualNetwork) -> str:
    """Return a hash of all numbers of a network, by name."""
    return content_key(
        {
            name: sha256_of_bytes(tensor.contiguous().numpy().tobytes())
            for name, tensor in network.state_dict().items()
        }
    )


def _backbone(net: str, files: Sequence[Path], root: Path) -> tuple[dict[str, Tensor], str]:
    for path in files:
        tensors = read_state_dict(path)
        if _is_of(net, tensors):
            return tensors, str(path)
    if files:
        raise InputError(
            f"none of {', '.join(map(str, files))} holds the backbone {net}",
            where=OPTION,
            fix="name a file of that backbone: docs/training.md",
        )
    for path in _usual_places(net, root):
        if path.is_file():
            return read_state_dict(path), str(path)
    pull = f"`lyra-data weights pull {RELEASES[net]}`" if net in RELEASES else ""
    other = f"{OPTION} FILE (docs/training.md says how to write one)"
    raise InputError(
        f"LPIPS with {net} needs weights, and there are none",
        where=OPTION,
        fix=" or ".join(filter(None, (pull, other))) + "; or leave LPIPS out: --without lpips",
    )


def _usual_places(net: str, root: Path) -> list[Path]:
    hub = os.environ.get("TORCH_HOME") or Path(
        os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "torch"
    )
    pulled = []
    if net in RELEASES:
        folder = find_weights(Path(PROJECT_FOLDER) / DOWNLOADS / RELEASES[net], root)
        pulled = [folder / "model.safetensors"]
    return [*pulled, Path(hub) / "hub" / "checkpoints" / HUB_FILES[net]]


def _heads(net: str) -> tuple[dict[str, Tensor], str]:
    """Return the learned vectors, out of a package that has them; it is not imported."""
    for package, place in HEADS.items():
        spec = importlib.util.find_spec(package)
        for folder in (spec.submodule_search_locations or ()) if spec else ():
            path = Path(folder) / place.format(net=net)
            if path.is_file():
                return read_state_dict(path), str(path)
    raise InputError(
        "LPIPS needs its five learned vectors, and neither the package lpips nor torchmetrics is "
        "installed",
        where=OPTION,
        fix="pip install 'lyra-data[judge]' (or: pip install --no-deps lpips); or leave LPIPS out: "
        "--without lpips",
    )


def _is_of(net: str, tensors: dict[str, Tensor]) -> bool:
    """Return whether a file is of this backbone, by the size of its first kernel."""
    for name in ("features.0.weight", "net.slice1.0.weight"):
        if name in tensors:
            return tensors[name].shape[-1] == FIRST_KERNEL[net]
    return False
