"""Types, limits and texts of parameters (003-27, 003-31), and their JSON form (003-33, 003-34)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from NexusCore.config.exchange import deserialize
from NexusCore.config.forms import FORMS
from NexusCore.config.store import Edit, check_path
from NexusCore.config.values import BOOLEAN, DOUBLE, INTEGER, STRING, Limits, Value, cast, decode, encode, guess
from NexusCore.errors import ConfigException, ValueRefused

VALUES = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"])),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.booleans(),
)
KIND = {str: STRING, int: INTEGER, float: DOUBLE, bool: BOOLEAN}


class TestGuessing:
    """A text typed in a shell becomes a number only where it is written as one."""

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("0123", "0123"), ("-5", -5), ("5", 5), ("0", 0), ("-0", 0), ("+5", "+5"), ("1_000", "1_000"), ("٣", "٣"),
            ("1.5", 1.5), ("-0.5", -0.5), ("1e3", 1000.0), ("1.", "1."), (".5", ".5"), ("00.5", "00.5"), ("1e", "1e"),
            ("true", True), ("False", False), ("yes", "yes"), ("1 ", "1 "), ("", ""), ("nan", "nan"), ("inf", "inf"),
            ("1.2.3", "1.2.3"), ("0x10", "0x10"), ("2023-10-29", "2023-10-29"), ("1e999", "1e999"),
        ],
    )  # fmt: skip
    def test_numbers_and_booleans_are_recognised(self, text: str, expected: Value) -> None:
        assert guess(text) == expected
        assert type(guess(text)) is type(expected)

    @given(st.text())
    def test_what_becomes_a_number_is_written_like_one(self, text: str) -> None:
        """Nothing that a person may mean as a text (a number with zeros in front, a date) is changed."""
        found = guess(text)
        if isinstance(found, int) and not isinstance(found, bool):
            assert str(found) == text or text == "-0"


class TestCasting:
    """A value is taken for a type if that loses nothing; else it is refused with the reason."""

    @pytest.mark.parametrize(
        ("value", "datatype", "expected"),
        [
            ("5", INTEGER, 5), (" -7 ", INTEGER, -7), (2.0, INTEGER, 2), ("+5", INTEGER, 5),
            (10**400, INTEGER, 10**400),
            ("1e3", DOUBLE, 1000.0), (5, DOUBLE, 5.0), ("0.1", DOUBLE, 0.1),
            ("yes", BOOLEAN, True), ("OFF", BOOLEAN, False), (True, BOOLEAN, True), ("True", BOOLEAN, True),
            (5, STRING, "5"), (True, STRING, "True"), (0.1, STRING, "0.1"), ("x", STRING, "x"), (None, INTEGER, None),
        ],
    )  # fmt: skip
    def test_a_lossless_value_is_converted(self, value: Value, datatype: str, expected: Value) -> None:
        found = cast("a.b", value, datatype)
        assert found == expected
        assert type(found) is type(expected)

    @pytest.mark.parametrize(
        ("value", "datatype", "reason"),
        [
            (True, INTEGER, "an integer"), ("True", INTEGER, "an integer"), ("1.0", INTEGER, "an integer"),
            (1.5, INTEGER, "an integer"), ("", INTEGER, "an integer"), ("1_000", INTEGER, "an integer"),
            (float("inf"), INTEGER, "an integer"), (float("nan"), INTEGER, "an integer"),
            ("x", DOUBLE, "a number"), (False, DOUBLE, "a number"), ("nan", DOUBLE, "a number"),
            ("inf", DOUBLE, "a number"), (10**400, DOUBLE, "a number"),
            (1, BOOLEAN, "true or false"), ("1", BOOLEAN, "true or false"),
            ("x", "folder", "a folder, without a value"),
        ],
    )  # fmt: skip
    def test_a_lossy_value_is_refused_with_the_reason(self, value: Value, datatype: str, reason: str) -> None:
        with pytest.raises(ValueRefused, match=f"'a.b' cannot be set to .* it is {reason}"):
            cast("a.b", value, datatype)

    @given(VALUES)
    def test_what_is_stored_comes_back(self, value: Value) -> None:
        assert decode(encode(value), KIND[type(value)]) == value


class TestLimits:
    """A limit that is broken says which one; limits come back from the database as they were."""

    @pytest.mark.parametrize(
        ("limits", "good", "bad", "reason"),
        [
            (Limits(minimum=0), 0, -1, "at least 0"),
            (Limits(maximum=0), 0, 0.1, "at most 0"),
            (Limits(choices=("a", "b")), "a", "c", "one of a, b"),
            (Limits(choices=(0, False)), 0, 1, "one of 0, False"),
            (Limits(pattern="[a-z]+"), "abc", "abc1", "match the pattern"),
            (Limits(path_exists=True), str(Path(__file__)), "/no/such", "does not exist on this machine"),
        ],
    )
    def test_each_limit_refuses_a_value_beyond_it(self, limits: Limits, good: Value, bad: Value, reason: str) -> None:
        for one in (limits, Limits.from_json(limits.to_json())):
            one.check("a", good)
            one.check("a", None)
            with pytest.raises(ValueRefused, match=reason):
                one.check("a", bad)

    @given(
        st.builds(
            Limits,
            minimum=st.none() | st.integers() | st.floats(allow_nan=False, allow_infinity=False),
            maximum=st.none() | st.integers() | st.floats(allow_nan=False, allow_infinity=False),
            choices=st.lists(VALUES, max_size=4).map(tuple),
            many=st.booleans(),
            form=st.none() | st.sampled_from(sorted(FORMS)),
            pattern=st.none() | st.text(),
            path_exists=st.booleans(),
            secret=st.booleans(),
        )
    )
    def test_there_and_back(self, limits: Limits) -> None:
        assert Limits.from_json(limits.to_json()) == limits

    def test_no_limits_are_stored_as_nothing(self) -> None:
        assert Limits().to_json() is None
        assert Limits.from_json(None) == Limits()

    @pytest.mark.parametrize("fields", [{"minimum": "1"}, {"choices": 5}, {"pattern": 5}, {"secret": "yes"}, {"x": 1}])
    def test_what_is_none(self, fields: dict[str, object]) -> None:
        with pytest.raises(ConfigException, match="cannot have the limit"):
            Limits.of(fields)


class TestPaths:
    """Names with dots between them, none of them empty, as long as can be stored."""

    @pytest.mark.parametrize("path", ["a", "a.b", "ä.b c", "a" * 128, ".".join(["a" * 127] * 4)])
    def test_valid_paths_are_accepted(self, path: str) -> None:
        assert check_path(path) == path

    @pytest.mark.parametrize("path", ["", ".", "a.", ".a", "a..b", "a. b", "a\n", "a" * 129, ".".join(["aa"] * 200)])
    def test_invalid_paths_are_refused(self, path: str) -> None:
        with pytest.raises(ConfigException):
            check_path(path)


class TestJSON:
    """What `serialize` writes `deserialize` reads; what is not of that form is refused with the place (003-34)."""

    def test_plain_and_detailed_values_can_be_mixed(self) -> None:
        user = {"datatype": "string", "value": "root", "comment": "Who."}
        text = json.dumps({"S": {"user": user, "n": 3, "on": True, "T": {"x": 0.5}}})
        assert deserialize(text, "Root") == [
            Edit("Root.S.user", value="root", datatype="string", comment="Who.", limits=Limits()),
            Edit("Root.S.n", value=3),
            Edit("Root.S.on", value=True),
            Edit("Root.S.T.x", value=0.5),
        ]

    def test_a_parameter_may_be_called_datatype(self) -> None:
        assert deserialize('{"F": {"datatype": {"datatype": "string", "value": "x"}}}') == [
            Edit("F.datatype", value="x", datatype="string", limits=Limits())
        ]

    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            ("", "not JSON"), ("{", "line 1, column 2"), ("[]", "must be an object"), ("5", "must be an object"),
            ('{"a": [1]}', "'a' is a list"), ('{"a": {"datatype": "complex", "value": 1}}', "datatype 'complex'"),
            ('{"a": {"datatype": "integer", "value": "x"}}', "it is an integer"),
            ('{"a": {"datatype": "integer", "value": 1, "colour": 2}}', "unknown field 'colour'"),
            ('{"a": {"datatype": "integer", "value": [1]}}', "'a'"),
            ('{"a": {"datatype": "string", "value": {"b": 1}}}', "'a'"),
            ('{"a": {"datatype": "string", "value": "x", "comment": 5}}', "comment"),
        ],
    )  # fmt: skip
    def test_wrong_content_is_refused_with_the_reason(self, text: str, reason: str) -> None:
        with pytest.raises(ConfigException, match=reason):
            deserialize(text)
