"""The image and the composition of its containers, held against what the server really reads, runs and answers."""

import ast
import fnmatch
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml
from django.conf import settings
from django.core.management import get_commands, load_command_class
from django.urls import resolve

from chatplatform import env
from chatplatform.kernel import health
from tests.harness.servers import free_port

ROOT = Path(__file__).resolve().parents[2]
DOCKER = ROOT / "docker"
COMPOSE_TEXT = (DOCKER / "compose.yaml").read_text(encoding="utf-8")
COMPOSE = yaml.safe_load(COMPOSE_TEXT)
SERVICES = COMPOSE["services"]
OURS = [name for name, service in SERVICES.items() if "build" in service]
# `FROM`, `COPY` and so on with what follows, continued lines joined and comments left out.
WITHOUT_COMMENTS = re.sub(r"^#.*\n", "", (DOCKER / "Dockerfile").read_text(encoding="utf-8"), flags=re.MULTILINE)
DOCKERFILE = [line.split(maxsplit=1) for line in WITHOUT_COMMENTS.replace("\\\n", " ").splitlines() if line.strip()]
OPERATIONS = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
# What PostgreSQL allows when nobody says otherwise, and what it keeps back for its superuser.
MAX_CONNECTIONS = 100 - 3


def lines(instruction):
    """What follows each occurrence of an instruction in the Dockerfile."""
    return [rest for name, rest in DOCKERFILE if name == instruction]


def image_environment():
    """The variables that the image sets."""
    return dict(pair.split("=", 1) for line in lines("ENV") for pair in shlex.split(line))


def context():
    """The files that the build can see, as .dockerignore has it: the last pattern that fits decides."""
    patterns = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
    tops = {pattern[1:].split("/")[0] for pattern in patterns if pattern.startswith("!")}
    found = []
    for path in (path for top in sorted(tops) for path in (ROOT / top, *(ROOT / top).rglob("*")) if path.is_file()):
        name = path.relative_to(ROOT).as_posix()
        shut_out = False
        for pattern in patterns:
            if fits(name, pattern.removeprefix("!")):
                shut_out = not pattern.startswith("!")
        if not shut_out:
            found.append(name)
    return found


def fits(name, pattern):
    """Whether a pattern of .dockerignore means this file, or a folder that it lies in."""
    parts = name.split("/")
    if pattern.startswith("**/"):
        return any(fnmatch.fnmatchcase(part, pattern[3:]) for part in parts)
    return any(fnmatch.fnmatchcase("/".join(parts[:length]), pattern) for length in range(1, len(parts) + 1))


@pytest.fixture
def env_file(tmp_path):
    """The variables of docker/.env, made by the very commands that the manual gives."""
    [commands] = re.findall(r"```sh\n([^`]*> docker/\.env[^`]*)```", OPERATIONS)
    (tmp_path / "docker").mkdir()
    subprocess.run(["sh", "-eu", "-c", commands], cwd=tmp_path, check=True)
    written = tmp_path / "docker" / ".env"
    assert written.stat().st_mode & 0o077 == 0, "only its owner may read it"
    return dict(line.split("=", 1) for line in written.read_text(encoding="utf-8").splitlines())


@pytest.fixture
def environment_of(env_file):
    """`environment_of("web")`: what a container of the service has in its environment."""

    def environment_of(service):
        def fill(text):
            return re.sub(r"\$\{(\w+):\?[^}]*\}", lambda name: env_file[name[1]], text)

        given = {name: fill(value) for name, value in SERVICES[service]["environment"].items()}
        return image_environment() | env_file | given

    return environment_of


def start(command, environment, cwd=ROOT):
    """Run one of our commands as a container would, with this environment and without the developer's `.env`."""
    blank = dict.fromkeys(env.NAMES_READ, "")
    found = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    return subprocess.Popen(
        command, cwd=cwd, env=blank | environment | found, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


# --- compose.yaml ------------------------------------------------------------


@pytest.mark.parametrize("service", OURS)
def test_every_variable_that_is_given_is_one_that_is_read(service):
    read_at_the_door = set(re.findall(r"\$\{([A-Z_]+)", (DOCKER / "entrypoint.sh").read_text()))

    assert set(SERVICES[service]["environment"]) <= env.NAMES_READ | read_at_the_door


def test_what_has_to_be_set_is_marked_and_the_manual_sets_just_that(env_file):
    asked = re.findall(r"\$\{(\w+)([^}]*)\}", COMPOSE_TEXT)

    assert {name for name, _ in asked} == set(env_file)
    assert [name for name, mark in asked if not mark.startswith(":?is not set in docker/.env, ")] == []


def test_the_server_accepts_what_its_containers_are_given(environment_of, tmp_path):
    migrate = environment_of("migrate")

    process = start(SERVICES["migrate"]["command"], migrate | {"DATA_DIR": str(tmp_path)})

    out, _ = process.communicate(timeout=30)
    assert process.returncode == 0, out
    assert migrate["PRODUCTION"] == "1"
    assert environment_of("web") == environment_of("jobs") == {k: v for k, v in migrate.items() if k != "MIGRATE"}


@pytest.mark.parametrize("service", [*OURS, "the image"])
def test_every_command_exists_with_its_options(service):
    command = SERVICES[service]["command"] if service in SERVICES else json.loads(lines("CMD")[0])
    python, manage, name, *arguments = command

    assert (python, manage) == ("python", "manage.py")
    app = get_commands()[name]
    load_command_class(app, name).create_parser("manage.py", name).parse_args(arguments)


def test_nothing_starts_before_what_it_needs():
    needs = {
        name: {needed: how["condition"] for needed, how in service.get("depends_on", {}).items()}
        for name, service in SERVICES.items()
    }
    served = {"migrate": "service_completed_successfully", "redis": "service_healthy"}

    assert needs == {
        "migrate": {"postgres": "service_healthy"},
        "web": served,
        "jobs": served,
        "nginx": {"web": "service_healthy"},
        "postgres": {},
        "redis": {},
    }
    assert [name for name in OURS if "MIGRATE" in SERVICES[name]["environment"]] == ["migrate"]
    assert SERVICES["migrate"]["restart"] == "no"
    assert all("test" in SERVICES[name]["healthcheck"] for name in ("postgres", "redis"))


def test_two_web_containers_share_one_database_and_one_redis(environment_of):
    web = environment_of("web")

    assert SERVICES["web"]["deploy"]["replicas"] == 2
    for name, service in (("DATABASE_URL", "postgres"), ("REDIS_URL", "redis")):
        assert urlsplit(web[name]).hostname == service
        assert web[name] == environment_of("jobs")[name] == environment_of("migrate")[name]
    address, postgres = urlsplit(web["DATABASE_URL"]), SERVICES["postgres"]["environment"]
    assert address.username == postgres["POSTGRES_USER"]
    assert address.path == f"/{postgres['POSTGRES_DB']}"
    assert address.password == web["POSTGRES_PASSWORD"]


def test_the_database_has_a_connection_for_everybody():
    pool = settings.DATABASE_THREADS + 8
    processes = SERVICES["web"]["deploy"]["replicas"] + len(["migrate", "jobs"])

    assert processes * pool <= MAX_CONNECTIONS


def test_only_the_proxy_can_be_reached_from_outside():
    assert [name for name, service in SERVICES.items() if "ports" in service] == ["nginx"]
    assert COMPOSE["networks"]["inside"]["internal"] is True
    assert [name for name, service in SERVICES.items() if service["networks"] == ["inside"]] == ["postgres", "redis"]
    assert SERVICES["nginx"]["networks"] == ["outside"], "the proxy has no way to the database"


def test_containers_may_do_little():
    for name, service in SERVICES.items():
        assert service["read_only"] is True, name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert "privileged" not in service, name
    for name in [*OURS, "nginx"]:
        assert SERVICES[name]["cap_drop"] == ["ALL"], name
    assert int(SERVICES["nginx"]["user"].split(":")[0]) > 0


def test_what_is_kept_is_in_named_volumes():
    named = {volume.split(":")[0] for service in SERVICES.values() for volume in service.get("volumes", [])}

    assert {name for name in named if not name.startswith(".")} == set(COMPOSE["volumes"]) == {"database", "redis"}


def test_redis_throws_nothing_away():
    command = SERVICES["redis"]["command"]

    assert command[command.index("--maxmemory-policy") + 1] == "noeviction"
    assert "--maxmemory" in command


def test_what_is_running_is_given_time_to_end():
    jobs = SERVICES["jobs"]

    assert jobs["command"][-2:] == ["--graceful-signal", "TERM"]
    assert jobs["stop_grace_period"] == SERVICES["web"]["stop_grace_period"] == "60s"


def test_with_tls_switched_on_it_is_still_a_composition():
    changed = yaml.safe_load(COMPOSE_TEXT.replace("#tls ", ""))

    assert changed["services"]["nginx"]["ports"] == ["80:8080", "443:8443"]
    assert {name: service for name, service in changed["services"].items() if name != "nginx"} == {
        name: service for name, service in SERVICES.items() if name != "nginx"
    }


# --- Dockerfile --------------------------------------------------------------


def test_both_stages_stand_on_the_same_python():
    images = [line.split()[0] for line in lines("FROM")]

    assert images == ["python:3.13-slim", "python:3.13-slim"]


def test_packages_come_from_the_lock_and_with_their_hashes():
    [install] = [line for line in lines("RUN") if " install --no-cache-dir" in line]

    assert "requirements.lock /" in lines("COPY")
    assert "--require-hashes" in install
    assert "--requirement /requirements.lock" in install
    assert (ROOT / "requirements.lock").is_file()


def test_what_is_copied_is_there():
    seen = context()

    for line in lines("COPY"):
        *sources, _ = [word for word in line.split() if not word.startswith("--")]
        if "--from=packages" not in line:
            assert [source for source in sources if source != "." and source not in seen] == []


def test_the_build_sees_what_runs_and_nothing_else():
    seen = context()
    apps = {name.split(".")[0] for name in settings.INSTALLED_APPS if (ROOT / name.split(".")[0]).is_dir()}

    assert {name.split("/")[0] for name in seen} == apps | {"CHANGELOG.md", "docker", "manage.py", "requirements.lock"}
    assert [name for name in seen if name.endswith((".pyc", ".env", ".sqlite3")) or "/tests/" in name] == []
    assert {name for name in seen if name.startswith("docker/")} == {"docker/entrypoint.sh", "docker/healthcheck.py"}


def test_it_runs_as_a_plain_user_with_a_fixed_number():
    [user] = lines("USER")
    after = DOCKERFILE[[name for name, _ in DOCKERFILE].index("USER") :]

    assert user == "10001:10001"
    assert any("--uid 10001" in line and "--gid 10001" in line for line in lines("RUN"))
    assert not [name for name, _ in after if name in {"RUN", "COPY", "ADD"}], "what is in the image is not the user's"


def test_no_secret_is_in_the_image():
    given = image_environment()

    assert given["PRODUCTION"] == "1", "and so a start without secrets is refused"
    assert set(given) - env.NAMES_READ == {"PATH", "PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE"}
    assert not [name for name in given if re.search("SECRET|KEY|PASSWORD|TOKEN", name)]
    assert lines("ARG") == []


def test_a_stop_reaches_the_server():
    [entrypoint] = map(json.loads, lines("ENTRYPOINT"))

    assert entrypoint == [f"{lines('WORKDIR')[0]}/docker/entrypoint.sh"]
    assert os.access(DOCKER / "entrypoint.sh", os.X_OK)
    assert lines("STOPSIGNAL") == ["SIGTERM"]


def test_the_health_check_asks_an_address_that_exists():
    [check] = lines("HEALTHCHECK")
    program = json.loads(check[check.index("CMD ") + 4 :])
    addresses = {
        node.value
        for node in ast.walk(ast.parse((ROOT / program[-1]).read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and re.fullmatch(r"/[\w/]+", node.value)
    }

    assert program[-1] in context()
    assert {resolve(address).func for address in addresses} == {health.live}


@pytest.mark.slow
def test_what_the_build_sees_is_enough_to_serve_in_production(environment_of, tmp_path):
    """The image's steps and its process, in a folder that holds what the image holds, on SQLite."""
    app, port = tmp_path / "app", free_port()
    for name in context():
        (app / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, app / name)
    [build] = [line for line in lines("RUN") if "collectstatic" in line]
    process = start(["sh", "-eu", "-c", build.replace("/tmp/build", str(tmp_path / "build"))], {}, cwd=app)  # noqa: S108
    out, _ = process.communicate(timeout=30)
    assert process.returncode == 0, out
    assert (app / "staticfiles" / "admin" / "css" / "base.css").is_file()
    assert not (tmp_path / "build").exists(), "the secrets of the build are gone"

    here = {"DATABASE_URL": "", "REDIS_URL": "", "DATA_DIR": str(tmp_path / "data")}
    given = environment_of("web") | here | {"HOST": "127.0.0.1", "PORT": str(port)}
    check = ["python", "-I", "docker/healthcheck.py"]
    server = start([app / "docker" / "entrypoint.sh", *json.loads(lines("CMD")[0])], given, cwd=app)
    try:
        deadline = time.monotonic() + 40
        while (asked := start(check, given, cwd=app)).wait(timeout=10):
            assert server.poll() is None, server.communicate()[0]
            assert time.monotonic() < deadline, asked.communicate()[0]
            time.sleep(0.5)
        server.send_signal(signal.SIGTERM)
        server.wait(timeout=10)
        asked = start(check, given, cwd=app)
        assert asked.wait(timeout=10) == 1
        assert "/health" in asked.communicate()[0]
    finally:
        server.kill()
        server.communicate()
