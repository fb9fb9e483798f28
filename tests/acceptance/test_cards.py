"""Cards of the real files: the leak that must be found, and honest fields that must not be called one."""

from __future__ import annotations

import pytest

from benchmark.cards import make_card
from benchmark.datasets.census_income import CensusIncome
from benchmark.datasets.kuairand import KuaiRand
from tests.benchmark.cards.test_card import WithPlayTime


@pytest.mark.usefixtures("real_data")
def test_play_time_left_in_is_found_on_kuairand_and_nothing_is_without_it() -> None:
    honest, leaking = (make_card("kuairand", cls().build()) for cls in (KuaiRand, WithPlayTime))
    assert honest.signs == []
    fields = {field.name: field.alone for field in honest.fields}
    assert 0.7 < fields["user_id"]["like"] < 0.9  # whom one likes is a habit, and no leak
    assert [sign.text.partition(" with ")[0] for sign in leaking.signs] == [
        f"play_time_ms alone predicts {task}" for task in ("click", "long_view", "play_time")
    ]


@pytest.mark.usefixtures("real_data")
def test_strong_fields_of_census_are_not_called_a_leak() -> None:
    card = make_card("census_income", CensusIncome().build())
    fields = {field.name: field.alone for field in card.fields}
    assert fields["det_hh_fam_stat"]["never_married"] == pytest.approx(0.978, abs=0.002)
    assert [sign.kind for sign in card.signs] == ["rows"]
    assert "31,294 of 99,762 test rows" in card.signs[0].text
