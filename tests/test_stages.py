"""A stage by name: the same entries of the cache as the functions of the pipeline, and a GPU of its own."""

import json
import sys
import threading

import pytest
import torch

from dainet import __main__ as command_line
from dainet import pipeline
from dainet.cache.store import finished_only
from dainet.stages import STAGES, free_device, run_named_stage
from tests.helpers.samples import tiny_overrides


def test_every_stage_is_found_by_the_pipeline(tiny):
    by_name = {}
    for name in STAGES:
        network, seed = ("single", 1) if name in ("train", "scores") else (None, None)
        by_name[name] = run_named_stage(tiny, name, network, seed)
    with finished_only():
        trained = pipeline.train(tiny, "single", 1)
        expected = {
            "data": [pipeline.prepare(tiny).result, pipeline.prepare_for_vit(tiny).result],
            "dino": [pipeline.finetune(tiny)],
            "attention": [pipeline.attention(tiny)],
            "train": [trained.segmentation],
            "scores": [trained.scored],
        }
    assert by_name == expected


def test_training_leaves_the_scores_to_their_own_stage(tiny, runs):
    run_named_stage(tiny, "train", "unet", 0)
    assert (runs / "segmentation").exists() and not (runs / "scores").exists()


@pytest.mark.parametrize(
    ("name", "network", "seed", "words"),
    [
        ("maps", None, None, "'maps' is unknown; expected one of data, dino, attention, train, scores"),
        ("train", None, 0, "give --network and --seed with train and scores"),
        ("scores", "unet", None, "give --network and --seed"),
        ("dino", "unet", None, "and with no other stage"),
        ("data", None, 0, "and with no other stage"),
    ],
)
def test_mistakes_are_said_before_anything_runs(tiny, runs, name, network, seed, words):
    with pytest.raises(ValueError, match=words):
        run_named_stage(tiny, name, network, seed)
    assert not runs.exists()


def test_the_command_prints_stage_and_key(h5_source, runs, monkeypatch, capsys):
    items = [word for item in tiny_overrides(h5_source).items() for word in ("--set", "{}={}".format(*item))]
    monkeypatch.setattr(sys, "argv", ["dainet", "stage", "train", "--network", "unet", "--seed", "3", *items])
    with pytest.raises(SystemExit) as stopped:
        command_line.main()
    (printed,) = json.loads(capsys.readouterr().out)
    record = json.loads((runs / printed["stage"] / printed["key"] / "provenance.json").read_text())
    assert stopped.value.code == 0 and (record["settings"]["model"], record["settings"]["seed"]) == ("unet", 3)


def test_jobs_on_one_machine_take_different_gpus(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    taken, third = [], threading.Thread(target=lambda: taken.append(free_device("auto").__enter__()))
    with free_device("auto") as first:
        with free_device("auto") as second:
            third.start()
            third.join(timeout=0.5)
            assert (first, second, taken) == ("cuda:0", "cuda:1", [])
        third.join()
        assert taken == ["cuda:1"]


@pytest.mark.parametrize(("name", "count"), [("cpu", 2), ("cuda:1", 2), ("auto", 1), ("auto", 0)])
def test_a_named_device_or_the_only_one_is_not_chosen_again(monkeypatch, name, count):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    with free_device(name) as chosen:
        assert chosen == name
