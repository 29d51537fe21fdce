"""Measure what traces cost an item: none, one item in a hundred, every item.

    python -m bench.tracing [--items 20000] [--rounds 3]

The collector is a loopback HTTP server in this process, which reads what it is sent and answers;
its time is not the run's. Rounds are interleaved, and a ratio is made within its round.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from bench.process import PLACE, client, prepare, vendor
from bench.workload import TEMPLATE, point_at

SHARES = (None, 0.01, 1.0)


class _Collector(ThreadingHTTPServer):
    """Counts what it is sent; `url` is where."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Taken)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.sent = 0


class _Taken(BaseHTTPRequestHandler):
    def do_POST(self) -> None:  # the name is http.server's
        body = self.rfile.read(int(self.headers["Content-Length"]))
        assert isinstance(self.server, _Collector)
        self.server.sent += len(body)
        self.send_response(200)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing of each request."""


@contextmanager
def _collector() -> Iterator[_Collector]:
    with _Collector() as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def measure(items: int, rounds: int) -> dict[float | None, list[float]]:
    """Give the processor milliseconds an item of each round, by the share that is traced."""
    folder = PLACE / "traced"
    found: dict[float | None, list[float]] = {share: [] for share in SHARES}
    with vendor(0.02) as vending, _collector() as collecting:
        for _ in range(rounds):
            for share in SHARES:
                prepare(folder, items)
                point_at(folder, vending.url)
                if share is not None:
                    with (folder / "waremill.toml").open("a", encoding="utf-8") as file:
                        file.write(f'[telemetry]\ntraces = "{collecting.url}"\nsample = {share}\n')
                before = collecting.sent
                told = client("bench.client", "waremill", TEMPLATE, folder)
                if told["done"] != items or (collecting.sent > before) != (share is not None):
                    raise RuntimeError(f"{share}: {told}, {collecting.sent - before} bytes sent")
                found[share].append(told["cpu"] / items * 1e3)
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.tracing", description=__doc__)
    parser.add_argument("--items", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    found = measure(given.items, given.rounds)
    plain = found[None]
    for share, spent in found.items():
        ratios = [one / bare for one, bare in zip(spent, plain, strict=True)]
        print(
            f"{'no traces' if share is None else f'{share:.0%} traced'}: "
            f"{statistics.median(spent):.3f} ms of CPU an item, {statistics.median(ratios):.3f} "
            f"({min(ratios):.3f}–{max(ratios):.3f}) × without"
        )


if __name__ == "__main__":
    main()
