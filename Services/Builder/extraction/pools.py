"""Who reads the files: a cluster where the configuration names one that answers, else processes of this machine."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Sequence
from contextlib import closing

from NexusCore.confinement import landlock_version
from NexusCore.text import counted
from Services.Builder.extraction.cluster import Cluster, ClusterAway
from Services.Builder.extraction.jobs import Job, TimeLimit
from Services.Builder.extraction.scratch_folder import remove_abandoned
from Services.Builder.extraction.workers import Workers
from Services.Builder.model import Extraction
from Services.Builder.settings import BuilderSettings

UNCONFINED = (
    "The kernel has no Landlock: the processes that read instrument files can read what the Builder's user can. "
    "They still look into files before they read them. Linux 5.13 and later have it (boot option lsm=landlock,...)."
)


class Pools:
    """Keeps the processes and the connection to a cluster from one session to the next.

    Parameters
    ----------
    log
        Logs when the cluster cannot be used, and when it can be again.
    cluster
        Makes the connection to a cluster.
    """

    def __init__(self, log: logging.Logger, cluster: Callable[[str, float, int], Cluster] = Cluster) -> None:
        self._log = log
        self._connect = cluster
        self._workers: Workers | None = None
        self._workers_as: tuple[int, float, int, int] | None = None
        self._trouble = ""
        self._looked = False
        remove_abandoned()  # not only with the first session, which may be far off

    def start(self, files: int, settings: BuilderSettings) -> None:
        """Start processes for so many files, while the files are still being searched for."""
        if not settings.dask_scheduler:
            self._local(settings).start(files)

    def close(self) -> None:
        """End all processes."""
        if self._workers is not None:
            self._workers.close()
            self._workers = None

    def extract_all(
        self, jobs: Sequence[Job], settings: BuilderSettings, stop: Callable[[], bool]
    ) -> Generator[Extraction, None, None]:
        """Yield what the files yield, in any order; fewer than there are jobs when `stop` returned true.

        What a cluster leaves undone because it is away, or goes, is read here: an early record is worth
        more than the time it takes. The cluster is asked again for the next session. After `session_time`, all that is
        left comes at once, as not read.
        """
        left, limit = {job.path: job for job in jobs}, TimeLimit.of(settings.session_time)
        if settings.dask_scheduler and jobs:
            try:
                with closing(self._on_cluster(jobs, settings, lambda: stop() or limit.over())) as news:
                    for extraction in news:
                        del left[extraction.path]
                        yield extraction
            except ClusterAway as error:
                self._note(f"{error} This machine reads {len(left)} of {counted(len(jobs), 'file')}.")
            else:
                self._note("")
        if not stop():
            yield from self._local(settings).extract_all(left.values(), stop, limit)

    def _on_cluster(
        self, jobs: Sequence[Job], settings: BuilderSettings, stop: Callable[[], bool]
    ) -> Generator[Extraction, None, None]:
        with self._connect(settings.dask_scheduler, settings.seconds_per_file, settings.memory_mb) as cluster:
            yield from cluster.extract_all(jobs, stop)

    def _note(self, trouble: str) -> None:
        """Log that the cluster is away, and that it is back; once each."""
        if trouble and not self._trouble:
            self._log.warning("%s", trouble)
        elif trouble:
            self._log.info("%s", trouble)
        elif self._trouble:
            self._log.info("The Dask cluster reads files again.")
        self._trouble = trouble

    def _warn_if_unconfined(self) -> None:
        """Log, once, that the kernel cannot hold the readers back."""
        if not self._looked and not landlock_version():
            self._log.warning("%s", UNCONFINED)
        self._looked = True

    def _local(self, settings: BuilderSettings) -> Workers:
        wanted = (settings.workers, settings.seconds_per_file, settings.memory_mb, settings.memory_budget_mb)
        if wanted != self._workers_as:
            self.close()
        if self._workers is None:
            self._warn_if_unconfined()
            count, seconds, memory, budget = wanted
            self._workers, self._workers_as = Workers(count, seconds, memory, budget_mb=budget), wanted
        return self._workers
