"""The checks that the lessons call: `check_05(join=join)` answers in one sentence.

A check runs the learner's function on inputs that it does not show, one of them random by seed,
and accepts every method that gives the right result.
"""

from .checking import Verdict
from .lesson_00 import check_00
from .lesson_01 import check_01
from .lesson_02 import check_02
from .lesson_03 import check_03
from .lesson_04 import check_04
from .lesson_05 import check_05
from .lesson_06 import check_06
from .lesson_07 import check_07
from .lesson_08 import check_08
from .lesson_09 import check_09
from .lesson_10 import check_10
from .lesson_11 import check_11
from .lesson_12 import check_12
from .lesson_13 import check_13

__all__ = [
    "Verdict",
    "check_00",
    "check_01",
    "check_02",
    "check_03",
    "check_04",
    "check_05",
    "check_06",
    "check_07",
    "check_08",
    "check_09",
    "check_10",
    "check_11",
    "check_12",
    "check_13",
]
