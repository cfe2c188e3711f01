"""
Samples into a Prometheus as remote write sends them: they lie in its memory, as scraped ones do.

Protobuf and snappy by hand, since it is one message of three kinds of fields and nothing needs
compressing: https://prometheus.io/docs/specs/prw/remote_write_spec/ and snappy's
format_description.txt.
"""

import re
import struct
from collections.abc import Iterable, Iterator, Mapping

import requests

_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
_LITERAL = 60_000
"""Bytes of one uncompressed element."""


def samples(points: Iterable[tuple[float, float]], *, later_s: float = 0.0) -> bytes:
    """Return (Unix seconds, value) as a series' samples, all of them so much later."""
    return b"".join(
        _field(2, b"\x09" + struct.pack("<d", value) + b"\x10" + _varint(_ms(at_s + later_s)))
        for at_s, value in points
    )


def send(url: str, series: Mapping[str, bytes]) -> None:
    """
    Send series, by name and labels as a page has them, with their :func:`samples`.

    Raises:
        requests.HTTPError: they were refused.
    """
    body = b"".join(_field(1, _labels(line) + encoded) for line, encoded in series.items())
    headers = {"Content-Encoding": "snappy", "Content-Type": "application/x-protobuf"}
    reply = requests.post(f"{url}/api/v1/write", data=_snappy(body), headers=headers, timeout=60)
    reply.raise_for_status()


def _labels(line: str) -> bytes:
    name, _, inside = line.partition("{")
    pairs = {"__name__": name, **dict(_LABEL.findall(inside))}
    return b"".join(
        _field(1, _field(1, label.encode()) + _field(2, pairs[label].encode()))
        for label in sorted(pairs)
    )


def _snappy(body: bytes) -> bytes:
    return _varint(len(body)) + b"".join(_literals(body))


def _literals(body: bytes) -> Iterator[bytes]:
    for begin in range(0, len(body), _LITERAL):
        part = body[begin : begin + _LITERAL]
        yield b"\xf4" + struct.pack("<H", len(part) - 1) + part


def _field(number: int, content: bytes) -> bytes:
    return bytes((number << 3 | 2,)) + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _ms(at_s: float) -> int:
    return round(at_s * 1000)
