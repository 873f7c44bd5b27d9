"""Planted faults fit the library: `make mutate` takes hours, and a fault that fits no text plants nothing."""

from __future__ import annotations

from mutation import FAULTS, ROOT


def test_every_planted_fault_fits_once() -> None:
    texts = {path: (ROOT / "src/modeseek" / path).read_text() for path in {fault.path for fault in FAULTS}}
    assert [fault.name for fault in FAULTS if texts[fault.path].count(fault.old) != 1] == []
    assert [fault.name for fault in FAULTS if fault.old == fault.new] == []
    assert len({fault.name for fault in FAULTS}) == len(FAULTS)
