#!/usr/bin/env bash
# The two halves of the Kubernetes client tell a kubeconfig that is not there in different ways.
#
# One would guess that the same sentence comes from both, as one is made from the other. The blocking half says that no
# configuration was found; the asynchronous one, asked for its default file, logs a warning and then raises an error on
# a key that the file lacks, though there is no file. Whoever shows that error to a person sends them to look for a key.
# Seen: "No configuration found." from the blocking half, "Expected key current-context in kube-config" from the other.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check kubernetes==37.0.2 aiohttp
env -u KUBECONFIG HOME="$folder" "$folder/venv/bin/python" - <<'PYTHON'
import asyncio
import importlib.metadata
import logging
import sys

from kubernetes import aio, config

logging.disable(logging.CRITICAL)
print("kubernetes", importlib.metadata.version("kubernetes"))


def blocking():
    try:
        config.load_kube_config()
    except config.ConfigException as error:
        return str(error)
    return "no error"


async def asynchronous():
    try:
        await aio.config.load_kube_config()
    except aio.config.ConfigException as error:
        return str(error)
    return "no error"


told = {"blocking": blocking(), "asynchronous": asyncio.run(asynchronous())}
for half, error in told.items():
    print(f"{half}: {error}")
sys.exit(not ("No configuration found" in told["blocking"] and "current-context" in told["asynchronous"]))
PYTHON
