"""Mutation tests: small wrong changes of the package, each of which a test must notice.

uv run python tests/mutants.py [NAME...]      a table of all mutants, or of those named; exit code 1 if one survives

Each mutant is made in a temporary copy of the repository. A survivor is a rule that no test holds.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
NEEDED = ("perturb", "tests", "suites", "examples", "reports", "docs", "pyproject.toml", "README.md")
PYTEST = ("-m", "pytest", "-x", "-q", "-n0", "-p", "no:cacheprovider", "-m", "not long")


class Mutant(NamedTuple):
    name: str
    file: str
    original: str  # must occur exactly once in the file
    mutated: str
    tests: str  # what pytest is given, separated by spaces


SENSOR, OF_SENSOR = "perturb/sensor.py", "tests/test_sensor.py"
VERDICT, LOCATIONS, STREAMS = "perturb/verdict.py", "perturb/locations.py", "perturb/streams.py"
STATS = "perturb/stats/"
MARK = "perturb/perturbations/mark.py"
OF_VERDICT, OF_LOCATIONS, OF_STATS = "tests/test_verdict.py", "tests/test_locations.py", "tests/test_stats.py"
RULES, TORUS, LINEARISED = (f"perturb/contribution/{name}.py" for name in ("rules", "torus", "linearised"))
OPERATIONS, QUANTITIES, EVALUATORS = "perturb/operations/", "perturb/quantities/", "perturb/evaluators/"
DISTIL, OF_FINE_TUNE = "perturb/training/distil.py", "tests/test_fine_tune.py"
CALIBRATE = "perturb/stories/calibrate.py"
SCALES, OF_OPERATIONS, OF_STRUCTURAL = (
    f"tests/test_{name}.py" for name in ("structural_scales", "operations", "structural")
)
WEIGHS, LIES = (
    SCALES + "::test_a_branch_weighs_what_its_operation_says",
    SCALES + "::test_windows_lie_where_the_network_reads",
)
OF_QUANTITIES, OF_TRIALS, OF_BLOCKS = "tests/test_quantities.py", "tests/test_trials.py", "tests/test_blocks.py"
OF_PHASES, OF_BLIND, OF_READING = "tests/test_phases.py", "tests/test_blind.py", "tests/test_reading.py"
OF_CAUSE, OF_ASKING = "tests/test_cause.py", "tests/test_ask_twice.py"
OF_SHOWING = "tests/test_showing.py"
OF_STUDIES, OF_STACK = "tests/test_studies.py", "tests/test_stack.py"
OF_UNTIL, OF_BASELINE = "tests/test_until_decided.py", "tests/test_baseline.py"
CONTROLS, OF_CONTROLS, OF_OUTLINE = "perturb/stories/controls.py", "tests/test_controls.py", "tests/test_outline.py"
OF_OBJECTS, OF_PLACING = "tests/test_perturbations.py", "tests/test_placing.py"
OF_OBSERVE, OF_EVALUATORS, OF_EXPERIMENT = (
    "tests/test_observe.py",
    "tests/test_evaluators.py",
    "tests/test_experiment.py",
)
CROSSING = OF_EXPERIMENT + "::test_crossing_interpolates_and_stays_in_range"
HALVES = OF_EXPERIMENT + "::test_features_are_tried_on_photographs_that_did_not_teach_them"
COMMON = OF_EXPERIMENT + "::test_a_common_threshold_is_the_rank_of_the_clean_pictures"
LEVELS, OF_LEVEL = STATS + "levels.py", QUANTITIES + "levels.py"
OF_LEVELS, OF_LEVEL_RUNS = "tests/test_levels.py", "tests/test_level_runs.py"
OF_WRITING, OF_WATCH, OF_SEVERAL = (f"tests/test_{name}.py" for name in ("writing", "watch", "several"))
# fmt: off
# ruff: noqa: E501
MUTANTS = [
    Mutant('the teacher sees the picture unmoved', DISTIL, 'return pictures.roll(self.move, (2, 3))', 'return pictures', OF_FINE_TUNE + "::test_padding_with_kept_weights_becomes_even_by_training"),
    Mutant('all weights learn', DISTIL, 'learning = resized or list(weights.values())', 'learning = list(weights.values())', OF_FINE_TUNE + "::test_only_resized_kernels_learn"),
    Mutant('right answers lost, turned round', "perturb/stories/fine_tune.py", '(before == truth).astype(float) - (after == truth)', '(after == truth).astype(float) - (before == truth)', OF_FINE_TUNE + "::test_right_answers_lost_are_before_minus_after"),
    Mutant('answers to what was learnt', "perturb/stories/fine_tune.py", '_cost(built, network, held_out)', '_cost(built, network, learnt)', OF_FINE_TUNE + "::test_changed_answers_are_counted_over_photographs_that_were_held_out"),
    Mutant('a constructor on an odd map', "perturb/remedies/written.py", ' and _outputs(old, old, size) == _outputs(old, new, size)', '', OF_FINE_TUNE + "::test_code_reads_as_a_constructor_where_that_is_the_same"),
    Mutant('an ONNX file without its normalisation', "perturb/model/onnx_written.py", 'GIVEN = ("bounds", "mean", "std")', 'GIVEN = ("bounds",)', OF_FINE_TUNE + "::test_onnx_file_answers_as_the_network_does"),
    Mutant('a line at each step', "perturb/cli/terminal.py", 'now - self._said < MINUTE or', 'now < self._said or', "tests/test_terminal.py"),
    Mutant('time left of all steps', "perturb/cli/terminal.py", '(self.total - self.done) / self.done', 'self.total / self.done', "tests/test_terminal.py"),
    Mutant('the mark first', "perturb/writing.py", 'for name in reversed(names):', 'for name in names:', OF_WRITING),
    Mutant('an earlier set not put back', "perturb/writing.py", '    except BaseException:\n        _take_back(folder, stage, names)\n        raise', '    except BaseException:\n        raise', OF_WRITING),
    Mutant('a living writer cleaned away', "perturb/writing.py", '        if not mine:\n            return False', '        if False:\n            return False', OF_WRITING),
    Mutant('a process that says nothing is trusted', "perturb/cli/watch.py", 'return InputError.exit_code', 'return max(code, 0)', OF_WATCH),
    Mutant('an interrupt of nobody', "perturb/cli/watch.py", 'if self.end is not None and not by_itself:', 'if self.end is not None:', OF_WATCH),
    Mutant('a lost model ends the command', "perturb/cli/watch.py", 'if self.part is not None:', 'if False:', OF_SEVERAL + "::test_models_that_crash_exit_or_raise_lose_their_own_rows_alone"),
    Mutant('controls measured for each model', "perturb/cli/several.py", '    @cache\n', '', OF_SEVERAL + "::test_models_share_controls_and_have_the_runs_that_they_have_alone"),
    Mutant('wrong pictures are each models own fault', "perturb/cli/several.py", 'except (KeyboardInterrupt, ForAllError):', 'except KeyboardInterrupt:', OF_SEVERAL + "::test_pictures_that_no_model_can_have_end_the_command"),
    Mutant('two models in one folder', "perturb/cli/several.py", 'while name.casefold() in taken:', 'while name in taken:', OF_SEVERAL + "::test_each_model_has_a_folder_of_a_safe_name"),
    Mutant('a folder above', "perturb/cli/several.py", '[:LONGEST].strip(".-")', '[:LONGEST]', OF_SEVERAL + "::test_each_model_has_a_folder_of_a_safe_name"),
    Mutant('the best model decides', "perturb/render/models.py", 'return min((row.verdict', 'return max((row.verdict', OF_SEVERAL + "::test_the_worst_verdict_is_the_exit_code"),
    Mutant('a closed pipe is an error', "perturb/cli/outlets.py", 'if self._needed and not isinstance(error, BrokenPipeError):', 'if self._needed:', OF_WATCH),
    Mutant('prints mix with results', "perturb/cli/outlets.py", 'sys.stdout = sys.stderr = OURS.printed or sys.stderr', 'sys.stderr = OURS.printed or sys.stderr', OF_WATCH),
    Mutant('FAIL at its own confidence', VERDICT, 'own, effect = effect.confidence, question.effect_at(shared)', 'own = effect.confidence', OF_VERDICT),
    Mutant('PASS by Holm', VERDICT, 'if verdict == Verdict.FAIL and shared is not None:', 'if shared is not None:', OF_VERDICT),
    Mutant('exact effects inside Holm', VERDICT, 'if effect.method not in WITHOUT_ERROR]', ']', OF_VERDICT),
    Mutant('Holm of every decision', VERDICT, 'questions[i].effect_at(confidence).low > questions[i].claim.at_most', 'decide(questions[i].claim, questions[i].effect_at(confidence))[0] != Verdict.INCONCLUSIVE', OF_VERDICT),
    Mutant('photographs judged for those to supply', VERDICT, 'math.ceil(judged * question.supply)', 'judged', OF_VERDICT),
    Mutant('a standard error the other way', VERDICT, '(0.0, away, -away)', '(0.0, -away, away)', OF_VERDICT),
    Mutant('a standard deviation for an error', VERDICT, 'effect.spread / effect.n**0.5', 'effect.spread', OF_VERDICT),
    Mutant('beyond the margin still decides', VERDICT, 'if (value - margin) * away < 0:', 'if False:', OF_VERDICT),
    Mutant("bets twice as large", STATS + "betting.py", "(mean - values) / (1 - mean)", "2 * (mean - values) / (1 - mean)", OF_STATS),
    Mutant('one-sided error at both ends', STATS + "betting.py", '(1 - confidence) / 2\n', '(1 - confidence)\n', OF_STATS),
    Mutant('all money on every bet', STATS + "betting.py", 'b=SHARES.reshape(-1, *[1] * (log_each.ndim - 1))', 'b=1', OF_STATS),
    Mutant('the lower end of the upper', STATS + "betting.py", 'low, high = 1 - _upper(1 - scaled, error), _upper(scaled, error)', 'low, high = 2 * scaled.mean() - _upper(scaled, error), _upper(scaled, error)', OF_STATS),
    Mutant('values beyond their bounds', STATS + "betting.py", 'if not (len(values) and', 'if not (True or', OF_STATS),
    Mutant('the best phase passes for all', STATS + "largest.py", 'log_money(scaled, mean).min()', 'log_money(scaled, mean).max()', OF_PHASES),
    Mutant('each phase with all of the money', STATS + "largest.py", ' - math.log(len(scaled))', '', OF_PHASES),
    Mutant('the larger of the ends from the least mean', STATS + "largest.py", '1 - float(scaled.mean(-1).max()), error)', '1 - float(scaled.mean(-1).min()), error)', OF_PHASES),
    Mutant('the loss of the best phase', QUANTITIES + "by_phase.py", 'worst = int(means.argmax())', 'worst = int(means.argmin())', OF_PHASES),
    Mutant('the loss of a phase with the other sign', QUANTITIES + "by_phase.py", 'tables.append(of_photograph - there)', 'tables.append(there - of_photograph)', OF_PHASES),
    Mutant('crops do not share the phases', "perturb/phases.py", 'first = int(images.crop[i]) * pairs', 'first = 0 * pairs', OF_PHASES),
    Mutant('live places share the turn', "perturb/phases.py", 'turns[1, i] = every[own[np.arange(pairs) % len(every)]]', 'turns[1, i] = turns[0, i]', OF_PHASES),
    Mutant('fewer pairs than phases', "perturb/phases.py", 'rounds = -(-pairs * shared // phases)', 'rounds = pairs * shared // phases', OF_PHASES),
    Mutant('a FAIL of many phases as of one', VERDICT, 'effect.among if value > margin else 1', '1', OF_PHASES),
    Mutant('what would FAIL among many phases as of one', VERDICT, '/ 2 / effect.among', '/ 2', OF_PHASES + "::test_what_would_fail_among_many_phases_is_a_larger_loss"),
    Mutant('nothing lost in a blind area', QUANTITIES + "cause.py", 'lost.sum() <= 0:', 'False:', OF_CAUSE),
    Mutant('half the loss is all of it', QUANTITIES + "cause.py", 'if share <= MOST_OF_IT:', 'if share <= 1 - MOST_OF_IT / 10:', OF_CAUSE),
    Mutant('a border that goes on inside', QUANTITIES + "cause.py", 'or inner.mean() > claimed:', 'or False:', OF_CAUSE),
    Mutant('a border that is not shown', QUANTITIES + "cause.py", 'if outer_low <= claimed or apart_low <= 0:', 'if apart_low <= 0:', OF_CAUSE),
    Mutant('the border is inside', QUANTITIES + "cause.py", 'near = evidence.edge <= limit', 'near = evidence.edge > limit', OF_CAUSE),
    Mutant('structure without a loss by phase', QUANTITIES + "cause.py", 'if low <= 0:', 'if False:', OF_CAUSE),
    Mutant('structure wherever it is weaker', QUANTITIES + "cause.py", 'WEAKER = 0.8', 'WEAKER = 0.9', OF_CAUSE),
    Mutant('learned wherever it is not structural', QUANTITIES + "cause.py", 'ALIKE = 0.95', 'ALIKE = 0.85', OF_CAUSE),
    Mutant('dead places that the claim is not about', QUANTITIES + "cause.py", 'evidence.read[0][here].mean()', 'evidence.read[0].mean()', OF_CAUSE),
    Mutant('one right answer is no floor', QUANTITIES + "detection.py", 'right.min() <= chance', 'right.min() < chance', OF_BLIND),
    Mutant('boxes everywhere', QUANTITIES + "detection.py", 'seen.point.clean != "unmatched" or np.ptp', 'True or np.ptp', OF_BLIND),
    Mutant('a flat map of no answers', QUANTITIES + "of_map.py", 'share < FLOOR / 2', 'share < 0', OF_BLIND),
    Mutant('padding is a pixel', "perturb/contribution/bordered.py", 'return F.pad(op.x, op.widths) if op.mode == "constant"', 'return F.pad(op.x, op.widths, mode="replicate") if op.mode == "constant"', OF_READING),
    Mutant('a mask reads everything', RULES, 'factor.double() ** trace.power if trace.is_fixed(factor)', 'factor.double() ** trace.power if False', OF_READING),
    Mutant('part windows read nothing', "perturb/contribution/bordered.py", 'stencil.stride[axis] - rest if rest and inside else 0', '0', OF_READING),
    Mutant('what would decide without its price', STATS + "betting.py", 'np.log(1 / (error * SHARES))', 'np.log(1 / error) / 2 + 0 * SHARES', OF_STATS),
    Mutant('counted bets at twice the error', STATS + "betting.py", '>= -math.log(error))', '>= -math.log(2 * error))', OF_STATS + "::test_counted_bets_decide_as_the_interval_does"),
    Mutant('a claim of everything is open', STATS + "betting.py", 'if mean >= 1:', 'if mean > 1:', OF_STATS + "::test_counted_bets_decide_as_the_interval_does"),
    Mutant('PASS and FAIL at one error', STATS + "chances.py", '1 - margin, rule.fails)', '1 - margin, rule.passes)', OF_STATS + "::test_pass_and_fail_are_told_by_their_own_error"),
    Mutant('correlation as its complement', STATS + "chances.py", 'weight = (1 - correlation) / correlation', 'weight = correlation / (1 - correlation)', OF_STATS + "::test_simulated_clusters_have_the_mean_and_the_spread_that_they_are_said_to_have"),
    Mutant('dead places gain what they lose', STATS + "chances.py", 'detections(trials, live - loss,', 'detections(trials, live + loss,', OF_STATS + "::test_simulated_clusters_have_the_mean_and_the_spread_that_they_are_said_to_have"),
    Mutant('half as many would pass', STATS + "chances.py", 'if enough(middle) else (middle, most)', 'if not enough(middle) else (middle, most)', OF_STATS + "::test_so_many_clusters_without_a_loss_pass"),
    Mutant('found in a fifth of all runs', STATS + "power.py", 'ndtri(1 - power)', 'ndtri(power)', OF_STATS + "::test_the_least_mean_that_is_found_is_found_so_often"),
    Mutant('found without the price of a bet', STATS + "power.py", ' + np.log(SHARES[open_])', '', OF_STATS + "::test_the_least_mean_that_is_found_is_found_so_often"),
    Mutant('FAIL beside no other check', "perturb/stories/operating.py", 'fails=error / sampled', 'fails=error * sampled', OF_OUTLINE + "::test_beside_other_checks_a_check_fails_less_often"),
    Mutant('as many to calibrate on, however few are judged', "perturb/stories/outline.py", '(calibration + there[0]) / there[0]', '(calibration + judged) / judged', OF_OUTLINE + "::test_a_run_that_judges_few_of_many_is_not_told_to_calibrate_on_as_many_more"),
    Mutant('false alarms are detections', OF_LEVEL, 'arm.guess >= self.share', 'False', OF_LEVELS + "::test_a_share_that_false_alarms_reach_is_no_detection"),
    Mutant('waits for a change of trials that do not pair', "perturb/baseline.py", 'if None in found.values():', 'if False:', OF_BASELINE + "::test_a_run_whose_trials_do_not_pair_waits_for_no_change"),
    Mutant('photographs to judge, not to supply', "perturb/stories/operating.py", 'ceil(judged * supply.a_judged)', 'ceil(judged)', OF_OUTLINE + "::test_so_many_photographs_pass_as_often_as_is_told"),
    Mutant('one clean twin for all pairs', "perturb/stories/cost.py", 'else pairs if plan.evaluator.noise', 'else 1 if plan.evaluator.noise', OF_OUTLINE + "::test_the_pictures_of_a_given_level_are_counted_exactly"),
    Mutant('a balanced window of two sizes', CONTROLS, 'hadamard(size)[:, : 4 * channels]', 'hadamard(size)[:, : 4 * channels] + 1', OF_CONTROLS + "::test_pixels_of_the_balanced_window_can_be_exchanged"),
    Mutant('corners as they lie', CONTROLS, 'rng.integers(SIDE, size=2), (1, 2))', 'rng.integers(1, size=2), (1, 2))', OF_CONTROLS + "::test_corners_are_moved_around_a_torus"),
    Mutant('any loss on a balanced network', CONTROLS, 'passed=effect.low <= 0 <= effect.high', 'passed=effect.low <= 1', OF_CONTROLS + "::test_an_arm_that_is_not_looked_at_makes_the_balanced_controls_fail"),
    Mutant('a planted answer need not be found', "perturb/stories/answer_controls.py", 'passed=lost.value > 0.25', 'passed=lost.value > -0.25', OF_CONTROLS + "::test_an_evaluator_that_reads_nothing_fails_its_control"),
    Mutant('false alarms by their upper end', "perturb/stories/false_alarms.py", 'passed=low <= limit', 'passed=high <= limit', OF_CONTROLS + "::test_false_alarms_fail_where_they_are_shown"),
    Mutant('false alarms of any rate', "perturb/stories/false_alarms.py", 'limit, error = LIMIT * pinned', 'limit, error = LIMIT * LIMIT * LIMIT * pinned', OF_CONTROLS + "::test_false_alarms_fail_where_they_are_shown"),
    Mutant('as many as did not decide', STATS + "power.py", 'max(have + 1, math.ceil(found))', 'math.ceil(found)', OF_STATS),
    Mutant('above the margin as below', STATS + "power.py", 'mean, limit = 1 - mean, 1 - limit', 'pass', OF_STATS),
    Mutant('spread does not matter', STATS + "power.py", 'return np.asarray(betaincinv(mean * weight, (1 - mean) * weight, quantiles))', 'return np.full(1, mean)', OF_STATS),
    Mutant('a loss within 0 and 1', QUANTITIES + "statistics.py", 'betting_interval(means, (-limit, limit), confidence)', 'betting_interval(means.clip(0), (0, limit), confidence)', OF_QUANTITIES),
    Mutant('a share within -1 and 1', QUANTITIES + "statistics.py", 'betting_interval(means, (0, 1), confidence)', 'betting_interval(means, (-1, 1), confidence)', OF_QUANTITIES),
    Mutant('the first seed alone', QUANTITIES + "statistics.py", '    means = table.mean(0)\n    if math', '    means = table[0]\n    if math', OF_QUANTITIES),
    Mutant('no word of seeds', QUANTITIES + "statistics.py", 'if count > 1 else', 'if count > 9 else', OF_QUANTITIES),
    Mutant('differences beyond the limit', QUANTITIES + "detection.py", 'self._difference(seen).clip(-self.limit, self.limit)', 'self._difference(seen)', OF_QUANTITIES),
    Mutant('anything can be claimed', QUANTITIES + "detection.py", 'if not np.isfinite(self.limit):', 'if False:', OF_QUANTITIES),
    Mutant('a change within half its range', "perturb/changes.py", 'limit = 2.0 if pairing.quantity == LOSS else 1.0', 'limit = 0.5', 'tests/test_changes.py'),
    Mutant('EQUIVALENT by Holm', "perturb/changes.py", 'shared[i] if i in shared and moves_at(i)(CONFIDENCE) else CONFIDENCE', 'shared.get(i, CONFIDENCE)', 'tests/test_changes.py'),
    Mutant('REGRESSED at its own confidence', "perturb/changes.py", 'shared[i] if i in shared and moves_at(i)(CONFIDENCE) else CONFIDENCE', 'CONFIDENCE', 'tests/test_changes.py'),
    Mutant('rises count as falls', "perturb/changes.py", 'fell=int((effects < 0).sum())', 'fell=int((effects > 0).sum())', 'tests/test_changes.py'),
    Mutant("as measured inside Holm", VERDICT, '("exact", "as measured")', '("exact",)', OF_VERDICT),
    Mutant(">= for > in FAIL", VERDICT, "effect.low > margin", "effect.low >= margin", OF_VERDICT),
    Mutant(">= for > in PASS", VERDICT, "effect.high > margin", "effect.high >= margin", OF_VERDICT),
    Mutant("saturation forgotten", VERDICT, "if effect.saturated:", "if False:", OF_VERDICT),
    Mutant("images needed where saturated", VERDICT, "verdict == Verdict.INCONCLUSIVE and not effect.saturated", "verdict == Verdict.INCONCLUSIVE", OF_VERDICT),
    Mutant("infinity is finite", VERDICT, "math.isfinite, (effect.value", "lambda x: x == x, (effect.value", OF_VERDICT),
    Mutant("order of the overall verdict", VERDICT, "(Verdict.INVALID, Verdict.FAIL, Verdict.INCONCLUSIVE)", "(Verdict.INVALID, Verdict.INCONCLUSIVE, Verdict.FAIL)", OF_VERDICT),
    Mutant("no finding passes", VERDICT, "if not findings or not all", "if not all", OF_VERDICT),
    Mutant("one passed control is enough", VERDICT, "not all(control", "not any(control", OF_VERDICT),
    Mutant("sign of the patch's roll", LOCATIONS, "np.roll(phases, -n, axis)", "np.roll(phases, n, axis)", OF_LOCATIONS),
    Mutant("rows and columns of the roll", LOCATIONS, "np.roll(phases, -n, axis)", "np.roll(phases, -n, 1 - axis)", OF_LOCATIONS),
    Mutant("border of fold dropped", LOCATIONS, '!= "structural"', '== "none"', OF_LOCATIONS),
    Mutant("border of fold rounded down", LOCATIONS, "-(-(n // 8) // period)", "(n // 8 // period)", OF_LOCATIONS),
    Mutant("border of fold a sixteenth", LOCATIONS, "n // 8", "n // 16", OF_LOCATIONS),
    Mutant("phases of columns apart", LOCATIONS, "None if period else contribution.periods", "None", OF_LOCATIONS),
    Mutant("cells that fold keeps", LOCATIONS, "c >= 2 * period", "c > 2 * period", OF_LOCATIONS),
    Mutant("overlapping live phases", LOCATIONS, "np.argwhere(live & ~dead)", "np.argwhere(live)", OF_LOCATIONS),
    Mutant("overlapping dead phases", LOCATIONS, "np.argwhere(dead & ~live)", "np.argwhere(dead)", OF_LOCATIONS),
    Mutant("largest phase in the dead arm", LOCATIONS, " & (phases < flat[-1] - slack)", "", OF_LOCATIONS),
    Mutant("smallest phase in the live arm", LOCATIONS, " & (phases > flat[0] + slack)", "", OF_LOCATIONS),
    Mutant("no phase for a small share", LOCATIONS, "last = max(1, round(share * flat.size)) - 1", "last = max(1, int(share * flat.size)) - 1", OF_LOCATIONS),
    Mutant("rounding splits equal phases", LOCATIONS, "SLACK = 1e-9", "SLACK = 0", OF_LOCATIONS),
    Mutant("random arms overlap", LOCATIONS, "every[count : 2 * count]", "every[: 2 * count]", OF_LOCATIONS),
    Mutant("threshold of the dead share", LOCATIONS, "phases < below", "phases <= below", OF_LOCATIONS),
    Mutant("finite imbalance", LOCATIONS, 'float("inf")', "0.0", OF_LOCATIONS),
    Mutant("dead_below met by its equal", LOCATIONS, "phases < dead_below", "phases <= dead_below", OF_LOCATIONS),
    Mutant("live_above met by its equal", LOCATIONS, "phases > live_above", "phases >= live_above", OF_LOCATIONS),
    Mutant("a patch's sum for its mean", LOCATIONS, " / size**2", "", OF_LOCATIONS),
    Mutant("cluster means unsorted", STATS + "clusters.py", "np.asarray(np.bincount(index, values) / np.bincount(index))", "np.asarray(np.bincount(index, values) / np.bincount(index))[::-1]", OF_STATS),
    Mutant("spread of a population", STATS + "clusters.py", "ddof=1", "ddof=0", OF_STATS),
    Mutant("spread of equal clusters", STATS + "clusters.py", "if np.ptp(means) else 0.0", "", OF_STATS),
    Mutant("bootstrap from 31", STATS + "clusters.py", "n < FEW", "n <= FEW", OF_STATS),
    Mutant("t of n clusters", STATS + "clusters.py", "2, n - 1)", "2, n)", OF_STATS),
    Mutant("BCa without acceleration", STATS + "bootstrap.py", "acceleration = float(", "acceleration = 0 * float(", OF_STATS),
    Mutant("acceleration's sign", STATS + "bootstrap.py", "acceleration = float(", "acceleration = -float(", OF_STATS),
    Mutant("BCa without bias", STATS + "bootstrap.py", "bias = ndtri(", "bias = 0 * ndtri(", OF_STATS),
    Mutant("ties on one side", STATS + "bootstrap.py", "(found <= mean + tie)", "(found < mean - tie)", OF_STATS),
    Mutant("Holm is Bonferroni", STATS + "multiplicity.py", "/ len(waiting)", "/ len(used)", OF_STATS),
    Mutant("Holm's first step alone", STATS + "multiplicity.py", "waiting = undecided", "break", OF_STATS),
    Mutant("Wilson's ends", STATS + "proportion.py", "0.0 if share == 0 else max(0.0, centre - half)", "max(0.0, centre - half) + 1e-9", OF_STATS),
    Mutant("trials do not bound Wilson", STATS + "proportion.py", "float(min(expected * (1 - expected) / variance, trials))", "float(expected * (1 - expected) / variance)", OF_STATS),
    Mutant("only trials bound Wilson", STATS + "proportion.py", "float(min(expected * (1 - expected) / variance, trials))", "float(trials)", OF_STATS),
    Mutant("unseen clusters forgotten", STATS + "proportion.py", "QUARTER = 0.25", "QUARTER = 0.001", OF_STATS),
    Mutant("Wilson's centre", STATS + "proportion.py", "(2 * effective)", "effective", OF_STATS),
    Mutant("variance of rank correlations", STATS + "rank.py", "1 + rho**2 / 2", "1 + rho**2", OF_STATS),
    Mutant("Fisher's variance", STATS + "rank.py", "(1 + rho**2 / 2)", "1", OF_STATS),
    Mutant("n of rank correlations", STATS + "rank.py", "/ (n - 3))", "/ (n - 2))", OF_STATS),
    Mutant("byte order of streams", STREAMS, '"little"', '"big"', "tests/test_streams.py"),
    Mutant("seed of streams dropped", STREAMS, "[seed, *words]", "[*words]", "tests/test_streams.py"),
    Mutant("brightness that decides the sign", MARK, "> 0.5, -1, 1", ">= 0.5, -1, 1", "tests/test_perturbations.py"),
    Mutant("a level that is not scaled", MARK, "ink * (level * colour)", "ink * colour", "tests/test_perturbations.py"),
    Mutant("alpha not squared", RULES, "* factor**trace.power for", "* factor for", WEIGHS),
    Mutant("alpha doubled for squared", RULES, "* factor**trace.power for", "* factor * trace.power for", WEIGHS),
    Mutant("scalar not squared", RULES, "x * float(other) ** trace.power", "x * float(other)", WEIGHS),
    Mutant("divisor not squared", RULES, "op.x / float(op.divisor) ** trace.power", "op.x / float(op.divisor)", WEIGHS),
    Mutant("average pool not squared", RULES, "(op.divisor or math.prod(op.stencil.kernel)) ** trace.power", "(op.divisor or math.prod(op.stencil.kernel))", WEIGHS),
    Mutant("divisor of an average pool", RULES, "(op.divisor or math.prod(op.stencil.kernel))", "math.prod(op.stencil.kernel)", WEIGHS),
    Mutant("max pool is a sum", RULES, "return window_sum(op.x, op.stencil) / math.prod(op.stencil.kernel)\n\n\ndef _average", "return window_sum(op.x, op.stencil)\n\n\ndef _average", WEIGHS),
    Mutant("mean not squared", RULES, '"mean": count**trace.power', '"mean": count', WEIGHS),
    Mutant("every value is the largest", RULES, '"amax": count,', '"amax": 1,', WEIGHS),
    Mutant("a sum is a mean", RULES, '"sum": 1,', '"sum": count,', WEIGHS),
    Mutant("attention moves positions", "perturb/contribution/reach.py", 'operations.Attention: _still(_attention, "query"),', "", "tests/test_reach.py"),
    Mutant("strides that are no strides", "perturb/contribution/reach.py", "return found if even and min(found) >= 1 else None", "return found", "tests/test_reach.py"),
    Mutant("matmul without fan-in", RULES, "(1 if _are_known(trace, op.sides) else a.shape[-1])", "1", WEIGHS),
    Mutant("matmul by the other side", RULES, "(1 if _are_known(trace, op.sides) else a.shape[-1])", "(1 if _are_known(trace, op.sides) else a.shape[-2])", WEIGHS),
    Mutant("einsum without fan-in", RULES, "torch.einsum(op.equation, *operands) / contracted", "torch.einsum(op.equation, *operands)", WEIGHS),
    Mutant("linear is a sum", RULES, "op.x.mean(-1, keepdim=True).expand(*op.x.shape[:-1], op.weight", "op.x.sum(-1, keepdim=True).expand(*op.x.shape[:-1], op.weight", WEIGHS),
    Mutant("attention is a sum", RULES, "op.value.mean(-2, keepdim=True)", "op.value.sum(-2, keepdim=True)", WEIGHS),
    Mutant("convolution without its kernel's fan-in", RULES, "out = window_sum(group_means(op.x, op.groups), op.stencil) / math.prod(op.stencil.kernel)", "out = window_sum(group_means(op.x, op.groups), op.stencil)", WEIGHS),
    Mutant("groups share no fan-in", RULES, "(groups, -1)).mean(2)", "(groups, -1)).sum(2)", WEIGHS),
    Mutant("fixed coefficients not squared", RULES, " ** trace.power, None", ", None", WEIGHS),
    Mutant("transposed convolution without fan-in", RULES, "(window_sum(wide, stencil) / math.prod(kernel))", "window_sum(wide, stencil)", WEIGHS),
    Mutant("padding of a transposed convolution", RULES, "(kernel[a] - 1) - op.stencil.before[a]", "(kernel[a] - 1) + op.stencil.before[a]", LIES),
    Mutant("padding of fixed coefficients", RULES, "device=x.device) - stencil.before[axis]", "device=x.device) + stencil.before[axis]", LIES),
    Mutant("sign of explicit padding", RULES, "x.roll((op.along(-2)[0], op.along(-1)[0])", "x.roll((-op.along(-2)[0], -op.along(-1)[0])", LIES),
    Mutant("rows and columns of explicit padding", RULES, "x.roll((op.along(-2)[0], op.along(-1)[0])", "x.roll((op.along(-1)[0], op.along(-2)[0])", LIES),
    Mutant("sign of a crop", RULES, "x.roll(-(part.start", "x.roll((part.start", LIES),
    Mutant("step of an index", RULES, "slice(None, None, step)", "slice(None)", LIES),
    Mutant("resizing is not squared", RULES, "((weights**trace.power).to(op.x.device) for", "(weights.to(op.x.device) for", OF_STRUCTURAL),
    Mutant("a resizing ends at the border", "perturb/operations/resizing.py", "(torch.arange(size + 2 * ahead) - ahead) % size", "(torch.arange(size + 2 * ahead) - ahead).clamp(0, size - 1)", OF_STRUCTURAL),
    Mutant("a torus changes the ratio", "perturb/contribution/architecture.py", "if recorder.ratios and", "if False and", OF_STRUCTURAL),
    Mutant("steps are not squared", SENSOR, "(rows**2).T @ squared @ columns**2", "rows.T @ squared @ columns", OF_SENSOR),
    Mutant("the first step alone", SENSOR, "for stage in self.stages:\n            x = stage.along", "for stage in self.stages[:1]:\n            x = stage.along", OF_SENSOR),
    Mutant("what a letterbox leaves is at one end", SENSOR, "spare[0] // 2, spare[0] - spare[0] // 2", "0, spare[0]", OF_SENSOR),
    Mutant("a crop's corner is rounded down", SENSOR, "round((n - size[axis]) / 2)", "(n - size[axis]) // 2", OF_SENSOR),
    Mutant("padding keeps the corner", SENSOR, "ratio[0] + stage.widths[0]", "ratio[0]", OF_SENSOR),
    Mutant("cells anywhere in the picture", "perturb/trials.py", "locations.area or (0, 0", "(0, 0", OF_SENSOR),
    Mutant("another cell's pixel", "perturb/trials.py", "arm[number][rng.integers(len(arm[number]))]", "arm[0][rng.integers(len(arm[0]))]", OF_SENSOR),
    Mutant("boxes in the input's pixels", EVALUATORS + "boxes.py", "asked.to_picture(corners[:, i] - 0.5, 1 - i % 2) + 0.5", "corners[:, i]", OF_SENSOR),
    Mutant("sign of a window's padding", TORUS, "* stride - stencil.before[axis]", "* stride + stencil.before[axis]", LIES),
    Mutant("dilation of a window", TORUS, "tap * stencil.dilation[axis]", "tap", LIES),
    Mutant("first tap counted twice", TORUS, "for tap in range(1, stencil", "for tap in range(0, stencil", SCALES + "::test_padding_moves_the_phase_that_is_read_twice"),
    Mutant("sign of coverage's padding", OPERATIONS + "records.py", "(i * dilation - padding)", "(i * dilation + padding)", SCALES + "::test_coverage_counts_from_the_padding"),
    Mutant("dilation of coverage", OPERATIONS + "records.py", "(i * dilation - padding)", "(i - padding)", OF_STRUCTURAL + "::test_coverage_is_the_closed_form"),
    Mutant("certificate of rows for columns", OPERATIONS + "records.py", "coverage(kernel[a], stride[a], stencil.before[a]", "coverage(kernel[a], stride[a], stencil.before[0]", SCALES + "::test_coverage_counts_from_the_padding"),
    Mutant("balanced along one axis", OPERATIONS + "records.py", "len(set(rows)) == 1 and len(set(columns)) == 1", "len(set(rows)) == 1", SCALES + "::test_a_window_is_balanced_along_both_axes"),
    Mutant("an identity that is its source", LINEARISED, "if rearranged else live[0].clone()", "if rearranged else live[0]", OF_STRUCTURAL + "::test_what_is_written_into_leaves_its_source_alone"),
    Mutant("a roll that wraps around", "perturb/contribution/reach.py", "x = _extend(x, dim, shift, -shift) if moves else", "x = _extend(x, dim, shift, -shift) if False else", "tests/test_reach.py"),
    Mutant("a choice sees its first term", "perturb/contribution/reach.py", "_hull(*op.terms, op.mask)", "_hull(op.terms[0], op.mask)", "tests/test_reach.py"),
    Mutant("a deviation is a signal", "perturb/contribution/gates.py", "or (maps and _is_one_number(x))", "", "tests/test_reach.py"),
    Mutant("a stride of phases", "perturb/contribution/reach.py", "if whole else field", "if False else field", "tests/test_reach.py::test_attention_within_each_phase_of_a_map_sees_the_whole_picture"),
    Mutant("unfolded windows end", RULES, "torch.arange(op.size, device=op.x.device)) % count", "torch.arange(op.size, device=op.x.device)).clamp(max=count - 1)", OF_STRUCTURAL + "::test_unfolded_windows_are_an_average_pool"),
    Mutant("the shape of a gate is its level", "perturb/contribution/gates.py", "source = live[:1] if name in SHAPED and live[0] is args[0] else live", "source = live", "tests/test_reach.py::test_a_gate_in_the_shape_of_what_it_multiplies_is_a_gate"),
    Mutant("a gate wherever it stands", "perturb/contribution/gates.py", "if level_of([x]) > lowest or", "if level_of([x]) >= lowest or", "tests/test_reach.py"),
    Mutant("a sigmoid is no gate", "perturb/contribution/gates.py", "level_of(source) + (name in GATES)", "level_of(source)", OF_STRUCTURAL),
    Mutant("paths are squared one by one", "perturb/contribution/fixed_paths.py", "len(paths) > 1 and all(path.base is", "False and all(path.base is", "tests/test_fixed_paths.py"),
    Mutant("what was written into is what it was", "perturb/contribution/fixed_paths.py", "if version == x._version and path.version == path.base._version:", "if True:", "tests/test_fixed_paths.py"),
    Mutant("a computed weight is fixed", LINEARISED, "if any(self._is_learnt(x) for x in", "if any(False for x in", "tests/test_fixed_paths.py"),
    Mutant("a blur of a blur", "perturb/contribution/fixed_paths.py", "return mixes(kind) and not paths[0].once", "return False", "tests/test_fixed_paths.py"),
    Mutant("a crop's cell lies at its own corner", "perturb/contribution/lattice.py", "(top % period, left % period)", "(0, 0)", "tests/test_crops.py"),
    Mutant("a leak is kept", "perturb/surroundings.py", "if get() != value:", "if False:", "tests/test_surroundings.py"),
    Mutant("every run draws the same", "perturb/surroundings.py", "self._draws, self._open = _draws(), False", "self._open = False", "tests/test_surroundings.py"),
    Mutant("pictures may meet a little", "perturb/model/trial.py", "if not _same(_first_rows(both), _first_rows(twice)):", "if False:", "tests/test_witness.py"),
    Mutant("no picture is asked beside others", "perturb/stories/witness.py", "others = 1 - shown", "others = shown.clone()", "tests/test_witness.py"),
    Mutant("nobody is patient", "perturb/stories/witness.py", "if _numbers(model) != numbers:", "if False:", "tests/test_witness.py"),
    Mutant("custom functions pass", LINEARISED, "if custom and name not in", "if False and name not in", OF_STRUCTURAL + "::test_what_is_not_understood_is_named"),
    Mutant("no weight is fixed", LINEARISED, "return not (weight.requires_grad or self._is_learnt(weight))", "return False", WEIGHS),
    Mutant("sign of rsub's alpha", OPERATIONS + "arithmetic.py", '(-given.get("alpha", 1), 1)', '(given.get("alpha", 1), 1)', OF_OPERATIONS + "::test_factors_have_their_signs_in_the_order_of_the_terms"),
    Mutant("order of rsub's factors", OPERATIONS + "arithmetic.py", '(-given.get("alpha", 1), 1)', '(1, -given.get("alpha", 1))', OF_OPERATIONS + "::test_factors_have_their_signs_in_the_order_of_the_terms"),
    Mutant("alpha added to the sign", OPERATIONS + "arithmetic.py", 'sign * given.get("alpha", 1)', 'sign + given.get("alpha", 1)', OF_OPERATIONS + "::test_factors_have_their_signs_in_the_order_of_the_terms"),
    Mutant("a difference is a sum", OPERATIONS + "arithmetic.py", "_sum(-1)", "_sum(1)", OF_OPERATIONS + "::test_factors_have_their_signs_in_the_order_of_the_terms"),
    Mutant("rounded division is division", OPERATIONS + "arithmetic.py", 'None if given.get("rounding_mode") else records', "records", OF_OPERATIONS + "::test_what_is_not_known_is_not_guessed"),
    Mutant("no dimension is the first", OPERATIONS + "arithmetic.py", "dims or range(count)", "dims or range(1)", OF_OPERATIONS + "::test_reductions_say_their_dimensions"),
    Mutant("negative dimensions of a reduction", OPERATIONS + "arithmetic.py", "tuple(dim % count for dim in chosen)", "tuple(chosen)", OF_OPERATIONS + "::test_reductions_say_their_dimensions"),
    Mutant("odd one of same padding in front", OPERATIONS + "windows.py", "(rows // 2, columns // 2), (rows - rows // 2, columns - columns // 2)", "(rows - rows // 2, columns - columns // 2), (rows // 2, columns // 2)", OF_OPERATIONS + "::test_a_window_is_said_in_full"),
    Mutant("same padding forgets dilation", OPERATIONS + "windows.py", "dilation[axis] * (kernel[axis] - 1)", "kernel[axis] - 1", OF_OPERATIONS + "::test_a_window_is_said_in_full"),
    Mutant("stride of a pool", OPERATIONS + "windows.py", "pair(stride) if stride else kernel", "pair(stride) if stride else (1, 1)", OF_OPERATIONS + "::test_a_window_is_said_in_full"),
    Mutant("stride of a convolution", OPERATIONS + "windows.py", 'Stencil(kernel, pair(given.get("stride", 1)), before', "Stencil(kernel, kernel, before", OF_OPERATIONS + "::test_a_window_is_said_in_full"),
    Mutant("indices of a max pool forgotten", OPERATIONS + "windows.py", '    if given.get("return_indices"):\n        return None\n    return records.MaxPool', "    return records.MaxPool", OF_OPERATIONS + "::test_what_is_not_known_is_not_guessed"),
    Mutant("one dimension of padding for another", OPERATIONS + "records.py", "at = -2 * (dim + 1)", "at = 2 * (dim + 1)", OF_OPERATIONS + "::test_padding_is_asked_by_dimension"),
    Mutant("factors are ratios of sizes", OPERATIONS + "resizing.py", "if op.scale is None:", "if True:", OF_OPERATIONS),
    Mutant("columns of a pair", OPERATIONS + "records.py", "int(value[0]), int(value[-1])", "int(value[0]), int(value[0])", OF_OPERATIONS + "::test_a_window_is_said_in_full"),
    Mutant("ellipsis at the end", OPERATIONS + "shapes.py", "(*parts[:at], *[slice(None)] * count, *parts[at + 1 :])", "(*parts[:at], *parts[at + 1 :], *[slice(None)] * count)", OF_OPERATIONS + "::test_an_index_has_one_part_a_dimension"),
    Mutant("a mask is a plain index", OPERATIONS + "shapes.py", 'getattr(part, "ndim", 1) != 1', "False", OF_OPERATIONS + "::test_an_index_with_none_or_a_mask_is_left_as_it_is"),
    Mutant("what is narrowed begins at 0", OPERATIONS + "shapes.py", "slice(start, start + length)", "slice(0, length)", LIES),
    Mutant("unknown keywords pass", OPERATIONS + "binding.py", "or not kwargs.keys() <= first.keys()", "", OF_OPERATIONS),
    Mutant("too many arguments pass", OPERATIONS + "binding.py", "len(args) > len(order) or ", "", OF_OPERATIONS + "::test_arguments_are_bound_by_any_of_their_names"),
    Mutant("the batch's own statistics", OPERATIONS + "norms.py", "(None, None) if own else", "(None, None) if not own else", OF_OPERATIONS + "::test_normalisations_say_whose_statistics_they_use"),
    Mutant("ceiling of live places", QUANTITIES + "detection.py", '"ceiling" if dead.mean()', '"ceiling" if live.mean()', OF_QUANTITIES),
    Mutant("floor of dead places", QUANTITIES + "detection.py", '"floor" if live.mean()', '"floor" if dead.mean()', OF_QUANTITIES),
    Mutant("ceiling met by its equal", QUANTITIES + "detection.py", "> CEILING else", "> CEILING - 1e-9 else", OF_QUANTITIES),
    Mutant("floor met by its equal", QUANTITIES + "detection.py", "live.mean() < floor", "live.mean() <= floor", OF_QUANTITIES),
    Mutant("2AFC floor is chance", QUANTITIES + "detection.py", "FLOOR_2AFC = 0.75", "FLOOR_2AFC = 0.5", OF_QUANTITIES),
    Mutant("2AFC with the floor of detection", QUANTITIES + "detection.py", 'told_apart(seen, "dead"), FLOOR_2AFC)', 'told_apart(seen, "dead"), FLOOR)', OF_QUANTITIES),
    Mutant("detected at its threshold", QUANTITIES + "detection.py", "evidence > seen.threshold", "evidence >= seen.threshold", OF_QUANTITIES),
    Mutant("no answer is no", QUANTITIES + "detection.py", "np.where(np.isnan(evidence), np.nan, yes)", "yes", OF_QUANTITIES),
    Mutant("dead minus live", QUANTITIES + "detection.py", 'self.value(seen, "live") - self.value(seen, "dead")', 'self.value(seen, "dead") - self.value(seen, "live")', OF_QUANTITIES),
    Mutant("a tie is lost", QUANTITIES + "detection.py", "0.5 * (evidence == clean)", "0.0 * (evidence == clean)", OF_QUANTITIES),
    Mutant("a tie is won", QUANTITIES + "detection.py", "0.5 * (evidence == clean)", "1.0 * (evidence == clean)", OF_QUANTITIES),
    Mutant("floor of a task half-way", QUANTITIES + "detection.py", "(1 - chance) / 4", "(1 - chance) / 2", OF_QUANTITIES),
    Mutant("floor of a task from zero", QUANTITIES + "detection.py", "chance + (1 - chance) / 4", "(1 - chance) / 4", OF_QUANTITIES),
    Mutant("yes is right where nothing is", QUANTITIES + "detection.py", "else 1 - yes)", "else yes)", OF_QUANTITIES),
    Mutant("right answers count as yes", QUANTITIES + "detection.py", 'yes if seen.point.clean == "right" else', "yes if False else", OF_QUANTITIES),
    Mutant("clean answers do not count", QUANTITIES + "detection.py", "right = (right + (yes", "right = (right + 0 * (yes", OF_QUANTITIES),
    Mutant("the best of the seeds", QUANTITIES + "detection.py", "right.min() <", "right.max() <", OF_QUANTITIES),
    Mutant("a task has no floor", QUANTITIES + "detection.py", "at_floor(seen) or _at_ceiling", "_at_ceiling", OF_QUANTITIES),
    Mutant("a task has no ceiling", QUANTITIES + "detection.py", 'at_floor(seen) or _at_ceiling(detected(seen, "dead"))', "at_floor(seen)", OF_QUANTITIES),
    Mutant("detected is missed", QUANTITIES + "detection.py", "return 1 - detected(seen, arm)", "return detected(seen, arm)", OF_QUANTITIES),
    Mutant("missed at live places", QUANTITIES + "detection.py", '_missed,\n    arm="dead"', '_missed,\n    arm="live"', OF_QUANTITIES),
    Mutant("flips at dead places", QUANTITIES + "detection.py", '    arm="live",', '    arm="dead",', OF_QUANTITIES),
    Mutant("flip rate is never saturated", QUANTITIES + "detection.py", "    saturated=at_floor,\n    clean=(\"right\",),\n", "    clean=(\"right\",),\n", OF_QUANTITIES),
    Mutant("loss without a limit", QUANTITIES + "detection.py", "    saturated=at_floor_or_ceiling,\n    limit=1,\n", "    saturated=at_floor_or_ceiling,\n", OF_QUANTITIES),
    Mutant("2AFC loss without a limit", QUANTITIES + "detection.py", "    saturated=_of_choice,\n    limit=1,\n", "    saturated=_of_choice,\n", OF_QUANTITIES),
    Mutant("2AFC of a task", QUANTITIES + "detection.py", """    clean=("absent",),\n    pinned=True,""", """    clean=("absent",),""", OF_QUANTITIES),
    Mutant("crops weigh as photographs", QUANTITIES + "statistics.py", "owner = np.repeat(photograph, values.shape[2])", "owner = np.repeat(np.arange(len(photograph)), values.shape[2])", OF_QUANTITIES),
    Mutant("owners tiled", QUANTITIES + "statistics.py", "np.repeat(photograph, values.shape[2])", "np.tile(photograph, values.shape[2])", OF_QUANTITIES),
    Mutant("told-apart of a given threshold", QUANTITIES + "measures.py", "if seen.point.false_alarms is not None and ", "if ", OF_QUANTITIES),
    Mutant("a clean picture always answers", QUANTITIES + "measures.py", "None if np.isnan(clean).any() else rate(clean, seen.photograph)", "rate(clean, seen.photograph)", OF_QUANTITIES),
    Mutant("a measure that is no share limited", QUANTITIES + "measures.py", "limit=1 if share else np.inf", "limit=1", OF_QUANTITIES),
    Mutant("difference of shares without a limit", QUANTITIES + "measures.py", "limit=1 if share else np.inf", "limit=np.inf", OF_QUANTITIES),
    Mutant("levels of a curve", QUANTITIES + "measures.py", "np.moveaxis(detected(seen, arm), 1, 0)", "np.moveaxis(detected(seen, arm), 1, 0)[::-1]", OF_QUANTITIES),
    Mutant("a measured map is exact", QUANTITIES + "of_map.py", 'contribution.kind in ("structural", "sensor")', "True", OF_QUANTITIES),
    Mutant("infinity in a report", QUANTITIES + "of_map.py", "min(self.value(contribution), LARGEST)", "self.value(contribution)", OF_QUANTITIES),
    Mutant("trials by position", "perturb/trials.py", 'identity(images, i)}")\n        if spots', 'i}")\n        if spots', OF_TRIALS + "::test_a_crops_trials_do_not_depend_on_its_position"),
    Mutant("crops of a photograph alike", "perturb/trials.py", "/{images.crop[number]}", "", OF_TRIALS),
    Mutant("photographs by number", "perturb/trials.py", "images.digests[images.photograph[number]]", "images.photograph[number]", OF_TRIALS),
    Mutant("digest of the wrong photograph", "perturb/trials.py", "images.digests[images.photograph[number]]", "images.digests[number // 2]", OF_TRIALS),
    Mutant("phases by chance", "perturb/trials.py", "rng.permutation(len(phases))[np.arange(pairs) % len(phases)]", "rng.integers(len(phases), size=pairs)", OF_TRIALS),
    Mutant("phases from the first", "perturb/trials.py", "rng.permutation(len(phases))[np.arange(pairs) % len(phases)]", "np.arange(pairs) % len(phases)", OF_TRIALS),
    Mutant("purpose of trials", "perturb/trials.py", '/{purpose}/{identity(images, i)}")\n        if spots', '/{identity(images, i)}")\n        if spots', OF_TRIALS),
    Mutant("border rounded down", "perturb/trials.py", "-(-((n - begin) // 8) // period)", "((n - begin) // 8 // period)", OF_TRIALS),
    Mutant("patch leaves the last cell", "perturb/trials.py", "- period - size + 2", "- period + 1", OF_TRIALS),
    Mutant("one cell short", "perturb/trials.py", "- size + 2", "- size + 1", OF_TRIALS),
    Mutant("a pair in two cells", "perturb/trials.py", "cell + _in_turn(phases, pairs, rng)", "cell[:: 1 if landed is dead else -1] + _in_turn(phases, pairs, rng)", OF_TRIALS),
    Mutant("axis of joined", "perturb/blocks.py", "_concatenated(parts, 2, 1,", "_concatenated(parts, 0, 1,", OF_BLOCKS + "::test_joining_and_stacking_put_each_axis_where_it_belongs"),
    Mutant("axis of joined thresholds", "perturb/blocks.py", "_concatenated(parts, 2, 1,", "_concatenated(parts, 2, 0,", OF_BLOCKS + "::test_joining_and_stacking_put_each_axis_where_it_belongs"),
    Mutant("axis of stacked", "perturb/blocks.py", "_concatenated(parts, 0, 0,", "_concatenated(parts, 2, 0,", OF_BLOCKS + "::test_joining_and_stacking_put_each_axis_where_it_belongs"),
    Mutant("axis of stacked thresholds", "perturb/blocks.py", "_concatenated(parts, 0, 0,", "_concatenated(parts, 0, 1,", OF_BLOCKS + "::test_joining_and_stacking_put_each_axis_where_it_belongs"),
    Mutant("photographs of the first part", "perturb/blocks.py", "np.concatenate([part.photograph for part in parts])", "parts[0].photograph", OF_BLOCKS + "::test_joining_and_stacking_put_each_axis_where_it_belongs"),
    Mutant("photographs of stacked seeds", "perturb/blocks.py", "0, 0, parts[0].photograph", "0, 0, np.concatenate([p.photograph for p in parts])", OF_BLOCKS + "::test_joining_and_stacking_put_each_axis_where_it_belongs"),
    Mutant("measures not joined", "perturb/blocks.py", "measures={name: np.concatenate([part.measures[name] for part in parts], axis) for name in parts[0].measures},", "", OF_BLOCKS),
    Mutant("realised not joined", "perturb/blocks.py", "        realised=np.concatenate([part.realised for part in parts], axis),\n", "", OF_BLOCKS),
    Mutant("crops of a photograph apart", "perturb/blocks.py", "_, rank = np.unique(images.photograph, return_inverse=True)", "rank = np.arange(len(images.photograph))", OF_BLOCKS),
    Mutant("all trials in each block", "perturb/blocks.py", "trials=only_trials(trials, part)", "trials=trials", OF_BLOCKS),
    Mutant("crops keep their order", "perturb/trials.py", "        crop=images.crop[which],\n", "", OF_TRIALS),
    Mutant("noise by position", "perturb/showing.py", 'return f"{trials.purpose}/{identity(images, image)}"', 'return f"{trials.purpose}/{image}"', OF_BLOCKS),
    Mutant("twin is the first clean picture", "perturb/showing.py", "twin[number[..., PERTURBED]] = number[..., UNPERTURBED]", "twin[number[..., PERTURBED]] = 0", OF_OBSERVE),
    Mutant("twin is the picture itself", "perturb/showing.py", "    twin[number[..., PERTURBED]] = number[..., UNPERTURBED]\n", "", OF_OBSERVE),
    Mutant("pictures without noise", "perturb/showing.py", "np.clip(window + self.draws[draw], 0, 1)", "np.clip(window, 0, 1)", OF_OBSERVE),
    Mutant("another pair's noise", "perturb/showing.py", "takes.number(scenes[pair][arm], moves[pair, arm], drawn[pair])", "takes.number(scenes[pair][arm], moves[pair, arm], drawn[pair - 1])", OF_OBSERVE),
    Mutant("noise shared by all pairs", "perturb/showing.py", 'f"noise/{name}/{pair}"', 'f"noise/{name}"', OF_OBSERVE),
    Mutant("texture of the first pair", "perturb/showing.py", 'trials.seed, textures[pair]', 'trials.seed, textures[0]', OF_SHOWING),
    Mutant("texture by level", "perturb/showing.py", 'f"texture/{name}/{pair}"', 'f"texture/{name}/{pair}/{level}"', OF_OBSERVE),
    Mutant("shots alike", "perturb/showing.py", 'f"shot/{name}/{number}"', 'f"shot/{name}"', OF_OBSERVE),
    Mutant("arms swapped", "perturb/showing.py", "np.stack([trials.dead[image], trials.live[image]], 1)", "np.stack([trials.live[image], trials.dead[image]], 1)", OF_OBSERVE),
    Mutant("realised before its mean", "perturb/showing.py", ".sum()) / (len(blank) * np.prod(task.extent))", ".sum()) / np.prod(task.extent)", OF_OBSERVE),
    Mutant("realised with its sign", "perturb/showing.py", "np.abs(put - blank).sum()", "(put - blank).sum()", OF_OBSERVE),
    Mutant("clean places of live ones", "perturb/questions.py", "np.stack([dead, dead, live, live], 1)", "np.stack([live, live, dead, dead], 1)", OF_OBSERVE),
    Mutant("own labels forgotten", "perturb/questions.py", "np.array([task.asked(label, pair) if labelled else OWN", "np.array([task.asked(0, pair) if labelled else OWN", OF_OBSERVE),
    Mutant("unlabelled pictures have a label", "perturb/questions.py", "if labelled else OWN", "if True else OWN", OF_OBSERVE),
    Mutant("clean pictures have an intensity", "perturb/observe.py", 'if by.point.clean in ("none", "unmatched"):', "if False:", OF_OBSERVE),
    Mutant("NaN is evidence", "perturb/observe.py", "if not np.isfinite(found).all():", "if False:", OF_OBSERVE),
    Mutant("noise is twice what it says", "perturb/showing.py", "np.float32(noise) * np.sqrt", "np.float32(2 * noise) * np.sqrt", OF_OBSERVE),
    Mutant("noise brightens", "perturb/showing.py", "radius * np.cos(angle),", "np.abs(radius * np.cos(angle)),", OF_OBSERVE),
    Mutant("noise of half a turn", "perturb/showing.py", "np.float32(2 * np.pi)", "np.float32(np.pi)", OF_OBSERVE),
    Mutant("shots by their check", "perturb/observe.py", "name=identity(images, image)", "name=trials.purpose + identity(images, image)", OF_STUDIES),
    Mutant("study of another noise or layer", "perturb/studies.py", "(*image, look.layer, self._number(evaluator))", "image", OF_STUDIES),
    Mutant("study of another picture", "perturb/studies.py", ", blake2b(np.ascontiguousarray(still).data).digest()", "", OF_STUDIES),
    Mutant("study of another crop", "perturb/studies.py", "look.double, name, seed", "look.double, seed", OF_STUDIES),
    Mutant("study of another seed", "perturb/studies.py", "name, seed, blake2b", "name, blake2b", OF_STUDIES),
    Mutant("study of another model", "perturb/studies.py", "look.model.digest, ", "", OF_STUDIES),
    Mutant("studies without end", "perturb/studies.py", "if self._file.size + len(data) <= self._room:", "if True:", OF_STUDIES),
    Mutant("studies in another process", "perturb/studies.py", "return type(self), (self._asked,)", "return type(self), ()", OF_STUDIES),
    Mutant("parts over one another", "perturb/scratch.py", "self.size += len(data)", "self.size = len(data)", OF_STACK),
    Mutant("four bytes a value", "perturb/images/spool.py", "exact(picture) if picture.dtype == np.float32 else picture", "picture", OF_STACK),
    Mutant("all pictures at once", "perturb/stack.py", "return (self.read(int(number)) for number in self.numbers)", "return iter([self.read(int(number)) for number in self.numbers])", OF_STACK),
    Mutant("a part from its beginning", "perturb/stack.py", "in self.numbers)", "in range(len(self)))", OF_STACK),
    Mutant("each picture at the first place", "perturb/stack.py", "change(place, pictures[place])", "change(0, pictures[place])", OF_STACK),
    Mutant("settled on one batch", "perturb/model/network.py", "pictures[at : at + SETTLED]", "pictures[:SETTLED]", OF_STACK),
    Mutant("evaluators apart", "perturb/studies.py", "if evaluator not in self._asked:", "if True:", OF_STUDIES),
    Mutant("a map that changes in place", "perturb/model/running.py", "found if last or found is None else found.clone()", "found", OF_STUDIES),
    Mutant("amplitude beyond the level", "perturb/observe.py", "np.minimum(amplitude, bound)", "amplitude", OF_OBSERVE),
    Mutant("threshold by chance of zero", "perturb/observe.py", "pin_threshold(_numbers(study.evidence), by.point.false_alarms)", "pin_threshold(_numbers(study.evidence), 0)", OF_OBSERVE),
    Mutant("rank of the threshold", STATS + "conformal.py", "(n + 1) * (1 - false_alarms)", "n * (1 - false_alarms)", OF_OBSERVE),
    Mutant("one rank too low", STATS + "conformal.py", "rank - 1]", "rank - 2]", OF_OBSERVE),
    Mutant("rank rounded down", STATS + "conformal.py", "math.ceil(", "math.floor(", OF_OBSERVE),
    Mutant("rank beyond the largest", STATS + "conformal.py", "min(math.ceil((n + 1) * (1 - false_alarms)), n)", "math.ceil((n + 1) * (1 - false_alarms))", OF_OBSERVE),
    Mutant("a shot held against itself", EVALUATORS + "change.py", "away * (n / (n - 1))", "away", OF_EVALUATORS),
    Mutant("a shot left out twice", EVALUATORS + "change.py", "away * (n / (n - 1))", "away * (n / (n - 2))", OF_EVALUATORS),
    Mutant("spread of a population of shots", EVALUATORS + "change.py", "((n - 1) * maps.shape[2]", "(n * maps.shape[2]", OF_EVALUATORS),
    Mutant("spread of one position", EVALUATORS + "change.py", "((n - 1) * maps.shape[2] * maps.shape[3])", "(n - 1)", OF_EVALUATORS),
    Mutant("mean over positions", EVALUATORS + "change.py", ".amax((1, 2))", ".mean((1, 2))", OF_EVALUATORS),
    Mutant("sum over channels", EVALUATORS + "change.py", ".square().mean(1)", ".square().sum(1)", OF_EVALUATORS),
    Mutant("channels without noise", EVALUATORS + "change.py", "spread.masked_fill(spread <= 1e-6 * largest, inf)", "spread", OF_EVALUATORS),
    Mutant("evidence without the golden map", EVALUATORS + "change.py", "_maps(outputs, self.layer) - known.mean", "_maps(outputs, self.layer)", OF_EVALUATORS),
    Mutant("threshold of a label", EVALUATORS + "label.py", "threshold: float = 0.0", "threshold: float = 0.5", OF_EVALUATORS),
    Mutant("the right class among the others", EVALUATORS + "label.py", "scores.scatter(1, truth, -inf).amax(1)", "scores.amax(1)", OF_EVALUATORS),
    Mutant("label's twin is the first", EVALUATORS + "label.py", "own = scores.argmax(1)[torch.from_numpy(asked.twin)]", "own = scores.argmax(1)[torch.zeros_like(torch.from_numpy(asked.twin))]", OF_EVALUATORS),
    Mutant("label's twin is the picture itself", EVALUATORS + "label.py", "own = scores.argmax(1)[torch.from_numpy(asked.twin)]", "own = scores.argmax(1)", OF_EVALUATORS),
    Mutant("changes from the picture itself", EVALUATORS + "label.py", "clean = _truth(scores, asked)[:, None], scores[torch.from_numpy(asked.twin)]", "clean = _truth(scores, asked)[:, None], scores", OF_EVALUATORS),
    Mutant("changes from the first picture", EVALUATORS + "label.py", "scores[torch.from_numpy(asked.twin)]\n        change", "scores[:1]\n        change", OF_EVALUATORS),
    Mutant("class 0 is no class", EVALUATORS + "label.py", "torch.where(told < 0, own", "torch.where(told <= 0, own", OF_EVALUATORS),
    Mutant("sign of the target's drop", EVALUATORS + "label.py", "-change.gather", "change.gather", OF_EVALUATORS),
    Mutant("sign of the rectified drop", EVALUATORS + "label.py", "(-change).relu()", "change.relu()", OF_EVALUATORS),
    Mutant("score without softmax", EVALUATORS + "label.py", "scores.softmax(1).gather", "scores.gather", OF_EVALUATORS),
    Mutant("flips are answers that stay", EVALUATORS + "label.py", "!= clean.argmax(1)", "== clean.argmax(1)", OF_EVALUATORS),
    Mutant("one class is enough", EVALUATORS + "label.py", "scores.shape[1] < 2", "scores.shape[1] < 1", OF_EVALUATORS),
    Mutant("target counted from 1", EVALUATORS + "score.py", "return scores[:, self.target]", "return scores[:, self.target - 1]", OF_EVALUATORS),
    Mutant("features taught where nothing changed", EVALUATORS + "features.py", ".mean(1).argmax(1)", ".mean(1).argmin(1)", OF_EVALUATORS),
    Mutant("mean score over positions", EVALUATORS + "features.py", "+ self.bias).amax((1, 2))", "+ self.bias).mean((1, 2))", OF_EVALUATORS),
    Mutant("features without their scale", EVALUATORS + "features.py", "head.coef_[0] / scaler.scale_", "head.coef_[0]", OF_EVALUATORS),
    Mutant("bias forgets the mean", EVALUATORS + "features.py", "head.intercept_[0] - (weight * scaler.mean_).sum()", "head.intercept_[0]", OF_EVALUATORS),
    Mutant("taught and tried on all", CALIBRATE, "for which in (half, ~half)", "for which in (half | True, half | True)", HALVES),
    Mutant("taught and tried on one half", CALIBRATE, "for which in (half, ~half)", "for which in (half, half)", HALVES),
    Mutant("halves of crops", CALIBRATE, "np.unique(setting.images.photograph, return_inverse=True)[1] % 2 == 0", "np.arange(len(setting.images.photograph)) % 2 == 0", HALVES),
    Mutant("crossing without a logarithm", CALIBRATE, "levels[above - 1] * (levels[above] / levels[above - 1]) ** share", "levels[above - 1] + (levels[above] - levels[above - 1]) * share", CROSSING),
    Mutant("share of the crossing's other side", CALIBRATE, "(target - rising[above - 1]) / (", "(rising[above] - target) / (", CROSSING),
    Mutant("lowest level where none reaches", CALIBRATE, "return levels[-1]", "return levels[0]", CROSSING),
    Mutant("target missed by its equal", CALIBRATE, "np.argmax(rising >= target)", "np.argmax(rising > target)", CROSSING),
    Mutant("hits that fall", CALIBRATE, "np.maximum.accumulate(hits)", "np.array(hits)", CROSSING),
    Mutant("common threshold on all pairs", CALIBRATE, "slice(None) if evaluator.noise else slice(1)", "slice(None)", COMMON),
    Mutant("common threshold of dead places", CALIBRATE, "clean[:, own, CLEAN]", "clean[:, own, CLEAN + 1]", COMMON),
    Mutant("common threshold not handed on", CALIBRATE, 'float(seen.threshold[0, 0]) if evaluator.threshold == "common"', 'None if evaluator.threshold == "common"', COMMON),
    Mutant("calibrated at dead places", CALIBRATE, "return [rate.value for rate in sweep.live]", "return [rate.value for rate in sweep.dead]", "tests/test_experiment.py::test_calibration_hits_its_target_on_other_images"),
    Mutant("the picture moves too far", "perturb/trials.py", "landed[pair] = place - least[rng.integers(len(least))]", "landed[pair] = place - least[rng.integers(len(least))] - 1", OF_SHOWING),
    Mutant("the picture moves in any direction", "perturb/trials.py", "least = moves[directions == directions.min()]", "least = moves", OF_SHOWING),
    Mutant("objects of a scene too near", "perturb/trials.py", "-(-n // period) * period + period for n in apart", "period for n in apart", OF_SHOWING),
    Mutant("the window does not move", "perturb/showing.py", "scene[:, down : down + self.shape[0], right : right + self.shape[1]]", "scene[:, : self.shape[0], : self.shape[1]]", OF_SHOWING),
    Mutant("objects alone in their scene", "perturb/showing.py", "                if trials.together:\n                    picture = blank = done[row, column][0]\n", "", OF_SHOWING),
    Mutant("a spot is put anywhere", "perturb/trials.py", "cell, scene[i] = spots[i] // period * period, spots[i]", "cell, scene[i] = 0 * spots[i], spots[i]", OF_SHOWING),
    Mutant("live twin asked at the dead place", "perturb/questions.py", "own = np.array([CLEAN, CLEAN, CLEAN_LIVE, CLEAN_LIVE])", "own = np.array([CLEAN, CLEAN, CLEAN, CLEAN])", "tests/test_observe.py"),
    Mutant("false alarms at dead places alone", QUANTITIES + "detection.py", "_UNPERTURBED = [CLEAN, CLEAN_LIVE]", "_UNPERTURBED = [CLEAN, CLEAN]", OF_QUANTITIES),
    Mutant("live told apart from the dead place's twin", QUANTITIES + "detection.py", 'twin = CLEAN_LIVE if arm == "live" else CLEAN', "twin = CLEAN", OF_QUANTITIES),
    Mutant("a constant answer is by chance", QUANTITIES + "detection.py", "max(seen.point.chance, constant_answer(seen))", "seen.point.chance", OF_QUANTITIES),
    Mutant("free response by one alarm more", QUANTITIES + "measures.py", "allowed = int(rate_wanted * images)", "allowed = int(rate_wanted * images) + 1", OF_QUANTITIES),
    Mutant("a map is read anywhere", EVALUATORS + "objects.py", "own = near & (rank", "own = (near | True) & (rank", OF_EVALUATORS),
    Mutant("a map's pixels are its own", "perturb/protocols.py", "(np.arange(count) + 0.5) * self.seen[axis] / count - 0.5", "np.arange(count)", OF_EVALUATORS),
    Mutant("a class is its own value", EVALUATORS + "map.py", "return chosen - others.index_fill", "return chosen - 0 * others.index_fill", OF_EVALUATORS),
    Mutant("boxes of any size", EVALUATORS + "boxes.py", ".prod(1) <= self.max_area * area", ".prod(1) >= 0", OF_EVALUATORS),
    Mutant("boxes of any class", EVALUATORS + "boxes.py", "corners, score = corners[label == str(self.target)], score[label == str(self.target)]", "pass", OF_EVALUATORS),
    Mutant("boxes by their corner", EVALUATORS + "boxes.py", "(corners[:, 1::-1] + corners[:, :1:-1] - 1) / 2", "corners[:, 1::-1]", OF_EVALUATORS),
    Mutant("phases of a patch's sum", "perturb/stories/experiment.py", "size=1 if plan.answers else plan.task.extent", "size=plan.task.extent", "tests/test_small_print.py"),
    Mutant("period by a strict test", "perturb/stories/answer_map.py", "rng.permuted(phases, axis=1)", "rng.permuted(phases, axis=2)", "tests/test_own_answers.py::test_a_period_explains_what_differs_between_its_phases_alone"),
    Mutant("the pinned threshold is the given one", "perturb/observe.py", 'read["evidence"] > by.pinned', 'read["evidence"] > by.threshold', "tests/test_own_answers.py::test_with_a_threshold_of_ones_own_the_pinned_one_is_told_too"),
    Mutant("ink is added", "perturb/perturbations/print.py", 'polarity: Polarity = "darker"', 'polarity: Polarity = "brighter"', "tests/test_perturbations.py"),
    Mutant("a wider background", MARK, "SURROUND = 3", "SURROUND = 4", OF_OBJECTS),
    Mutant("darker is brighter", MARK, '-1 if self.polarity == "darker" else 1', '1 if self.polarity == "darker" else -1', OF_OBJECTS),
    Mutant("a blob cut short", "perturb/perturbations/shapes.py", "CUT = 3.0", "CUT = 2.5", OF_OBJECTS),
    Mutant("a scratch that turns clockwise", "perturb/perturbations/shapes.py", "right * cosine - down[:, None] * sine", "right * cosine + down[:, None] * sine", OF_OBJECTS),
    Mutant("nothing is clipped", "perturb/showing.py", "not 0 < patch.min() <= patch.max() < 1", "patch.max() > 1", OF_OBSERVE),
    Mutant("clipping not joined", "perturb/blocks.py", "        clipped=_where_kept([part.clipped for part in parts], axis),\n", "        clipped=parts[0].clipped,\n", OF_BLOCKS),
    Mutant("one arm in the region", "perturb/placing.py", "arms[0].any(1) & arms[1].any(1)", "arms[0].any(1)", OF_PLACING),
    Mutant("an object that sticks out by a pixel", "perturb/placing.py", "= outside == 0", "= outside <= 1", OF_PLACING),
    Mutant("a scene at the edge", "perturb/placing.py", "(rest >= period - 1)", "(rest >= 0)", OF_PLACING),
    Mutant("objects that touch", "perturb/placing.py", ">= scenes.apart", ">= 1", OF_PLACING),
    Mutant("the first phase always", "perturb/placing.py", "        used[least] += 1\n", "", OF_PLACING),
    Mutant("a margin of one less", "perturb/images/region.py", "2 * margin + 1", "2 * margin - 1", OF_PLACING),
    Mutant("a box of the piece", "perturb/images/region.py", "return pixels, cut + np.array([top, left, 0, 0])", "return pixels, cut", OF_PLACING),
    Mutant("either rule", "perturb/images/region.py", "            found &= inside\n", "            found |= inside\n", OF_PLACING),
    Mutant("a claim that cannot fail", "perturb/plan.py", "<= claim.at_most < quantity.range[1]", "<= claim.at_most <= quantity.range[1]", "tests/test_qualify.py -k together"),
    Mutant("stops undecided", "perturb/stories/run_checks.py", "if all(f.verdict != Verdict.INCONCLUSIVE", "if any(f.verdict != Verdict.INCONCLUSIVE", OF_UNTIL),
    Mutant("stops before the change is decided", "perturb/stories/run_checks.py", " and wanted.decided(results.measurements):", ":", OF_UNTIL),
    Mutant("photographs in the order of their names", "perturb/images/__init__.py", "of_photographs(images, order[first:])", "of_photographs(images, np.sort(order[first:]))", OF_UNTIL),
    Mutant("at most, forgotten", "perturb/stories/qualify.py", "suite.images.at_most or len(judged.names)", "len(judged.names)", OF_UNTIL),
    Mutant("how many changes what", "perturb/suite.py", 'update={"until_decided": False, "at_most": None})', "update={})", "tests/test_suite.py"),
    Mutant("more than both judged", "perturb/baseline.py", "both = min(one.shape[1], other.shape[1])", "both = max(one.shape[1], other.shape[1])", OF_BASELINE),
    Mutant("places of the accepted run forgotten", "perturb/baseline.py", "each_own = own is not None or past.own is not None", "each_own = own is not None", OF_BASELINE),
    Mutant("a rise where the baseline chose", "perturb/baseline.py", '{"dead": "a fall", "live": "nothing"}', '{"dead": "any change", "live": "nothing"}', OF_BASELINE),
    Mutant("the candidate at the baseline's places", "perturb/baseline.py", "_seen(own or again, arm)", "_seen(again, arm)", OF_BASELINE),
    Mutant("the baseline at places of another", "perturb/baseline.py", "(past.own or past.accepted)[arm]", "past.accepted[arm]", OF_BASELINE),
    Mutant("undecided change", "perturb/baseline.py", "return changes.overall(judged) != ChangeVerdict.INCONCLUSIVE", "return changes.overall(judged) == ChangeVerdict.INCONCLUSIVE", OF_BASELINE),
    Mutant("levels below one that is not shown", LEVELS, "np.logical_and.accumulate(enough[..., ::-1], -1)", "enough[..., ::-1]", OF_LEVELS + "::test_a_level_above_that_is_not_shown_ends_the_sequence"),
    Mutant("levels above one that is not short", LEVELS, "np.logical_and.accumulate(short, -1)", "short", OF_LEVELS + "::test_a_level_above_that_is_not_shown_ends_the_sequence"),
    Mutant("a share for its complement", LEVELS, "excludes(1 - table, 1 - share, error)", "excludes(1 - table, share, error)", OF_LEVELS + "::test_how_many_photographs_without_a_miss_are_enough"),
    Mutant("a rise that is a fall", LEVELS, "(1 - table[..., -1, :] + table[..., 0, :])", "(1 + table[..., -1, :] - table[..., 0, :])", OF_LEVELS + "::test_a_rise_is_shown_from_the_lowest_to_the_highest_level"),
    Mutant("every pair of levels at the whole error", LEVELS, "error / len(low)", "error", OF_LEVELS + "::test_pairs_of_levels_share_one_error"),
    Mutant("excluded at twice the error", STATS + "betting.py", ">= math.log(1 / error))", ">= math.log(0.5 / error))", OF_LEVELS + "::test_how_many_photographs_without_a_miss_are_enough"),
    Mutant("no guesses in the fit", STATS + "detection_curve.py", "np.clip(self.guess + scale * rise,", "np.clip(scale * rise,", OF_LEVELS + "::test_guesses_and_lapses_bound_the_curve"),
    Mutant("no lapses", STATS + "detection_curve.py", "1 - self.guess - self.lapse", "1 - self.guess", OF_LEVELS + "::test_guesses_and_lapses_bound_the_curve"),
    Mutant("a falling curve reaches", STATS + "detection_curve.py", "or curve.slope <= 0", "", OF_LEVELS + "::test_guesses_and_lapses_bound_the_curve"),
    Mutant("a90/95 is two-sided", OF_LEVEL, "return 1 - confidence if self.surely else (1 - confidence) / 2", "return (1 - confidence) / 2", OF_LEVELS + "::test_a90_95_is_one_sided"),
    Mutant("both arms at the whole error", OF_LEVEL, "(1 - confidence) / 4", "(1 - confidence) / 2", OF_LEVELS + "::test_the_arms_share_the_error_of_the_penalty"),
    Mutant("the penalty's lower end of two lower ends", OF_LEVEL, "_decibels(found[0].low, found[1].high)", "_decibels(found[0].low, found[1].low)", OF_LEVELS + "::test_a_step_has_its_penalty_between_two_pairs_of_levels"),
    Mutant("a penalty of powers", OF_LEVEL, "20 * math.log10(dead / live)", "10 * math.log10(dead / live)", OF_LEVELS + "::test_a_step_has_its_penalty_between_two_pairs_of_levels"),
    Mutant("a missing bound is none", OF_LEVEL, "if dead is None or live == 0:\n        return LARGEST", "if dead is None or live == 0:\n        return 0.0", OF_LEVELS + "::test_what_is_not_shown_never_passes"),
    Mutant("a value outside its interval", OF_LEVEL, "value = min(max(own, low), high)\n    return Reached", "value = own\n    return Reached", OF_LEVELS + "::test_a_value_outside_the_interval_is_moved_into_it"),
    Mutant("a90 beyond the levels tried", OF_LEVEL, "found is None or found > arm.levels[-1]", "found is None", OF_LEVELS + "::test_a_level_beyond_those_tried_is_not_reached"),
    Mutant("the own level in the curve", OF_LEVEL, "there = at_levels(seen, slice(1, None))", "there = seen", OF_LEVELS + "::test_the_own_level_is_kept_apart"),
    Mutant("every level in a loss", "perturb/stories/run_checks.py", "else own_level(every)", "else every", OF_LEVEL_RUNS + "::test_a_suite_with_levels_is_measured_from_end_to_end"),
    Mutant("a claim of any level", "perturb/plan.py", "if not low <= claim.at_most <= high:", "if False:", OF_LEVEL_RUNS + "::test_what_does_not_go_with_levels_is_refused"),
    Mutant("visits outside the region", "perturb/stories/answer_map.py", "if images.region is None or scenes:", "if True:", OF_PLACING),
    Mutant('a digest that is not compared', 'perturb/files.py', 'return "" if data[seal] == found else', 'return "" if True else', 'tests/test_files.py'),
    Mutant('a digest that may be missing', 'perturb/files.py', 'return "is missing" if data.get("schema") == schema else ""', 'return ""', 'tests/test_files.py'),
    Mutant('trials of another report', 'perturb/runs.py', 'if hashlib.sha256(given.get(name, b"")).hexdigest() != digest:', 'if False:', 'tests/test_runs.py'),
    Mutant('a verdict that its numbers contradict', 'perturb/report.py', 'if told != ruled and', 'if False and', 'tests/test_report.py'),
    Mutant('a bidirectional control in a name', 'perturb/visible.py', 'if told.isprintable() and not UNSEEN.search(told):', 'if "\\x1b" not in told:', 'tests/test_visible.py'),
    Mutant('weights with a flipped bit', 'perturb/model/weights.py', 'damaged = next(odd, None) or archive.testzip()', 'damaged = next(odd, None)', 'tests/test_model.py -k weights'),
    Mutant('a pipe is opened', 'perturb/files.py', 'if not stat.S_ISREG(found.st_mode):', 'if stat.S_ISDIR(found.st_mode):', 'tests/test_files.py::test_what_is_no_text_file_is_refused_unread'),
    Mutant("a checkpoint's digest", 'perturb/training/checkpoint.py', 'if digest is not None and digest != _digest(text, tensors):', 'if False:', 'tests/test_training.py -k checkpoint'),
    Mutant('what was found is computed again', "perturb/block_files.py", 'for block, one in zip(asked, found, strict=True) if one is None]', 'for block, one in zip(asked, found, strict=True)]', "tests/test_block_files.py"),
    Mutant('a block of another name is believed', "perturb/block_files.py", 'if head != Head(block=name, arrays=_digest(arrays)):', 'if head.arrays != _digest(arrays):', "tests/test_block_files.py"),
    Mutant('a block is kept when all are there', "perturb/block_files.py", 'for name, one in zip(names, found, strict=True):', 'for name, one in list(zip(names, found, strict=True))[::-1]:', "tests/test_block_files.py"),
    Mutant('labels do not count', "perturb/blocks.py", 'None if images.labels is None else images.labels[images.photograph],', '', "tests/test_block_files.py"),
    Mutant('a shard begins one later', "perturb/blocks.py", 'blocks[self.number - 1 :: self.count]', 'blocks[self.number :: self.count]', "tests/test_block_files.py"),
    Mutant('the newest blocks go first', "perturb/history.py", 'key=lambda each: each[0].st_mtime_ns, reverse=True', 'key=lambda each: each[0].st_mtime_ns', "tests/test_block_files.py"),
    Mutant('closures do not count', "perturb/identity.py", '_contents(value.__closure__ or ())', '()', "tests/test_identity.py"),
    Mutant('globals do not count', "perturb/identity.py", '_named(value.__code__, value.__globals__)', '()', "tests/test_identity.py"),
    Mutant('base classes do not count', "perturb/identity.py", 'self._each("bases", value.__bases__)', 'pass', "tests/test_identity.py"),
    Mutant('shapes do not count', "perturb/identity.py", 'value.dtype.str, str(value.shape))', 'value.dtype.str)', "tests/test_identity.py"),
    Mutant('threads do not count', "perturb/identity.py", '[get() for get, _ in SETTINGS if get is not os.getcwd],', '', "tests/test_block_files.py"),
    Mutant('the size of batches does not count', "perturb/model/network.py", 'str(self.layout), self.batch', 'str(self.layout)', "tests/test_block_files.py"),
    Mutant('bfloat16 does not count', "perturb/incremental/engine.py", 'return self.model, self.layer, self.bfloat16', 'return self.model, self.layer', "tests/test_block_files.py"),
    Mutant("an alias at zero frequency", "perturb/contribution/aliasing.py", "response[1:].max()", "response.max()", "tests/test_explain.py::test_the_alias_ratio_of_uniform_windows_is_known"),
    Mutant("an alias of undilated taps", "perturb/contribution/aliasing.py", "row * dilation[0] % stride[0]", "row % stride[0]", "tests/test_explain.py::test_the_alias_ratio_is_that_of_the_whole_spectrum"),
    Mutant("a rest without padding behind", "perturb/contribution/aliasing.py", "stencil.before[a] + stencil.behind[a]", "stencil.before[a]", "tests/test_explain.py::test_a_rest_is_told_where_it_is_and_what_shape_has_none"),
    Mutant("Shapley weighs all sizes alike", "perturb/contribution/shares.py", "math.comb(players - 1, size)", "players", "tests/test_explain.py::test_shapley_shares_of_a_known_game"),
    Mutant("a player joins himself", "perturb/contribution/shares.py", "order[:place])", "order[:place + 1])", "tests/test_explain.py::test_random_orders_find_the_shares_of_a_sum"),
    Mutant("a twin that stays as it was", LINEARISED, "len(self.windows) in self._evened", "len(self.windows) in ()", "tests/test_explain.py::test_a_balanced_twin_reads_every_pixel_alike"),
    Mutant("taps by their sum", RULES, "op.weight.detach().square()", "op.weight.detach()", "tests/test_explain.py::test_weights_count_tap_by_tap"),
    Mutant("border shares without chance", "perturb/stats/border.py", "- n * chance for", "for", "tests/test_explain.py::test_noise_has_no_part_however_many_levels"),
    Mutant("a jackknife of deleted clusters", "perturb/stats/jackknife.py", "(clusters - 1) * without", "without", "tests/test_explain.py::test_the_jackknife_of_a_mean_is_student_s_interval"),
    Mutant("a lattice by its middle", "perturb/stories/origin.py", "own.gradient.low > LATTICE", "own.gradient.value > LATTICE", "tests/test_explain.py::test_each_origin_has_its_evidence"),
    Mutant("compensated with a lattice elsewhere", "perturb/stories/origin.py", " and own.gradient.high < least", "", "tests/test_explain.py::test_each_origin_has_its_evidence"),
    Mutant("pictures judge what they chose", "perturb/stories/chain.py", "slice(1, None, 2)", "slice(0, None, 2)", "tests/test_explain.py::test_phases_are_chosen_on_other_pictures"),
    Mutant("answers are moved back along one axis", "perturb/model/shifted.py", "(step * row, step * column)", "(step * row, step * row)", OF_ASKING),
    Mutant("the shortest reading", "perturb/model/shifted.py", "return max(readings", "return min(readings", OF_ASKING),
    Mutant("the rarest of equally long readings", "perturb/model/shifted.py", "readings.count(one))", "-readings.count(one))", OF_ASKING),
    Mutant("ask-twice is always 2", "perturb/model/shifted.py", "int(count or SHIFTS)", "SHIFTS", OF_ASKING + "::test_on_the_command_line"),
    Mutant("a remedy that gains is better than one without a loss", "perturb/stories/remedy.py", "max(0.0, row.loss.value)", "row.loss.value", "tests/test_remedies.py::test_the_front_is_what_none_beats"),
    Mutant("false alarms count as right", "perturb/stories/remedy.py", "(found + 1 - clean) / 2", "(found + clean) / 2", "tests/test_remedies.py::test_right_answers_by_photograph"),
    Mutant("one look along columns", "perturb/stories/remedy.py", "np.ndindex(shifts, shifts)", "np.ndindex(shifts, 1)", "tests/test_remedies.py::test_the_best_of_neighbouring_looks"),
    Mutant("a margin that is just missed", "perturb/render/remedy.py", "row.kept.low > -MARGIN", "row.kept.low >= -MARGIN", "tests/test_render.py::test_right_answers_are_kept_where_the_interval_is_above_the_margin"),
    Mutant("shifts beyond the picture", "perturb/model/shifted.py", "* step >= min", "* step > min", OF_ASKING + "::test_what_cannot_be_asked_twice"),
    Mutant("links of a page from another folder", "docs/conf.py", "normpath(f'{folder}/{link[1]}')", "normpath(link[1])", "tests/test_docs.py"),
    Mutant("a file beyond the site is a page", "docs/conf.py", 'f"path:{there}" if', "there if", "tests/test_docs.py"),
    Mutant("commands without names", "perturb/cli/__init__.py", "command.name = cmd_name", "pass", "tests/test_cli.py::test_a_command_has_the_name_that_it_is_called_by"),
    Mutant("an odd lattice of even kernels", "docs/dead-pixels.md", "for tap in range(kernel))", "for tap in range(kernel - 1))", "tests/test_docs.py"),
    Mutant("a regression exits with 0", "perturb/cli/baseline.py", '"REGRESSED": 1', '"REGRESSED": 0', "tests/test_docs.py::test_exit_codes_of_verdicts_are_those_of_the_code"),
]
# fmt: on


@contextmanager
def copied() -> Iterator[Path]:
    """The repository's files that tests read, in a folder that is then removed."""
    with tempfile.TemporaryDirectory() as folder:
        for name in NEEDED:
            source, target = ROOT / name, Path(folder) / name
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
            elif source.exists():
                shutil.copy(source, target)
        yield Path(folder)


def killed_by(mutant: Mutant, root: Path) -> str | None:
    """The first test that fails with the mutant in place, None where none does; the file is put back."""
    path = root / mutant.file
    text = path.read_text(encoding="utf-8")
    if (count := text.count(mutant.original)) != 1:
        raise ValueError(f"`{mutant.original}` occurs {count} times in {mutant.file}, wanted once")
    path.write_text(text.replace(mutant.original, mutant.mutated), encoding="utf-8")
    try:
        environment = os.environ | {"PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1"}
        command = [sys.executable, *PYTEST, *mutant.tests.split()]
        done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
    finally:
        path.write_text(text, encoding="utf-8")
    if done.returncode not in (0, 1):  # not the tests' own answer
        raise ValueError(f"pytest ended with {done.returncode}: {done.stdout[-500:]}{done.stderr[-500:]}")
    found = re.search(r"^(?:FAILED|ERROR) \S+::(\w+)", done.stdout, re.MULTILINE)
    return found[1] if found else None


def main(names: list[str]) -> int:
    """Print the table; 1 where a mutant survives or cannot be made."""
    if unknown := set(names) - {mutant.name for mutant in MUTANTS}:
        print(f"no mutant is named {', '.join(sorted(unknown))}", file=sys.stderr)  # noqa: T201
        return 2
    lost = 0
    print("| mutant | file | fate | by |\n|---|---|---|---|", flush=True)  # noqa: T201
    with copied() as root:
        for mutant in MUTANTS:
            if names and mutant.name not in names:
                continue
            try:
                test = killed_by(mutant, root)
                fate, by = ("killed", f"`{test}`") if test else ("**NOT KILLED**", "")
            except ValueError as error:
                fate, by = "**NOT MADE**", " ".join(str(error).split())
            lost += not fate.startswith("killed")
            print(f"| {mutant.name} | `{mutant.file}` | {fate} | {by} |", flush=True)  # noqa: T201
    return int(lost > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
