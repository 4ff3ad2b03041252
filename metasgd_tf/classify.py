"""Classifies images from a few examples of each class.

    python -m metasgd_tf.classify --export_dir=OUT --support_dir=A --query_dir=B

A has one sub-folder per class with a few images each, and B has the images to classify. Prints a
table. Uses the newest version of the export; the run that was exported is not needed.
--write_examples=DIR only writes example drawings, to DIR/support and DIR/query.
"""

from absl import flags

from metasgd_tf import command_line

EXPORT_DIR = flags.DEFINE_string("export_dir", None, "The directory that export wrote.")
SUPPORT_DIR = flags.DEFINE_string(
    "support_dir", None, "A folder with one sub-folder of a few image files per class."
)
QUERY_DIR = flags.DEFINE_string("query_dir", None, "A folder of image files to classify.")
INNER_STEPS = flags.DEFINE_integer(
    "inner_steps", None, "Inner steps to learn the classes; by default as in the run.", 0, 100
)
OUTPUT = flags.DEFINE_string("output", None, "A .csv or .json file to write the table to.")
CONTACT_SHEET = flags.DEFINE_string(
    "contact_sheet",
    None,
    "A .png, .svg or .pdf file to draw the images to, grouped by predicted class.",
)
WRITE_EXAMPLES = flags.DEFINE_string(
    "write_examples", None, "A folder to write example drawings to, instead of classifying."
)
NEEDED = (EXPORT_DIR, SUPPORT_DIR, QUERY_DIR)


def main() -> None:
    """Classifies the images and prints the table."""
    if WRITE_EXAMPLES.value:
        from metasgd_tf.clients import drawings

        drawings.write(WRITE_EXAMPLES.value)
        print(f"written to {WRITE_EXAMPLES.value}/support and {WRITE_EXAMPLES.value}/query")
        return

    from metasgd_tf.clients import classifying
    from metasgd_tf.clients.contact_sheet import contact_sheet
    from metasgd_tf.figures import style
    from trainers.devices import use_cores_for_tasks

    # Bad arguments are refused before anything slow starts.
    if OUTPUT.value:
        classifying.refuse_other_endings(OUTPUT.value)
    if CONTACT_SHEET.value:
        style.refuse_other_endings(CONTACT_SHEET.value, "contact_sheet")
    support = classifying.find_support(SUPPORT_DIR.value)
    queries = classifying.find_queries(QUERY_DIR.value)
    use_cores_for_tasks()
    predictions = classifying.classify(EXPORT_DIR.value, support, queries, INNER_STEPS.value)
    about = classifying.facts(EXPORT_DIR.value)
    # First the files: whoever reads what is printed may stop doing so.
    if OUTPUT.value:
        classifying.write(predictions, OUTPUT.value, about)
    if CONTACT_SHEET.value:
        style.save(contact_sheet(support, predictions), CONTACT_SHEET.value, "contact_sheet")
    print(classifying.table(predictions))
    if about.get("batch_norm") == "transductive":
        print("\nthe images were normalised together: each prediction depends on the others too")
    for file in filter(None, (OUTPUT.value, CONTACT_SHEET.value)):
        print(f"written to {file}")


@flags.multi_flags_validator(
    [flag.name for flag in (*NEEDED, WRITE_EXAMPLES)],
    "--export_dir, --support_dir and --query_dir should all be given, or --write_examples alone",
)
def _complete(values: dict[str, str | None]) -> bool:
    given = [bool(values[flag.name]) for flag in NEEDED]
    return all(given) if not values["write_examples"] else not any(given)


if __name__ == "__main__":
    command_line.run(main)
