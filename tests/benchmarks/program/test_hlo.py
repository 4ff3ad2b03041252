"""Reading a program that XLA has optimised: a small one, counted by hand."""

from benchmarks.program import hlo

TEXT = """HloModule example, is_scheduled=true

%add (x: f32[], y: f32[]) -> f32[] {
  %x = f32[] parameter(0)
  %y = f32[] parameter(1)
  ROOT %sum = f32[] add(%x, %y)
}

%inner (p: f32[4,3], q: f32[3,5]) -> f32[4,5] {
  %p = f32[4,3]{1,0} parameter(0)
  %q = f32[3,5]{1,0} parameter(1)
  ROOT %d = f32[4,5]{1,0} dot(%p, %q), lhs_contracting_dims={1}, rhs_contracting_dims={0}
}

ENTRY %main (a: f32[2,4,3], b: f32[2,3,5], c: f32[4,3], e: f32[3,5]) -> f32[4,5] {
  %a = f32[2,4,3]{2,1,0} parameter(0)
  %b = f32[2,3,5]{2,1,0} parameter(1)
  %c = f32[4,3]{1,0} parameter(2)
  %e = f32[3,5]{1,0} parameter(3)
  %batched = f32[2,4,5]{2,1,0} dot(%a, %b), lhs_batch_dims={0}, lhs_contracting_dims={2}
  %zero = f32[] constant(0)
  %total = f32[4,5]{1,0} reduce(%batched, %zero), dimensions={0}, to_apply=%add
  %fused = f32[4,5]{1,0} fusion(%c, %e), kind=kLoop, calls=%inner
  ROOT %end = f32[4,5]{1,0} add(%total, %fused)
}
"""


def program():
    return hlo.Program(TEXT)


def test_kernels_are_what_is_launched():
    kinds = [kernel.kind for kernel in program().kernels()]
    assert kinds == ["dot", "reduce", "fusion", "add"]
    assert (program().loops, program().transfers, program().count("dot")) == (0, 0, 2)


def test_operations_are_those_of_the_products():
    flops = [kernel.flops for kernel in program().kernels()]
    assert flops == [2 * 2 * 4 * 5 * 3, 0, 2 * 4 * 5 * 3, 0]
    assert program().flops == sum(flops)


def test_bytes_are_read_and_written():
    dot, reduce, fusion, add = (kernel.bytes for kernel in program().kernels())
    assert dot == 4 * (24 + 30 + 40)
    assert reduce == 4 * (40 + 1 + 20)
    assert fusion == 4 * (12 + 15 + 20)
    assert add == 4 * (20 + 20 + 20)


def test_the_peak_is_at_the_instruction_that_holds_most():
    arguments = 4 * (24 + 30 + 12 + 15)
    # While `total` is made, the batched product and the constant are held too.
    assert program().peak_bytes() == arguments + 4 * (40 + 1 + 20)


RENAMED = """HloModule renamed

ENTRY %main (x: f32[1000]) -> f32[1000] {
  %x = f32[1000]{0} parameter(0)
  %sum = f32[1000]{0} add(%x, %x)
  %flat = f32[10,100]{1,0} bitcast(%sum)
  %other = f32[1000]{0} multiply(%x, %x)
  ROOT %end = f32[1000]{0} add(%flat, %other)
}
"""


def test_what_is_used_under_another_name_is_held():
    # x, the sum that `flat` is, the product and the result.
    assert hlo.Program(RENAMED).peak_bytes() == 4 * 4000


def test_loops_and_transfers_are_counted():
    text = TEXT.replace(
        "  ROOT %end",
        "  %loop = f32[4,5]{1,0} while(%total), condition=%add, body=%inner\n"
        "  %sent = (f32[4,5]{1,0}, u32[], token[]) send(%total), channel_id=1\n"
        "  ROOT %end",
    )
    assert (hlo.Program(text).loops, hlo.Program(text).transfers) == (1, 1)
    # What a loop's body computes counts once.
    assert hlo.Program(text).flops == program().flops + 2 * 4 * 5 * 3


LOOP = """HloModule loop

%kept (t: (f32[2,2])) -> f32[2,2] {
  %t = (f32[2,2]{1,0}) parameter(0)
  ROOT %same = f32[2,2]{1,0} get-tuple-element(%t), index=0
}

%doubled (t: (f32[2,2])) -> f32[2,2] {
  %t = (f32[2,2]{1,0}) parameter(0)
  %value = f32[2,2]{1,0} get-tuple-element(%t), index=0
  %twice = f32[2,2]{1,0} add(%value, %value)
  ROOT %again = f32[2,2]{1,0} add(%twice, %twice)
}

%turn (t: (f32[2,2], pred[])) -> (f32[2,2], pred[]) {
  %t = (f32[2,2]{1,0}, pred[]) parameter(0)
  %value = f32[2,2]{1,0} get-tuple-element(%t), index=0
  %finite = pred[] get-tuple-element(%t), index=1
  %held = (f32[2,2]{1,0}) tuple(%value)
  %product = f32[2,2]{1,0} dot(%value, %value), lhs_contracting_dims={1}, rhs_contracting_dims={0}
  %chosen = f32[2,2]{1,0} conditional(%finite, %held, %held), true_computation=%doubled, \
false_computation=%kept
  ROOT %next = (f32[2,2]{1,0}, pred[]) tuple(%chosen, %finite)
}

ENTRY %main (t: (f32[2,2], pred[])) -> (f32[2,2], pred[]) {
  %t = (f32[2,2]{1,0}, pred[]) parameter(0)
  ROOT %loop = (f32[2,2]{1,0}, pred[]) while(%t), condition=%kept, body=%turn
}
"""


def test_a_turn_of_a_loop_has_the_kernels_of_its_larger_branch():
    made = hlo.Program(LOOP)
    assert (made.loops, made.body()) == (1, "turn")
    assert [kernel.kind for kernel in made.kernels(made.body())] == ["dot", "add", "add"]
    assert made.flops == 2 * 2 * 2 * 2
