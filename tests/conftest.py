"""Fixtures shared by all rooms' tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from postgres import fresh_database, running_server

settings.register_profile("fixed", derandomize=True, database=None)
settings.load_profile("fixed")


def pytest_configure(config: pytest.Config) -> None:
    """Name the mark of tests that run in an environment of their own."""
    config.addinivalue_line("markers", "diffusion: needs PyTorch and diffusers")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data beside the repository; tests skip where it is absent."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the real data beside the repository is not here")
    return folder


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """A PostgreSQL server for the whole session: the URL of its maintenance database."""
    with running_server() as url:
        yield url


@pytest.fixture
def postgres_url(postgres_server: str) -> Iterator[str]:
    """The SQLAlchemy URL of a fresh, empty PostgreSQL database of the test's own."""
    with fresh_database(postgres_server) as url:
        yield url
