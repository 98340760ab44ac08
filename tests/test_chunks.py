"""The plan covers the song, its chunks are equal, and the weights sum to one."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hdsep_tutorial.chunks import Plan, chunk_plan, chunk_weights, crossfade, plan_in_seconds

shapes = st.integers(1, 3000).flatmap(
    lambda segment: (
        st.tuples(
            st.integers(1, 9000), st.just(segment), st.integers(max(0, segment - 300), segment - 1)
        )
        | st.tuples(st.integers(1, 9000), st.just(segment), st.integers(0, segment // 2))
    )
)


@settings(max_examples=150, deadline=None)
@given(shapes)
def test_plan_covers_the_song_with_equal_chunks(shape):
    length, segment, overlap = shape
    plan = chunk_plan(length, segment, overlap)
    assert plan[0][0] == 0
    assert plan[-1][1] == length
    assert {stop - start for start, stop in plan} == {min(length, segment)}
    for (start, stop), (next_start, _) in pairwise(plan):
        assert start < next_start <= stop - overlap  # forward, and at least `overlap` shared


@settings(max_examples=150, deadline=None)
@given(shapes)
def test_an_even_plan_needs_no_more_chunks_and_computes_little_twice(shape):
    length, segment, overlap = shape
    plain, even = (
        plan_in_seconds(length, 1, segment, overlap, even=even).chunks for even in (False, True)
    )
    assert (even[0][0], even[-1][1], len(even)) == (0, length, len(plain))
    assert {stop - start for start, stop in even} == {even[0][1]}
    assert even[0][1] <= min(length, segment)
    shared = [stop - start for (_, stop), (start, _) in pairwise(even)]
    assert shared[:-1] == [overlap] * (len(even) - 2)
    assert all(overlap <= last < overlap + len(even) for last in shared[-1:])


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 4000), st.integers(1, 400), st.floats(0, 0.99))
def test_weights_sum_to_one_at_every_sample(length, segment, ratio):
    overlap = int(ratio * segment)
    plan = Plan(chunk_plan(length, segment, overlap), overlap)
    total = torch.zeros(length, dtype=torch.float64)
    for index, (start, stop) in enumerate(plan.chunks):
        weights = chunk_weights(plan, index)
        assert weights.gt(0).all()
        total[start:stop] += weights
    deepest = 1 + segment // (segment - overlap)  # windows over one sample, each rounded once
    assert (total - 1).abs().max() <= deepest * torch.finfo(torch.float32).eps


def test_crossfade_is_symmetric_positive_and_flat_between_the_ramps():
    window = crossfade(100, 10)
    assert torch.equal(window, window.flip(0))
    assert window.min() == pytest.approx(1 / 11)
    assert torch.equal(window[10:90], torch.ones(80, dtype=torch.float64))


def test_two_crossfades_in_the_plan_sum_to_one_where_they_overlap():
    window = crossfade(100, 10)
    assert torch.allclose(window[-10:] + window[:10], torch.ones(10, dtype=torch.float64))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((0, 10, 2), "no samples"),
        ((10, 0, 0), "segment is 0"),
        ((10, 5, 5), "overlap is 5"),
        ((10, 5, -1), "overlap is -1"),
    ],
)
def test_impossible_plans_are_refused_in_words(arguments, words):
    with pytest.raises(ValueError, match=words):
        chunk_plan(*arguments)


@pytest.mark.parametrize(
    ("segment_s", "overlap_s", "words"),
    [
        (0, 0, "segment_s is 0"),
        (-1, 0, "segment_s is -1"),
        (float("nan"), 0, "segment_s is nan"),
        (2, 2, "overlap_s is 2"),
        (2, -0.1, "overlap_s is -0.1"),
    ],
)
def test_impossible_seconds_are_refused_in_words(segment_s, overlap_s, words):
    with pytest.raises(ValueError, match=words):
        plan_in_seconds(44_100, 44_100, segment_s, overlap_s)
