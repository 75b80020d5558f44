"""The kind of a machine, after which its folder of results is named."""

import pytest

from benchmarks.common import machine
from benchmarks.common.options import parser


@pytest.mark.parametrize(
    ("maker", "tier", "kind"),
    [
        ("GenuineIntel", "amx", "intel-amx"),
        ("AuthenticAMD", "vnni", "amd-vnni"),
        ("", "neondot", "aarch64-neondot"),
        ("GenuineIntel", None, "intel-none"),
    ],
)
def test_results_go_to_a_folder_of_maker_and_tier(monkeypatch, tmp_path, maker, tier, kind):
    monkeypatch.setattr(machine, "_cpu", lambda: {"vendor_id": maker})
    monkeypatch.setattr(machine, "best_tier", lambda: tier)
    monkeypatch.setattr(machine.platform, "machine", lambda: "aarch64")
    assert parser("").parse_args([]).results.name == kind
    assert parser("").parse_args(["--results", str(tmp_path)]).results == tmp_path / kind
