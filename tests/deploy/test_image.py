"""The Dockerfile and the script that builds and runs it; what it builds is looked at by the script alone."""

from __future__ import annotations

import re

from tests.deploy import files


def test_hadolint_finds_nothing():
    done = files.run(files.tool("hadolint"), files.DOCKERFILE)

    assert (done.returncode, done.stdout) == (0, "")


def test_hadolint_finds_what_is_wrong(tmp_path):
    copy = tmp_path / "Dockerfile"
    text = files.DOCKERFILE.read_text()
    copy.write_text(text.replace("python:3.12-slim", "python:latest").replace("USER 10001", "USER root"))

    done = files.run(files.tool("hadolint"), copy)

    assert done.returncode == 1
    assert {"DL3007", "DL3002"} <= set(re.findall(r"DL\d+", done.stdout))


def test_the_builder_is_given_all_that_is_copied_and_nothing_else():
    copied = {
        source
        for line in re.findall(r"^COPY (?!--)(.+)$", files.DOCKERFILE.read_text(), flags=re.MULTILINE)
        for source in line.split()[:-1]
    }
    lines = (files.ROOT / ".dockerignore").read_text().splitlines()

    assert lines[1] == "*"
    assert copied == {line[1:] for line in lines if line.startswith("!")}
    assert [name for name in copied if not (files.ROOT / name).exists()] == []


def test_the_image_runs_as_a_number_that_is_not_root():
    """Kubernetes cannot tell of a name whether it is root."""
    assert int(files.dockerfile_user()) > 0


def test_bash_reads_the_check_of_the_image():
    done = files.run("bash", "-n", files.CHECK)

    assert (done.returncode, done.stderr) == (0, "")
    assert files.CHECK.stat().st_mode & 0o111 == 0o111


def test_no_file_says_where_packages_or_images_come_from():
    """Whoever builds or runs it has a place of his own to get them from."""
    paths = [files.DOCKERFILE, files.COMPOSE, files.CHECK, files.ENVIRONMENT, *files.UNITS, *files.MANIFESTS]
    images = {
        *re.findall(r"^FROM (\S+)", files.DOCKERFILE.read_text(), flags=re.MULTILINE),
        *(service["image"] for service in files.services().values()),
        *(files.container(pod)["image"] for pod in files.pods().values()),
    }

    elsewhere = re.compile(r"https?://(?!127\.0\.0\.1)|index-url|find-links")
    assert [path.name for path in paths if elsewhere.search(path.read_text())] == []
    assert [image for image in images if "/" in image] == []
