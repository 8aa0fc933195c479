"""What the benchmarks call the databases that they measure."""

from __future__ import annotations

import pytest

from tests.benchmarks.measuring import kind


@pytest.mark.parametrize("name", ["sqlite", "mariadb", "mysql"])
def test_each_kind_has_a_name_of_its_own(request: pytest.FixtureRequest, name: str) -> None:
    assert kind(request.getfixturevalue(f"{name}_url")) == name
