"""RFC 8785: the published numbers and strings, key order, and the two deliberate additions."""

from __future__ import annotations

import json
import math
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accord.records import canonical, digest

# RFC 8785, appendix B: IEEE 754 bits and the text ECMAScript gives them.
SAMPLES = [
    ("0000000000000000", "0"),
    ("8000000000000000", "0"),
    ("0000000000000001", "5e-324"),
    ("8000000000000001", "-5e-324"),
    ("7fefffffffffffff", "1.7976931348623157e+308"),
    ("ffefffffffffffff", "-1.7976931348623157e+308"),
    ("4340000000000000", "9007199254740992"),
    ("c340000000000000", "-9007199254740992"),
    ("4430000000000000", "295147905179352830000"),
    ("44b52d02c7e14af5", "9.999999999999997e+22"),
    ("44b52d02c7e14af6", "1e+23"),
    ("44b52d02c7e14af7", "1.0000000000000001e+23"),
    ("444b1ae4d6e2ef4e", "999999999999999700000"),
    ("444b1ae4d6e2ef4f", "999999999999999900000"),
    ("444b1ae4d6e2ef50", "1e+21"),
    ("3eb0c6f7a0b5ed8c", "9.999999999999997e-7"),
    ("3eb0c6f7a0b5ed8d", "0.000001"),
    ("41b3de4355555553", "333333333.3333332"),
    ("41b3de4355555554", "333333333.33333325"),
    ("41b3de4355555555", "333333333.3333333"),
    ("41b3de4355555556", "333333333.3333334"),
    ("41b3de4355555557", "333333333.33333343"),
    ("becbf647612f3696", "-0.0000033333333333333333"),
    ("43143ff3c1cb0959", "1424953923781206.2"),
]


@pytest.mark.parametrize(("bits", "text"), SAMPLES)
def test_numbers_of_the_rfc(bits: str, text: str) -> None:
    (value,) = struct.unpack(">d", bytes.fromhex(bits))
    assert canonical(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (333333333.33333329, "333333333.3333333"),
        (1e30, "1e+30"),
        (4.50, "4.5"),
        (2e-3, "0.002"),
        (0.000000000000000000000000001, "1e-27"),
        (1e-7, "1e-7"),
        (0.000001, "0.000001"),
        (1e20, "100000000000000000000"),
        (1e21, "1e+21"),
        (123456789012345680000.0, "123456789012345680000"),
        (1.0, "1"),
        (-1.5, "-1.5"),
        (100.0, "100"),
        (1e-6, "0.000001"),
        (1.25e-6, "0.00000125"),
        (1.5e300, "1.5e+300"),
        (2**53, "9007199254740992"),
        (-(2**53), "-9007199254740992"),
        (0, "0"),
        (True, "true"),
        (None, "null"),
    ],
)
def test_numbers_as_ecmascript_prints_them(value: float, text: str) -> None:
    assert canonical(value) == text


def test_the_sample_of_the_rfc() -> None:
    """Section 3.2.2 and 3.2.3."""
    sample = {
        "numbers": [333333333.33333329, 1e30, 4.50, 2e-3, 0.000000000000000000000000001],
        "string": "\u20ac$\u000f\u000aA'\u0042\u0022\u005c\\\"/",
        "literals": [None, True, False],
    }
    expected = (
        '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],'
        '"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'
    )
    assert canonical(sample) == expected


def test_keys_are_sorted_by_utf_16_code_units() -> None:
    """Section 3.2.3: the smiley (U+1F600, a surrogate pair d83d…) comes before U+FB33."""
    names = {
        "\u20ac": "Euro Sign",
        "\r": "Carriage Return",
        "\ufb33": "Hebrew Letter Dalet With Dagesh",
        "1": "One",
        "\U0001f600": "Emoji: Grinning Face",
        "\u0080": "Control",
        "\u00f6": "Latin Small Letter O With Diaeresis",
    }
    order = list(json.loads(canonical(names)).values())
    assert order == [
        "Carriage Return",
        "One",
        "Control",
        "Latin Small Letter O With Diaeresis",
        "Euro Sign",
        "Emoji: Grinning Face",
        "Hebrew Letter Dalet With Dagesh",
    ]
    assert order != [names[name] for name in sorted(names)], "code points would sort otherwise"


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("\x00\x1f\x7f", '"\\u0000\\u001f\x7f"'),
        ("\b\t\n\f\r", '"\\b\\t\\n\\f\\r"'),
        ('"\\/', '"\\"\\\\/"'),
        ("\u2028\u2029", '"\u2028\u2029"'),
        ("é", '"é"'),
        ("e\u0301", '"e\u0301"'),
        ("\U0001f600", '"\U0001f600"'),
    ],
)
def test_strings_are_escaped_as_little_as_json_allows(text: str, written: str) -> None:
    assert canonical(text) == written


def test_what_json_has_no_number_for_is_a_string() -> None:
    assert canonical([math.nan, math.inf, -math.inf]) == '["NaN","Infinity","-Infinity"]'


@pytest.mark.parametrize("integer", [2**53 + 1, -(2**53) - 1, 10**30])
def test_an_integer_that_would_be_rounded_is_refused(integer: int) -> None:
    with pytest.raises(ValueError, match="beyond 2\\^53"):
        canonical({"n": integer})


@pytest.mark.parametrize("value", [0.1, 1.5, 1e-7, 1e21, 0.0, -2.0, math.nan, math.inf])
def test_a_numpy_float_is_the_number_it_is(value: float) -> None:
    """Methods keep what numpy computed in their Memory, which checkpoints write through this."""
    assert canonical(np.float64(value)) == canonical(value)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_double_comes_back(value: float) -> None:
    assert float(json.loads(canonical(value))) == value


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(JSON_VALUES)
def test_the_text_is_json_and_canonical(value: object) -> None:
    text = canonical(value)  # type: ignore[arg-type]
    if "Infinity" not in text:
        again = json.loads(text, parse_int=lambda n: int(n) if abs(int(n)) <= 2**53 else float(n))
        assert canonical(again) == text


@given(st.dictionaries(st.text(), st.integers(-9, 9), max_size=8), st.randoms())
def test_the_digest_does_not_depend_on_the_order_of_keys(table: dict[str, int], random: object) -> None:
    items = list(table.items())
    random.shuffle(items)  # type: ignore[attr-defined]
    assert digest(dict(items)) == digest(table)
    assert len(digest(table)) == 64
