"""A grid of settings, played in processes of this machine or on a Ray cluster: the same answers."""

import concurrent.futures
import contextlib
import multiprocessing
import os
import pathlib
import socket
import types
from collections.abc import Callable, Iterator, Sequence

import scaler
from scaler.errors import ConfigurationError, Problem
from scaler.simulation.grid import Candidate, Row, Stage, play

Player = Callable[[Stage, Sequence[Candidate]], Iterator[tuple[int, Row]]]
"""Yields what each point came to, with its number in the grid, whichever is done first."""

_ANSWERS_S = 5.0
"""So long an address is waited for."""
_stage: list[Stage] = []
"""What a process of a pool plays on: sent to it once."""


def in_processes(count: int) -> Player:
    """Return what plays in so many processes at a time; 0: one a core."""

    def played(stage: Stage, candidates: Sequence[Candidate]) -> Iterator[tuple[int, Row]]:
        # Spawned: this process has threads by now, which a fork would leave behind half way.
        with concurrent.futures.ProcessPoolExecutor(
            min(count or os.cpu_count() or 1, len(candidates)),
            mp_context=multiprocessing.get_context("spawn"),
            initializer=_begin,
            initargs=(stage,),
        ) as pool:
            playing = {pool.submit(_play, one): at for at, one in enumerate(candidates)}
            for future in concurrent.futures.as_completed(playing):
                yield playing[future], future.result()

    return played


def _begin(stage: Stage) -> None:
    _stage.append(stage)


def _play(candidate: Candidate) -> Row:
    return play(_stage[0], candidate)


def on_ray(address: str) -> Player:
    """
    Return what plays as tasks of a Ray cluster: ``local``, ``auto``, HOST:PORT, ray://HOST:PORT.

    Raises:
        ConfigurationError: Ray is not installed here, or does not answer at the address.
    """
    _check_answers(address)
    ray = _ray()

    def played(stage: Stage, candidates: Sequence[Candidate]) -> Iterator[tuple[int, Row]]:
        with _connected(ray, address):
            task, sent = ray.remote(play), ray.put(stage)
            playing = {task.remote(sent, one): at for at, one in enumerate(candidates)}
            while playing:
                (done, *_), _ = ray.wait(list(playing))
                try:
                    row = ray.get(done)
                except ray.exceptions.RayError as error:
                    raise _failed(error) from error
                yield playing.pop(done), row

    return played


def _ray() -> types.ModuleType:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # a local one tells nobody of itself
    try:
        import ray  # noqa: PLC0415 -- an extra
    except ModuleNotFoundError as error:
        got = "Ray is not installed: pip install 'kvtide[ray]'"
        raise ConfigurationError(Problem(field="--ray", got=got)) from error
    found: types.ModuleType = ray
    return found


def _check_answers(address: str) -> None:
    """Ask the address first: Ray itself waits for a minute, and ends the process."""
    if address in ("local", "auto"):
        return
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdecimal() or "/" in host:
        allowed = "local, auto, HOST:PORT or ray://HOST:PORT"
        raise ConfigurationError(Problem(field="--ray", got=repr(address), allowed=allowed))
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_ANSWERS_S).close()
    except (OSError, OverflowError) as error:
        raise _silent(address, str(getattr(error, "strerror", None) or error)) from error


@contextlib.contextmanager
def _connected(ray: types.ModuleType, address: str) -> Iterator[None]:
    # The nodes of a cluster have another kvtide or none: they play with this one.
    with_us = (
        None if address == "local" else {"py_modules": [str(pathlib.Path(scaler.__file__).parent)]}
    )
    try:
        ray.init(address=address, runtime_env=with_us, log_to_driver=False, logging_level="ERROR")
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise _silent(address, str(error).partition("\n")[0]) from error
    try:
        yield
    finally:
        ray.shutdown()


def _failed(error: Exception) -> ConfigurationError:
    """Return what a node said: the last line, of its traceback as well as of Ray's own words."""
    said = str(error).strip().rpartition("\n")[2]
    got = f"a node failed: {said[:200]}; each needs the Python of this machine, and numpy"
    return ConfigurationError(Problem(field="--ray", got=got))


def _silent(address: str, why: str) -> ConfigurationError:
    got = f"{address} does not answer: {why}; --ray local needs no cluster"
    return ConfigurationError(Problem(field="--ray", got=got))
