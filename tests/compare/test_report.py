"""The page of a plan: complete in itself, with the numbers of its tables, and honest about what went wrong."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from playwright.sync_api import sync_playwright

from dainet.cache.records import write_record
from dainet.cache.verify import verify_folder
from dainet.compare.checks import checks_table
from dainet.compare.facts import tuned_networks
from dainet.compare.failures import failed_cases
from dainet.compare.limitations import limitations
from dainet.compare.looks import note_look
from dainet.compare.methods import methods
from dainet.compare.plan import Plan, plan_hash, read_plan
from dainet.compare.questions import answers
from dainet.compare.report import read_whole, write_report
from dainet.compare.scores import Scored, read_scored
from dainet.errors import InputError
from dainet.reporting.run_identity import public_settings
from tests.compare.test_plan import PLAN, write_plan
from tests.helpers.browser import CHROMIUM, FLAGS, PHONE, SIZE
from tests.helpers.documents import Page
from tests.helpers.plans import COMPARISONS, write_scores

LEVELS = {"unet": 90.0, "random": 95.0, "image": 90.0}
OLD = "5" * 64


def write_records(plan: Plan, folder: Path) -> None:
    (folder / "records").mkdir()
    for training in plan.trainings():
        record: dict[str, Any] = {"model": training.model, "seconds": 1800, "parameters": 1_230_000}
        record |= {"settings": public_settings(training.settings({})), "date": "2026-11-27T12:00:00+00:00"}
        record |= {
            "plan": {"name": plan.name, "sha256": OLD if training.name == "unet_fold1_seed1" else plan_hash(plan)}
        }
        if training.name == "image_fold2_seed1":
            record["repeated"] = {"because": "epoch 3", "with_seed": 101}
        write_record(folder / "records" / f"{training.name}.json", record)


def change(folder: Path, name: str, **values: object) -> None:
    """Change the first strict line of a score file."""
    path = folder / "scores" / f"{name}.csv"
    table = pd.read_csv(path, dtype={"patient": str, "class": str})
    for column, value in values.items():
        table.loc[0, column] = value
    table.to_csv(path, index=False)


@pytest.fixture(scope="module")
def figures(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder of figures with a plan whose page is written, and an older plan tested on one of its patients."""
    root = tmp_path_factory.mktemp("report")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DAINET_FIGURES", str(root / "figures"))
        (root / "plan").mkdir()
        plan = read_plan(write_plan(root / "plan", PLAN[: PLAN.index("comparisons:")] + COMPARISONS))
        folder = root / "figures" / plan.name
        write_scores(plan, folder, LEVELS)
        change(folder, "image_fold1_seed1", dsc=0.0, predicted_voxels=0)
        write_records(plan, folder)
        scores = read_scored(plan, folder).scores
        note_look({"name": "older", "sha256": OLD}, scores[scores["patient"] == "patient001"])
        ledger = root / "figures" / ".looks.jsonl"
        ledger.write_text(json.dumps(json.loads(ledger.read_text()) | {"date": "2026-01-01T00:00:00+00:00"}) + "\n")
        write_report(plan, folder, folder / "report")
        yield root / "figures"


@pytest.fixture(scope="module")
def page(figures: Path) -> Page:
    return Page((figures / "small" / "report" / "index.html").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def words(figures: Path) -> str:
    return (figures / "small" / "report" / "index.html").read_text(encoding="utf-8")


def test_every_number_of_the_tables_stands_on_the_page(page: Page, figures: Path) -> None:
    cells = set(page.read("td", "th"))
    tables = sorted((figures / "small" / "report").glob("table_*.csv"))
    assert len(tables) >= 7
    for path in tables:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
        assert set(table.to_numpy().ravel()) - {""} <= cells, path.name


def test_the_verdict_comes_first_with_the_numbers_of_the_table(page: Page, figures: Path) -> None:
    first = pd.read_csv(figures / "small" / "report" / "table_questions.csv", dtype=str).iloc[0]
    assert first["Verdict"] == "supported"
    assert "Supported" in page.read("strong")
    sentences = page.read("p")
    told = next(sentence for sentence in sentences if "random is better than unet" in sentence)
    assert first["Difference"].lstrip("+") in told
    assert first["95 %"] in told


def test_the_page_needs_no_other_file_and_links_only_to_what_is_there(page: Page, figures: Path) -> None:
    images = page.all("img")
    assert len(images) >= 5
    assert all(image["src"].startswith("data:image/png;base64,") and image["alt"] for image in images)
    anchors = {attributes["id"] for _, attributes in page.tags if "id" in attributes}
    for link in (each["href"] for each in page.all("a")):
        if link.startswith("#"):
            assert link[1:] in anchors
        else:
            assert (figures / "small" / "report" / link).is_file(), link


def test_every_figure_is_there_for_a_paper(figures: Path) -> None:
    report = figures / "small" / "report"
    for name in ("comparisons", "patients", "parts", "trainings", "learning_curves"):
        assert (report / f"{name}.pdf").is_file()
        assert (report / f"{name}.png").is_file()
    assert "random - unet" in (report / "table_comparisons.tex").read_text()
    patients = pd.read_csv(report / "patient_differences.csv")
    questions = pd.read_csv(report / "table_questions.csv").set_index("Comparison")
    for name, row in questions.iterrows():
        assert patients[str(name)].mean() == pytest.approx(row["Difference"], abs=0.0051)


def test_every_file_is_what_its_record_says(figures: Path) -> None:
    found = verify_folder(figures / "small" / "report")
    assert found[1:] == ([], [], [])
    assert found.compared == sum(path.suffix != ".json" for path in (figures / "small" / "report").iterdir())


def test_what_went_wrong_is_named(page: Page, words: str) -> None:
    assert "patient001_ED" in page.read("td")
    assert "nothing found" in page.read("td")
    assert any("image_fold2_seed1" in line and "101" in line for line in page.read("li"))
    assert OLD[:12] in words, "a training was made under another content of the plan"
    assert any("older (1 of the patients)" in line for line in page.read("p"))
    assert "1.23" in page.read("td"), "parameters in millions, of the records"


@pytest.mark.slow
def test_unfinished_waves_are_read_only_on_request_and_the_next_page_tells(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAINET_FIGURES", str(tmp_path / "figures"))
    plan, folder = read_plan(write_plan(tmp_path)), tmp_path / "figures" / "small"
    write_scores(plan, folder, LEVELS, waves=1)
    with pytest.raises(InputError, match=r"1 of 2 waves.*unet_fold1_seed2.*--waves-so-far"):
        write_report(plan, folder, folder / "report")
    assert not (folder / "report").exists()
    early = write_report(plan, folder, folder / "report", so_far=True).read_text(encoding="utf-8")
    assert "random_fold2_seed2" in early, "trainings that are not there are named"
    write_scores(plan, folder, LEVELS)
    assert "after 1 of 2 waves" in write_report(plan, folder, folder / "report").read_text(encoding="utf-8")


@pytest.mark.slow
def test_twelve_networks_with_long_names_one_class_and_one_training_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAINET_FIGURES", str(tmp_path / "figures"))
    names = [f"a_very_long_file_name_of_a_network.py:variant_with_a_long_name_{i}" for i in range(12)]
    plan = read_plan(write_plan(tmp_path))
    line = plan.comparisons[0]
    lines = [line.model_copy(update={"first": names[0], "second": name}) for name in names[1:]]
    many = plan.model_copy(
        update={
            "networks": dict.fromkeys(names, plan.networks["unet"]),
            "waves": (plan.waves[0].model_copy(update={"networks": tuple(names)}),),
            "folds": plan.folds[:1],
            "comparisons": tuple(lines),
        }
    )
    folder = tmp_path / "figures" / "small"
    write_scores(many, folder, {name: 90.0 + i for i, name in enumerate(names)}, waves=1)
    for path in (folder / "scores").iterdir():
        table = pd.read_csv(path, dtype={"class": str}).query("`class` == 'LV'")
        table = table.drop_duplicates(["patient", "policy"])
        table.assign(group="", phase="", hd95_mm=float("nan"), assd_mm=float("nan")).to_csv(path, index=False)
    text = write_report(many, folder, folder / "report").read_text(encoding="utf-8")
    assert "Not judged" in Page(text).read("strong")
    assert ">nan" not in text
    assert all(name in text for name in names)


def test_limits_follow_from_the_numbers(figures: Path, tmp_path: Path) -> None:
    plan = read_plan(write_plan(tmp_path, PLAN[: PLAN.index("comparisons:")] + COMPARISONS))
    scored = read_scored(plan, figures / "small")
    told = " ".join(limitations(scored, answers(scored), {}))
    assert "image was trained once per fold" in told
    assert "4 test patients" in told
    assert "one split" not in told
    history = scored.histories.copy()
    history.loc[history["model"] == "random", "dsc"] -= 0.2
    other = type(scored)(plan, scored.waves, scored.trainings, scored.scores, history)
    assert len(limitations(other, answers(other), {})) > len(limitations(scored, answers(scored), {}))
    assert failed_cases(scored)["Failed"].tolist() == ["1 of 1 trainings"]
    rest = scored.scores.assign(dsc_last_epoch=scored.scores["dsc_last_epoch"].where(scored.scores["fold"] == 1))
    without = type(scored)(plan, scored.waves, scored.trainings, rest, scored.histories)
    assert "nan" not in checks_table(without).to_string()
    none = type(scored)(plan, 2, scored.trainings, rest.assign(dsc_last_epoch=float("nan")), scored.histories)
    assert set(checks_table(none)["Last epoch"]) == {"too few"}
    assert limitations(none, answers(none), {}) == limitations(scored, answers(scored), {})


def test_the_same_scores_twice_are_called_that(figures: Path, tmp_path: Path) -> None:
    plan = read_plan(write_plan(tmp_path))
    scored = read_scored(plan, figures / "small")
    own = scored.scores[scored.scores["model"] == "unet"]
    scores = pd.concat([own, own.assign(model="random")], ignore_index=True)
    twins = type(scored)(plan, scored.waves, scored.trainings, scores, scored.histories)
    assert any("may be the same network" in line for line in limitations(twins, answers(twins), {}))
    constant = type(scored)(plan, 2, scored.trainings, scores.assign(dsc=0.5), scored.histories)
    assert answers(constant)[0].verdict == "not judged"
    untrained = type(scored)(plan, 2, scored.trainings, scored.scores.assign(dsc=0.02), scored.histories)
    assert sum("mean DSC of 2 %" in line for line in limitations(untrained, answers(untrained), {})) == 3


def test_a_wave_that_misses_a_training_is_refused_with_its_name(tmp_path: Path) -> None:
    plan = read_plan(write_plan(tmp_path))
    write_scores(plan, tmp_path / "study", LEVELS)
    (tmp_path / "study" / "scores" / "random_fold2_seed2.csv").unlink()  # as one that failed twice
    with pytest.raises(InputError, match=r"1 of 2 waves.*random_fold2_seed2.*--waves-so-far"):
        read_whole(plan, tmp_path / "study")
    scored = read_whole(plan, tmp_path / "study", so_far=True)
    assert scored.waves == 1
    assert any("1 of 2 planned waves" in line for line in limitations(scored, answers(scored), {}))


def test_whole_waves_without_a_network_of_the_claim_are_not_judged(tmp_path: Path) -> None:
    text = PLAN.replace("[unet, random, image]", "[unet, image]")
    plan = read_plan(write_plan(tmp_path, text))
    write_scores(plan, tmp_path / "study", LEVELS, waves=1)
    with pytest.raises(InputError, match=r"1 of 2 waves.*random"):
        read_whole(plan, tmp_path / "study", so_far=True)


def test_settings_of_one_network_are_not_told_as_those_of_all(figures: Path, tmp_path: Path) -> None:
    own = "unet: {network: unet, settings: {segmentation.epochs: 77, segmentation.selection: last}}"
    plan = read_plan(write_plan(tmp_path, PLAN.replace("unet: {network: unet}", own)))
    found = read_scored(plan, figures / "small")
    assert tuned_networks(plan) == ["unet"]
    assert "trained on for 2 epochs" in " ".join(methods(found))
    told = ("tuned by itself", "tuned for one network")
    pages = [" ".join([*methods(each), *limitations(each, answers(each), {})]) for each in (found, plain(found))]
    assert [[words in page for words in told] for page in pages] == [[False, False], [True, True]]


def plain(scored: Scored) -> Scored:
    """The same scores of networks without settings of their own."""
    networks = {name: row.model_copy(update={"settings": {}}) for name, row in scored.plan.networks.items()}
    plan = scored.plan.model_copy(update={"networks": networks})
    return Scored(plan, scored.waves, scored.trainings, scored.scores, scored.histories)


def test_whole_waves_are_read_as_before(figures: Path, tmp_path: Path) -> None:
    plan = read_plan(write_plan(tmp_path))
    assert read_whole(plan, figures / "small").waves == 2
    with pytest.raises(InputError, match="small"):
        read_whole(plan.model_copy(update={"comparisons": ()}), figures / "small")


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: apt-get install chromium")
def test_a_phone_scrolls_down_only(figures: Path) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        for size in (PHONE, SIZE):
            view = browser.new_page(viewport=size, color_scheme="dark")
            view.goto((figures / "small" / "report" / "index.html").as_uri())
            assert view.evaluate("document.documentElement.scrollWidth") <= size["width"]
            assert view.evaluate("[...document.images].every(image => image.naturalWidth > 0)")
        browser.close()
