"""Describe the phases of a training run, each of which starts from the one before it."""

from __future__ import annotations

import math
import re
from typing import Annotated, Literal

from pydantic import Field, model_validator

from lyra_data.engine.errors import ParamsError
from lyra_data.engine.params import Params, suggestion
from lyra_model.losses import LossParams
from lyra_model.phases.view_sampling import Supervision

RANDOM_WEIGHTS = "random_weights"
"""`start_from` of a phase that begins with fresh weights drawn from the seed."""

SIZE_MULTIPLE = 16
"""Height and width must be multiples of this: the codec's 8 times the decoder's patch of 2."""


class PhaseParams(Params):
    """One phase of training.

    Attributes:
        start_from: the phase whose weights this one begins with, or "random_weights", or, with a
            "/" in it, the path from outputs/models to a checkpoint from elsewhere:
            "../../weights/lyra" (docs/training.md).
        steps: optimiser steps of this phase alone (not cumulative).
        height, width: pixels at which the decoder reads and is supervised, multiples of 16.
        num_frames: leading frames of every view the decoder reads; 8k+1.
        short_clips: where views have fewer frames that may be read than `num_frames`: "refuse", or
            "mirror": they are read forwards, backwards, forwards and so on [mirror]. Targets are
            drawn from different frames all the same.
        num_target_frames: frames rendered and compared in one step.
        min_views, max_views: the decoder reads a number of forward views drawn anew each step
            between these, both included, or as many as a scene has; the first one's first camera
            is the world. null: all [1 view in phases 1 to 5, all 6 in the others].
        supervision: forward views that targets are drawn from: "read_views", those that are read
            in this step, or "all_views"; reversed views always supervise scenes that move.
        learning_rate: of AdamW, after `warmup_steps` of linear rise.
        final_learning_rate: reached at the last step along half a cosine; equal to
            `learning_rate` for a constant rate, as in the reference.
        warmup_steps: first steps, over which the learning rate rises linearly; 0 for none.
        prune_ratio: share of Gaussians dropped by falling opacity, 0..1 [0; 0.8 in phases that
            prune].
        precision: of the network: "float32", or "bfloat16" (autocast) [bfloat16]. Rays, Gaussians,
            renders and losses are always float32.
        gradient_checkpointing: compute the decoder's blocks twice, for the same gradients in less
            memory [true].
        losses: weight of every loss.
    """

    start_from: str
    steps: Annotated[int, Field(ge=1)]
    height: Annotated[int, Field(ge=SIZE_MULTIPLE, multiple_of=SIZE_MULTIPLE)]
    width: Annotated[int, Field(ge=SIZE_MULTIPLE, multiple_of=SIZE_MULTIPLE)]
    num_frames: Annotated[int, Field(ge=1)]
    short_clips: Literal["mirror", "refuse"]
    num_target_frames: Annotated[int, Field(ge=1)]
    min_views: Annotated[int, Field(ge=1)] | None
    max_views: Annotated[int, Field(ge=1)] | None
    supervision: Supervision
    learning_rate: Annotated[float, Field(gt=0)]
    final_learning_rate: Annotated[float, Field(ge=0)]
    warmup_steps: Annotated[int, Field(ge=0)]
    prune_ratio: Annotated[float, Field(ge=0, lt=1)]
    precision: Literal["float32", "bfloat16"]
    gradient_checkpointing: bool
    losses: LossParams

    @model_validator(mode="after")
    def _views_are_a_range(self) -> PhaseParams:
        if (self.min_views is None) != (self.max_views is None):
            raise ValueError("min_views and max_views: give both, or null for both")
        if self.num_views is not None and self.num_views[0] > self.num_views[1]:
            raise ValueError(f"min_views {self.min_views} is above max_views {self.max_views}")
        return self

    @model_validator(mode="after")
    def _picture_depth_is_of_every_pixel(self) -> PhaseParams:
        if self.losses.picture_depth > 0 and self.prune_ratio > 0:
            raise ValueError(
                "losses.picture_depth compares the Gaussian of every pixel: set it or prune_ratio "
                "to 0"
            )
        return self

    @property
    def num_views(self) -> tuple[int, int] | None:
        """Return the least and the largest number of views to read; None: all."""
        if self.min_views is None or self.max_views is None:
            return None
        return self.min_views, self.max_views


def check_phases(phases: dict[str, PhaseParams]) -> None:
    """Check that every phase starts from random weights or from a phase named before it.

    Raises:
        ParamsError: naming the phase, its `start_from` and the names it may take.
    """
    if not phases:
        raise ParamsError("no phases", where="train.phases", fix="name at least one phase to train")
    known = [RANDOM_WEIGHTS]
    for name, phase in phases.items():
        where = f"params.yaml: train.phases.{name}"
        if name == RANDOM_WEIGHTS or not re.fullmatch(r"[A-Za-z0-9_-]+", name):
            raise ParamsError(
                f"{name!r} is no name for a phase",
                where=where,
                fix=f"use letters, digits, '_' and '-', and not {RANDOM_WEIGHTS!r}",
            )
        if is_external(phase.start_from):
            if phase.start_from.startswith(("/", "~")):
                raise ParamsError(
                    f"start_from = {phase.start_from!r} does not start at outputs/models",
                    where=where,
                    fix="write the path from there, such as ../../weights/lyra, so that DVC can "
                    "follow it",
                )
        elif phase.start_from not in known:
            raise ParamsError(
                f"start_from = {phase.start_from!r} names no phase that comes before it",
                where=where,
                fix=suggestion(phase.start_from, known),
            )
        if phase.num_frames % 8 != 1:
            below = (phase.num_frames - 1) // 8 * 8 + 1
            raise ParamsError(
                f"num_frames = {phase.num_frames} is not 8k+1",
                where=where,
                fix=f"take {max(below, 1)} or {below + 8}",
            )
        known.append(name)


def is_external(start_from: str) -> bool:
    """Return whether it is the path of a checkpoint from elsewhere; no phase's name can be one."""
    return "/" in start_from


def chain_of(name: str, phases: dict[str, PhaseParams]) -> list[str]:
    """List the phases that lead to `name`, first to last, itself included; none from elsewhere."""
    chain = [name]
    while (before := phases[chain[0]].start_from) in phases:
        chain.insert(0, before)
    return chain


def chosen_phases(name: str | None, phases: dict[str, PhaseParams], *, where: str) -> list[str]:
    """Return the phases that are asked for, one or, where none is named, all in their order.

    Raises:
        ParamsError: as `require_phase`.
    """
    return list(phases) if name is None else [require_phase(name, phases, where=where)]


def require_phase(name: str, phases: dict[str, PhaseParams], *, where: str) -> str:
    """Return the name itself, if it is a phase's.

    Args:
        where: what names it: an option or a key of params.yaml.

    Raises:
        ParamsError: there is no such phase; the known ones are listed.
    """
    if name not in phases:
        raise ParamsError(
            f"there is no phase {name!r} in train.phases of params.yaml",
            where=where,
            fix=suggestion(name, list(phases)),
        )
    return name


def learning_rate(phase: PhaseParams, step: int) -> float:
    """Return the rate of a step: a linear rise over `warmup_steps`, then half a cosine down to
    `final_learning_rate`."""
    rise = min(1.0, (step + 1) / max(phase.warmup_steps, 1))
    done = step / max(phase.steps - 1, 1)
    low, high = phase.final_learning_rate, phase.learning_rate
    return rise * (low + (high - low) * 0.5 * (1.0 + math.cos(math.pi * done)))
