"""The files of `deploy/`, as far as they can be held to the truth without containers.

Paths they copy are in the repository, commands they start exist with these flags, names they refer
to are there, and what one file says of a port or a version holds in the others.
"""

from __future__ import annotations

import re
import shlex
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from click import Command, Context
from tests.workspaces import ROOT

from waremill.cli import cli
from waremill.settings import load_settings

DEPLOY = ROOT / "deploy"
GCS, RAYLET = 6379, 6380


def loaded(name: str) -> Any:
    return yaml.safe_load((DEPLOY / name).read_text(encoding="utf-8"))


def dockerfile() -> list[tuple[str, str]]:
    """Instructions with their arguments, lines that go on put together."""
    text = (DEPLOY / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(name, rest.strip()) for name, _, rest in (line.partition(" ") for line in lines)]


@cache
def tracked() -> frozenset[str]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    return frozenset(listed.stdout.splitlines())


def check_waremill(arguments: list[str]) -> None:
    """Parse a command's arguments as the command line does; nothing is run."""
    command: Command = cli
    context = Context(cli)
    while arguments and hasattr(command, "get_command"):
        name, *arguments = arguments
        found = command.get_command(context, name)
        assert found is not None, f"there is no command {name}"
        command = found
    command.make_context(command.name, list(arguments))


def check_ray(arguments: list[str]) -> None:
    """Hold flags against those of the installed Ray, which is the one the image gets."""
    scripts = pytest.importorskip("ray.scripts.scripts")
    command = scripts.cli.commands[arguments[0]]
    known = {name for one in command.params for name in (*one.opts, *one.secondary_opts)}
    assert {one.partition("=")[0] for one in arguments[1:]} <= known


def test_what_the_image_is_built_from_is_in_the_repository() -> None:
    """A bare clone has it: named requirements, and what the wheel is made of."""
    runs = " ".join(rest for name, rest in dockerfile() if name == "RUN")
    needed = re.findall(r"requirements/\w+\.txt", runs)
    assert len(needed) == 2 and set(needed) <= tracked()
    assert {"pyproject.toml", "README.md", "LICENSE", "src/waremill/__main__.py"} <= tracked()
    assert "--require-hashes" in runs and "--no-build-isolation --no-deps ." in runs
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text().split("\n")
    assert {".venv", "**/.waremill", "**/.env"} <= set(ignored), "no data and no keys in the image"
    assert not {"src", "requirements", "pyproject.toml", "README.md"} & set(ignored)


def test_the_image_starts_commands_that_exist() -> None:
    said = dict(dockerfile())
    assert yaml.safe_load(said["ENTRYPOINT"]) == ["waremill"]
    check_waremill(yaml.safe_load(said["CMD"]))
    assert said["USER"] == "waremill" and said["WORKDIR"] == "/shop"


def test_pg_dump_of_the_image_is_as_new_as_the_server_of_compose() -> None:
    """Debian 13 has PostgreSQL 17; an older `pg_dump` refuses a newer server."""
    froms = [rest for name, rest in dockerfile() if name == "FROM"]
    assert all("trixie" in one for one in froms)
    assert any("postgresql-client" in rest for _, rest in dockerfile())
    assert loaded("compose.yaml")["services"]["postgres"]["image"] == "postgres:17"


def test_compose_refers_to_what_is_there() -> None:
    compose = loaded("compose.yaml")
    services = compose["services"]
    for name, service in services.items():
        for other, how in dict.fromkeys(service.get("depends_on", ())).items():
            assert other in services, name
            assert how is None or how["condition"].startswith("service_")
        for volume in service.get("volumes", ()):
            source = volume.rpartition(":")[0]
            assert source.startswith("${") or source in compose["volumes"]
        if build := service.get("build"):
            assert (DEPLOY / build["context"]).resolve() == ROOT
            assert build["dockerfile"] in tracked()
    healthy = services["server"]["depends_on"]["postgres"]
    assert healthy["condition"] == "service_healthy" and "healthcheck" in services["postgres"]
    for name in ("ray-head", "ray-worker"):
        program, *arguments = services[name]["entrypoint"]
        assert program == "ray"
        check_ray(arguments)
    assert f"--port={GCS}" in services["ray-head"]["entrypoint"]
    assert f"--address=ray-head:{GCS}" in services["ray-worker"]["entrypoint"]


def test_what_compose_says_to_type_are_commands_that_exist() -> None:
    text = (DEPLOY / "compose.yaml").read_text(encoding="utf-8")
    assert f'address = "ray-head:{GCS}"' in text
    typed = re.findall(r"(?:run --rm|exec) server (.+)", text)
    assert len(typed) == 3
    for line in typed:
        words = shlex.split(line)
        check_waremill(words[1:] if words[0] == "waremill" else words)
    wanted = set(re.findall(r"\$\{(\w+):\?", text))
    exported = re.search(r"export (.+)", text)
    assert exported and wanted == {one.partition("=")[0] for one in exported[1].split()}


def test_a_server_starts_with_the_settings_compose_asks_for(tmp_path: Path) -> None:
    """Without a name to be asked by, a server for others does not start."""
    text = (DEPLOY / "compose.yaml").read_text(encoding="utf-8")
    lines = re.findall(r"^#   (\[\w+\]|\w+ = .+)$", text, re.MULTILINE)
    (tmp_path / "waremill.toml").write_text("\n".join(lines), encoding="utf-8")
    settings = load_settings(tmp_path)
    assert settings.ray.address == f"ray-head:{GCS}"
    assert settings.server.hosts
    published = loaded("compose.yaml")["services"]["server"]["ports"]
    assert settings.server.hosts[0].partition(":")[2] == published[0].split(":")[1]


def pods() -> list[tuple[str, dict[str, Any], dict[str, str]]]:
    spec = loaded("kuberay.yaml")["spec"]
    groups = [("head", spec["headGroupSpec"])]
    groups += [(one["groupName"], one) for one in spec["workerGroupSpecs"]]
    return [(name, one["template"]["spec"], one["rayStartParams"]) for name, one in groups]


def test_the_cluster_has_the_version_of_ray_that_is_installed_in_the_image() -> None:
    pinned = (ROOT / "requirements" / "cluster.txt").read_text(encoding="utf-8")
    version = re.search(r"^ray==([\d.]+)", pinned, re.MULTILINE)
    cluster = loaded("kuberay.yaml")
    assert version and cluster["spec"]["rayVersion"] == version[1]
    assert (cluster["apiVersion"], cluster["kind"]) == ("ray.io/v1", "RayCluster")
    text = (DEPLOY / "kuberay.yaml").read_text(encoding="utf-8")
    assert f"{cluster['metadata']['name']}-head-svc:{GCS}" in text, "as KubeRay names the service"


@pytest.mark.parametrize(("name", "pod", "flags"), pods())
def test_each_pod_is_asked_at_a_port_it_listens_at(
    name: str, pod: dict[str, Any], flags: dict[str, str]
) -> None:
    """KubeRay's own probes ask Ray's dashboard agent, which the image has not."""
    check_ray(["start", *(f"--{flag}" for flag in flags)])
    assert all(isinstance(value, str) for value in flags.values()), "as the API wants them"
    (container,) = pod["containers"]
    port = GCS if name == "head" else int(flags["node-manager-port"])
    assert port == (GCS if name == "head" else RAYLET)
    for probe in ("readinessProbe", "livenessProbe"):
        assert container[probe]["tcpSocket"]["port"] == port
    mounts = {one["name"] for one in container["volumeMounts"]}
    assert mounts == {one["name"] for one in pod["volumes"]}
    assert pod["securityContext"]["fsGroup"] == 1000, "the image's user, who writes into /shop"
    assert container["resources"]["requests"] == container["resources"]["limits"]


def test_workers_come_and_go_within_their_bounds() -> None:
    for group in loaded("kuberay.yaml")["spec"]["workerGroupSpecs"]:
        assert group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]


def test_the_user_of_the_image_is_the_one_the_others_name() -> None:
    runs = " ".join(rest for name, rest in dockerfile() if name == "RUN")
    assert "--uid 1000" in runs
    assert "uid 1000" in Path(DEPLOY / "compose.yaml").read_text(encoding="utf-8")
