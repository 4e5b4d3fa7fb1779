"""The GPU benchmarks: they run in small on a CPU, and measure nothing where there is no GPU."""

from __future__ import annotations

import importlib

import pytest
import torch

SCRIPTS = {
    "benchmarks.gpu_decoder": "plain torch: ",
    "benchmarks.gpu_rendering": "classic: forward ",
    "benchmarks.gpu_training": "p7 (in small): ",
}


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_gpu_benchmark_runs_in_small_on_a_cpu_and_says_that_it_is_one(script, capsys):
    words = ["--device", "cpu", "--small", "--repeats", "1"]
    if script == "benchmarks.gpu_training":
        words += ["--phases", "p1", "p7"]
    importlib.import_module(script).main(words)
    told = capsys.readouterr().out
    assert SCRIPTS[script] in told and "no GPU's figures" in told


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_benchmark_without_a_gpu_measures_nothing(script, capsys):
    importlib.import_module(script).main([])
    assert "needs CUDA; nothing was measured" in capsys.readouterr().out
    importlib.import_module(script).main(["--device", "cpu"])
    assert "only with --small" in capsys.readouterr().out
