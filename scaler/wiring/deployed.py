"""The ScaledObjects that a cluster has, for a command that was given no files."""

import json
from collections.abc import Mapping

from scaler.errors import ConfigurationError, Problem
from scaler.readings.kubernetes import api

KIND = api.Kind(api_version="keda.sh/v1alpha1", kind="ScaledObject")
ORIGIN = "the cluster"


async def deployed() -> Mapping[str, str]:
    """
    Return the ScaledObjects of the cluster at hand, as one YAML text by where they are from.

    Nothing where no cluster is configured, or where it knows no ScaledObjects or has none.

    Raises:
        ConfigurationError: the cluster is there and refuses, or the kubeconfig is none.
    """
    if not (api.is_in_cluster() or api.has_kubeconfig()):
        return {}
    client = await api.connect()
    async with client:
        try:
            kinds = api.Kinds(await api.discovered(client))
            found = await api.everything(kinds, KIND)
        except api.FAULTS as error:
            why = api.refusal(error).message
            got = f"none is named, and the cluster does not list its ScaledObjects: {why}"
            raise ConfigurationError(Problem(field="FILE", got=got)) from error
    items = [json.dumps(one) for one in found]
    return {ORIGIN: "\n---\n".join(items)} if items else {}
