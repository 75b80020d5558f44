from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagbelt.errors import KeysError
from tagbelt.service.access.keyfile import parse_inline, parse_toml, read_file
from tagbelt.service.access.rates import Rate

SECRET = "tb_" + "S3cr3t" * 7
ONE, TWO = "1a" * 32, "2B" * 32


def entry(**fields: str) -> str:
    given = {"name": '"crawler"', "sha256": f'"{ONE}"', "scopes": '["tag"]', **fields}
    return "[[key]]\n" + "".join(f"{k} = {v}\n" for k, v in given.items() if v)


def test_a_file_of_keys():
    text = entry(rate_per_second="0.5", expires="2030-01-31") + entry(
        name='"Boss.2"', sha256=f'"{TWO}"', scopes='["admin"]', rate_per_second="5", rate_burst="9"
    )
    crawler, boss = parse_toml(text, "keys.toml")
    assert (crawler.name, crawler.sha256, crawler.scopes) == ("crawler", b"\x1a" * 32, {"tag"})
    assert crawler.rate == Rate(0.5, 1)
    assert crawler.expires == datetime(2030, 1, 31, tzinfo=UTC)
    assert (boss.name, boss.sha256, boss.scopes) == ("Boss.2", b"\x2b" * 32, {"tag", "admin"})
    assert (boss.rate, boss.expires) == (Rate(5.0, 9), None)


def test_the_moment_of_expiry_may_be_exact():
    (key,) = parse_toml(entry(expires="2030-01-31T12:00:00+02:00"), "f")
    assert key.expires == datetime(2030, 1, 31, 12, tzinfo=timezone(timedelta(hours=2)))


def test_keys_in_one_line():
    crawler, boss = parse_inline(f" crawler:tag:{ONE} ,boss:tag+admin:{TWO},")
    assert (crawler.name, crawler.scopes, crawler.rate) == ("crawler", {"tag"}, None)
    assert (boss.name, boss.scopes, boss.sha256) == ("boss", {"tag", "admin"}, b"\x2b" * 32)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("name", "", "is missing"),
        ("sha256", "", "is missing"),
        ("scopes", "", "is missing"),
        ("name", "7", "must be 1 to 64 letters"),
        ("name", '"two words"', "must be 1 to 64 letters"),
        ("name", '"-"', "must be 1 to 64 letters"),
        ("name", f'"{"n" * 65}"', "must be 1 to 64 letters"),
        ("name", f'"{SECRET}"', "begins with tb_"),
        ("sha256", f'"{SECRET}"', "this is a key itself, and no longer a secret"),
        ("sha256", '"letmein"', "64 hexadecimal digits"),
        ("sha256", f'"{ONE}0"', "64 hexadecimal digits"),
        ("sha256", "7", "64 hexadecimal digits"),
        ("scopes", "[]", "one or more of tag, admin"),
        ("scopes", '"tag"', "one or more of tag, admin"),
        ("scopes", '["tag", "write"]', "one or more of tag, admin"),
        ("scopes", '["probe"]', "one or more of tag, admin"),
        ("scopes", "[[]]", "one or more of tag, admin"),
        ("rate_per_second", "0", "a number above 0"),
        ("rate_per_second", "-1", "a number above 0"),
        ("rate_per_second", "nan", "a number above 0"),
        ("rate_per_second", "inf", "a number above 0"),
        ("rate_per_second", "1" + "0" * 400, "a number above 0"),
        ("rate_per_second", "true", "a number above 0"),
        ("rate_per_second", '"5"', "a number above 0"),
        ("rate_burst", "3", "limits nothing without rate_per_second"),
        ("expires", '"2030-01-31"', "a date without quotes"),
        ("expires", "2030", "a date without quotes"),
        ("expires", "2030-01-31T12:00:00", "needs a time zone"),
    ],
)
def test_an_error_names_the_file_the_entry_and_the_field(field, value, message):
    text = entry(name='"first"', sha256=f'"{TWO}"') + entry(**{field: value})
    with pytest.raises(KeysError) as error:
        parse_toml(text, "keys.toml")
    assert str(error.value).startswith(f"keys.toml, entry 2, {field}: ")
    assert message in str(error.value)
    assert SECRET not in str(error.value)


@pytest.mark.parametrize("burst", ["0", "1.5", "true", '"5"'])
def test_a_burst_is_a_whole_number(burst):
    with pytest.raises(KeysError, match="entry 1, rate_burst: must be a whole number"):
        parse_toml(entry(rate_per_second="1", rate_burst=burst), "f")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "f: holds no key; make one with: tagbelt keys new"),
        ("key = []", "f: holds no key"),
        ("key = 7", "f: must hold [[key]] tables and nothing else"),
        ("[key]\nname = 'x'", "f: must hold [[key]] tables and nothing else"),
        (f"{entry()}[other]\n", "f: must hold [[key]] tables and nothing else"),
        ("key = [7]", "f, entry 1: must be a [[key]] table"),
        (SECRET, "f: is not TOML (at "),
        (f"{SECRET}\n", "f: is not TOML (at line 1, column "),
        ('name = "', "f: is not TOML (at end of document)"),
        ("name = " + "9" * 5000, "f: is not TOML"),
        ("name = " + "[" * 100_000, "f: is not TOML"),
        (entry(scope='["tag"]'), "f, entry 1: no field scope; there are name, sha256"),
        (entry(key=f'"{SECRET}"'), "f, entry 1: no field key: a key is never stored"),
        (entry(**{SECRET: "1"}), "f, entry 1: a field that is none of name"),
        (f"{entry()}{entry(sha256=repr(TWO))}", "f, entry 2, name: the same as in entry 1"),
        (f"{entry()}{entry(name=repr('b'))}", "f, entry 2, sha256: the same as in entry 1"),
    ],
)
def test_a_document_that_is_wrong(text, message):
    with pytest.raises(KeysError) as error:
        parse_toml(text, "f")
    assert str(error.value).startswith(message)
    assert SECRET not in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "TAGBELT_API_KEYS: holds no key"),
        (" , ", "TAGBELT_API_KEYS: holds no key"),
        (SECRET, "TAGBELT_API_KEYS, entry 1: must be name:scopes:sha256"),
        (f"a:tag:{ONE},b:tag:{SECRET}", "TAGBELT_API_KEYS, entry 2, sha256: this is a key itself"),
        (f"a:{SECRET}:{ONE}", "TAGBELT_API_KEYS, entry 1, scopes: must be one or more of"),
        (f"{SECRET}:tag:{ONE}", "TAGBELT_API_KEYS, entry 1, name: begins with tb_"),
        (f"a:tag:{ONE},a:tag:{TWO}", "TAGBELT_API_KEYS, entry 2, name: the same"),
    ],
)
def test_a_line_that_is_wrong(text, message):
    with pytest.raises(KeysError) as error:
        parse_inline(text)
    assert str(error.value).startswith(message)
    assert SECRET not in str(error.value)


@given(st.text() | st.from_regex(r"(\[\[key\]\]\n(name|sha256|scopes) = .*\n){1,3}"))
def test_any_text_is_keys_or_one_error(text):
    for parse in (parse_inline, lambda text: parse_toml(text, "f")):
        with suppress(KeysError):
            assert parse(text)


def test_a_file_that_cannot_be_read(tmp_path):
    path = tmp_path / "keys.toml"
    with pytest.raises(KeysError, match=r"keys\.toml: cannot be read: No such file"):
        read_file(path)
    path.write_bytes(b"\xff" + SECRET.encode())
    with pytest.raises(KeysError, match=r"keys\.toml: is not UTF-8$"):
        read_file(path)
    path.write_text(entry(), encoding="utf-8")
    assert [key.name for key in read_file(path)] == ["crawler"]


def test_a_hash_is_not_shown_with_its_key():
    (key,) = parse_toml(entry(), "f")
    assert "sha256" not in repr(key)


def test_a_byte_order_mark_is_no_part_of_the_keys(tmp_path):
    (tmp_path / "keys.toml").write_bytes(b"\xef\xbb\xbf" + entry().encode())
    assert read_file(tmp_path / "keys.toml") == parse_toml(entry(), "keys.toml")
