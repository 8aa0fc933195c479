"""What a process that reads instrument files may see and do (`Services.Builder.extraction.reader_sandbox`)."""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path

import pytest

from NexusCore.confinement import landlock_version
from Services.Builder.extraction import pools, scratch
from Services.Builder.extraction.jobs import Job
from Services.Builder.extraction.pools import Pools
from Services.Builder.extraction.reader_sandbox import environment
from Services.Builder.extraction.scratch import Scratch
from Services.Builder.extraction.workers import Workers
from Services.Builder.model import Extraction
from Services.Builder.settings import BuilderSettings

FUNCTIONS = '''
"""What the readers of these tests try; each says what came of it."""
import os, socket
from pathlib import Path
from Services.Builder.model import Extraction

def attempt(how):
    try:
        return str(how())
    except OSError as error:
        return type(error).__name__

def work(job):
    said = [attempt(lambda: job.path.read_text())]
    said.append(attempt(lambda: (job.path.parent.parent / "secret").read_text()))
    said.append(attempt(lambda: (job.path.parent / "new").write_text("x")))
    said.append(attempt(socket.socket))
    said.append(" ".join(sorted(os.environ)))
    said.append(" ".join(os.environ.values()))
    yield Extraction(job.path, "unknown", "Unknown", "Unknown", warnings=tuple(said))

def touches(job):
    said = [attempt(lambda: job.path.chmod(0o777)), attempt(lambda: os.utime(job.path, (1, 1)))]
    said.append(attempt(lambda: os.kill(os.getppid(), 0)))
    yield Extraction(job.path, "unknown", "Unknown", "Unknown", warnings=tuple(said))

def lies(job):
    """Claim outputs that are links, and names that lead elsewhere."""
    job.preview.symlink_to("/etc/passwd")
    job.metadata.write_text("{}")
    yield Extraction(Path("/etc/passwd"), "unknown", "Unknown", "Unknown", preview=Path("/etc/passwd"),
                     further_previews=(Path("/etc/passwd"), Path(f"/x/{job.preview.stem}.2.png")),
                     metadata_json=Path("/etc/shadow"))

class Bomb:
    def __reduce__(self):
        return os.system, ("touch " + os.environ["HOME"] + "/made/exploded",)

def pickles(job):
    import gc
    from multiprocessing.connection import Connection
    (connection,) = [one for one in gc.get_objects() if isinstance(one, Connection)]
    connection.send(Bomb())
    yield Extraction(job.path, "unknown", "Unknown", "Unknown")

def large(job):
    from Services.Builder.model import Quantity
    yield Extraction(job.path, "unknown", "Unknown", "Unknown", meta={"A": Quantity(10**400), "B": Quantity(2**70)})
'''
landlock = pytest.mark.skipif(not landlock_version(), reason="the kernel has no Landlock")


@pytest.fixture
def functions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "code").mkdir()
    (tmp_path / "code/reads_of_test_sandbox.py").write_text(FUNCTIONS)
    monkeypatch.syspath_prepend(str(tmp_path / "code"))
    return "reads_of_test_sandbox"


def one_of(function: str, tmp_path: Path) -> Extraction:
    store = tmp_path / "store"
    store.mkdir(exist_ok=True)
    (store / "a.dat").write_text("the data")
    (tmp_path / "secret").write_text("secret")
    job = Job(store / "a.dat", tmp_path / "out/a.png", tmp_path / "out/a.json", root=store)
    with Workers(1, function=function) as workers:
        (found,) = workers.extract_all([job])
    assert found.path == store / "a.dat"
    return found


class TestTheSandbox:
    """One folder of the file store to read, a scratch folder to write, no network, no secrets."""

    @landlock
    def test_files_and_network(self, functions, tmp_path):
        data, secret, new, network, *_ = one_of(f"{functions}:work", tmp_path).warnings
        assert (data, secret, new, network) == ("the data", *["PermissionError"] * 3)

    def test_secrets_are_not_in_the_environment(self, functions, tmp_path, monkeypatch):
        given = {
            "NEXUSCORE_DATABASE": "mysql://u:p4ssw0rd@h/d", "nexusLIMS_pass": "p4ssw0rd",
            "AWS_SECRET_ACCESS_KEY": "p4ssw0rd",
            "NUMCODECS_ALLOW_UNSAFE_PICKLE_DECODE": "1", "HDF5_PLUGIN_PATH": "/p4ssw0rd", "HTTPS_PROXY": "p4ssw0rd",
        }  # fmt: skip
        for name, value in given.items():
            monkeypatch.setenv(name, value)
        *_, names, values = one_of(f"{functions}:work", tmp_path).warnings
        assert not set(given) & set(names.split()) and "p4ssw0rd" not in values

    def test_what_is_kept_is_listed(self, tmp_path):
        made = environment({"LC_ALL": "C", "TZ": "UTC", "LD_PRELOAD": "x", "PATH": "/bin"}, tmp_path)
        assert (made["LC_ALL"], made["TZ"], made["PATH"], made["HOME"]) == ("C", "UTC", "/bin", str(tmp_path))
        assert "LD_PRELOAD" not in made

    @landlock
    def test_modes_and_times_of_the_files_stay(self, functions, tmp_path):
        assert one_of(f"{functions}:touches", tmp_path).warnings == ("PermissionError",) * 3

    @landlock
    def test_another_folder_gets_another_process(self, functions, tmp_path):
        for name in ("one", "two"):
            (tmp_path / name).mkdir()
            (tmp_path / name / "a.dat").write_text(name)
        with Workers(1, function=f"{functions}:work") as workers:
            said = [
                next(iter(workers.extract_all([Job(tmp_path / name / "a.dat", root=tmp_path / name)]))).warnings[0]
                for name in ("one", "two", "one")
            ]
        assert said == ["one", "two", "one"]


class TestTheParentTrustsNothing:
    """A process in the hands of a file gains nothing by what it says or leaves behind."""

    def test_links_and_other_names_are_not_taken(self, functions, tmp_path):
        found = one_of(f"{functions}:lies", tmp_path)
        assert (found.preview, found.further_previews) == (None, ())
        assert found.metadata_json == tmp_path / "out/a.json" and found.metadata_json.read_text() == "{}"
        assert any("No preview could be drawn" in one for one in found.warnings)
        assert [one.name for one in (tmp_path / "out").iterdir()] == ["a.json"]

    def test_what_is_in_the_way_of_what_it_made_is_named(self, tmp_path):
        """The whole sentence, and no word of the reader, who is not to blame."""
        (tmp_path / "out").mkdir()
        (tmp_path / "secret").write_text("secret")
        job = Job(tmp_path / "a.dat", tmp_path / "out/a.png", tmp_path / "out/a.json")
        job.preview.hardlink_to(tmp_path / "secret")
        job.metadata.symlink_to(tmp_path / "secret")
        kept = Scratch()
        try:
            made = kept.job(job)
            made.preview.write_text("picture")
            made.metadata.write_text("{}")
            found = Extraction(
                job.path, "dm3", "Image", "TEM_Imaging", preview=made.preview, metadata_json=made.metadata
            )
            found = kept.deliver(found, job)
        finally:
            kept.remove()
        advice = f"Remove it, and check who may write to {tmp_path}/out."
        assert found.warnings == (
            f"The metadata could not be put in place: {job.metadata} is in the way: it is a symbolic link. {advice}",
            f"No preview could be put in place: {job.preview} is in the way: "
            f"it is a file with 2 names (hard links). {advice}",
        )
        assert (found.preview, found.metadata_json) == (None, None)
        assert (tmp_path / "secret").read_text() == "secret"

    def test_what_is_too_large_is_not_taken(self, functions, tmp_path, monkeypatch):
        monkeypatch.setattr(scratch, "LARGEST_RESULT", 1)
        found = one_of(f"{functions}:lies", tmp_path)
        assert found.metadata_json is None and any("it has more than 1 bytes" in one for one in found.warnings)

    def test_a_pickle_is_not_unpacked(self, functions, tmp_path, monkeypatch):
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
        found = one_of(f"{functions}:pickles", tmp_path)
        assert found.warnings == ("Reading the file gave no valid answer.",)
        assert not list(tmp_path.rglob("exploded"))

    def test_numbers_beyond_all_bounds(self, functions, tmp_path):
        found = one_of(f"{functions}:large", tmp_path)
        assert found.meta["B"].value == str(2**70) and str(found.meta["A"].value).startswith("1000")

    def test_scratch_folders_do_not_stay(self, functions, tmp_path, monkeypatch):
        (tmp_path / "temporary").mkdir()
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
        one_of(f"{functions}:work", tmp_path)
        assert list((tmp_path / "temporary").iterdir()) == []


class Unset:
    """A configuration without any parameter."""

    def __getitem__(self, name):
        return None


class TestWithoutLandlock:
    """It goes on, and says so once."""

    def test_the_log_says_so_once(self, tmp_path, monkeypatch, caplog):
        monkeypatch.setattr(pools, "landlock_version", lambda: 0)
        log = logging.getLogger("test of the sandbox")
        some, settings = Pools(log), BuilderSettings.read(Unset(), tmp_path)
        (tmp_path / "notes.txt").write_text("grid 3")
        with caplog.at_level(logging.WARNING, logger=log.name):
            for workers in (1, 2):
                changed = BuilderSettings.read(Unset(), tmp_path) if workers == 1 else settings
                list(some.extract_all([Job(tmp_path / "notes.txt")], changed, lambda: False))
                some.close()
        assert [one.message for one in caplog.records] == [pools.UNCONFINED]
