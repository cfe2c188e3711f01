"""The page of ``kvtide serve`` as a process of its own, from its first answer until it is gone."""

import grpc
import pytest
from aiohttp import web
from playwright.async_api import expect

from scaler.keda._pb.externalscaler_pb2_grpc import ExternalScalerStub
from tests.fakes.fake_prometheus import fake_prometheus
from tests.status.test_browser import ROUND_MS, browsing
from tests.test_serve_command import CHAT, METADATA, count, minutes_of, started

pytestmark = pytest.mark.browser


async def test_a_reader_of_chinese_sees_answers_then_what_fails_then_that_it_is_gone(tmp_path):
    async with (
        fake_prometheus() as fake,
        started(tmp_path, fake.url) as server,
        browsing() as page,
    ):
        fields = await server.line("serving")
        minutes_of(fake, running=14)
        async with grpc.aio.insecure_channel(f"127.0.0.1:{fields['grpc']}") as channel:
            stub = ExternalScalerStub(channel)
            wanted = await count(stub)
            wrong = type(CHAT)(
                namespace="serve", name="typo", scalerMetadata={**METADATA, "holdFor": "5"}
            )
            with pytest.raises(grpc.aio.AioRpcError):
                await stub.IsActive(wrong)

        await page.goto(f"http://127.0.0.1:{fields['http']}/?lang=zh")
        banner = page.locator("#banner")
        await expect(page.locator("tr", has_text="serve/chat")).to_contain_text(f"{wanted:g}")
        await expect(page.locator("tr", has_text="serve/typo")).to_contain_text("带单位的时长")
        await expect(banner).to_contain_text("2 个对象中有 1 个没有答案")

        fake.answer = web.Response(status=503, text="overloaded")
        await expect(banner).to_contain_text("Prometheus 返回错误", timeout=ROUND_MS)
        await expect(banner).to_contain_text("返回 503")
        assert (await page.locator("main").inner_text()).count("503") == 0

        server.process.kill()
        await expect(banner).to_contain_text("扩缩器没有应答", timeout=ROUND_MS)
        await expect(page.locator("body.gone")).to_have_count(1)
