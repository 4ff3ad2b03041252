"""The tables of our recipe: which numbers stand in which cell."""

from metasgd_tf.reproduction.documents import recipe


def report(mean, iteration=4000):
    steps = ({"inner_steps": n, "mean": n * mean, "ci95": 0.001, "num_tasks": 600} for n in (0, 1))
    return {
        "results": list(steps),
        "seed": 0,
        "checkpoint": "best",
        "iteration": iteration,
        "training_seconds": 3210.4,
        "commit": "0123456789abcdef",
        "machine": {"processor": "A processor", "cores": 2},
    }


def read(name):
    """Another mean for each file: 0.8 of the usual training, and 0.01 more for each seed."""
    if "recipe" not in name:
        return report(0.8)
    return report(0.9 + 0.01 * int(name[-1] if "seed" in name else 0))


def cells(text):
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()[2:]]


def test_each_row_has_all_seeds_of_test_tasks_beside_the_usual_training_and_the_paper():
    rows = {row[0]: row[1:] for row in cells(recipe.accuracies(read))}
    one = ["90.00 ± 0.10", "91.00 ± 0.10", "92.00 ± 0.10", "80.00 ± 0.10"]
    assert rows == {
        "5-way 1-shot": [*one, "99.53 ± 0.26"],
        "5-way 5-shot": [*one, "99.93 ± 0.09"],
        "20-way 1-shot": [*one, "95.93 ± 0.38"],
        "20-way 5-shot": [*one, "98.97 ± 0.19"],
    }


def test_cells_of_any_ways_are_of_one_training():
    rows = cells(recipe.runs(read))
    assert [row[1] for row in rows] == [
        *2
        * [
            "`configs/omniglot_1shot_meta_sgd_recipe.flags`",
            "`configs/omniglot_5shot_meta_sgd_recipe.flags`",
        ],
    ]
    assert rows[0][2:] == [
        "0",
        "best: iteration 4,000 of 4,000",
        "4,000 of 100 ways",
        "3,210 s",
        "600",
        "`0123456`",
        "A processor, 2 cores",
    ]
