"""The least that a meta-iteration takes, worked out by hand for a small network."""

from benchmarks.harness import cases, floor

CASE = cases.Case(
    name="small",
    kind="classification",
    tasks=2,
    ways=3,
    shots=1,
    queries=2,
    image_size=16,
    channels=1,
    filters=4,
)


def test_the_least_traffic_is_that_of_each_product_by_itself():
    # Inputs, outputs and weights of the layers: 16 → 8 → 4 → 2 → 1 pixels a side, then linear.
    layers = [
        (256 + 256, 36),
        (256 + 64, 144),
        (64 + 16, 144),
        (16 + 4, 144),
        (4 + 3, 12),
    ]
    support = [(4, 9, 9, 9, 9), 3]
    query = [(2, 3, 3, 3, 3), 6]
    numbers = sum(
        count * (examples * images + weights)
        for counts, examples in (support, query)
        for count, (images, weights) in zip(counts, layers, strict=True)
    )
    assert floor.least_bytes(CASE) == 4 * 2 * numbers
