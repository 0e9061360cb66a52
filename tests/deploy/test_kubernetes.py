"""deploy/kubernetes: every object by its schema, and what the pods may do."""

from __future__ import annotations

import kubernetes_validate  # type: ignore[import-untyped]
import pytest
import yaml

from tests.deploy import files

VERSION = "1.37.0"
PODS = sorted(files.pods())


def validate(document):
    kubernetes_validate.validate(document, VERSION, strict=True)


@pytest.mark.parametrize("path", files.MANIFESTS, ids=lambda path: path.name)
def test_every_object_is_as_its_schema_says(path):
    documents = list(yaml.safe_load_all(path.read_text()))

    assert documents
    for document in documents:
        validate(document)


@pytest.mark.parametrize(
    "file, right, wrong",
    [
        ("serve.yaml", "replicas:", "replica:"),
        ("serve.yaml", "readOnlyRootFilesystem:", "readOnlyRootFileSystem:"),
        ("serve.yaml", "minAvailable:", "minAvailabel:"),
        ("work.yaml", "httpGet:", "httpget:"),
        ("migrate.yaml", "backoffLimit: 4", "backoffLimit: four"),
        ("network-policy.yaml", "namespaceSelector:", "nameSpaceSelector:"),
    ],
)
def test_a_misspelt_field_is_found(file, right, wrong):
    text = (files.KUSTOMIZATION.parent / file).read_text()
    assert right in text

    with pytest.raises(kubernetes_validate.ValidationError):
        for document in yaml.safe_load_all(text.replace(right, wrong)):
            validate(document)


def test_the_kustomization_lists_every_file_and_the_image_they_name():
    listed = yaml.safe_load(files.KUSTOMIZATION.read_text())

    assert set(listed) == {"apiVersion", "kind", "resources", "images"}
    assert sorted(listed["resources"]) == [path.name for path in files.MANIFESTS]
    assert [image["name"] for image in listed["images"]] == ["quotepart"]
    assert {files.container(pod)["image"] for pod in files.pods().values()} == {"quotepart"}


def test_every_object_goes_into_the_namespace_that_is_chosen():
    assert [each["metadata"]["name"] for each in files.objects() if "namespace" in each["metadata"]] == []


def test_no_password_is_among_the_files():
    assert [each for each in files.objects() if each["kind"] == "Secret"] == []
    for pod in files.pods().values():
        assert files.container(pod)["envFrom"] == [{"secretRef": {"name": "quotepart"}}]


@pytest.mark.parametrize("name", PODS)
def test_a_pod_may_do_nothing_that_it_need_not(name):
    pod = files.pods()[name]["spec"]
    main = files.container({"spec": pod})
    user = int(files.dockerfile_user())

    assert pod["securityContext"] == {
        "runAsNonRoot": True, "runAsUser": user, "runAsGroup": user, "seccompProfile": {"type": "RuntimeDefault"},
    }  # fmt: skip
    assert main["securityContext"] == {
        "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
    }  # fmt: skip
    assert pod["automountServiceAccountToken"] is False
    assert main["resources"]["limits"]["memory"] and main["resources"]["requests"]
    assert main["volumeMounts"] == [{"name": "tmp", "mountPath": "/tmp"}]


@pytest.mark.parametrize("name", PODS)
def test_kubernetes_adds_no_variable_that_looks_like_a_setting(name):
    """A Service `quotepart` would be told of as QUOTEPART_PORT=tcp://.., which `quotepart doctor` calls a mistake."""
    assert files.pods()[name]["spec"]["enableServiceLinks"] is False


@pytest.mark.parametrize("each", files.objects(), ids=lambda each: f"{each['kind']} {each['metadata']['name']}")
def test_what_selects_pods_selects_those_that_are_there(each):
    labels = [pod["metadata"]["labels"] for pod in files.pods().values()]
    spec = each["spec"]
    by_labels = spec.get("selector") or spec.get("podSelector") or spec["template"]["metadata"]["labels"]
    selector = by_labels.get("matchLabels", by_labels)

    selected = [found for found in labels if selector.items() <= found.items()]

    assert len(selected) == (len(labels) if each["kind"] == "NetworkPolicy" else 1)


def test_a_named_port_is_one_of_a_pod():
    """Kubernetes takes any name, and reaches nothing behind one that no pod has."""
    named = {port["name"] for pod in files.pods().values() for port in files.container(pod).get("ports", [])}
    [service] = [each for each in files.objects() if each["kind"] == "Service"]
    [policy] = [each for each in files.objects() if each["kind"] == "NetworkPolicy"]

    assert {port["targetPort"] for port in service["spec"]["ports"]} <= named
    assert {port["port"] for rule in policy["spec"]["ingress"] for port in rule["ports"]} == named


def test_a_pod_has_time_to_finish_what_is_in_hand():
    """30 s for requests and 10 s for the job, and before that what `preStop` waits for."""
    for name in ("quotepart-serve", "quotepart-work"):
        pod = files.pods()[name]["spec"]
        before = files.container({"spec": pod}).get("lifecycle", {"preStop": {"sleep": {"seconds": 0}}})
        waits = before["preStop"]["sleep"]["seconds"]
        assert pod["terminationGracePeriodSeconds"] >= waits + 40


def test_one_of_the_pods_that_serve_may_always_be_taken_away():
    """A budget that leaves none to spare would keep every node from being emptied."""
    by_name = {each["metadata"]["name"]: each for each in files.objects() if each["kind"] == "Deployment"}
    [budget] = [each for each in files.objects() if each["kind"] == "PodDisruptionBudget"]

    assert budget["spec"]["minAvailable"] < by_name["quotepart-serve"]["spec"]["replicas"]
