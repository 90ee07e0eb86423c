"""Numbers, codes and findings in plain words."""

from __future__ import annotations

import pytest

from medlake.report import findings, words
from medlake.report.care import Rule
from medlake.report.content import Difference, Metric

NBSP = "\u00a0"


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0, "0 %"),
        (0.0004, "<0.1 %"),
        (0.0123, "1.2 %"),
        (0.5, "50 %"),
        (0.987, "98.7 %"),
        (0.9996, ">99.9 %"),
        (1, "100 %"),
    ],
)
def test_a_share_is_never_rounded_to_all_or_nothing(share: float, text: str) -> None:
    assert words.percent(share) == text.replace(" ", NBSP)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.42, "0.4 s"), (42.4, "42 s"), (200, "3 min 20 s"), (7500, "2 h 5 min")]
)
def test_durations(seconds: float, text: str) -> None:
    assert words.duration(seconds).replace(NBSP, " ") == text


def test_people_below_the_minimum_are_not_counted_out() -> None:
    assert [words.people(n) for n in (1141, 11, 10, None)] == ["1,141", "11", "<11", "hidden"]
    assert words.people(None, "<11") == "<11"


def test_an_association_is_a_sentence() -> None:
    rule = Rule(("Prediabetes (finding)",), ("Anemia (disorder)",), 60, 45, 90, 200, False)
    assert words.association(rule).replace(NBSP, " ") == (
        "Of 60 people with prediabetes, 45 also have anemia (75 %); "
        "that is 1.7 times as often as in everybody (45 %)."
    )


def test_a_bound_is_called_a_bound() -> None:
    rule = Rule(("Prediabetes",), ("Anemia",), 40, 30, 90, 200, True)
    assert words.association(rule).replace(NBSP, " ") == (
        "Of 40 people with prediabetes, at least 30 also have anemia (75 % or more); "
        "that is at least 1.7 times as often as in everybody (45 %)."
    )


def test_a_group_is_named_by_what_sets_it_apart() -> None:
    features = [
        Difference("Anemia (disorder)", 0.4, 0.5, 0.3, "", True),
        Difference("Age at the index time", -1.2, 9, 40, "years"),
        Difference("Emergency visits in the last 365 days", 0.9, 3, 1, "visits"),
    ]
    assert words.group_name(features) == "Younger, more emergency visits in a year"
    assert words.group_name([Difference("Height", 0.1, 171, 170, "cm")]) == "Close to the average"


def test_codes_have_words_and_unknown_codes_stay_readable() -> None:
    assert words.reason("required_visit_start_datetime") == "The visit start datetime is missing"
    assert words.reason("brand_new") == "Brand new"
    assert words.flag("type_quantity") == "has an unreadable quantity, which was left empty"
    assert words.plain("Acute bronchitis (disorder)") == "Acute bronchitis"
    assert words.plain("bell\x07 name") == "Bell name"


def test_an_uncertain_model_is_not_called_good_alone() -> None:
    assert findings.verdict(Metric("logistic", "auroc", 0.84, 0.81, 0.87, 442)) == "good"
    uncertain = Metric("logistic", "auroc", 0.80, 0.63, 0.93, 59)
    assert findings.verdict(uncertain) == "good, though it could be weak"
