"""The pages for people: the overview, and one page per object under a stable address."""

import asyncio
import dataclasses
import functools
from collections.abc import Awaitable, Callable, Sequence

from aiohttp import web

from scaler.errors import KvtideError
from scaler.said import Said
from scaler.telemetry.observed import Observation, Standing
from scaler.telemetry.process import version

from .banner import Links, banner
from .object_page import SPANS_S, Shown, values
from .overview import STATES, Filter, groups, read_filter
from .render import POLICY, render
from .words import Words, choose

_HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Vary": "Accept-Language",
}
_TOO_SLOW_S = 5.0
"""A history that takes longer is not waited for: the answer of now is what counts."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What the pages read."""

    observations: Callable[[], Sequence[Observation]]
    standing: Callable[[], Standing]
    clock: Callable[[], float]
    links: Links
    gather: Callable[[str, float], Awaitable[Shown]] | None = None
    """(``namespace/scaledobject``, span in seconds) to what its page shows beside the answer."""


class Pages:
    """One handler per page."""

    def __init__(self, seen: Seen) -> None:
        self._seen = seen
        self._one_at_a_time = asyncio.Semaphore(1)
        self._rendering = asyncio.Semaphore(1)

    async def overview(self, request: web.Request) -> web.Response:
        """Answer with every object, as filtered and sorted by the address."""
        words = self._words(request)
        chosen = read_filter(request.query, words.language)
        return _reply(await self._rendered(self._overview, words, chosen))

    def _overview(self, words: Words, chosen: Filter) -> str:
        found = self._seen.observations()
        failure = self._seen.standing().failure
        shown = groups(found, chosen, words, now_s=self._seen.clock(), failure=failure)
        told = {"filter": chosen, "states": STATES, "groups": shown, "all": len(found)}
        return self._page("overview.html.j2", words, found, root="./", **told)

    async def one(self, request: web.Request) -> web.Response:
        """Answer with one object; 404 with a page that says so where it is not served."""
        key = f"{request.match_info['namespace']}/{request.match_info['name']}"
        words = self._words(request)
        seen = self._seen.observations()
        found = next((one for one in seen if one.key == key), None)
        if found is None:
            missing = functools.partial(self._page, "missing.html.j2", words, seen, key=key)
            return _reply(await self._rendered(missing), status=404)
        span = request.query.get("span", "")
        span = span if span in SPANS_S else next(iter(SPANS_S))
        shown = await self._shown(found, SPANS_S[span])
        return _reply(await self._rendered(self._object, words, seen, found, shown, span))

    def _object(
        self,
        words: Words,
        seen: Sequence[Observation],
        found: Observation,
        shown: Shown,
        span: str,
    ) -> str:
        now_s = self._seen.clock()
        told = values(found, shown, words, self._seen.links, span=span, now_s=now_s)
        return self._page("object.html.j2", words, seen, **told)

    async def _rendered(self, render_page: Callable[..., str], *about: object) -> str:
        """Render beside the loop, one page at a time: threads side by side keep it waiting."""
        async with self._rendering:
            return await asyncio.to_thread(render_page, *about)

    async def _shown(self, one: Observation, span_s: float) -> Shown:
        """Gather what the page shows; one page at a time, since that reads and decides."""
        if self._seen.gather is None or one.role == "unknown":
            return Shown(history=Said("this server keeps no past of it"))
        try:
            async with asyncio.timeout(_TOO_SLOW_S), self._one_at_a_time:
                return await self._seen.gather(one.key, span_s)
        except TimeoutError:
            return Shown(
                history=Said("it took more than {limit_s:g} s to read", limit_s=_TOO_SLOW_S)
            )
        except KvtideError as error:
            return Shown(history=error.said)

    def _words(self, request: web.Request) -> Words:
        accepted = request.headers.get("Accept-Language", "")
        return Words(language=choose(request.query.get("lang"), accepted))

    def _page(
        self,
        template: str,
        words: Words,
        seen: Sequence[Observation],
        *,
        root: str = "../../",
        **told: object,
    ) -> str:
        """Return a page whose banner is of the very answers that it shows."""
        standing = self._seen.standing()
        said = banner(words, seen, standing, self._seen.links, now_s=self._seen.clock())
        about = {"root": root, "version": version(), "cluster": standing.cluster}
        return render(template, words, said, **about, **told)


def _reply(text: str, *, status: int = 200) -> web.Response:
    response = web.Response(text=text, content_type="text/html", headers=_HEADERS, status=status)
    response.enable_compression()
    return response
