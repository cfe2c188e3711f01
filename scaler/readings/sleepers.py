"""
Replicas that are ready, and whose engine sleeps: what they may hold, and what they count as.

An engine that sleeps (vLLM's sleep mode) goes on to serve its page, on which the requests that it
holds show in no gauge. Where the gateway counts every request in flight these are known all the
same: a sleeper is then no silent replica, but one that has yet to load. Without such a gateway it
may hold anything, and counts as one that does not report.
"""

import dataclasses

from scaler.decision.facts.bucket import reporting
from scaler.decision.sample import Sample


def sleepers_as_loading(sample: Sample) -> Sample:
    """Return a sample whose sleepers load, where its gateway tells what they may hold."""
    asleep = sum(replica.sleeping for replica in sample.replicas)
    if not asleep or sample.ready_replicas is None or sample.gateway_in_flight is None:
        return sample
    ready = max(reporting(sample), sample.ready_replicas - asleep)
    moved = sample.ready_replicas - ready
    if moved <= 0:
        return sample
    loading = (sample.loading_replicas or 0) + moved
    return dataclasses.replace(sample, ready_replicas=ready, loading_replicas=loading)
