"""What `mtlbench list` says about a method: its paper, its cost, its parameters."""

from __future__ import annotations

import pytest

from benchmark.settings.listing import facts, listing, own_defaults, paper, parameters
from benchmark.settings.registry import architectures, weightings


@pytest.mark.parametrize(
    ("docstring", "expected"),
    [
        ('One.\n\nPaper: Yu et al., "Gradient Surgery", NeurIPS 2020, arXiv 2001.06782. More.', "Yu et al. 2020"),
        ('One.\n\nPaper: Lin et al., "Dual-Balancing", arXiv 2308.12029 (2023).', "Lin et al. 2023"),
        ('One.\n\nPaper: Ban and Ji, "Fair", ICML 2024, arXiv 2402.15638.', "Ban and Ji 2024"),
        ('One.\n\nPaper: Liu, Johns and Davison, "End-to-End", CVPR 2019, arXiv 1803.10704.', "Liu et al. 2019"),
        ("One.\n\nMa, Zhao, Yi: Modeling Tasks,\nKDD 2018, doi 10.1145/3219819.3220007:", "Ma et al. 2018"),
        ("One: of 1999, doi none.\n\nNo paper here.", ""),
        (None, ""),
    ],
)
def test_a_paper_in_short(docstring: str | None, expected: str) -> None:
    assert paper(type("Method", (), {"__doc__": docstring})) == expected


@pytest.mark.parametrize("registry", [architectures, weightings], ids=["architectures", "weightings"])
def test_every_method_has_its_paper_in_the_list(registry: object) -> None:
    assert registry in (architectures, weightings)
    for name in registry.names():  # type: ignore[attr-defined]
        # the control that no paper runs says so
        assert facts(registry.get(name)).get("paper") or name == "funnel_softmax", name  # type: ignore[attr-defined]


def test_a_list_of_weightings_has_their_cost_and_names_are_what_a_sweep_takes() -> None:
    text = listing("weightings")
    assert text.splitlines()[1].split() == ["paper", "passes", "what", "it", "does"]
    assert any(line.split()[:6] == ["pcgrad", "Yu", "et", "al.", "2020", "T"] for line in text.splitlines())
    flat = " ".join(text.split())
    for name in weightings.names():
        assert facts(weightings.get(name))["passes"] in ("1", "T", "1, 2 forward", "1, T in the towers"), name
        own = [
            f"{p.key.removeprefix('weighting.')}={p.default}" for p in parameters(weightings, name) if not p.is_common
        ]
        assert not own or f"({', '.join(own)})" in flat, name
    assert "helps least. (c=0.5)" in flat
    assert "parentheses; `mtlbench list weightings NAME` has all" in flat
    names = listing("weightings", names=True).split(",")
    assert names == weightings.names()
    assert len(set(names) - {"torchjd"}) == 26


def test_options_of_a_base_class_are_listed_after_its_own() -> None:
    listed = {p.key: p.is_common for p in parameters(weightings, "cagrad")}
    assert listed == {
        "weighting.c": False,
        "weighting.scope": True,
        "weighting.head_gradients": True,
        "weighting.normalize": True,
    }


def test_a_class_without_a_constructor_has_that_of_its_base_class_unless_all_have_it() -> None:
    for name in architectures.names():
        own = own_defaults(architectures, name)
        assert any(parameter.startswith("embedding_dim=") for parameter in own), name
        assert not any(parameter.startswith("gate_k=") for parameter in own), name
    assert own_defaults(architectures, "snr_trans") == own_defaults(architectures, "snr_aver")
    assert "num_subnetworks=4" in own_defaults(architectures, "snr_trans")
    assert own_defaults(weightings, "mgda") == []
