"""No way of writing a secret gets it past the redaction, and other texts stay as they are."""

from __future__ import annotations

import base64
import binascii
import html
import json
import re
import textwrap
import zipfile
from pathlib import Path
from urllib.parse import quote, quote_plus, unquote, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from NexusCore.config.store import Edit
from NexusCore.config.values import MASK, Limits
from NexusCore.storage import Database
from tests.tools.conftest import configure, log
from tests.tools.programs import run
from Tools.doctor.redaction import Redactor

SECRET = "Tr0ub4dor&3/tökén+x"
DATA = SECRET.encode()
BODY = base64.b64encode(bytes(range(7, 255)) * 4).decode()
KEY = "\n".join(["-----BEGIN OPENSSH PRIVATE KEY-----", *textwrap.wrap(BODY, 70), "-----END OPENSSH PRIVATE KEY-----"])
RSA = KEY.replace("OPENSSH", "RSA")
PUTTY = f"PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\nPrivate-Lines: 4\n{KEY[40:200]}\nPrivate-MAC: 0a1b2c\n"

WRITTEN = {
    "plain": SECRET,
    "repr": repr(SECRET),
    "bytes": repr(DATA),
    "JSON": json.dumps({"x": SECRET}),
    "HTML": html.escape(SECRET),
    "address": quote(SECRET, safe=""),
    "address with small digits": re.sub("%..", lambda one: one[0].lower(), quote(SECRET, safe="")),
    "form": quote_plus(SECRET),
    "query": urlencode({"q": SECRET}),
    "address twice": quote(quote(SECRET, safe=""), safe=""),
    "every byte": "".join(f"%{byte:02X}" for byte in DATA),
    "escapes": "".join(f"\\x{byte:02x}" for byte in DATA),
    "hex": DATA.hex(),
    "hex in capitals": DATA.hex().upper(),
    "hex with colons": DATA.hex(":"),
    "hex dump": binascii.hexlify(DATA, " ", 2).decode(),
    "base64": base64.b64encode(DATA).decode(),
    "urlsafe": base64.urlsafe_b64encode(DATA).decode(),
    "a pair in base64": base64.b64encode(b"jane:" + DATA).decode(),
    "JSON in base64": base64.urlsafe_b64encode(f'{{"kind": "x", "token": "{SECRET}"}}'.encode()).decode(),
    "base64 in lines": "\n".join(textwrap.wrap(base64.b64encode(b"name=jane;token=" + DATA + b";").decode(), 12)),
    "in lines": "\n    ".join(textwrap.wrap(SECRET, 6)),
    "in a shell": "\\\n".join(textwrap.wrap(SECRET, 7)),
    "escaped line ends": "\\n".join(textwrap.wrap(SECRET, 7)),
    "two texts": f'"{SECRET[:8]}" "{SECRET[8:]}"',
    "a sum": f"'{SECRET[:8]}' + '{SECRET[8:]}'",
    "a list": json.dumps([SECRET[:5], SECRET[5:11], SECRET[11:]], indent=2),
    "arguments": f"{SECRET[:9]} {SECRET[9:]}",
}  # fmt: skip
"""A secret as programs write it."""


def leaks(text: str) -> bool:
    """Return whether a good part of the secret can be read in a text, with a little patience."""
    bare = re.sub(r"\\n|%25|[^\w%&/+]", lambda one: "%" if one[0] == "%25" else "", text)
    tries = [bare.lower(), unquote(bare).lower(), re.sub(r"%|x(?=[0-9a-f]{2})", "", bare).lower()]
    words = [word for word in text.replace("\n", "").split(MASK) if len(word) > 7]
    for word in words:
        letters = "".join(one for one in word if one.isascii() and (one.isalnum() or one in "+/-_"))
        for start in range(4):
            whole = letters[start : start + (len(letters) - start) // 4 * 4]
            tries.append(base64.b64decode(whole, b"-_").decode("utf-8", "ignore").lower())
            tries.append(base64.b64decode(whole).decode("utf-8", "ignore").lower())
    return any(part in one for one in tries for part in ("tr0ub4", "4dor&3", "dor%263", DATA.hex()[4:16]))


class TestKnownSecrets:
    @pytest.mark.parametrize("form", WRITTEN)
    def test_however_they_are_written(self, form: str) -> None:
        redactor = Redactor([SECRET])
        assert leaks(WRITTEN[form]) or form in ("every byte", "escapes", "hex with colons", "hex dump", "two texts"), (
            form
        )
        text = redactor.text(f"before {WRITTEN[form]} after")
        assert not leaks(text), text
        assert text.startswith("before ")
        assert text.endswith(" after")

    def test_over_items_of_a_list(self) -> None:
        """Each is a text by itself; together they are the secret."""
        redactor = Redactor([SECRET])
        written = json.dumps(redactor.value({"argv": ["login", SECRET[:9], SECRET[9:], "--fast"]}), indent=2)
        masked = json.loads(redactor.joined(written))
        assert masked == {"argv": ["login", MASK, f"&{MASK}", "--fast"]}

    def test_a_key_line_by_line(self) -> None:
        """A secret of several lines is one in each of them."""
        redactor = Redactor([KEY])
        for line in KEY.splitlines()[1:-2]:
            assert redactor.text(f"read {line}") == f"read {MASK}"

    @given(st.text(min_size=8, max_size=30), st.binary(max_size=9), st.binary(max_size=9))
    def test_any_in_base64(self, secret: str, before: bytes, after: bytes) -> None:
        data = secret.encode("utf-8", "surrogatepass")
        if secret.strip() != secret:
            return
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            assert Redactor([secret]).text(encode(before + data + after).decode()) == MASK

    def test_what_is_no_secret_stays(self) -> None:
        text = (
            "Session 3090b35d-0a53-4b8e-9a54-6f0b2d1a9c11 of FEI-Titan-TEM built from 14 files in 2.5 s; sha256 "
            "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08, see /data/2026/Titan/Jane's sample/a.dm4"
        )
        redactor = Redactor([SECRET, KEY, "hunter2", "opensesame", "0123456789abcdef"])
        assert redactor.text(text) == text
        assert redactor.joined(json.dumps({"x": [text] * 3}, indent=2)) == json.dumps({"x": [text] * 3}, indent=2)

    def test_a_short_one_is_not_looked_for_in_pieces(self) -> None:
        assert Redactor(["isalab"]).text("this is a lab") == "this is a lab"


class TestUnknownSecrets:
    @pytest.mark.parametrize(
        "key", [KEY, RSA, RSA.replace("RSA ", ""), KEY.replace("\n", "\\n"), KEY.replace("\n", " ")]
    )
    def test_private_keys_are_masked_whole(self, key: str) -> None:
        assert Redactor([]).text(f"before\n{key}\nafter") == f"before\n{MASK}\nafter"

    def test_one_that_is_cut_off(self) -> None:
        assert Redactor([]).text(f"before {KEY[:200]}") == f"before {MASK}"

    def test_its_lines_alone(self) -> None:
        lines = KEY.splitlines()[1:-2]
        assert [Redactor([]).text(f"line: {line}") for line in lines] == [f"line: {MASK}"] * len(lines)

    def test_putty_keys_are_masked(self) -> None:
        found = Redactor([]).text(PUTTY)
        assert found.startswith("PuTTY-User-Key-File-3: ssh-ed25519")
        assert (BODY[10:30] in found, "0a1b2c" in found) == (False, False)

    @pytest.mark.parametrize(
        ("text", "masked"),
        [
            ("user / password: jane / S3cr3tM", "user / password: ***** / *****"),
            ("username/password = jane/S3cr3tM, host x", "username/password = *****, host x"),
            ("The name and password are 'jane' / 'S3cr3tM'.", "The name and password are 'jane' / '*****'."),
            ("logged in with jane@lab.org / S3cr3tM", "logged in with jane@lab.org / *****"),
            ("login: jane / S3cr3tM; next", "login: jane / *****; next"),
            ("credentials for jane / S3cr3tM", "credentials for jane / *****"),
            ("logged in as jane / not checked", "logged in as jane / not checked"),
            ("CREATE USER nx IDENTIFIED BY 'S3cr3tM'", "CREATE USER nx IDENTIFIED BY *****"),
            ("mysql -h db -u nx -pS3cr3tM nexus", "mysql -h db -u nx -p***** nexus"),
            ("mysql -h db -P 3306 --port=3306", "mysql -h db -P 3306 --port=3306"),
            ("sshpass -p S3cr3tM ssh x", "sshpass -p ***** ssh x"),
            ("machine x login jane password S3cr3tM", "machine x login jane password *****"),
            ("sent eyJhbGciOiJIUzI1.eyJzdWIiOiIx.SflKxwRJSMeKKF2, ok", "sent *****, ok"),
            ("with ghp_0123456789abcdefghij and glpat-0123456789abcdefghij", "with ***** and *****"),
            ("ws://x/live?token=S3cr3tM&x=1", "ws://x/live?token=*****&x=1"),
            ("X-Api-Key: S3cr3tM", "X-Api-Key: *****"),
            ("on / off, read / write, 3 / 4", "on / off, read / write, 3 / 4"),
            ("md5 " + "ab12" * 16, "md5 " + "ab12" * 16),
            ("/data/Titan2026/" + "Sample7/" * 6 + "abc", "/data/Titan2026/" + "Sample7/" * 6 + "abc"),
        ],
    )
    def test_what_looks_like_one(self, text: str, masked: str) -> None:
        assert Redactor([]).text(text) == masked


class TestTheBundle:
    """Whatever was logged of a secret parameter, or of one that was a secret once, is in no file of the archive."""

    def test_no_form_of_a_secret_is_left(self, embedded: Database, tmp_path: Path) -> None:
        hidden = Limits(secret=True)
        configure(embedded, Edit("Mail.thing", value=SECRET, limits=hidden), Edit("Mail.other", value="was-plain-once"))
        configure(embedded, Edit("Mail.thing", value="another", limits=hidden))
        configure(embedded, Edit("Mail.other", value="now-a-secret", limits=hidden))
        for form, text in WRITTEN.items():
            log(embedded, f"{form}: {text}", traceback=f"Traceback\n  {text}")
        log(embedded, f"was-plain-once, now-a-secret\n{KEY}")
        path = tmp_path / "out.zip"
        assert run("Doctor", "--bundle", str(path)).code in (0, 1)
        with zipfile.ZipFile(path) as archive:
            parts = {name: archive.read(name).decode() for name in archive.namelist()}
        lines = next(text for name, text in parts.items() if name.endswith("log.jsonl"))
        for form in WRITTEN:
            (line,) = [one for one in map(json.loads, lines.splitlines()) if one["message"].startswith(f"{form}: ")]
            assert not leaks(line["message"][len(form) + 2 :]), line
            assert not leaks(line["traceback"][12:]), line
        for text in parts.values():
            assert not [one for one in ("was-plain-once", "now-a-secret", BODY[10:40]) if one in text]
