"""The nine phases of Lyra 1 as presets: what they add up to."""

from __future__ import annotations

import itertools

import pytest
import yaml

from lyra_model.phases.phase_params import PhaseParams, chain_of, is_external
from lyra_model.phases.train_params import TrainParams
from lyra_model.training.starts import differences
from stages.presets import preset_file

CUMULATIVE_STEPS = {
    "p1": 10_000,
    "p2": 12_500,
    "p3": 15_000,
    "p4": 17_500,
    "p5": 75_000,
    "p6": 82_000,
    "p7": 83_000,
}


def train_of(preset: str) -> TrainParams:
    values = yaml.safe_load(preset_file(preset).read_text())
    return TrainParams.parse(values["train"], where="train")


def phases_to(preset: str, last: str) -> dict[str, PhaseParams]:
    phases = train_of(preset).phases
    return {name: phases[name] for name in chain_of(last, phases)}


def test_the_steps_of_the_static_phases_add_up_to_the_reference_s():
    phases = phases_to("h100-static", "p7")
    done = itertools.accumulate(phase.steps for phase in phases.values())
    assert dict(zip(phases, done, strict=True)) == CUMULATIVE_STEPS


def test_the_dynamic_phases_go_on_from_the_sixth_static_one_with_the_reference_s_steps():
    phases = phases_to("h100-dynamic", "p9")
    assert list(phases) == ["p8", "p9"]
    assert is_external(phases["p8"].start_from) and phases["p8"].start_from.endswith("static_p6")
    done = itertools.accumulate((phase.steps for phase in phases.values()), initial=82_000)
    assert list(done) == [CUMULATIVE_STEPS["p6"], 90_000, 91_000]


def test_the_dynamic_decoder_may_start_from_the_static_one():
    static, dynamic = (train_of(f"h100-{kind}").decoder for kind in ("static", "dynamic"))
    assert differences(static.model_dump(), dynamic.model_dump()) == []


@pytest.mark.parametrize(("preset", "dynamic"), [("h100-static", False), ("h100-dynamic", True)])
def test_the_presets_have_the_reference_s_decoder_and_optimiser(preset, dynamic):
    train = train_of(preset)
    decoder = train.decoder
    assert (decoder.dim, decoder.depth, decoder.attention_every) == (512, 16, 8)
    assert (decoder.num_heads, decoder.d_state, decoder.dynamic) == (8, 256, dynamic)
    assert (decoder.distance_near, decoder.distance_far, decoder.scale_max) == (0.1, 500, 0.3)
    assert (train.optimiser.betas, train.optimiser.weight_decay) == ((0.9, 0.999), 0.01)
    for phase in train.phases.values():
        assert phase.learning_rate == phase.final_learning_rate == 1e-4
        assert (phase.warmup_steps, phase.precision) == (100, "bfloat16")
        assert (phase.losses.image, phase.losses.lpips, phase.losses.depth) == (1, 0.5, 0.05)


@pytest.mark.parametrize(("preset", "pruning"), [("h100-static", "p7"), ("h100-dynamic", "p9")])
def test_only_the_last_phase_prunes_and_pushes_opacities_down(preset, pruning):
    phases = train_of(preset).phases
    assert [name for name, phase in phases.items() if phase.prune_ratio > 0] == [pruning]
    assert phases[pruning].prune_ratio == 0.8
    assert [name for name, phase in phases.items() if phase.losses.opacity > 0] == [pruning]
    assert phases[pruning].losses.opacity == 0.1
