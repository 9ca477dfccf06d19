"""Canonical JSON (RFC 8785) and the digests made from it.

One value has one text, so one fact has one id on every machine. Two deliberate additions to the RFC:
non-finite numbers are written as strings (JSON has none), and integers beyond 2^53, which the RFC's
number form would round silently, are refused.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from json.encoder import encode_basestring

__all__ = ["JSON", "canonical", "digest", "finite"]

JSON = None | bool | int | float | str | Sequence["JSON"] | Mapping[str, "JSON"]

_EXACT = 2**53


def canonical(value: JSON) -> str:
    """The one text of ``value``.

    >>> canonical({"b": 1.0, "a": [1e21, 1e-7, 0.1, -0.0], "ä": float("inf")})
    '{"a":[1e+21,1e-7,0.1,0],"b":1,"ä":"Infinity"}'
    """
    if isinstance(value, str):
        return _string(value)
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, int):
        if abs(value) > _EXACT:
            raise ValueError(
                f"the integer {value} is beyond 2^53 and has no exact JSON number; write it as a string"
            )
        return str(int(value))
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, dict | Mapping):  # a dict is known at once, any other mapping takes a look
        # RFC 8785 sorts by UTF-16 code units, which differs from code points beyond the basic plane.
        plain = all(map(str.isascii, value))
        keys = sorted(value) if plain else sorted(value, key=_units)
        return "{" + ",".join(f"{_string(key)}:{canonical(value[key])}" for key in keys) + "}"
    return "[" + ",".join(canonical(item) for item in value) + "]"


def digest(value: JSON) -> str:
    """SHA-256 (hex) of the canonical text.

    >>> digest({}) == hashlib.sha256(b"{}").hexdigest()
    True
    """
    return hashlib.sha256(canonical(value).encode("utf-8", "surrogatepass")).hexdigest()


def finite(value: JSON) -> JSON:
    """The same value with non-finite numbers as strings, as in the ids; JSON has no infinities.

    >>> finite({"a": [1.0, float("-inf")]})
    {'a': [1.0, '-Infinity']}
    """
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, Mapping):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [finite(item) for item in value]
    return value


def _units(key: str) -> bytes:
    return key.encode("utf-16-be", "surrogatepass")


def _string(text: str) -> str:
    return encode_basestring(text)  # what json.dumps(text, ensure_ascii=False) says, without its set-up


def _number(value: float) -> str:
    """A float as ECMAScript prints it: shortest digits, an exponent outside 1e-6 … 1e21."""
    value = float(value)  # a numpy number prints as itself, not as its digits
    if math.isnan(value):
        return '"NaN"'
    if math.isinf(value):
        return '"Infinity"' if value > 0 else '"-Infinity"'
    if value == 0:
        return "0"
    sign = "-" if value < 0 else ""
    mantissa, _, exponent = f"{abs(value)!r}".partition("e")
    whole, _, fraction = mantissa.partition(".")
    fraction = "" if fraction == "0" else fraction
    digits = (whole + fraction).lstrip("0")
    # The value is 0.digits × 10^point.
    point = len(whole) + int(exponent or 0) - (len(whole + fraction) - len(digits))
    digits = digits.rstrip("0")
    if 0 < point <= 21:
        head, tail = digits[:point].ljust(point, "0"), digits[point:]
        return sign + head + ("." + tail if tail else "")
    if -6 < point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    power = point - 1
    tail = "." + digits[1:] if len(digits) > 1 else ""
    return f"{sign}{digits[0]}{tail}e{'+' if power > 0 else '-'}{abs(power)}"
