"""The examples of `docs/cluster` start workers that know each other and have flags there are."""

import pathlib
import re
import subprocess
import textwrap

import jsonschema
import kubernetes_validate
import pytest
import yaml

from metasgd_tf.flags import run_flags
from metasgd_tf.runs import clusters

EXAMPLES = pathlib.Path(__file__).parents[3] / "docs" / "cluster"


@pytest.mark.parametrize("index", [0, 1])
def test_a_pod_of_the_job_has_its_own_place_in_the_cluster(monkeypatch, index):
    text = (EXAMPLES / "kubernetes_job.yaml").read_text(encoding="utf-8")
    _, _, script = text.partition("- |\n")
    script = textwrap.dedent(script.partition("          volumeMounts")[0])
    assert "exec python -m metasgd_tf.train" in script
    told = subprocess.run(
        ["bash", "-c", script.replace("exec python", "printenv TF_CONFIG; exec true")],
        env={"JOB_COMPLETION_INDEX": str(index), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    monkeypatch.setenv("TF_CONFIG", told.stdout)
    found = clusters.resolver("tf_config")
    assert clusters.place(found) == (index + 1, 2)
    # The names that Kubernetes gives to the pods of an indexed Job: JOB-INDEX.SUBDOMAIN.
    (subdomain,) = re.findall(r"subdomain: (\w+)", text)
    service, job = re.findall(r"^  name: (\w+)", text, re.MULTILINE)
    assert service == subdomain
    assert found.cluster_spec().as_dict() == {
        "worker": [f"{job}-{number}.{subdomain}:2222" for number in range(2)]
    }


@pytest.mark.parametrize("path", sorted(EXAMPLES.iterdir()), ids=lambda path: path.name)
def test_an_example_has_the_flags_of_train(monkeypatch, path):
    text = path.read_text(encoding="utf-8")
    given = text[text.index("metasgd_tf.train") :]
    of_the_command = dict(re.findall(r"--(model_dir|distribution|cluster)=(\S+)", given))
    cluster = {"cluster": "slurm"} if path.name == "slurm.sh" else {}
    assert of_the_command == {
        "model_dir": "/shared/runs/omniglot",
        "distribution": "multi_worker",
        **cluster,
    }
    of_the_run = re.findall(r"--(?!model_dir|distribution|cluster)\w+=\S+", given)
    monkeypatch.chdir(EXAMPLES.parents[1])
    settings = run_flags.resolve(run_flags.parse(of_the_run))
    assert settings.task == "omniglot" and settings.data_dir == "/shared/tensorflow_datasets"


KUBERNETES = "1.34"
"""The version whose schemas the examples have to fit."""

INTEGER, WORD = {"type": "integer"}, {"type": "string"}
POD_TEMPLATE = {"type": "object", "required": ["spec"]}  # Kubernetes has a schema of it.
REPLICAS = {
    "type": "object",
    "properties": {
        "replicas": INTEGER,
        "restartPolicy": {"enum": ["Always", "OnFailure", "Never", "ExitCode"]},
        "template": POD_TEMPLATE,
    },
    "additionalProperties": False,
}
RUN_POLICY = {
    "type": "object",
    "properties": {
        **dict.fromkeys(("activeDeadlineSeconds", "backoffLimit"), INTEGER),
        "ttlSecondsAfterFinished": INTEGER,
        "cleanPodPolicy": WORD,
        "suspend": {"type": "boolean"},
        "schedulingPolicy": {"type": "object"},
    },
    "additionalProperties": False,
}
TF_JOB = {
    "type": "object",
    "required": ["apiVersion", "kind", "metadata", "spec"],
    "properties": {
        "apiVersion": {"const": "kubeflow.org/v1"},
        "kind": {"const": "TFJob"},
        "metadata": {"type": "object", "required": ["name"]},
        "spec": {
            "type": "object",
            "required": ["tfReplicaSpecs"],
            "properties": {
                "tfReplicaSpecs": {
                    "type": "object",
                    "propertyNames": {"enum": ["Chief", "Master", "Worker", "PS", "Evaluator"]},
                    "additionalProperties": REPLICAS,
                },
                "runPolicy": RUN_POLICY,
                "successPolicy": WORD,
                "enableDynamicWorker": {"type": "boolean"},
            },
            "additionalProperties": False,
        },
    },
    "additionalProperties": False,
}
"""A TFJob, by `manifests/base/crds/kubeflow.org_tfjobs.yaml` of kubeflow/training-operator."""


def documents(name):
    return list(yaml.safe_load_all((EXAMPLES / name).read_text(encoding="utf-8")))


def refused(check, *given):
    """Returns whether a check by a schema refuses something."""
    try:
        check(*given)
    except (kubernetes_validate.ValidationError, jsonschema.ValidationError):
        return True
    return False


def fits_kubernetes(document):
    kubernetes_validate.validate(document, KUBERNETES, strict=True)


def test_the_job_and_its_service_fit_the_schemas_of_kubernetes():
    service, job = documents("kubernetes_job.yaml")
    for document in (service, job):
        fits_kubernetes(document)
    job["spec"]["completion"] = 2
    assert refused(fits_kubernetes, job)


def test_the_tf_job_has_the_fields_of_one_and_pods_that_fit_kubernetes():
    (job,) = documents("kubeflow_tfjob.yaml")
    jsonschema.validate(job, TF_JOB)
    (worker,) = job["spec"]["tfReplicaSpecs"].values()
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, **worker["template"]}
    fits_kubernetes(pod)
    pod["spec"]["containers"][0]["images"] = "b"
    assert refused(fits_kubernetes, pod)
    worker["replica"] = 3
    assert refused(jsonschema.validate, job, TF_JOB)
