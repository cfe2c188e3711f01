"""
Which key of a ResourceQuota limits GPUs: asked of the API server in $KUBECONFIG.

    python -m benchmarks.quota_key

Makes a namespace of its own per key, a quota of 4 GPUs under that key, and pods of one GPU each
until one is refused, at most 6; then removes the namespace. Nothing needs to run.
"""

import time
from collections.abc import Iterator

from kubernetes import client, config

KEYS = ("nvidia.com/gpu", "requests.nvidia.com/gpu", "limits.nvidia.com/gpu")
QUOTA, TRIED = 4, 6


def main() -> None:
    """Print what each key did."""
    config.load_kube_config()
    core = client.CoreV1Api()
    print(f"| key of the quota, {QUOTA} | pods of one GPU that were let in, of {TRIED} | said |")
    print("|---|---|---|")
    for number, key in enumerate(KEYS):
        namespace = f"quota-key-{number}"
        core.create_namespace(client.V1Namespace(metadata=client.V1ObjectMeta(name=namespace)))
        try:
            answers = list(_tried(core, namespace, key))
        finally:
            core.delete_namespace(namespace)
        refused = next((said for said in answers if said), "–")
        print(f"| `{key}` | {answers.count('')} | {refused} |")


def _tried(core: client.CoreV1Api, namespace: str, key: str) -> Iterator[str]:
    """Yield what each pod was refused with; nothing where it was let in."""
    try:
        _limit(core, namespace, key)
    except client.ApiException as error:
        yield _reason(error)
        return
    for number in range(TRIED):
        try:
            core.create_namespaced_pod(namespace, _pod(f"gpu-{number}"))
            yield ""
        except client.ApiException as error:
            yield _reason(error)


def _limit(core: client.CoreV1Api, namespace: str, key: str) -> None:
    quota = client.V1ResourceQuota(
        metadata=client.V1ObjectMeta(name="gpus"),
        spec=client.V1ResourceQuotaSpec(hard={key: str(QUOTA)}),
    )
    core.create_namespaced_resource_quota(namespace, quota)
    for _ in range(50):
        status = core.read_namespaced_resource_quota("gpus", namespace).status
        if status is not None and status.hard:
            return
        time.sleep(0.1)
    # No resource-quota controller runs here: say in its place what it would say of no pods.
    quota.status = client.V1ResourceQuotaStatus(hard={key: str(QUOTA)}, used={key: "0"})
    core.patch_namespaced_resource_quota_status("gpus", namespace, quota)


def _pod(name: str) -> client.V1Pod:
    gpus = client.V1ResourceRequirements(limits={"nvidia.com/gpu": "1"})
    container = client.V1Container(name="main", image="none", resources=gpus)
    return client.V1Pod(
        metadata=client.V1ObjectMeta(name=name),
        spec=client.V1PodSpec(
            containers=[container], scheduling_gates=[client.V1PodSchedulingGate(name="never/run")]
        ),
    )


def _reason(error: client.ApiException) -> str:
    body = str(error.body)
    _, _, said = body.partition('"message":"')
    return said.partition('","')[0].replace("\\", "")[:200] or str(error.reason)


if __name__ == "__main__":
    main()
