"""conf/units.toml against UCUM's own algebra (ucumvert, extra `units`). Starts no Spark."""

from __future__ import annotations

from typing import Any

import pytest

from medlake.doors.settings import Conf

UNITS = Conf().toml("units.toml")
# What sources mean by these is not what UCUM does: degrees Celsius not coulombs, thousands not kelvins, units not atomic masses.
NOT_UCUM = {"C", "K/uL", "u/l"}
FACTORS = [
    (code, unit, said["unit"], *(rule if isinstance(rule, list) else (rule, 0.0)), said.get("molar_mass"))
    for code, said in UNITS["measurement"].items()
    for unit, rule in said.get("convert", {}).items()
]


@pytest.fixture(scope="module")
def ucum() -> Any:
    return pytest.importorskip("ucumvert").PintUcumRegistry()


def read(ucum: Any, unit: str) -> Any:
    """The unit by UCUM; None where it is a spelling of sources that UCUM does not know."""
    try:
        return ucum.from_ucum(unit)
    except Exception:
        return None


def test_each_factor_is_what_ucum_says(ucum: Any) -> None:
    compared, molar, spelled = 0, 0, []
    for code, unit, canonical, factor, shift, molar_mass in FACTORS:
        given, wanted = read(ucum, unit), read(ucum, canonical)
        if given is None:
            spelled.append(unit)
            continue
        if given.dimensionality != wanted.dimensionality:
            assert molar_mass, f"{code}: {unit} is an amount, {canonical} a mass: say the molar_mass"
            given = given * molar_mass * ucum.from_ucum("g") / ucum.from_ucum("mol")
            molar += 1
        if shift:
            for value in (0.0, 37.0, 100.0):
                by_ucum = ucum.Quantity(value, given.units).to(wanted.units).magnitude
                assert value * factor + shift == pytest.approx(by_ucum, abs=1e-9), (code, unit)
        else:
            assert factor == pytest.approx((given / wanted).to_base_units().magnitude, rel=1e-6), (code, unit)
        compared += 1
    print(f"\n{compared} of {len(FACTORS)} factors equal UCUM's, {molar} of them over a molar mass; not UCUM: {sorted(set(spelled))}")
    assert compared >= 24 and molar >= 6


def test_each_spelling_of_a_unit_is_that_unit(ucum: Any) -> None:
    compared = 0
    for canonical, spellings in UNITS["unit"].items():
        unit = read(ucum, canonical)
        assert unit is not None or canonical == "[pH]", f"{canonical} is no UCUM unit"
        for spelling in spellings:
            other = None if spelling in NOT_UCUM or unit is None else read(ucum, spelling)
            if other is not None:
                assert other.dimensionality == unit.dimensionality and (other / unit).to_base_units().magnitude == pytest.approx(1.0), spelling
                compared += 1
    assert compared >= 10


def test_a_wrong_factor_is_noticed(ucum: Any) -> None:
    pound, kilogram = ucum.from_ucum("[lb_av]"), ucum.from_ucum("kg")
    assert (pound / kilogram).to_base_units().magnitude != pytest.approx(0.45, rel=1e-6)
