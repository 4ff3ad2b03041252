"""Which worker of which cluster this is, by TF_CONFIG and by Slurm's variables."""

import json

import pytest

from metasgd_tf.runs import clusters
from trainers.errors import InputError

WORKERS = ["a:1", "b:2", "c:3"]


def config(job="worker", index=0, **jobs):
    return json.dumps({"cluster": jobs, "task": {"type": job, "index": index}})


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (config(index=0, worker=WORKERS), (1, 3)),
        (config(index=2, worker=WORKERS), (3, 3)),
        (config("chief", chief=["d:4"], worker=WORKERS), (1, 4)),
        (config(index=1, chief=["d:4"], worker=WORKERS), (3, 4)),
    ],
)
def test_the_chief_is_the_first_worker(monkeypatch, text, place):
    monkeypatch.setenv("TF_CONFIG", text)
    assert clusters.place(clusters.resolver("tf_config")) == place


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "has no TF_CONFIG; set it to .*HOST:PORT.* or pass cluster=slurm"),
        ("{", "cannot be understood; should be .*HOST:PORT"),
        ("[]", "cannot be understood"),
        (json.dumps({"cluster": {"worker": WORKERS}}), "cannot be understood"),
        (config(worker=7), "cannot be understood"),
        (config(worker=[]), "cannot be understood"),
        (config(worker={"0": "a:1"}), "cannot be understood"),
        (config(["worker"], worker=WORKERS), r"this is a \"\['worker'\]\"; should be of a kind"),
        (config(worker=["a:1", "b:²"]), "has the address 'b:²'; should be HOST:PORT"),
        (config(worker=WORKERS, ps=["d:4"]), "kind 'ps'; should name those of chief and worker"),
        (config(worker=WORKERS, chief=["d:4", "e:5"]), "names 2 chiefs; should name one"),
        (config(worker=["a:1", "b"]), "has the address 'b'; should be HOST:PORT"),
        (config(worker=["a:1", "b:70000"]), "has the address 'b:70000'.*from 1 to 65535"),
        (config(worker=["a:1", "a:1"]), "names 'a:1' twice"),
        (config("chief", worker=WORKERS), "this is a 'chief'; should be of a kind that"),
        (config(index=3, worker=WORKERS), "this is worker 3; should be from 0 to 2"),
        (config(index="0", worker=WORKERS), "this is worker '0'; should be from 0 to 2"),
    ],
)
def test_a_tf_config_that_cannot_be_is_refused(monkeypatch, text, named):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(InputError, match=named):
        clusters.resolver("tf_config")


def slurm(monkeypatch, rank, nodes, tasks, per_node, job="30007"):
    for name, value in {
        "SLURM_PROCID": rank,
        "SLURM_STEP_NUM_TASKS": tasks,
        "SLURM_STEP_NODELIST": nodes,
        "SLURM_STEP_TASKS_PER_NODE": per_node,
        "SLURM_JOB_ID": job,
        "PATH": "",  # On which no program counts GPUs.
    }.items():
        monkeypatch.setenv(name, str(value))


def test_slurm_numbers_tasks_node_by_node_and_its_jobs_have_ports_of_their_own(monkeypatch):
    slurm(monkeypatch, 3, "node[2,10]", 4, "2(x2)")
    found = clusters.resolver("slurm")
    assert clusters.place(found) == (4, 4)
    assert found.cluster_spec().as_dict() == {
        "worker": ["node2:20007", "node2:20008", "node10:20007", "node10:20008"]
    }


def test_without_slurms_variables_its_cluster_is_refused(monkeypatch):
    monkeypatch.delenv("SLURM_PROCID", raising=False)
    with pytest.raises(InputError, match="cluster=slurm: .*no SLURM_PROCID.*start .* by srun"):
        clusters.resolver("slurm")
    slurm(monkeypatch, 0, "node[1-2]", 3, "1(x2)")
    with pytest.raises(InputError, match="cluster=slurm: what Slurm's variables say cannot be"):
        clusters.resolver("slurm")
