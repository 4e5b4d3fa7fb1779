"""InputShape: the picture size and the frames that a phase's decoder reads of every view."""

from __future__ import annotations

from dataclasses import dataclass

from lyra_data.dataset.reading.reader import SceneDataset
from lyra_data.scene.frame_selection import mirrored
from lyra_model.batches.data_checks import readable_frames
from lyra_model.decoder import DecoderParams
from lyra_model.decoder.pictures.inputs import picture_positions
from lyra_model.phases.phase_params import PhaseParams


@dataclass(frozen=True)
class InputShape:
    """The pictures and frames that a decoder reads of every view.

    Attributes:
        height, width: of its pictures, in pixels.
        frames: numbers of the frames, 8k+1 of them, from the first one on; where views are shorter
            they run forwards and backwards.
        scene_scale, dynamic: see DecoderParams.
        picture_positions: which of the frames, by position, the decoder is given as pictures.
    """

    height: int
    width: int
    frames: tuple[int, ...]
    scene_scale: float
    dynamic: bool
    picture_positions: tuple[int, ...] = ()

    @property
    def picture_frames(self) -> list[int]:
        """Return the numbers of the frames that the decoder is given as pictures."""
        return [self.frames[position] for position in self.picture_positions]

    @property
    def num_different_frames(self) -> int:
        """Count the leading frames that are read, each once."""
        return max(self.frames) + 1

    def reads_stored_latents(self, stored_height: int, stored_width: int) -> bool:
        """Return whether the latents that the dataset holds of a view are those that are read.

        They are where the size is the same and no frame comes twice: the codec is causal, so
        leading latent frames know nothing of the frames left out.
        """
        are_leading = self.num_different_frames == len(self.frames)
        return are_leading and (stored_height, stored_width) == (self.height, self.width)


def input_shape(
    name: str,
    phase: PhaseParams,
    decoder: DecoderParams,
    dataset: SceneDataset,
    *,
    held_out_frames: int,
) -> InputShape:
    """Return what the decoder of phase `name` reads of the views of a dataset.

    Raises:
        ParamsError: as `readable_frames`.
    """
    readable = readable_frames(dataset, name, phase, held_out_frames)
    frames = mirrored(phase.num_frames, min(phase.num_frames, readable))
    positions: tuple[int, ...] = ()
    if decoder.pictures is not None:
        positions = picture_positions(len(frames), decoder.pictures.per_view)
    return InputShape(
        phase.height, phase.width, tuple(frames), decoder.scene_scale, decoder.dynamic, positions
    )
