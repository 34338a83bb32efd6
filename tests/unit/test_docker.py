import os
import re
import shlex
import shutil
import subprocess

import pytest
import typer.main
import yaml

from pacs import __version__
from pacs.cli import app
from pacs.settings import KNOWN_VARIABLES, Settings, is_loopback
from tests.data import PROJECT

DOCKER = PROJECT / "docker"
DOCKERFILE = (DOCKER / "Dockerfile").read_text("utf-8").replace("\\\n", "")
COMPOSE_TEXT = (DOCKER / "compose.yaml").read_text("utf-8")
COMPOSE = yaml.safe_load(COMPOSE_TEXT)
SERVICES = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if service["image"].startswith("filmless:")}
SECRETS = {"POSTGRES_PASSWORD", "S3_SECRET_ACCESS_KEY"}
IMAGE_WITH_VERSION = re.compile(r"[a-z0-9./-]+:[0-9]+\.[0-9]+[a-z0-9.-]*")


def commands_of_filmless():
    return set(typer.main.get_command(app).commands)


def instructions(name):
    return [line.split(maxsplit=1)[1] for line in DOCKERFILE.splitlines() if line.startswith(f"{name} ")]


def example_variables(text):
    """Variables of an .env file, those that are commented out too."""
    return dict(re.findall(r"^#?([A-Z][A-Z0-9_]*)=(.*)$", text, re.MULTILINE))


def substituted(text, variables):
    """Substitute ${NAME:-default} and ${NAME:?message} as compose does."""

    def value(match):
        name, sign, rest = match.groups()
        if variables.get(name):
            return variables[name]
        assert sign == "-", f"{name} is not set: {rest}"
        return rest

    return re.sub(r"\$\{([A-Z0-9_]+):([-?])([^}]*)\}", value, text)


def filled_in_example():
    variables = dict.fromkeys(SECRETS, "0123456789abcdef")
    text = (DOCKER / ".env.example").read_text("utf-8")
    active = re.findall(r"^([A-Z][A-Z0-9_]*)=(.+)$", text, re.MULTILINE)
    return variables | dict(active)


def resolved_services():
    return yaml.safe_load(substituted(COMPOSE_TEXT, filled_in_example()))["services"]


def test_every_process_of_the_archive_has_a_service():
    assert {service["command"][0] for service in OURS.values()} == {"migrate", "listen", "web", "work"}


def test_every_command_that_containers_run_exists():
    used = {service["command"][0] for service in OURS.values()}
    probes = [service["healthcheck"].get("test", []) for service in OURS.values() if "healthcheck" in service]
    used |= {probe[2] for probe in probes if probe[1:2] == ["filmless"]}
    (default,) = instructions("CMD")
    used |= {yaml.safe_load(default)[0]}
    assert "echo" in used
    assert used <= commands_of_filmless()
    assert instructions("ENTRYPOINT") == ['["filmless"]']


def test_every_variable_of_ours_is_a_setting():
    everything = "\n".join(path.read_text("utf-8") for path in DOCKER.iterdir() if path.is_file())
    used = set(re.findall(r"\bFILMLESS_[A-Z0-9_]+", everything))
    assert "FILMLESS_DATABASE_URL" in used
    assert used <= KNOWN_VARIABLES


def test_the_settings_of_the_containers_are_accepted(monkeypatch):
    for service in resolved_services().values():
        if not service["image"].startswith("filmless:"):
            continue
        for name in KNOWN_VARIABLES:
            monkeypatch.delenv(name, raising=False)
        for name, value in service["environment"].items():
            if name in KNOWN_VARIABLES:
                monkeypatch.setenv(name, str(value))
        settings = Settings(_env_file=None)
        assert is_loopback(settings.http_host)
        assert settings.dicom_host == "0.0.0.0"


def test_images_are_pinned_by_version():
    bases = [line.split()[0] for line in instructions("FROM")]
    images = bases + [service["image"] for service in SERVICES.values()]
    assert len(bases) == 2
    assert [image for image in images if not IMAGE_WITH_VERSION.fullmatch(image)] == []


def test_our_image_bears_the_version_of_the_archive():
    assert {service["image"] for service in OURS.values()} == {f"filmless:{__version__}"}


def test_the_image_does_not_run_as_root():
    assert instructions("USER") == ["filmless"]
    assert not any("apt-get" in line for line in instructions("RUN"))


def test_the_image_is_healthy_when_the_web_server_says_so():
    (probe,) = instructions("HEALTHCHECK")
    arguments = yaml.safe_load(probe[probe.index("CMD ") + 4 :])
    assert arguments[:2] == ["python", "-c"]
    compile(arguments[2], "HEALTHCHECK", "exec")
    assert "/health" in arguments[2]


def test_what_the_image_copies_exists_and_is_in_the_build_context():
    copied = [source for line in instructions("COPY") if "--from" not in line for source in line.split()[:-1]]
    ignore = (DOCKER / "Dockerfile.dockerignore").read_text("utf-8").splitlines()
    assert ignore[0] == "*"
    assert {line[1:] for line in ignore if line.startswith("!")} == set(copied)
    assert [source for source in copied if not (PROJECT / source).exists()] == []


def test_every_volume_that_is_declared_is_used_and_the_other_way_round():
    mounted = {volume.split(":")[0] for service in SERVICES.values() for volume in service.get("volumes", [])}
    assert mounted == set(COMPOSE["volumes"])


def test_our_containers_can_write_their_volume_and_nothing_else():
    for service in OURS.values():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["volumes"] == [f"data:{instructions('WORKDIR')[-1]}"]


def test_only_the_dicom_door_is_open_to_others():
    # Everything is on the host's network: what does not say 127.0.0.1 would be heard by all.
    services = resolved_services()
    assert {service["network_mode"] for service in services.values()} == {"host"}
    assert "listen_addresses=127.0.0.1" in services["postgres"]["command"]
    assert "-ip.bind=127.0.0.1" in services["seaweedfs"]["command"]
    assert [service for service in services.values() if "ports" in service] == []


def test_services_wait_for_what_they_need():
    needed = SERVICES["migrate"]["depends_on"]
    assert needed["postgres"]["condition"] == "service_healthy"
    assert needed["seaweedfs"] == {"condition": "service_healthy", "required": False}
    for name in OURS.keys() - {"migrate"}:
        assert SERVICES[name]["depends_on"] == {"migrate": {"condition": "service_completed_successfully"}}


@pytest.mark.parametrize("secret", sorted(SECRETS))
def test_nothing_starts_while_a_secret_is_missing(secret):
    uses = [rest for name, rest in re.findall(r"\$\{([A-Z0-9_]+)([^}]*)\}", COMPOSE_TEXT) if name == secret]
    assert uses
    assert all(use.startswith(":?") for use in uses)
    assert example_variables((DOCKER / ".env.example").read_text("utf-8"))[secret] == ""


def test_the_example_of_settings_has_what_compose_asks_for_and_no_more():
    asked = set(re.findall(r"\$\{([A-Z0-9_]+)", COMPOSE_TEXT)) | {"COMPOSE_PROFILES"}
    assert set(example_variables((DOCKER / ".env.example").read_text("utf-8"))) == asked


def test_a_filled_in_env_file_is_not_tracked():
    assert ".env" in (DOCKER / ".gitignore").read_text("utf-8").split()


def has_compose():
    client = shutil.which("docker")
    if client is None:
        return False
    return subprocess.run([client, "compose", "version"], capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not has_compose(), reason="docker compose is not here")
@pytest.mark.parametrize("profile", ["", "s3"])
def test_compose_understands_the_file(profile):
    environment = {"PATH": os.environ["PATH"], **filled_in_example(), "COMPOSE_PROFILES": profile}
    command = shlex.split("docker compose --file docker/compose.yaml --env-file /dev/null config --quiet")
    result = subprocess.run(
        command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stderr) == (0, "")
