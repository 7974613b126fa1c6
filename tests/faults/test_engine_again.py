"""After the end: what is left over is taken back once more, and what failed is done again."""

import pytest

from kensho_tui.engine.client import UnknownJobError
from kensho_tui.engine.events import EventKind, JobState
from kensho_tui.engine.journal import Journal
from kensho_tui.engine.places import Places
from kensho_tui.errors import KenshoError

from .bench import Bench

FULL = ["fail", "disk", "the storage is full"]


def test_a_cleanup_takes_back_what_was_left_and_the_job_ends_as_it_first_had(
    engine: Bench,
) -> None:
    engine.stuck("a").touch()
    job = engine.submit(["step", "a"], ["step", "b"], FULL)
    view = engine.wait_end(job)
    assert view.summary.state is JobState.NEEDS_ATTENTION
    assert engine.done() == ["a", "b", "undo-b", "undo-a"]

    engine.client.cleanup(job, by="me")
    view = engine.wait_end(job, after=view.last)
    assert view.summary.state is JobState.NEEDS_ATTENTION
    assert [each["name"] for each in view.leftovers] == ["a"], "said once, as it is now"
    assert engine.done() == ["a", "b", "undo-b", "undo-a", "undo-a"], "and nothing else is tried"

    engine.stuck("a").unlink()
    engine.client.cleanup(job, by="me")
    view = engine.wait_end(job, after=view.last)
    assert view.summary.state is JobState.FAILED
    assert view.summary.error is not None
    assert view.summary.error["what"] == "the storage is full"
    assert view.leftovers == ()
    assert engine.done()[-1] == "undo-a"
    assert [e.data["by"] for e in view.log if e.kind is EventKind.REOPENED] == ["me", "me"]
    with Journal(Places(engine.state).journal) as journal:
        assert journal.verify() == []


def test_a_cancelled_job_is_cancelled_when_all_of_it_is_gone(engine: Bench) -> None:
    engine.stuck("a").touch()
    job = engine.submit(["step", "a"], ["hold"])
    engine.wait_note(job, "holding")
    engine.client.cancel(job)
    view = engine.wait_end(job)
    assert view.summary.state is JobState.NEEDS_ATTENTION
    engine.stuck("a").unlink()
    engine.client.cleanup(job)
    assert engine.wait_end(job, after=view.last).summary.state is JobState.CANCELLED


def test_what_a_worker_that_always_died_had_made_is_taken_back(engine: Bench) -> None:
    job = engine.submit(["step", "a"], ["kill"])
    view = engine.wait_end(job)
    assert view.summary.state is JobState.NEEDS_ATTENTION
    engine.client.cleanup(job)
    view = engine.wait_end(job, after=view.last)
    assert view.summary.state is JobState.FAILED, engine.log(job)
    assert view.summary.error is not None
    assert "died" in view.summary.error["what"]
    assert engine.done() == ["a", "undo-a"]


def test_only_what_left_something_is_cleaned_up_and_only_what_ended_badly_is_done_again(
    engine: Bench,
) -> None:
    good, held = engine.submit(["step", "a"]), engine.submit(["hold"])
    engine.wait_end(good)
    engine.wait_note(held, "holding")
    for job in (good, held):
        with pytest.raises(KenshoError, match="nothing to clean up"):
            engine.client.cleanup(job)
        with pytest.raises(KenshoError, match="failed or was cancelled"):
            engine.client.retry(job)
    left = engine.submit(["step", "b"], ["defect"])
    engine.wait_end(left)
    with pytest.raises(KenshoError, match=f"kensho job cleanup {left}"):
        engine.client.retry(left)
    for ask in (engine.client.cleanup, engine.client.retry):
        with pytest.raises(UnknownJobError, match=rf"Did you mean '{good}'\?$"):
            ask(good + "x")
    assert len(engine.client.jobs()) == 3


def test_a_failed_job_is_done_again_by_a_new_one_of_the_same_plan(engine: Bench) -> None:
    plan = engine.plan(["step", "a"], FULL)
    plan = plan.model_copy(
        update={"metadata": plan.metadata.model_copy(update={"batch": "wave-1"})}
    )
    job = engine.client.submit(plan, by="ann")
    first = engine.wait_end(job)
    again = engine.client.retry(job, by="bob")
    view = engine.wait_end(again)
    assert view.summary.retry_of == job
    assert view.summary.batch == "wave-1"
    assert view.plan["spec"] == first.plan["spec"]
    assert engine.done() == ["a", "undo-a"] * 2
    with Journal(Places(engine.state).journal) as journal:
        assert [journal.events(j)[0].data["by"] for j in (job, again)] == ["ann", "bob"]
    # Once more: the first time may be long over.
    engine.wait_end(engine.client.retry(job))


def test_a_job_is_not_done_again_twice_at_once(engine: Bench) -> None:
    gate = engine.gate("gate")
    job = engine.submit(["gate", gate], FULL)
    engine.wait_note(job, gate)
    engine.open_gate(gate)
    engine.wait_end(job)
    again = engine.client.retry(job)
    engine.wait_note(again, gate)
    with pytest.raises(KenshoError, match=f"already, as {again}"):
        engine.client.retry(job)
    engine.open_gate(gate)
    engine.wait_end(again)


def test_a_secret_that_was_given_by_hand_is_asked_for_again(engine: Bench) -> None:
    job = engine.submit(["secret", "property:p"], FULL, secrets={"property:p": "canary-Lm3"})
    engine.wait_end(job)
    again = engine.client.retry(job)
    view = engine.wait_state(again, JobState.WAITING)
    (question,) = view.questions
    assert question.secret == "property:p"
    engine.client.answer(again, question.id, "canary-Lm3")
    assert engine.wait_end(again).summary.state is JobState.FAILED
