"""The examples of `docs/cluster` start workers that know each other and have flags there are."""

import pathlib
import re
import subprocess
import textwrap

import pytest

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
