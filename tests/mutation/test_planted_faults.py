"""Planted faults fit the library: `make mutate` takes long, and a fault that fits no text plants nothing."""

from __future__ import annotations

from faults_table import FAULTS, ROOT


def test_every_planted_fault_fits_once() -> None:
    texts = {source: (ROOT / source).read_text() for source in {fault.source for fault in FAULTS}}
    assert [fault.name for fault in FAULTS if texts[fault.source].count(fault.old) != 1] == []
    assert [fault.name for fault in FAULTS if fault.old == fault.new] == []
    assert len({fault.name for fault in FAULTS}) == len(FAULTS)
