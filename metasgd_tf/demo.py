"""Opens a page to try trained learners on: `python -m metasgd_tf.demo --export_dir=DIR`.

Prints the page's address on the loopback interface and serves it until Ctrl-C, on which it exits
with 130 as the other commands do. It needs Flask: pip install -r requirements-demo.txt.
"""

import pathlib

from absl import flags

from metasgd_tf import command_line

ROOT = pathlib.Path(__file__).resolve().parents[1]

EXPORT_DIR = flags.DEFINE_string(
    "export_dir", None, "The export of a run of Omniglot, to draw for.", required=True
)
CURVE_EXPORT_DIRS = flags.DEFINE_list(
    "curve_export_dirs",
    [f"{ROOT}/exports/sinusoid_5shot_meta_sgd", f"{ROOT}/exports/sinusoid_5shot_maml"],
    "Exports of runs of the sinusoid, to be shown side by side; none leaves the tab Curve out.",
)
WALK_MODEL_DIRS = flags.DEFINE_list(
    "walk_model_dirs",
    [
        f"{ROOT}/trained/navigation_fixed_meta_sgd_seed0",
        f"{ROOT}/trained/navigation_fixed_maml_seed0",
    ],
    "Runs of navigation, to be shown side by side; none leaves the tab Walk out.",
)
PORT = flags.DEFINE_integer(
    "port", 0, "The port to listen on; by default one that is free.", 0, 65535
)


def main() -> None:
    """Loads the learners and serves the page."""
    try:
        from metasgd_tf.webpage import server
    except ModuleNotFoundError as error:
        command_line.refuse(
            f"{error.name}: is not installed; pip install -r requirements-demo.txt does that"
        )
    from metasgd_tf.webpage.curve import CurveTab
    from metasgd_tf.webpage.draw import DrawTab

    draw = DrawTab(EXPORT_DIR.value)
    answers = {"draw": draw.answer, "draw_examples": draw.examples}
    tabs = ["draw"]
    if CURVE_EXPORT_DIRS.value:
        curve = CurveTab(CURVE_EXPORT_DIRS.value)
        answers |= {"curve": curve.answer, "curve_example": curve.example}
        tabs.append("curve")
    if WALK_MODEL_DIRS.value:
        # It takes seconds to import what policies need.
        from metasgd_tf.webpage.walk import WalkTab

        answers["walk"] = WalkTab(WALK_MODEL_DIRS.value).answer
        tabs.append("walk")
    about = {"tabs": tabs, "ways": draw.ways}
    serving = server.listen(server.create_app(answers, about), PORT.value)
    print(f"http://{server.HOST}:{serving.port}/", flush=True)
    server.serve(serving)


if __name__ == "__main__":
    command_line.run(main)
