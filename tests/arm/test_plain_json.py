"""What ARM's reader takes beyond JSON, and what a body of it may cost."""

from __future__ import annotations

import time
from typing import Any

import orjson
import pytest

from poolwright import errors
from poolwright.arm.http import plain_json
from poolwright.arm.sent import parse_body

BYTES = 1024 * 1024


@pytest.mark.parametrize(
    ("loose", "meant"),
    [
        (b'{"a": 1} // of Bicep', {"a": 1}),
        (b'{/* "b": 2, */ "a": "/* kept */ // as well"}', {"a": "/* kept */ // as well"}),
        (b'{a: 1, _b2 : "c: d"}', {"a": 1, "_b2": "c: d"}),
        (b'{"a": "one\n\ttwo\\"three"}', {"a": 'one\n\ttwo"three'}),
        (b'{"a": [true, null, 1.5e10]}', {"a": [True, None, 1.5e10]}),
    ],
)
def test_comments_bare_names_and_line_breaks_are_taken(loose: bytes, meant: dict[str, Any]) -> None:
    assert orjson.loads(plain_json(loose)) == meant


@pytest.mark.parametrize("loose", [b'{"a": 1} /* open', b"{} /*/", b'{"a: 1}', b'{"\\a: 1}', b'{"a": "b\\', b"{1a: 1}"])
def test_what_has_no_end_is_refused(loose: bytes) -> None:
    with pytest.raises(errors.InvalidRequestContent):
        parse_body(plain_json(loose))


@pytest.mark.parametrize("part", [b"a", b"a1", b'\\"', b"/*", b'"\\', b"a ", b"//", b"/*/", b'"/*'], ids=repr)
@pytest.mark.parametrize("start", [b"", b'"', b"/*"], ids=repr)
def test_a_body_of_a_megabyte_takes_no_minutes(start: bytes, part: bytes) -> None:
    body = start + part * (BYTES // len(part))
    began = time.process_time()
    plain_json(body)
    assert time.process_time() - began < 5
