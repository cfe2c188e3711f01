"""Whose lengths a histogram holds."""

import math

import pytest

from scaler.readings.lengths import LengthBook, LengthCounter, Which, stem_of

PODS = {"serve/llm": [("serve", "llm-0"), ("serve", "llm-1")], "serve/chat": [("serve", "chat-0")]}


@pytest.mark.parametrize(
    ("pod", "stem"),
    [
        ("llm-6d5f8b9c7d-x2x4z", "llm"),
        ("llm-chat-0", "llm-chat"),
        ("llm-2-1", "llm-2"),
        ("odd", None),
    ],
)
def test_a_stem_is_what_a_controller_named_its_pods_by(pod, stem):
    assert stem_of(pod) == stem


def book_of(*rows):
    book = LengthBook()
    book.settle(PODS)
    book.put(Which.PROMPT, [(("serve", stem), le, count) for stem, le, count in rows])
    return book


def test_cumulative_buckets_become_each_its_own():
    book = book_of(("llm", "10.0", 3), ("llm", "+Inf", 5), ("llm", "100", 5), ("chat", "+Inf", 1))
    histogram = book.of("serve/llm").prompt_tokens
    assert histogram.upper == (10, 100, math.inf)
    assert histogram.counts == (3, 2, 0)


def test_counts_that_cross_by_a_hair_are_never_below_zero():
    histogram = book_of(("llm", "10", 3.01), ("llm", "+Inf", 3.0)).of("serve/llm").prompt_tokens
    assert histogram.counts == (3.01, 0)


def test_nothing_served_is_no_histogram():
    assert book_of(("llm", "+Inf", 0)).of("serve/llm").prompt_tokens is None
    assert book_of().of("serve/llm").output_tokens is None


def test_workloads_that_share_a_stem_have_no_lengths():
    book = book_of(("llm", "+Inf", 5))
    book.settle({"a": [("serve", "llm-0")], "b": [("serve", "llm-6d5f8b9c7d-x2x4z")]})
    assert book.of("a").prompt_tokens is None


def test_a_bound_that_is_no_number_is_left_out():
    assert book_of(("llm", "x", 5), ("llm", "+Inf", 5)).of("serve/llm").prompt_tokens.total == 5


def test_pods_that_are_gone_are_forgotten():
    counter = LengthCounter()
    counter.add(Which.PROMPT, ("serve", "llm-0"), "", "+Inf", (0.0, 5.0))
    counter.forget(100.0)
    book = LengthBook()
    book.settle(PODS)
    counter.put_into(book, 0.0)
    assert book.of("serve/llm").prompt_tokens is None
