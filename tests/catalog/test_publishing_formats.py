"""The formats of feeds, apart from any run: what the system refuses."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

FULL_DISK = """
import os, resource, signal, sys
from pathlib import Path
from waremill.catalog.publishers import whole_file
from waremill.catalog.publishers.channel import ChannelOptions, Record
from waremill.catalog.publishers.formats import find_format
from waremill.catalog.publishers.mapping import load_mapping
from waremill.errors import ConfigError

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
columns = {"google-merchant": ("id", "link"), "acp": ("item_id", "url"),
           "shopify-csv": ("SKU", "Vendor")}
for name, (key, rest) in columns.items():
    info = find_format(name)
    files = {"m.yaml": f"columns: {{{key}: sku, {rest}: name}}"}
    channel = info.open(ChannelOptions(load_mapping(files, "m.yaml", info.options)))
    for suffix in info.suffixes:
        rows = ([Record(str(n), None, "", {key: str(n), rest: os.urandom(90).hex()})]
                for n in range(4_000))
        try:
            with whole_file(Path(sys.argv[1]) / f"feed{suffix}") as place:
                channel.write(rows, place, suffix)
        except ConfigError as error:
            print(error)
"""


def test_a_full_disk_is_one_plain_sentence_whatever_the_format_is_written_with(
    tmp_path: Path,
) -> None:
    """A limit on the size of files makes the system refuse as a full disk does."""
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path)], capture_output=True, text=True, check=True
    )
    said = done.stdout.splitlines()
    assert len(said) == 8 and os.listdir(tmp_path) == []
    assert all(one.endswith(": the disk is full: free some space or write to another place")
               for one in said)  # fmt: skip
