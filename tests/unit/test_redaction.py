"""Rules of what is masked before people see it."""

from __future__ import annotations

import base64
import html
import json
import re
from urllib.parse import quote, quote_plus

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasker.errors import InvalidDefinition
from tasker.redaction import DEFAULT_FILTER_KEYS, Redactor, mask_values

M = "[FILTERED]"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-1000, 1000) | st.text('abcdef[:]{}",', max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abcdef", max_size=8), inner, max_size=3),
    max_leaves=12,
)


@pytest.mark.parametrize("part", DEFAULT_FILTER_KEYS)
def test_each_built_in_part_masks_at_every_depth(part: str) -> None:
    """A key that contains a part in any case is masked whatever it holds, in objects and lists at every depth."""
    value = {"a": [{f"my{part.upper()}s": {"x": [1]}, "b": 2}], f"x{part}": None}
    assert Redactor().mapping(value) == {"a": [{f"my{part.upper()}s": M, "b": 2}], f"x{part}": M}


def test_spellings_of_one_name_are_one() -> None:
    """Camel case and hyphens hide nothing: `apiKey` and `X-Api-Key` are masked like `api_key`, `monkey` is not."""
    value = {"apiKey": 1, "X-Api-Key": 1, "api_key": 1, "monkey": 1, "keys": 1}
    assert Redactor().mapping(value) == {"apiKey": M, "X-Api-Key": M, "api_key": M, "monkey": 1, "keys": 1}


def test_own_parts_paths_and_expressions() -> None:
    """Given keys replace the built-in ones: parts, paths from the root through lists, and regular expressions."""
    redactor = Redactor(["iban", "customer.phones.number", "^card", "/^cvv?$/", re.compile("^PIN$")], mask="***")
    value = {
        "IBANs": 1,
        "customer": {"phones": [{"number": 1, "kind": "home"}]},
        "number": 1,
        "card_no": 1,
        "discard": 1,
        "cv": 1,
        "PIN": 1,
        "pin": 1,
        "password": 1,
    }
    assert redactor.mapping(value) == {
        "IBANs": "***",
        "customer": {"phones": [{"number": "***", "kind": "home"}]},
        "number": 1,
        "card_no": "***",
        "discard": 1,
        "cv": "***",
        "PIN": "***",
        "pin": 1,
        "password": 1,
    }


def test_a_broken_expression_is_named() -> None:
    """An entry that is no regular expression is an InvalidDefinition that names the setting."""
    with pytest.raises(InvalidDefinition, match=r"telemetry\.filter_keys.*'\(open'"):
        Redactor(["(open"])


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("https://u:pw@h/p?token=a&x=1#s", f"https://u:{M}@h/p?token={M}&x=1#s"),
        ("postgresql://u:p@ss@h/db", f"postgresql://u:{M}@h/db"),
        ("GET /p?x=1&access_token=a%20b failed", f"GET /p?x=1&access_token={M} failed"),
        ("see https://h/?api%5Fkey=1, then wait", f"see https://h/?api%5Fkey={M} then wait"),
        ("https://h/#secret=1", f"https://h/#secret={M}"),
        ("http://h:80/p?q=a@b", "http://h:80/p?q=a@b"),
        ("a = b & c? no", "a = b & c? no"),
    ],
)
def test_urls_are_masked_whole_relative_and_inside_texts(text: str, masked: str) -> None:
    """In any text the password and the telling query values of a URL are masked, and nothing else."""
    assert Redactor().url(text) == masked
    assert Redactor().mapping({"text": [text]}) == {"text": [masked]}


@given(JSON)
def test_redacting_keeps_the_given_value_and_is_stable(value: object) -> None:
    """The given value is not changed, and redacting twice gives what redacting once gave."""
    before = orjson.dumps(value)
    once = Redactor(["a", "b.c"]).mapping(value)
    assert orjson.dumps(value) == before
    assert Redactor(["a", "b.c"]).mapping(once) == once


def test_values_from_the_environment_are_named_instead() -> None:
    """Each occurrence in texts and keys becomes [ENV:NAME], the longest value first; short values stay."""
    secrets = {"SHORT": "12345", "PART": "abcdef", "WHOLE": "abcdefgh", "NUMBER": "1234567"}
    assert mask_values("x abcdefgh abcdef 12345", secrets) == "x [ENV:WHOLE] [ENV:PART] 12345"
    assert mask_values({"k-abcdef": ["abcdefabcdefgh", 1234567, 12345678, True]}, secrets) == {
        "k-[ENV:PART]": ["[ENV:PART][ENV:WHOLE]", "[ENV:NUMBER]", 12345678, True]
    }


def test_a_mask_is_not_masked_again() -> None:
    """A variable whose value looks like part of a mask does not garble the masks of others."""
    assert mask_values("secret1", {"PASSWORD": "secret1", "ODD": "[ENV:PASS"}) == "[ENV:PASSWORD]"


def test_bytes_are_masked_as_json() -> None:
    """In canonical bytes a value is found as JSON writes it, and the bytes stay canonical."""
    secrets = {"QUOTED": 'say "hi"\n', "UMLAUT": "grün-grün", "BROKEN": "\udcff" * 6}
    encoded = orjson.dumps({"b": 'I say "hi"\n', "grün-grün": 1}, option=orjson.OPT_SORT_KEYS)
    assert mask_values(encoded, secrets) == b'{"[ENV:UMLAUT]":1,"b":"I [ENV:QUOTED]"}'


def test_a_hit_across_the_structure_changes_nothing() -> None:
    """A value that occurs only in the bytes between two texts, in none of them, masks nothing."""
    encoded = b'{"a":"b","c":"d"}'
    assert mask_values(encoded, {"ODD": '":"b","c'}) is encoded
    assert mask_values(b'["ab\\\\ncdef"]', {"ODD": "ab\\ncd"}) == b'["[ENV:ODD]ef"]'


@given(JSON, st.dictionaries(st.sampled_from("XYZ"), st.text("abcdef", min_size=4, max_size=8)))
def test_bytes_and_values_are_masked_alike(value: object, secrets: dict[str, str]) -> None:
    """Masking the bytes is masking the value; where nothing occurs the same object comes back; no secret is left."""
    encoded = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    masked = mask_values(value, secrets)
    assert orjson.loads(mask_values(encoded, secrets)) == masked
    hit = any(len(text) >= 6 and text.encode() in encoded for text in secrets.values())
    assert (masked is value or masked == value) == (not hit)
    if not hit:
        assert masked is value
        assert mask_values(encoded, secrets) is encoded


SECRET = 'p@ß "w/r\\d" & <k>\n'


@pytest.mark.parametrize(
    "written",
    [
        SECRET,
        SECRET.strip(),
        quote(SECRET, safe=""),
        quote(SECRET, safe="/@&").lower(),
        quote_plus(SECRET),
        json.dumps(SECRET)[1:-1],
        json.dumps(SECRET, ensure_ascii=False)[1:-1].replace("/", "\\/"),
        repr(SECRET)[1:-1],
        repr(SECRET.encode())[2:-1],
        html.escape(SECRET),
        html.escape(html.escape(SECRET)),
        quote(quote_plus(SECRET)),
        quote(json.dumps(SECRET)[1:-1]),
        json.dumps(json.dumps({"k": SECRET}))[10:-4],
        *(base64.b64encode(b"x" * before + SECRET.strip().encode()).decode() for before in range(3)),
        base64.urlsafe_b64encode(SECRET.strip().encode() + b"xx").decode(),
    ],
)
def test_a_value_is_found_however_it_is_written(written: str) -> None:
    """What a server, a library or a programmer makes of a value before it comes back is masked as the value is."""
    secrets = {"ODD": SECRET, "OTHER": "abcdefgh"}
    masked = mask_values(f"x{written}x", secrets)
    assert "[ENV:ODD]" in masked
    assert len(masked) <= len("x[ENV:ODD]x") + 8  # of base64 the edges stay, which tell less than a letter of it
    encoded = orjson.dumps([f"x{written}x"])
    assert mask_values(encoded, secrets) == orjson.dumps([masked])


def test_a_value_for_a_url_is_found_outside_of_it() -> None:
    """A password that is percent-encoded in the environment is masked where it is not, too."""
    secrets = {"PASSWORD": "p%40ssword"}
    token = base64.b64encode(b"user:p@ssword").decode()
    assert mask_values(f"p@ssword p%40ssword {token}", secrets).count("[ENV:PASSWORD]") == 3
