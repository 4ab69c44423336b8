"""The demo tells its story once all of it is there: not one alert of three, and not for ever."""

from __future__ import annotations

from pipeline.cli.demo_chapters import ALL_CHAPTERS_S, PATIENCE_S, QUIET_S, Wait

BEGAN_S = 1000.0


def test_a_story_is_over_once_all_of_it_is_stored_told_and_quiet() -> None:
    wait = Wait(BEGAN_S)
    wait.changed(BEGAN_S + 1, all_told=True)
    wait.stored(BEGAN_S + 20)
    assert not wait.is_over(BEGAN_S + 20 + QUIET_S)
    assert wait.is_over(BEGAN_S + 20.1 + QUIET_S)


def test_quiet_seconds_end_no_story_of_which_a_part_is_not_stored() -> None:
    """A worker that falls behind for some seconds has not told the gravest part yet."""
    wait = Wait(BEGAN_S)
    wait.changed(BEGAN_S + 1, all_told=True)
    assert not wait.is_over(BEGAN_S + 1 + 10 * QUIET_S)


def test_an_alert_that_comes_late_is_waited_out() -> None:
    wait = Wait(BEGAN_S)
    wait.changed(BEGAN_S + 1, all_told=True)
    wait.stored(BEGAN_S + 2)
    wait.changed(BEGAN_S + 4, all_told=True)
    assert not wait.is_over(BEGAN_S + 2.1 + QUIET_S)
    assert wait.is_over(BEGAN_S + 4.1 + QUIET_S)


def test_a_chapter_that_nothing_tells_is_given_up_later() -> None:
    wait = Wait(BEGAN_S)
    wait.changed(BEGAN_S + 1, all_told=False)
    wait.stored(BEGAN_S + 2)
    assert not wait.is_over(BEGAN_S + ALL_CHAPTERS_S)
    assert wait.is_over(BEGAN_S + ALL_CHAPTERS_S + 0.1)


def test_what_never_comes_is_waited_for_until_patience_ends() -> None:
    silent, unstored = Wait(BEGAN_S), Wait(BEGAN_S)
    unstored.changed(BEGAN_S + 1, all_told=True)
    for wait in (silent, unstored):
        assert not wait.is_over(BEGAN_S + PATIENCE_S)
        assert wait.is_over(BEGAN_S + PATIENCE_S + 0.1)
