"""Describe the shape of the 3D Gaussian decoder and the ranges of what it predicts."""

from __future__ import annotations

from pydantic import Field, model_validator

from lyra_data.engine.params import Params


class PictureParams(Params):
    """Settings of a decoder that is also given pictures. Nothing of it is in the reference.

    Attributes:
        per_view: pictures of every view, spread evenly from the first frame that is read to the
            last.
        planes: depths that a pixel is matched at.
        near, far: depth of the nearest and of the farthest plane, in units of the largest distance
            of a picture's camera from the first one: a scene's own unit does not matter.
        channels: of the finest level of the convolutional network.
        reads_latents: whether it is given what the latents' tokens say of every picture.
    """

    per_view: int = Field(ge=2)
    planes: int = Field(ge=2)
    near: float = Field(gt=0)
    far: float = Field(gt=0)
    channels: int = Field(gt=0, multiple_of=8)
    reads_latents: bool

    @model_validator(mode="after")
    def _far_must_be_beyond_near(self) -> PictureParams:
        if self.far <= self.near:
            raise ValueError(f"far {self.far} is not beyond near {self.near}")
        return self


class DecoderParams(Params):
    """Settings of the decoder. The values of the released checkpoints stand in brackets.

    Attributes:
        dim: width of a token [512].
        depth: number of blocks [16].
        attention_every: every n-th block is a transformer, the others are Mamba-2 [8].
        num_heads: attention heads [8].
        mlp_ratio: hidden width of the transformer's MLP, in token widths [4].
        d_state: size of the Mamba-2 state [256].
        d_conv: taps of the causal convolution [4].
        expand: inner width of Mamba-2, in token widths [2].
        headdim: channels of one Mamba-2 head [64].
        chunk_size: tokens the scan handles at once; changes speed and rounding only [256].
        distance_near: smallest distance along the ray, in scaled scene units [0.1].
        distance_far: largest distance [500].
        distance_shift: added before the sigmoid of the distance [-1.65].
        scale_max: largest standard deviation of a Gaussian, in scaled scene units [0.3].
        opacity_shift: added before the sigmoid of the opacity [-2.0].
        scene_scale: poses are multiplied by it before decoding, and Gaussians divided by it
            after; puts scenes of another unit into the ranges above [1.0].
        dynamic: feed the input and target times [True for lyra_dynamic.pt only].
        pictures: also give pictures of the views, and make Gaussians of their pixels; null: latents
            alone [null].
    """

    dim: int = Field(gt=0)
    depth: int = Field(gt=0)
    attention_every: int = Field(gt=0)
    num_heads: int = Field(gt=0)
    mlp_ratio: int = Field(gt=0)
    d_state: int = Field(gt=0)
    d_conv: int = Field(gt=0)
    expand: int = Field(gt=0)
    headdim: int = Field(gt=0)
    chunk_size: int = Field(gt=0)
    distance_near: float = Field(gt=0)
    distance_far: float
    distance_shift: float
    scale_max: float = Field(gt=0)
    opacity_shift: float
    scene_scale: float = Field(gt=0)
    dynamic: bool
    pictures: PictureParams | None = None

    @model_validator(mode="after")
    def _parts_must_divide(self) -> DecoderParams:
        if self.dim % self.num_heads:
            raise ValueError(f"dim {self.dim} is not a multiple of num_heads {self.num_heads}")
        if (self.dim * self.expand) % self.headdim:
            raise ValueError(
                f"dim * expand = {self.dim * self.expand} is not a multiple of "
                f"headdim {self.headdim}"
            )
        if self.pictures is not None and self.dynamic:
            raise ValueError("pictures are for scenes that stand still: set dynamic to false")
        if self.distance_far <= self.distance_near:
            raise ValueError(
                f"distance_far {self.distance_far} is not beyond distance_near {self.distance_near}"
            )
        return self
