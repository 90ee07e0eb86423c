"""The order of a night's steps, and what is wrong with one; no Spark."""

from __future__ import annotations

from pathlib import Path

import pytest

from medlake.doors.settings import Conf
from medlake.grammar.errors import ConfigError
from medlake.steps.runner import nightly


def conf(folder: Path, text: str) -> Conf:
    (folder / "nightly.toml").write_text(text)
    return Conf(folder)


def test_every_step_comes_after_what_it_waits_for() -> None:
    plans = nightly(Conf())
    place = {plan.step: at for at, plan in enumerate(plans)}
    assert len(place) == 12
    assert all(place[before] < place[plan.step] for plan in plans for before in plan.after)


def test_a_step_that_is_switched_off_is_left_out_and_the_order_stays(tmp_path: Path) -> None:
    whole = [plan.step for plan in nightly(Conf())]
    left = [plan.step for plan in nightly(conf(tmp_path, "[step.train]\nrun = false\n[step.score]\nrun = false\n"))]
    assert set(whole) - set(left) == {"train", "score"}
    place = {step: at for at, step in enumerate(left)}
    assert place["features"] < place["evaluate"] < place["report"] < place["audit"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('[step.tidy]\nafter = ["build"]\n', "unknown steps: tidy"),
        ('[step.link]\nafter = ["tidy"]\n', "unknown steps: tidy"),
        ('[step.ingest]\nafter = ["audit"]\n', "in a circle"),
    ],
)
def test_a_night_that_cannot_be_run_is_told(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        nightly(conf(tmp_path, text))
