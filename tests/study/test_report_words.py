"""What docs/reproduction.md says in words, compared with the committed scores and with what programs compute."""

from __future__ import annotations

import re
from dataclasses import replace

import pandas as pd
import pytest
import torch
from pandas import DataFrame
from scipy import stats

from dainet.compare.analysis import difference
from dainet.compare.checks import validation_difference
from dainet.compare.comparisons import compare_networks, patient_differences
from dainet.compare.detectable import detectable
from dainet.compare.plan import read_plan
from dainet.compare.scores import Scored, read_scored
from dainet.places import repository_root
from dainet.reporting.costs import count_operations
from dainet.reporting.statistics import patient_means
from dainet.segmentation.catalog import build
from dainet.segmentation.networks import parameter_count
from study import one_run, report
from study.folds import PLANS
from study.plan import PATIENTS, load_more_seeds, load_plan

FOLDER = repository_root() / "figures" / "acdc-study"
CHAOS = repository_root() / "figures" / "chaos"
PAGE = repository_root() / "docs" / "reproduction.md"


@pytest.fixture(scope="module")
def words() -> str:
    """The report with single spaces."""
    return " ".join(PAGE.read_text(encoding="utf-8").split())


@pytest.fixture(scope="module")
def ten_seeds() -> DataFrame:
    scores = report.read_scores(FOLDER, load_plan() + load_more_seeds())
    return scores.query(f"policy == 'strict' and train_patients == {PATIENTS}")


@pytest.fixture(scope="module")
def chaos() -> Scored:
    return read_scored(read_plan(PLANS / "chaos.yaml"), CHAOS)


def decimals(text: str) -> set[str]:
    return {number.lstrip("+-") for number in re.findall(r"(?<![\w.])[+-]?\d+\.\d+", text)}


def test_what_the_report_says_in_words_holds_for_the_committed_scores(words: str, ten_seeds: DataFrame) -> None:
    models = ("dual-1111", "unet", "dual-1111-random", "dual-1111-other-patient", "unet-wide")
    dual, *others = (patient_means(ten_seeds, model) for model in models)
    gaps = [(dual.mean() - other.mean()).sort_values() for other in others]
    without = [f"{gap[:-2].mean():.2f}" for gap in gaps]
    assert f"the two patients that gain most it is {without[0]}" in words
    assert f"the two patients that gain most they are {without[1]}, {without[2]} and {without[3]}" in words
    assert all(gap[-2:].sum() > gap.sum() / 2 for gap in gaps[1:]), "two patients make up more than half"
    spreads = [network.mean(axis=1).std() for network in (others[0], dual)]
    ratio = (spreads[0] / spreads[1]) ** 2
    assert f"{spreads[0]:.2f} points (standard deviation), those of dual-1111 by {spreads[1]:.2f}" in words
    assert f"F = {ratio:.1f}, p = {2 * stats.f.sf(ratio, 9, 9):.3f}" in words
    levene = stats.levene(*(network.mean(axis=1) for network in (others[0], dual))).pvalue
    assert f"Levene's test p = {levene:.2f})" in words
    gain, of_random = ((each - others[0]).to_numpy().mean() for each in (dual, others[1]))
    assert f"{of_random:.2f} of {gain:.2f} points" in words
    assert (gaps[0] > 0).sum() == 18


def test_seventy_patients_are_compared_with_forty_as_the_report_says(words: str) -> None:
    strict = report.read_scores(FOLDER, load_plan()).query("policy == 'strict'")
    many = patient_means(strict.query("train_patients == 70"), "unet").to_numpy()
    few = patient_means(strict.query("train_patients == 40"), "dual-1111").to_numpy()
    gap = difference([many], [few])
    low, high = gap.interval()
    assert f"is {gap.estimate:.2f} points above dual-1111 with 40 ({low:+.2f} to {high:+.2f})" in words


def test_the_wide_unet_has_the_parameters_and_operations_that_the_report_gives(words: str) -> None:
    image, maps = torch.zeros(1, 1, 128, 128), torch.zeros(1, 6, 128, 128)
    dual, wide = build("dual-1111", width=16), build("unet", width=21)
    parameters = parameter_count(wide) / parameter_count(dual)
    operations = count_operations(wide, image) / count_operations(dual, image, maps)
    assert f"{parameters:.2f} times the parameters of dual-1111 and {operations:.2f} times its operations" in words


def test_the_report_gives_the_power_of_one_run_in_words_as_computed(words: str) -> None:
    truths = [replace(one_run.NEAR_PAPER, trainings=trainings) for trainings in (0.2, 0.1, 0.3)]
    error, gap, false = (
        [f"{value:{form}}" for value in map(function, truths)]
        for function, form in (
            (one_run.one_run_error, ".2f"),
            (one_run.smallest_gap, ".2f"),
            (lambda truth: 100 * one_run.falsely_significant(truth), ".0f"),
        )
    )
    assert f"{error[0]} points ({error[1]} to {error[2]})" in words
    assert f"{gap[0]} points ({gap[1]} to {gap[2]})" in words
    assert f"{false[0]} % ({false[1]} to {false[2]} %) of equal networks" in words
    assert 0.3 < one_run.chance_of_gap(0.33, truths[0]) < 0.37, "a third"


def test_the_map_that_has_seen_no_image_has_the_numbers_of_the_committed_scores(words: str) -> None:
    controls = pd.read_csv(FOLDER / "head_controls.csv").query("weights == 'center of the slice'").set_index("class")
    auroc = controls["auroc"].map("{:.3f}".format)
    assert f"it has {auroc['any']} (RV {auroc['RV']}, Myo {auroc['Myo']}, LV {auroc['LV']}" in words
    assert f"against {controls.loc['any', 'iou']:.3f})" in words


def test_what_is_said_of_other_organs_holds_for_the_committed_scores(words: str, chaos: Scored) -> None:
    assert chaos.waves == len(chaos.plan.waves)
    assert f"five folds, {len(chaos.trainings)} trainings" in words
    means = 100 * chaos.scores.groupby(["patient", "model"])["dsc"].mean().unstack()
    gain = means["dual-1111"] - means["unet"]
    below = f"{-gain.mean():.2f} points below the U-Net (median {-gain.median():.2f}), in {(gain < 0).sum()} of 20"
    assert below in words
    worst = gain.nsmallest(2).index
    low, high = means.loc[worst].min(axis=None), means.loc[worst].max(axis=None)
    rest = -gain.drop(worst).mean()
    assert f"({low:.0f} to {high:.0f} % DSC), carry half of it: without them it is {rest:.2f}" in words
    assert means.drop(worst).min(axis=None) > high, "all networks fail in these two alone"
    assert gain[worst].sum() / gain.sum() == pytest.approx(0.5, abs=0.05)
    low, high = compare_networks(chaos, chaos.plan.comparisons[0]).interval()
    assert f"{gain.mean():+.2f} points ({low:+.2f} to {high:+.2f}, two trainings in each of five folds)" in words
    assert f"finds a gain of {re.findall('it finds (.*?):', words)[0]}" in detectable(chaos)


def test_what_is_said_of_random_maps_on_other_organs_holds_for_the_committed_scores(words: str, chaos: Scored) -> None:
    of_unet, of_random, *_ = chaos.plan.comparisons
    means = (chaos.scores.groupby([unit, "model"])["dsc"].mean().unstack() for unit in ("patient", "fold"))
    patients, folds = ((mean["dual-1111-random"] > mean["dual-1111"]).sum() for mean in means)
    result, known = compare_networks(chaos, of_random), -validation_difference(chaos, of_random)
    places = f"in {patients} of 20 patients and {folds} of 5 folds"
    assert f"by {-result.estimate:.2f} points, {places} (validation {known:.2f})" in words
    low, high = result.interval()
    assert f"{result.estimate:+.2f} beside random maps ({low:+.2f} to {high:+.2f})" in words
    worst = patient_differences(chaos, of_unet).nsmallest(2).index
    without = compare_networks(chaos, of_random, chaos.scores[~chaos.scores["patient"].isin(worst)])
    assert f"without the same two by {-without.estimate:.2f}, which may be chance" in words
    assert without.interval()[1] > 0


def test_what_is_said_of_kidneys_holds_for_the_committed_scores(words: str, chaos: Scored) -> None:
    sides = 100 * pd.read_csv(CHAOS / "sides.csv").groupby("model")[["dsc", "dsc_as_one", "exchanged"]].mean()
    rivals = sides.loc[["unet", "dual-1111-random"]]
    own, unet, random = sides["exchanged"][["dual-1111", "unet", "dual-1111-random"]]
    assert f"gives {own:.1f} % of them the other side, the U-Net {unet:.1f}, random maps {random:.1f}" in words
    gaps = (rivals - sides.loc["dual-1111"]).map("{:.1f}".format)
    assert set(gaps["dsc"]) == {"5.2"}
    assert f"differ by {' and '.join(gaps['dsc_as_one'])} points instead of 5.2" in words
    others = chaos.scores[chaos.scores["class"].isin(["liver", "spleen"])].groupby("model")["dsc"].mean()
    same = [f"{100 * (others[name] - others['dual-1111']):.2f}" for name in rivals.index]
    assert f"Liver and spleen nearly cancel (together {' and '.join(same)})" in words


def test_what_is_said_of_the_spread_on_other_organs_stands_in_its_table(words: str) -> None:
    table = pd.read_csv(CHAOS / "table_spread.csv", dtype=str).set_index("Network").iloc[:, 0]
    [found] = re.findall(r"does not show it \((\S+) and (\S+) points; F = (\S+), p = (\S+)\)", words)
    assert found[:2] == (table["unet"], table["dual-1111"])
    assert table["F test, unet / dual-1111"] == f"F {found[2]}, p {found[3]}"


def test_every_other_number_with_decimals_in_the_report_stands_in_a_table_of_it() -> None:
    """Numbers that the tests above compute, and none else, are in no table of the report."""
    text = re.sub(r"\]\([^)]*\)|protocol \d+\.\d+", "", PAGE.read_text(encoding="utf-8"))
    tables = " ".join(re.findall(r"^\|.*$", text, re.MULTILINE))
    prose = re.sub(r"^\|.*$", "", text, flags=re.MULTILINE)
    computed = {"1.18", "8.9", "0.003", "1.68", "1.09", "0.35", "0.25", "0.47", "0.97", "0.69", "1.32"}
    computed |= {"0.969", "0.903", "0.985", "0.102"}
    computed |= {"1.22", "1.42", "1.83", "1.61", "4.3", "2.92", "2.80", "0.93"}
    computed |= {"0.14", "0.03", "4.8", "1.6", "0.7", "1.5", "0.8", "5.2"}
    computed |= {"4.0"}  # of a license
    assert decimals(prose) - decimals(tables) <= computed


def test_the_report_is_short_and_its_first_section_one_page() -> None:
    text = re.sub(r"^\|.*$|<!--.*?-->", "", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert len(text.split()) <= 2000
    assert len(text.split("\n## ")[1].split()) <= 350


def test_the_report_gives_the_simulated_rates_in_words_as_in_the_committed_table(words: str) -> None:
    table = pd.read_csv(FOLDER / "table_calibration.csv")
    rates = table.drop(columns=table.columns[:3]).apply(lambda column: column.str.removesuffix(" %").astype(int))
    ranges = {name: f"{column.min()} to {column.max()} %" for name, column in rates.items()}
    three = rates.loc[table["Seeds"] == 3, "Wrong: 95 % (patients)"]
    assert f"With three seeds, {three.min()} to {three.max()} %" in words
    assert f"is wrong in {ranges['Wrong: the rule']}" in words
    assert f"is wrong in {ranges['Wrong: 95 % (patients and trainings, t)']}" in words
    assert f"It finds 0.33 points in {ranges['Rule finds +0.33']}" in words
    assert f"one point in {ranges['Rule finds +1.0']}; two points in {ranges['Rule finds +2.0']}" in words
