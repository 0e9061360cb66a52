"""What the deployment files hold, read as data."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
COMPOSE = DEPLOY / "compose.yaml"
KUSTOMIZATION = DEPLOY / "kubernetes" / "kustomization.yaml"
MANIFESTS = sorted(path for path in KUSTOMIZATION.parent.glob("*.yaml") if path != KUSTOMIZATION)
UNITS = sorted(DEPLOY.glob("*.service"))
ENVIRONMENT = DEPLOY / "quotepart.env.example"
CHECK = DEPLOY / "check-image.sh"
DOCKERFILE = ROOT / "Dockerfile"
PAGE = ROOT / "docs" / "how-to" / "deploy.md"


def run(*command: str | Path, **rest: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False, **rest)


def tool(name: str) -> Path:
    """A command of the environment that runs the tests."""
    return Path(sys.executable).with_name(name)


def services() -> dict[str, Any]:
    """The services of the compose file by name, anchors resolved."""
    found: dict[str, Any] = yaml.safe_load(COMPOSE.read_text())["services"]
    return found


def objects() -> list[Any]:
    """Every Kubernetes object."""
    return [each for path in MANIFESTS for each in yaml.safe_load_all(path.read_text())]


def pods() -> dict[str, Any]:
    """What a pod of each Deployment and Job is made of, by the name of that."""
    return {each["metadata"]["name"]: each["spec"]["template"] for each in objects() if "template" in each["spec"]}


def container(pod: Any) -> Any:
    [only] = pod["spec"]["containers"]
    return only


def unit(path: Path) -> dict[str, list[str]]:
    """The settings of a unit by name, in whatever section; one may be there several times."""
    found: dict[str, list[str]] = {}
    for name, value in re.findall(r"^(\w+)=(.*)$", path.read_text(), flags=re.MULTILINE):
        found.setdefault(name, []).append(value)
    return found


def dockerfile(instruction: str) -> list[str]:
    """The last instruction of a name, which is written as a JSON list."""
    written: list[str] = json.loads(re.findall(rf"^{instruction} (\[.*\])$", DOCKERFILE.read_text(), re.MULTILINE)[-1])
    return written


def dockerfile_user() -> str:
    [only] = re.findall(r"^USER (.+)$", DOCKERFILE.read_text(), flags=re.MULTILINE)
    return str(only)


def invocations() -> dict[str, list[list[str]]]:
    """Every call of the `quotepart` command in these files, as the words behind it, by where it stands."""
    found = {
        "Dockerfile": [dockerfile("CMD")],
        "compose": [service["command"] for name, service in services().items() if name != "database"],
        "kubernetes": [container(pod)["args"] for pod in pods().values()],
        "units": [shlex.split(unit(path)["ExecStart"][0])[1:] for path in UNITS],
    }
    # In text the word stands for many things; a command is what follows it on the line in letters. It may follow the
    # name of a container, which is the same word.
    command = re.compile(r"(?<![\w.-])(?:quotepart )?quotepart((?: +[a-z][\w-]*)(?: +[^\s`|;&\\]+)*)")
    for path in (DOCKERFILE, ENVIRONMENT, PAGE):
        calls = command.findall(path.read_text())
        found[f"text of {path.name}"] = [shlex.split(call, comments=True) for call in calls]
    called = r'(?:"\$\{ENTRYPOINT\[@\]\}"|start "[^"]+") ([a-z][^|>&)\n]*)'
    calls = re.findall(called, CHECK.read_text().replace("\\\n", " "))
    found[CHECK.name] = [shlex.split(call) for call in calls]
    return found
