"""Models that exit, crash, hang, flood, forget themselves or lie, and two that do not: a file for a user's project."""

from toy_project import LOSS, SHAPE, suite

GOOD = ("dead", "even")  # one that fails its claim, one that passes
ENDS = {  # what a model's own code does, and what is said of it
    "os_exit_0": ("os._exit(0)", "exit code 0"),
    "os_exit_3": ("os._exit(3)", "exit code 3"),
    "sys_exit_0": ("sys.exit(0)", "sys.exit(0)"),
    "sys_exit_nothing": ("sys.exit()", "sys.exit(None)"),
    "raises_system_exit": ("raise SystemExit(0)", "sys.exit(0)"),
    "interrupts": ("raise KeyboardInterrupt", "nobody interrupted"),
    "interrupts_main": ("import _thread; _thread.interrupt_main(); time.sleep(5)", "nobody interrupted"),
    "sends_sigint": ("os.kill(os.getpid(), signal.SIGINT); time.sleep(5)", "nobody interrupted"),
    "sends_sigterm": ("os.kill(os.getpid(), signal.SIGTERM); time.sleep(5)", "nobody interrupted"),
    "base_exception": ("raise BaseException('base')", "BaseException"),
    "generator_exit": ("raise GeneratorExit", "GeneratorExit"),
    "kills_itself": ("os.kill(os.getpid(), signal.SIGKILL)", "signal 9"),
    "aborts": ("os.abort()", "signal 6"),
    "alarms": ("signal.alarm(1); time.sleep(5)", "signal 14"),
    "segfaults": ("import ctypes; ctypes.string_at(0)", "signal 11"),
    "thread_exits": ("import threading; threading.Timer(0, os._exit, (0,)).start(); time.sleep(5)", "exit code 0"),
    "forks": ("os.fork()", "os.fork"),
    "closes_stdout": ("sys.stdout.close()", "closed the standard streams"),
    "closes_descriptors": ("os.dup2(0, 1); os.dup2(0, 2)", "closed the standard streams"),
    "closes_everything": ("os.closerange(0, 200)", ""),
    "recurses": ("f = lambda: f()\nf()", "recursion"),
    "raises": ("raise RuntimeError('out of order')", "out of order"),
    "raises_os_error": ("raise BrokenPipeError(32, 'Broken pipe')", "Broken pipe"),
    "raises_exit_of_click": ("import click; raise click.exceptions.Exit(0)", ""),
    "reads_input": ("input()", ""),
    "hangs": ("time.sleep(600)", "no result within"),
    "hangs_deaf": ("while True:\n try: time.sleep(600)\n except BaseException: pass", "no result within"),
    "spins": ("while True: pass", "no result within"),
    "floods": ("while True: print('spam ' * 2000)", "MiB"),
    "floods_raw": ("while True: os.write(1, b'spam ' * 2000)", "MiB"),
    "eats_memory": ("x.eaten = []\nwhile True: x.eaten.append(bytearray(2**24))", "memory"),
}
ANSWERS = {  # what a model answers that is no answer
    "nan": ("return y * float('nan')", "NaN or infinity"),
    "infinite": ("return y / 0", "NaN or infinity"),
    "random": ("return y + torch.rand_like(y)", ""),
    "wrong_shape": ("return y[:1, :, :1, :1].sum()", ""),
    "of_the_batch": ("return y - y.mean()", ""),
}
SUITE = suite(LOSS, SHAPE).replace('layer = "0"', 'layer = "stack.0"')
HEAD = """
import os, signal, sys, time
import torch
from torch import nn
from perturb import Preprocessing
SMALL = Preprocessing(input_shape=(3, 32, 32))

class Odd(nn.Module):
    def __init__(self, kernel=2):
        super().__init__()
        torch.manual_seed(0)
        self.stack = nn.Sequential(nn.Conv2d(3, 16, kernel, 2, bias=False), nn.ReLU())
        self.calls = 0
    def act(self, x): pass
    def forward(self, x):
        self.calls += 1
        if self.calls > 5:
            self.act(x)
        return self.answer(self.stack(x))
    def answer(self, y): return y

def dead(): return Odd(1), SMALL
def even(): return Odd(2), SMALL
"""


def indented(text: str, by: int = 8) -> str:
    return "".join(f"{' ' * by}{line}\n" for line in text.splitlines())


def net() -> str:
    """The text of a file `odd.py`: each in a later forward pass, and `NAME_at_once` in its factory."""
    parts = [HEAD]
    for name, (code, _) in ENDS.items():
        parts.append(f"class _{name}(Odd):\n    def act(self, x):\n{indented(code.replace('x.eaten', 'self.eaten'))}")
        parts.append(f"def {name}(): return _{name}(), SMALL\n")
        body = code.replace("x.eaten", "eaten")
        parts.append(f"def {name}_at_once():\n{indented(body, 4)}    return even()\n")
    for name, (code, _) in ANSWERS.items():
        parts.append(f"class _{name}(Odd):\n    def answer(self, y):\n{indented(code)}")
        parts.append(f"def {name}(): return _{name}(), SMALL\n")
    return "\n".join(parts)


def on_import(code: str) -> str:
    return f"import os, signal, sys, time\n{code}\n{HEAD}"
