"""Seeds depend on what they are for, and on nothing else."""

from __future__ import annotations

import subprocess
import sys
from itertools import combinations, product

import torch

from lyra_data.engine.seeds import derive_seed, numpy_generator, torch_generator


def test_the_same_purpose_gives_the_same_seed_on_every_machine() -> None:
    assert derive_seed(42, "motorcycle", "trajectory/left") == 313751250283242723


def test_another_process_with_another_hash_seed_derives_the_same() -> None:
    code = (
        "from lyra_data.engine.seeds import derive_seed; print(derive_seed(42, 'scene', 'purpose'))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONHASHSEED": "7"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(done.stdout) == derive_seed(42, "scene", "purpose")


def test_any_difference_gives_another_seed() -> None:
    names = ("", "a", "b", "ab", "a b")
    purposes = list(product((0, 1, 42, 10**30), names, names))
    seeds = [derive_seed(*purpose) for purpose in purposes]
    assert len(set(seeds)) == len(purposes)


def test_what_stands_at_the_border_of_two_names_counts() -> None:
    assert derive_seed(1, "2a", "b") != derive_seed(12, "a", "b")
    assert derive_seed(0, "ab", "c") != derive_seed(0, "a", "bc")


def test_a_seed_is_no_negative_number_and_fits_63_bits() -> None:
    seeds = [derive_seed(number, "scene", "purpose") for number in range(200)]
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert max(seeds) > 2**62, "the top bits are used"


def test_generators_repeat_and_differ_by_purpose() -> None:
    for make, draw in (
        (numpy_generator, lambda generator: tuple(generator.uniform(size=4))),
        (torch_generator, lambda generator: tuple(torch.rand(4, generator=generator).tolist())),
    ):
        purposes = [(0, "a", "x"), (1, "a", "x"), (0, "b", "x"), (0, "a", "y")]
        draws = [draw(make(*purpose)) for purpose in purposes]
        assert draws == [draw(make(*purpose)) for purpose in purposes]
        assert all(one != other for one, other in combinations(draws, 2))


def test_a_generator_touches_no_global_state() -> None:
    torch.manual_seed(0)
    expected = torch.rand(2)
    torch.manual_seed(0)
    torch.rand(3, generator=torch_generator(5, "scene", "purpose"))
    assert torch.equal(torch.rand(2), expected)
