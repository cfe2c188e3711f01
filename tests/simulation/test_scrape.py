"""What a decision sees of the simulated cluster: on a grid, late, and the same as over HTTP."""

import dataclasses

import pytest

from scaler.lab.exporters import Exporters
from scaler.lab.gpus import GpuModel, Gpus
from scaler.readings.engines.profile import shipped_profiles
from scaler.readings.scrape import ScrapeSource, Target
from scaler.readings.timing import Timing
from scaler.readings.wanted import Exporter
from scaler.simulation.scrape import Scraper, sample
from scaler.source import Workload
from tests.lab.conftest import small_world

INTERVAL_S = 5.0


def scraper(world, **more):
    return Scraper(
        world, "chat", **{"interval_s": INTERVAL_S, "lag_s": 0.0, "keep_s": 600.0, **more}
    )


def look(world, seen, until_s):
    while world.now_s < until_s:
        world.advance(world.now_s + INTERVAL_S)
        seen.scrape()


def test_what_is_younger_than_the_lag_cannot_be_read():
    world = small_world()
    seen = scraper(world, lag_s=7.0)
    assert seen.window() is None
    look(world, seen, 30.0)
    window = seen.window()
    assert window is not None
    assert window.now_s == 20.0


def test_samples_older_than_is_kept_are_dropped():
    world = small_world()
    seen = scraper(world, keep_s=20.0)
    look(world, seen, 130.0)
    window = seen.window()
    assert window is not None
    assert [one.at_s for one in window.samples] == [60.0 + 5 * k for k in range(1, 15)]
    assert window.history == ()


def test_older_ones_are_kept_thinned_by_whole_minutes():
    world = small_world()
    seen = scraper(world, keep_s=20.0, history_s=600.0)
    look(world, seen, 190.0)
    window = seen.window()
    assert window is not None
    assert window.samples[0].at_s == 125.0
    assert 0 < len(window.history) <= 8
    assert window.history[-1].at_s <= 120.0


def test_replicas_that_load_or_drain_are_counted_as_the_cluster_counts_them():
    world = small_world()
    world.start_ready("chat", 2)
    world.advance(5.0)
    world.set_replicas("chat", 1)
    world.set_replicas("chat", 4)
    world.advance(6.0)
    seen = sample(world, world.fleets["chat"])
    counts = (seen.ready_replicas, seen.loading_replicas, seen.terminating_replicas)
    assert counts == (1, 3, 1)
    assert seen.unschedulable_since_s == 5.0  # the fifth pod has no node among four GPUs
    assert len(seen.replicas) == 2


async def test_it_says_what_scraping_the_pages_over_http_says():
    world = small_world()
    world.start_ready("chat", 2)
    exporters = Exporters(world, Gpus(world, GpuModel()), hpas=lambda: (), started_s=lambda: 0.0)
    url = await exporters.start()
    source = ScrapeSource(
        lambda: [
            Target(
                url=url + page.path,
                namespace=page.namespace if page.pod else None,
                pod=page.pod,
            )
            for page in exporters.endpoints()
        ],
        profiles=shipped_profiles(),
        timing=Timing(interval_s=dict.fromkeys(Exporter, INTERVAL_S)),
    )
    workload = Workload(
        namespace="online", scaled_object="chat", name="chat", itl_buckets=True, ttft_buckets=True
    )
    seen = scraper(world)
    for at_s in (5.0, 10.0, 15.0, 20.0):
        world.advance(at_s)
        seen.scrape()
        await source.refresh([workload], 600.0, at_s)
    over_http, here = source.window(workload, 600.0, 20.0), seen.window()
    await source.close()
    await exporters.stop()

    assert here is not None
    for mine, theirs in zip(here.samples, over_http.samples, strict=True):
        assert mine.at_s == theirs.at_s
        assert (mine.ready, mine.spec_replicas) == (theirs.ready, theirs.spec_replicas)
        for one, other in zip(mine.replicas, theirs.replicas, strict=True):
            for field in dataclasses.fields(one):
                if not field.name.startswith("gpu_"):
                    value = getattr(other, field.name)
                    assert getattr(one, field.name) == pytest.approx(value), field.name
