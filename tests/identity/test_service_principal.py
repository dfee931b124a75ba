"""Secrets are stored as hashes, and guessing them is slow without locking their owner out."""

from __future__ import annotations

import re
from time import perf_counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poolwright.identity.service_principal import (
    FREE_FAILURES,
    MAX_WAIT_SECONDS,
    GuessLimiter,
    hash_secret,
    new_secret,
    nobodys_hash,
    secret_matches,
)

# How long one example takes says nothing on a loaded machine.
MANY = settings(deadline=None)
FEW = settings(deadline=None, max_examples=50)
NOW = 1_795_435_200.0
CLIENT, OTHER_CLIENT = "22222222-2222-4222-8222-222222222222", "44444444-4444-4444-8444-444444444444"
HOME, ELSEWHERE = "192.0.2.10", "198.51.100.20"
SECRET = "a secret that was given"
STORED = hash_secret(SECRET)
# A hash with small parameters, so that tests which only need some hash are quick.
CHEAP = "scrypt$n=2,r=1,p=1$c2FsdA$" + "QUJD" * 11


# Secrets


def test_a_new_secret_is_long_url_safe_and_never_looks_like_an_option() -> None:
    made = [new_secret() for _ in range(200)]
    assert all(re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]{39,}", secret) for secret in made)
    assert len(set(made)) == len(made)


@pytest.mark.parametrize("secret", [SECRET, "", "x" * 100_000, "\u00fc\U0001f600", "nul\x00byte", "\ud800"])
def test_a_secret_matches_its_own_hash_and_nothing_else_does(secret: str) -> None:
    stored = hash_secret(secret)
    assert secret_matches(secret, stored)
    assert not secret_matches(secret + " ", stored)


def test_the_stored_string_holds_parameters_and_salt_but_not_the_secret() -> None:
    assert re.fullmatch(r"scrypt\$n=16384,r=8,p=1\$[\w-]{22}\$[\w-]{43}", STORED, re.ASCII)
    assert SECRET not in STORED
    assert hash_secret(SECRET) != STORED


def test_nobody_s_hash_looks_like_any_other_and_matches_nothing() -> None:
    nobodys = nobodys_hash()
    assert re.fullmatch(r"scrypt\$n=16384,r=8,p=1\$[\w-]{22}\$[\w-]{43}", nobodys, re.ASCII)
    assert nobodys != nobodys_hash()
    assert not any(secret_matches(secret, nobodys) for secret in ("", SECRET, nobodys))


def test_a_hash_with_other_parameters_is_still_checked_with_its_own() -> None:
    # scrypt("a secret that was given", salt "salt", N=1024, r=8, p=2), computed with the openssl command.
    stored = "scrypt$n=1024,r=8,p=2$c2FsdA$G_fUXygQ_6a81LYjXqaQkXOh7XII9my0hOeem4p457Q"
    assert secret_matches(SECRET, stored)


def test_one_check_costs_a_guesser_milliseconds_not_microseconds() -> None:
    begin = perf_counter()
    secret_matches("wrong", STORED)
    assert perf_counter() - begin > 0.005


@pytest.mark.parametrize(
    "stored",
    [
        "",
        "plain text",
        SECRET,
        STORED[:-1],
        STORED[:-20],
        STORED + "A",
        STORED + "\n",
        STORED.replace("scrypt", "bcrypt"),
        STORED.replace("n=16384", "n=16383"),
        STORED.replace("n=16384", "n=0"),
        STORED.replace("n=16384", "n=1048576"),
        STORED.replace("n=16384", "n=99999999999999999999"),
        STORED.replace("n=16384", "n=-1"),
        STORED.replace("r=8", "r=0"),
        STORED.replace("p=1", "p=0"),
        STORED.replace("p=1", "p=\u0661"),
        "$".join([*STORED.split("$")[:3], "A"]),
        "$".join([*STORED.split("$")[:3], "AAAA"]),
        "$".join([*STORED.split("$")[:3], "\u00e9" * 43]),
        "$".join([*STORED.split("$")[:2], "A", STORED.split("$")[3]]),
        "scrypt$$$",
        "\ud800",
    ],
    # The salt is random, and a test's name is not.
    ids=range(22),
)
def test_a_malformed_stored_string_matches_nothing_and_raises_nothing(stored: str) -> None:
    assert not secret_matches(SECRET, stored)


@MANY
@given(st.text())
def test_any_text_as_stored_string_matches_nothing(stored: str) -> None:
    assert not secret_matches(SECRET, stored)


@FEW
@given(st.text(), st.integers(0, len(CHEAP) - 1), st.characters())
def test_any_change_of_a_hash_matches_nothing(secret: str, position: int, character: str) -> None:
    assert not secret_matches(secret, CHEAP[:position] + character + CHEAP[position + 1 :])


# Guessing


def fail(
    limiter: GuessLimiter,
    times: int,
    now: float = NOW,
    client: str = CLIENT,
    address: str = ELSEWHERE,
) -> None:
    for _ in range(times):
        limiter.record_failure(client, address, now)


def test_the_first_failures_cost_nothing() -> None:
    limiter = GuessLimiter()
    fail(limiter, FREE_FAILURES - 1)
    assert limiter.seconds_to_wait(CLIENT, ELSEWHERE, NOW) == 0


def test_after_five_failures_the_client_id_has_to_wait_from_everywhere() -> None:
    limiter = GuessLimiter()
    fail(limiter, 5)
    assert limiter.seconds_to_wait(CLIENT, ELSEWHERE, NOW) == 5
    assert limiter.seconds_to_wait(CLIENT, HOME, NOW) == 5


def test_after_five_failures_the_address_has_to_wait_with_every_client_id() -> None:
    limiter = GuessLimiter()
    for number in range(5):
        fail(limiter, 1, client=f"client {number}")
    assert limiter.seconds_to_wait(OTHER_CLIENT, ELSEWHERE, NOW) == 5
    assert limiter.seconds_to_wait(OTHER_CLIENT, HOME, NOW) == 0
    assert limiter.seconds_to_wait("client 0", HOME, NOW) == 0


def test_failures_spread_over_more_than_a_minute_cost_nothing() -> None:
    limiter = GuessLimiter()
    for number in range(50):
        now = NOW + 15 * number
        assert limiter.seconds_to_wait(CLIENT, ELSEWHERE, now) == 0
        fail(limiter, 1, now)


def test_the_wait_grows_to_a_minute_and_no_further() -> None:
    limiter, now, waits = GuessLimiter(), NOW, []
    for _ in range(40):
        wait = limiter.seconds_to_wait(CLIENT, ELSEWHERE, now)
        if wait:
            waits.append(wait)
            now += wait
        else:
            fail(limiter, 1, now)
    assert waits == sorted(waits)
    assert list(dict.fromkeys(waits)) == [5, 10, 20, 40, 60]


def test_the_wait_counts_down_and_ends() -> None:
    limiter = GuessLimiter()
    fail(limiter, 5)
    waits = [limiter.seconds_to_wait(CLIENT, ELSEWHERE, NOW + later) for later in (0, 0.1, 1, 4.5, 5)]
    assert waits == [5, 5, 4, 1, 0]


@MANY
@given(st.floats(1e9, 4e9))
def test_a_wait_is_whole_seconds_at_any_fraction_of_a_second(now: float) -> None:
    limiter = GuessLimiter()
    fail(limiter, 30, now)
    assert limiter.seconds_to_wait(CLIENT, ELSEWHERE, now) == MAX_WAIT_SECONDS


def test_refused_attempts_do_not_prolong_the_wait() -> None:
    limiter = GuessLimiter()
    fail(limiter, 5)
    for tenth in range(50):
        assert limiter.seconds_to_wait(CLIENT, ELSEWHERE, NOW + tenth / 10) > 0
    assert limiter.seconds_to_wait(CLIENT, ELSEWHERE, NOW + 5) == 0


def test_the_waits_begin_small_again_after_a_quiet_quarter_of_an_hour() -> None:
    limiter = GuessLimiter()
    for number in range(8):
        fail(limiter, 1, NOW + number)
    fail(limiter, 5, NOW + 1000)
    assert limiter.seconds_to_wait(CLIENT, ELSEWHERE, NOW + 1000) == 5


def test_success_resets_the_client_id_but_not_the_address() -> None:
    limiter = GuessLimiter()
    fail(limiter, 5)
    limiter.record_success(CLIENT)
    assert limiter.seconds_to_wait(CLIENT, HOME, NOW) == 0
    assert limiter.seconds_to_wait(CLIENT, ELSEWHERE, NOW) == 5


def test_a_clock_that_is_set_back_ends_a_wait() -> None:
    limiter = GuessLimiter()
    fail(limiter, 5)
    assert limiter.seconds_to_wait(CLIENT, ELSEWHERE, NOW - 3600) == 0
    fail(limiter, 5, NOW - 3600)
    assert limiter.seconds_to_wait(CLIENT, ELSEWHERE, NOW - 3600) == 5


@pytest.mark.parametrize(
    ("address", "same"),
    [
        ("2001:db8:0:1::1", "2001:db8:0:1:ffff::2"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("not an address", "not an address"),
    ],
)
def test_an_address_that_a_guesser_can_change_at_will_counts_as_the_same(address: str, same: str) -> None:
    limiter = GuessLimiter()
    fail(limiter, 5, client="another", address=address)
    assert limiter.seconds_to_wait(CLIENT, same, NOW) == 5
    assert limiter.seconds_to_wait(CLIENT, "2001:db8:0:2::1", NOW) == 0


def test_memory_stays_bounded_whatever_is_sent() -> None:
    limiter = GuessLimiter(max_entries=10)
    for number in range(200):
        client, address = f"{number}" * 1000, f"10.0.0.{number}"
        fail(limiter, 5, NOW, client, address)
        limiter.seconds_to_wait(client, address, NOW)
    tables = (limiter._clients, limiter._networks, limiter._promises)
    assert [len(table) for table in tables] == [10, 10, 10]
    assert max(len(key) for table in tables for key in table) <= 64


def test_a_guesser_with_one_address_gets_few_attempts_in_an_hour() -> None:
    limiter, attempts = GuessLimiter(), 0
    for tenth in range(36_000):
        now = NOW + tenth / 10
        if limiter.seconds_to_wait(CLIENT, ELSEWHERE, now) == 0:
            attempts += 1
            fail(limiter, 1, now)
    assert 0 < attempts <= 5 + 5 * 60


def test_the_owner_gets_in_within_a_minute_while_others_never_stop_guessing() -> None:
    limiter, arrived, now = GuessLimiter(), NOW + 600, NOW
    while True:
        for number in range(20):
            address = f"198.51.100.{number}"
            for _ in range(10):
                if limiter.seconds_to_wait(CLIENT, address, now) == 0:
                    limiter.record_failure(CLIENT, address, now)
        if now >= arrived and limiter.seconds_to_wait(CLIENT, HOME, now) == 0:
            break
        now += 1
    assert 0 < now - arrived <= MAX_WAIT_SECONDS


def test_the_owner_gets_in_within_a_minute_behind_the_address_of_somebody_who_guesses_others() -> None:
    limiter, arrived, now = GuessLimiter(), NOW + 600, NOW
    while True:
        for number in range(20):
            if limiter.seconds_to_wait(f"client {number}", HOME, now) == 0:
                limiter.record_failure(f"client {number}", HOME, now)
        if now >= arrived and limiter.seconds_to_wait(CLIENT, HOME, now) == 0:
            break
        now += 1
    assert 0 < now - arrived <= MAX_WAIT_SECONDS


def test_the_entries_changed_last_are_the_ones_that_are_kept() -> None:
    limiter = GuessLimiter(max_entries=2)
    fail(limiter, 4, address=HOME)
    fail(limiter, 1, client="second", address="192.0.2.2")
    fail(limiter, 1, address=HOME)
    fail(limiter, 1, client="third", address="192.0.2.3")
    assert limiter.seconds_to_wait(CLIENT, HOME, NOW) == 5


@MANY
@given(st.text(), st.text())
def test_any_client_id_and_address_can_be_counted(client: str, address: str) -> None:
    limiter = GuessLimiter()
    for text in (client, "\ud800"):
        fail(limiter, 5, client=text, address=address)
        assert limiter.seconds_to_wait(text, address, NOW) > 0
        limiter.record_success(text)


def test_the_announced_wait_counts_down_even_when_others_begin_another_refusal() -> None:
    limiter = GuessLimiter()
    fail(limiter, 5)
    assert limiter.seconds_to_wait(CLIENT, HOME, NOW) == 5
    fail(limiter, 1, NOW + 3)
    assert limiter.seconds_to_wait(CLIENT, HOME, NOW + 4) == 1
    assert limiter.seconds_to_wait(CLIENT, "192.0.2.99", NOW + 4) == 9


def test_a_promise_made_before_the_clock_was_set_back_is_made_anew() -> None:
    limiter, earlier = GuessLimiter(), NOW - 3600
    fail(limiter, 5)
    limiter.seconds_to_wait(CLIENT, HOME, NOW)
    fail(limiter, 5, earlier)
    assert limiter.seconds_to_wait(CLIENT, HOME, earlier) == 5
    fail(limiter, 1, earlier + 5)
    assert limiter.seconds_to_wait(CLIENT, HOME, earlier + 5) == 0


def test_a_kept_promise_lets_one_attempt_through_and_not_a_second() -> None:
    limiter = GuessLimiter()
    fail(limiter, 5)
    assert limiter.seconds_to_wait(CLIENT, HOME, NOW) == 5
    fail(limiter, 1, NOW + 5)
    assert limiter.seconds_to_wait(CLIENT, HOME, NOW + 5) == 0
    assert limiter.seconds_to_wait(CLIENT, HOME, NOW + 5) == 10


def test_a_promise_is_not_kept_for_somebody_who_comes_back_much_later() -> None:
    limiter = GuessLimiter()
    fail(limiter, 5)
    limiter.seconds_to_wait(CLIENT, HOME, NOW)
    fail(limiter, 5, NOW + 300)
    assert limiter.seconds_to_wait(CLIENT, HOME, NOW + 300) == 10


FAILURES = st.lists(st.tuples(st.floats(0, 70), st.integers(0, 2), st.integers(0, 2)), max_size=40)


@MANY
@given(FAILURES, FAILURES)
def test_no_wait_is_longer_than_a_minute_and_who_waits_is_let_through_whatever_others_do(
    before: list[tuple[float, int, int]], meanwhile: list[tuple[float, int, int]]
) -> None:
    limiter, now = GuessLimiter(), NOW
    for pause, client, address in before:
        now += pause
        fail(limiter, 1, now, f"client {client}", f"192.0.2.{address}")
    wait = limiter.seconds_to_wait("client 0", "192.0.2.0", now)
    assert 0 <= wait <= MAX_WAIT_SECONDS
    due = now + wait
    for pause, client, address in meanwhile:
        now = min(now + pause, due)
        fail(limiter, 1, now, f"client {client}", f"192.0.2.{address}")
    assert wait == 0 or limiter.seconds_to_wait("client 0", "192.0.2.0", due) == 0
