"""Freed memory that is kept: against the page faults that the system counts."""

import platform
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be told")

STEPS = """
import resource, sys, torch
from goldcut.fitting.memory import keep_freed_memory

if "keep" in sys.argv:
    assert keep_freed_memory()
torch.set_num_threads(1)
network = torch.nn.Sequential(torch.nn.Conv2d(16, 16, 3, padding=1), torch.nn.ReLU(), torch.nn.Conv2d(16, 16, 3))
images = torch.rand(32, 16, 32, 32)
def step():
    network(images).square().mean().backward()
    network.zero_grad()
for _ in range(3):
    step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(*arguments: str) -> int:
    """Pages that the system had to supply during ten steps."""
    ran = subprocess.run([sys.executable, "-c", STEPS, *arguments], capture_output=True, text=True, check=True)
    return int(ran.stdout)


def test_a_step_finds_the_pages_of_the_last_one():
    assert faults("keep") * 5 < faults()
