"""GPU readings of replicas, from the DCGM exporter's rows."""

import pytest

from tests.readings.worlds import NOW_S, Observer, busy, row

USED, FREE = "DCGM_FI_DEV_FB_USED", "DCGM_FI_DEV_FB_FREE"
UTIL, ACTIVE = "DCGM_FI_DEV_GPU_UTIL", "DCGM_FI_PROF_GR_ENGINE_ACTIVE"


def replica_with(page, pod="llm-0"):
    observer = Observer()
    observer.round(NOW_S, {pod: busy()}, page)
    (replica,) = observer.window().latest.replicas
    return replica


def gpu(name, value, *, uuid="GPU-1", pod="llm-0", **more):
    return row(name, value, UUID=uuid, gpu=uuid[-1], namespace="serve", pod=pod, **more)


def test_a_replica_s_gpus_are_averaged():
    replica = replica_with(
        gpu(USED, 70_000) + gpu(USED, 60_000, uuid="GPU-2") + gpu(FREE, 10_000) + gpu(UTIL, 50)
    )
    assert (replica.gpu_memory_used_mib, replica.gpu_memory_free_mib) == (65_000, 10_000)
    assert replica.gpu_utilization == 0.5
    assert replica.gpu_engine_active is None


def test_on_a_mig_instance_only_the_profiling_field_counts():
    instance = {"GPU_I_ID": "7", "GPU_I_PROFILE": "1g.5gb"}
    replica = replica_with(gpu(UTIL, 0, **instance) + gpu(ACTIVE, 0.8, **instance))
    assert replica.gpu_utilization is None
    assert replica.gpu_engine_active == 0.8
    assert replica.gpu_memory_used_mib is None


def test_two_instances_of_one_gpu_are_two():
    page = "".join(
        gpu(ACTIVE, share, GPU_I_ID=instance) for instance, share in (("7", 0.2), ("8", 0.6))
    )
    assert replica_with(page).gpu_engine_active == pytest.approx(0.4)


def test_the_exporter_s_own_pod_is_not_the_one_that_uses_the_gpu():
    replica = replica_with(gpu(USED, 5, pod="llm-1") + row(FREE, 7, UUID="GPU-9"))
    assert replica.gpu_memory_used_mib is None
    assert replica.gpu_memory_free_mib is None


def test_labels_that_the_scrape_honoured_are_read_too():
    observer = Observer()
    observer.scrape(NOW_S, busy(), namespace="serve", pod="llm-0")
    observer.scrape(NOW_S, gpu(USED, 5))
    observer.round(NOW_S, {})
    assert observer.window().latest.replicas[0].gpu_memory_used_mib == 5


def test_the_old_namespace_of_labels_is_read_too():
    page = row(USED, 5, uuid="GPU-1", pod_namespace="serve", pod_name="llm-0")
    assert replica_with(page).gpu_memory_used_mib == 5


def test_values_that_stand_for_nothing_are_missing():
    assert replica_with(gpu(USED, 9223372036854775794)).gpu_memory_used_mib is None


@pytest.mark.parametrize(("util", "active"), [(97, None), (3, 0.0)])
def test_profiling_that_fell_silent_is_told_from_an_idle_gpu(util, active):
    assert replica_with(gpu(ACTIVE, 0) + gpu(UTIL, util)).gpu_engine_active == active
