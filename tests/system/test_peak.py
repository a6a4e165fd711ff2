"""Peak memory is a cell's own."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable

import numpy as np
import pytest
import torch

from mlpiht_cli.engine.provenance import Meter
from mlpiht_cli.system import peak
from mlpiht_cli.system.peak import KernelPeak, Peak, SampledPeak, follow

linux = pytest.mark.skipif(sys.platform != "linux", reason="the kernel's peak is Linux's")
KINDS = [pytest.param(KernelPeak, marks=linux), SampledPeak]


def take(mib: int) -> None:
    """Take memory and give it back."""
    np.ones(mib * 2**17).sum()


@pytest.mark.parametrize("kind", KINDS)
def test_a_peak_counts_from_the_start_alone(kind: Callable[[], Peak]) -> None:
    memory = kind()
    memory.start()
    rest = memory.stop()
    memory.start()
    for _ in range(3):
        take(256)
    high = memory.stop()
    memory.start()
    after = memory.stop()
    assert rest is not None
    assert high is not None
    assert after is not None
    assert 250 < high - rest < 350
    assert abs(after - rest) < 50, "what was given back does not count for the next"


def test_sampling_ends_with_the_stretch() -> None:
    before = threading.active_count()
    memory = SampledPeak()
    memory.start()
    assert threading.active_count() == before + 1
    memory.stop()
    assert threading.active_count() == before


def test_without_the_kernels_help_memory_is_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peak, "reset_kernel_peak", lambda: False)
    assert isinstance(follow(), SampledPeak)


@pytest.mark.parametrize("kind", KINDS)
def test_a_fits_memory_is_its_own(kind: Callable[[], Peak], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlpiht_cli.engine.provenance.follow", kind)
    meter, peaks = Meter(torch.device("cpu")), []
    for mib in (1, 256, 1):
        meter.reset()
        meter.resume()
        for _ in range(3):
            take(mib)
        peaks.append(meter.pause()["peak_rss_mb"])
    assert peaks[1] - peaks[0] > 200
    assert peaks[1] - peaks[2] > 200


def test_a_trajectorys_memory_is_the_most_of_its_parts_and_what_is_between_does_not_count() -> None:
    meter = Meter(torch.device("cpu"))
    meter.resume()
    take(256)
    first = meter.pause()["peak_rss_mb"]
    take(1024)
    meter.resume()
    assert meter.pause()["peak_rss_mb"] == first
