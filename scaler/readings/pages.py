"""
One page of metrics over HTTP, bounded in time and size.

Whoever serves it is not trusted: no redirect is followed, nothing is unpacked, no proxy or cookie
of this process is used.
"""

import aiohttp

from scaler.errors import SourceError
from scaler.said import Said

LARGEST_PAGE = 16 * 1024 * 1024
"""Bytes."""
_PLAIN = {"Accept": "text/plain;version=0.0.4", "Accept-Encoding": "identity"}


def session(*, timeout_s: float, at_once: int) -> aiohttp.ClientSession:
    """Return what pages are read with, so many at once, each within so many seconds."""
    return aiohttp.ClientSession(
        timeout=aiohttp.ClientTimeout(total=timeout_s),
        connector=aiohttp.TCPConnector(limit=at_once),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        headers=_PLAIN,
    )


async def fetch(
    client: aiohttp.ClientSession, url: str, largest: int = LARGEST_PAGE
) -> str | SourceError:
    """Return the text of a page, or what stands in the way."""
    try:
        async with client.get(url, allow_redirects=False) as response:
            if response.status != 200:
                return SourceError(
                    "http", Said("{url} answered {status}", url=url, status=response.status)
                )
            if response.headers.get("Content-Encoding", "identity") != "identity":
                return SourceError(
                    "format", Said("{url}: packed, though plain text was asked for", url=url)
                )
            body = bytearray()
            async for chunk in response.content.iter_any():
                body += chunk
                if len(body) > largest:
                    return SourceError(
                        "limit", Said("{url}: over {most} bytes", url=url, most=largest)
                    )
            return body.decode("utf-8", "replace")
    except TimeoutError:
        seconds = client.timeout.total or 0.0
        return SourceError(
            "timeout", Said("{url} took more than {limit_s:g} s", url=url, limit_s=seconds)
        )
    except (aiohttp.ClientError, ValueError) as error:
        return SourceError("refused", f"{url}: {error}")
