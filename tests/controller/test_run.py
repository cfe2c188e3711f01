"""A controller's process: files that are named are read as files, and nothing else."""

import asyncio
import os
import sys

from tests.certificates import authority

KUBECONFIG = """
apiVersion: v1
kind: Config
current-context: here
contexts: [{name: here, context: {cluster: here, user: me}}]
clusters: [{name: here, cluster: {server: "http://127.0.0.1:1"}}]
users: [{name: me, user: {}}]
"""


async def test_a_pipe_in_place_of_a_certificate_is_refused_at_once(tmp_path):
    (tmp_path / "config").write_text(KUBECONFIG)
    os.mkfifo(tmp_path / "ca")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "scaler", "controller", "--scaler", "127.0.0.1:1"),
        *("--http-address", "127.0.0.1:0", "--ca-file", str(tmp_path / "ca")),
        env={**os.environ, "KUBECONFIG": str(tmp_path / "config")},
        stderr=asyncio.subprocess.PIPE,
    )
    _, stderr = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 2
    assert "--ca-file: cannot be read: " in stderr.decode()
    assert "(no regular file)" in stderr.decode()
    assert "Traceback" not in stderr.decode()


async def test_an_api_that_is_away_is_waited_for(tmp_path):
    (tmp_path / "config").write_text(KUBECONFIG)
    authority(tmp_path)
    bundle = tmp_path / "bundle.pem"
    bundle.write_text(f"# Főtanúsítvány\n{(tmp_path / 'ca.crt').read_text()}", encoding="utf-8")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "scaler", "controller", "--scaler", "127.0.0.1:1"),
        *("--http-address", "127.0.0.1:0", "--ca-file", str(bundle)),
        env={**os.environ, "KUBECONFIG": str(tmp_path / "config")},
        stderr=asyncio.subprocess.PIPE,
    )
    told: list[str] = []
    assert process.stderr is not None
    async with asyncio.timeout(60):
        while sum("127.0.0.1:1: Connection refused" in line for line in told) < 2:
            told.append((await process.stderr.readline()).decode())
            assert told[-1], told
    process.terminate()
    _, rest = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0
    assert "Traceback" not in "".join(told) + rest.decode()
