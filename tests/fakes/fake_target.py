"""Something with a scale subresource whose pods are ready at once."""

import asyncio


class FakeTarget:
    def __init__(self, replicas: int = 0) -> None:
        self.replicas = replicas
        self.changed = asyncio.Event()

    def spec(self) -> int:
        return self.replicas

    def status(self) -> int:
        return self.replicas

    def ready(self) -> int:
        return self.replicas

    def scale(self, replicas: int) -> None:
        self.replicas = replicas
        self.changed.set()

    async def reaches(self, replicas: int) -> None:
        """Wait until the count is as stated, five seconds at most."""
        async with asyncio.timeout(5):
            while self.replicas != replicas:
                self.changed.clear()
                await self.changed.wait()
