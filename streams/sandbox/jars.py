"""The jars of Apache Kafka: exactly the locked ones, fetched once, checked at every start."""

from __future__ import annotations

import fcntl
import hashlib
import os
import sys
import tomllib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from streams.sandbox.process import EmbeddedError, make_folder, silent

LOCK = Path(__file__).with_name("kafka.lock.toml")
KAFKA = "org.apache.kafka:kafka_2.13"
LOGGING = "org.apache.logging.log4j:log4j-slf4j-impl"  # without it Kafka's log goes nowhere


def default_cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tocsin"


@dataclass(frozen=True)
class Jar:
    coordinate: str
    sha256: str

    def path(self, cache: Path) -> Path:
        group, artifact, version = self.coordinate.split(":")
        return cache / "maven" / group.replace(".", "/") / artifact / version / f"{artifact}-{version}.jar"

    def is_sound(self, cache: Path) -> bool:
        """False also for the half of a jar that a broken connection or a kill left behind."""
        try:
            with self.path(cache).open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest() == self.sha256
        except FileNotFoundError:
            return False


def locked() -> list[Jar]:
    entries = tomllib.loads(LOCK.read_text())["dependencies"]
    return [Jar(f"{e['groupId']}:{e['artifactId']}:{e['version']}", e["sha256"]) for e in entries]


def kafka_version() -> str:
    return next(jar.coordinate for jar in locked() if jar.coordinate.startswith(KAFKA + ":")).rsplit(":", 1)[1]


def fetch(cache: Path, repository: str | None = None, say: Callable[[str], None] = silent) -> list[Path]:
    """The class path, all there and all sound."""
    make_folder(cache)
    with one_at_a_time(cache):
        missing = [jar for jar in locked() if not jar.is_sound(cache)]
        if missing:
            _download(missing, cache, repository, say)
    return [jar.path(cache) for jar in locked()]


@contextmanager
def one_at_a_time(cache: Path) -> Iterator[None]:
    with (cache / "fetch.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _download(missing: list[Jar], cache: Path, repository: str | None, say: Callable[[str], None]) -> None:
    context, size, title = _maven(cache, repository), 0, f"Fetching Apache Kafka {kafka_version()}"
    say(f"{title}: {len(missing)} jars, once")
    pool = ThreadPoolExecutor(4)
    try:
        pending = [pool.submit(_download_one, jar, cache, context) for jar in missing]
        for done, future in enumerate(as_completed(pending), 1):
            size += future.result()
            say(f"{title}: {done} of {len(missing)} jars, {size / 1e6:.0f} MB")
    except OSError as error:  # every failure of `requests` is one
        raise EmbeddedError(
            f"Apache Kafka cannot be fetched from {repository} ({error.strerror or type(error).__name__}): connect this machine to "
            f"the network for the first start, or copy {cache} from a machine that has started once, "
            "or set TOCSIN_KAFKA to the address of a running broker."
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _download_one(jar: Jar, cache: Path, context: Any) -> int:
    path = jar.path(cache)
    path.unlink(missing_ok=True)
    try:
        context.create_dependency(jar.coordinate).artifact.resolve()
    except RuntimeError as error:  # what jgo raises for every answer but 200
        raise ConnectionError(str(error)) from error
    if not jar.is_sound(cache):
        path.unlink(missing_ok=True)
        raise EmbeddedError(
            f"{jar.coordinate} arrived damaged: try again, and if it stays so, ask who runs the repository."
        )
    return path.stat().st_size


def _maven(cache: Path, repository: str | None) -> Any:
    try:
        from jgo.maven import MavenContext  # noqa: PLC0415 - a quarter of a second, needed once
    except ImportError as error:
        raise EmbeddedError("The embedded Kafka needs its extra: pip install 'tocsin[embedded]'.") from error
    elsewhere = {"central": repository} if repository else None  # None: where jgo looks by itself
    return MavenContext(repo_cache=cache / "maven", remote_repos=elsewhere, timeout=30)


def resolve_anew(version: str, cache: Path) -> None:
    """Writes the lock for another version of Kafka: python -m streams.sandbox.jars VERSION."""
    from jgo.env import LockFile  # noqa: PLC0415

    context = _maven(cache, None)
    kafka = context.create_dependency(f"{KAFKA}:{version}")
    # On its own: as a second root, the logging bridge would bring its own idea of Kafka's version.
    _, needed = context.resolver.resolve([kafka])
    log4j = next(each.version for each in needed if each.artifactId == "log4j-core")
    bridge = context.create_dependency(f"{LOGGING}:{log4j}")
    wanted = [kafka, bridge, *(each for each in needed if each.scope in {"compile", "runtime"})]
    LockFile.from_resolved_dependencies(wanted).save(LOCK)


if __name__ == "__main__":
    resolve_anew(sys.argv[1], default_cache())
