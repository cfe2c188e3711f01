"""What a replica of a case is safe at: bound by its work, or by how few its cache holds."""

import dataclasses

import pytest

from benchmarks.lending_cases import CHAT, L40S_8B, MIG_1G, safe_rps


def test_with_room_for_many_the_work_alone_binds():
    roomy = dataclasses.replace(L40S_8B, num_blocks=10**6, max_num_seqs=2048)
    cost = roomy.step_cost
    work_s = CHAT[0].mean_tokens * cost.c_s + CHAT[1].mean_tokens * cost.b_s

    assert safe_rps(roomy, *CHAT) == pytest.approx(0.87 / work_s)


def test_where_few_fit_each_pays_for_its_share_of_the_steps():
    # Of 23,984 tokens 11 chats of 1,392 (deviation 1,332) take 15,300, and 8,800 are in reserve.
    cost = MIG_1G.step_cost
    step_s = cost.a_s / 10.9 + cost.b_s
    by_hand_s = CHAT[1].mean_tokens * step_s + CHAT[0].mean_tokens * cost.c_s

    assert safe_rps(MIG_1G, *CHAT) == pytest.approx(1 / by_hand_s, rel=0.01)


def test_fewer_seats_than_the_cache_has_room_for_bind_first():
    few = dataclasses.replace(MIG_1G, max_num_seqs=4)

    assert safe_rps(few, *CHAT) < 0.6 * safe_rps(MIG_1G, *CHAT)
