"""What is said of a run's progress where no terminal is."""

from perturb.cli.terminal import Lines


def test_one_line_a_minute_and_none_in_the_first():
    said, now = [], [0.0]
    lines = Lines(say=said.append, clock=lambda: now[0])
    lines.total = 8
    for seconds in (0, 59, 60, 119, 120):
        now[0] = seconds
        lines.advance(1)
    assert said == [
        "3 of the 8 steps known so far are done, about 2 min left for them",
        "5 of the 8 steps known so far are done, about 2 min left for them",
    ]


def test_steps_that_are_begun_later_count_from_then_on():
    said, now = [], [0.0]
    lines = Lines(say=said.append, clock=lambda: now[0])
    lines.total, now[0] = 2, 60.0
    lines.advance(2)
    lines.total, now[0] = 6, 120.0
    lines.advance(1)
    assert said[-1] == "3 of the 6 steps known so far are done, about 2 min left for them"
