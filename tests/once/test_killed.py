"""One campaign, executed once, wherever the first try is killed."""

from __future__ import annotations

import multiprocessing

import pytest

MODES = {
    "no_wait": {},
    "wait": {"wait_for_completion": True, "deferrable": False, "poke_interval": 0.3},
    "deferred": {"wait_for_completion": True, "deferrable": True, "poke_interval": 0.3},
}


def campaigns(sandbox):
    """Those that the task made, not the draft it clones."""
    return [each for each in sandbox.campaigns() if each["name"].endswith("]")]


def assert_sent_once(sandbox):
    made = campaigns(sandbox)
    assert len(made) == 1, made
    assert len(sandbox.executions()) == 1, sandbox.executions()


def boundaries(process, gate):
    """Let a try run, and list its boundaries."""
    labels = []
    while not isinstance(label := gate.recv(), tuple):
        labels.append(label)
        gate.send(None)
    process.join()
    assert label[1] == "returned", label
    return labels


@pytest.mark.parametrize("stored", [False, True], ids=["no_store", "store"])
@pytest.mark.parametrize("kind", ["create", "clone"])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("staged", [False, True], ids=["plain", "staged"])
def test_killed_at_any_boundary(sandbox, task, start, tmp_path, kind, mode, stored, staged):
    arguments = {**task[kind], **MODES[mode], "staged": staged}
    sandbox.clock.speed = 20

    def files(number):
        return str(tmp_path / f"{number}.json") if stored else None

    labels = boundaries(*start(kind, arguments, gated=True, store=files("dry")))
    assert any(label.startswith("POST") for label in labels)
    for number, label in enumerate(labels):
        reset(sandbox, arguments)
        store = files(number)
        first, _ = start(kind, arguments, store=store, die_at=number)
        first.join(20)
        if mode == "no_wait" or first.exitcode == -9:
            assert first.exitcode == -9, label  # it was killed there, and nowhere else
        second, gate = start(kind, arguments, store=store, try_number=2, gated=True)
        boundaries(second, gate)
        assert_sent_once(sandbox)


def reset(sandbox, arguments):
    """Forget what was made, but for the draft that is cloned."""
    kept = [each for each in sandbox.campaigns() if each["uuid"] == arguments.get("clone_uuid")]
    sandbox.reset()
    for campaign in kept:
        sandbox.create(**{key: value for key, value in campaign.items() if not key.endswith("_dt")})
    sandbox.clock.speed = 20


def test_the_forks_are_real_processes(forks):
    assert forks.get_start_method() == "forkserver"
    assert multiprocessing.current_process().name == "MainProcess"
