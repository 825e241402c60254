"""What a model's own code can do to the process that measures it, and what is made of it. All: odd_models.py."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from odd_models import ENDS, SUITE, net
from preloaded import Preloaded

from perturb.cli import memory
from perturb.cli.outlets import Outlet
from perturb.cli.watch import SHOWN

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="commands are watched where processes can fork")
SOON = (  # in the factory: no measurement is waited for
    "os_exit_0 sys_exit_0 interrupts sends_sigterm base_exception kills_itself aborts thread_exits forks hangs_deaf "
    "floods eats_memory raises closes_everything recurses"
).split()


@pytest.fixture(scope="module")
def perturb():
    with Preloaded() as preloaded:
        yield preloaded


@pytest.fixture
def work(tmp_path):
    (tmp_path / "odd.py").write_text(net())
    (tmp_path / "tiny.perturb.toml").write_text(SUITE)
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("name", SOON)
def test_whatever_a_model_does_reads_as_an_error(perturb, work, name):
    """Exit code 4, and the last line says why."""
    limits = ("--time-limit", 3 if "hangs" in name else 120, "--memory-limit", 2 if "eats" in name else 8)
    ended = perturb.run("lint", f"odd.py:{name}_at_once", *limits, cwd=work)
    assert ended.code == 4, ended.err
    last = ended.err.splitlines()[-1]
    assert last.startswith("perturb: ")
    assert ENDS[name][1] in last
    assert ended.out == ""
    assert len(ended.err) < SHOWN + 1000


@pytest.mark.slow
def test_what_a_model_prints_stays_out_of_the_result(perturb, work):
    (work / "loud.py").write_text(
        net().replace("self.calls += 1", "self.calls += 1; print('loud'); os.write(1, b'raw'); os.system('echo shell')")
    )
    ended = perturb.run("lint", "loud.py:dead", "--json", cwd=work)
    assert ended.code == 0
    assert json.loads(ended.out)["period"] == 2
    for word in ("loud", "raw", "shell"):
        assert word in ended.err


@pytest.mark.slow
@pytest.mark.parametrize(("send", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupt_is_no_verdict(perturb, work, send, code):
    ended = perturb.run("lint", "odd.py:hangs_at_once", cwd=work, kill_after=2, send=send)
    assert ended.code == code
    assert ended.err.splitlines()[-1] == "perturb: interrupted."


def test_the_measuring_process_dies_with_the_one_that_watches(perturb, work):
    (work / "alive.py").write_text(
        "import os, time\n"
        "def net():\n"
        "    open('begun', 'w').write(str(os.getpid()))\n"
        "    os.rename('begun', 'alive')\n"
        "    time.sleep(600)\n"
    )
    perturb.run("lint", "alive.py:net", cwd=work, kill_after=0, when=work / "alive")
    process = int((work / "alive").read_text())
    for _ in range(100):
        status = Path(f"/proc/{process}/stat")
        if not status.exists() or status.read_text().split()[2] == "Z":
            return
        time.sleep(0.05)
    raise AssertionError("it still runs")


def test_a_closed_pipe_keeps_the_code(tmp_path):
    """Whoever reads has gone: the schema is dropped, and the command ends as it would have."""
    command = f"{sys.executable} -m perturb.cli schema | true; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert done.stdout == "0\n"
    assert done.stderr == ""


def test_a_result_that_cannot_be_written_is_an_error(tmp_path):
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "perturb.cli", "schema"], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 4
    assert done.stderr == "perturb: standard output cannot be written: No space left on device.\n"


def test_an_outlet_without_a_reader_takes_everything():
    reading, writing = os.pipe()
    os.close(reading)
    outlet = Outlet(writing, needed=True)
    assert outlet.write(b"abc") == 3
    os.close(writing)
    assert outlet.write(b"abc") == 3


def test_memory_is_counted_and_bounded():
    assert memory.held(os.getpid()) > 2**24
    assert memory.held(2**22 + 1) == 0
    limit = memory.limit()
    assert limit is None or 2**26 < limit < 2**50
