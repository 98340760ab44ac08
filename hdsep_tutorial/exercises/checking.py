"""What all checks share: run what the learner wrote, and answer in one sentence."""

import copy
import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from .wording import in_language, language


class NotYet(Exception):
    """Says in one sentence what an answer still lacks."""


@dataclass(frozen=True, repr=False)
class Verdict:
    """The result of a check.

    Attributes:
        passed: whether the answer is right.
        message: what was tried, or what is wrong and with which input, in English.
    """

    passed: bool
    message: str

    @property
    def sentence(self) -> str:
        """The whole verdict in a line of English."""
        return f"{'Right' if self.passed else 'Not yet'}: {self.message}"

    def __repr__(self) -> str:
        """Say it as a cell prints it, in the language of the lesson."""
        return in_language(self.sentence, language())


def exercise(check: Callable[..., str]) -> Callable[..., Verdict]:
    """Turn a check, which raises `NotYet` or returns what it tried, into one that gives a Verdict.

    Each keyword of the check is one exercise of its lesson; a call gives exactly one of them.
    """
    names = list(inspect.signature(check).parameters)

    @functools.wraps(check)
    def run(**answer: object) -> Verdict:
        if len(answer) != 1 or not set(answer) <= set(names):
            calls = " or ".join(f"{check.__name__}({name}=...)" for name in names)
            raise TypeError(f"{check.__name__} got {', '.join(answer) or 'nothing'}: call {calls}")
        if None in answer.values():
            return Verdict(False, f"{', '.join(answer)} is None: put your answer in its place")
        try:
            return Verdict(True, check(**{name: answer.get(name) for name in names}))
        except NotYet as reason:
            return Verdict(False, str(reason))

    return run


def ask(function: object, *inputs: object, name: str) -> object:
    """Call the learner's function on copies of the inputs, and return its answer.

    Raises:
        NotYet: it is no function, it failed, it changed its input, or it returned nothing.
    """
    if not callable(function):
        raise NotYet(f"{name} is {describe(function)}, expected a function")
    copies = [copy.deepcopy(value) for value in inputs]
    given = " and ".join(describe(value) for value in inputs)
    try:
        answer = function(*copies)
    except Exception as error:
        raise NotYet(f"{name} stopped with {type(error).__name__} for {given}: {error}") from None
    if answer is None or answer is ...:
        raise NotYet(f"{name} returned nothing: replace the ... and return your result")
    if not all(map(_same, copies, inputs)):
        raise NotYet(f"{name} changed its input in place: work on a copy")
    return answer


def expect_tensor(answer: object, shape: tuple[int, ...], *, name: str, given: str) -> Tensor:
    """Return the answer if it is a finite tensor of this shape.

    Raises:
        NotYet: it is something else.
    """
    if not isinstance(answer, Tensor):
        raise NotYet(f"{name} returned {describe(answer)} for {given}, expected a tensor")
    if answer.shape != shape:
        raise NotYet(
            f"{name} returned a tensor {tuple(answer.shape)} for {given}, expected {tuple(shape)}"
        )
    if not answer.isfinite().all():
        raise NotYet(f"{name} returned NaN or infinite numbers for {given}")
    return answer


def expect_number(answer: object, *, name: str, given: str) -> float:
    """Return the answer as a float if it is one number, also inside a tensor.

    Raises:
        NotYet: it is something else.
    """
    if isinstance(answer, Tensor) and answer.numel() == 1:
        answer = answer.item()
    if isinstance(answer, bool) or not isinstance(answer, int | float):
        raise NotYet(f"{name} returned {describe(answer)} for {given}, expected a number")
    return float(answer)


def noise(seed: int, *shape: int) -> Tensor:
    """Return the same noise between −1 and 1 on every machine."""
    return 2 * torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) - 1


def describe(value: object) -> str:
    """Name a value in few words."""
    if isinstance(value, Tensor):
        return f"a tensor {tuple(value.shape)}"
    if isinstance(value, dict):
        return f"a dict of {', '.join(map(str, value))}"
    text = repr(value)
    return text if len(text) <= 40 else f"a {type(value).__name__}"


def _same(one: object, other: object) -> bool:
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    return torch.equal(one, other) if isinstance(one, Tensor) else bool(one == other)
