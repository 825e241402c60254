"""How the fuzzer changes files: by bytes, and by the values of JSON and TOML."""

import json
import random
from collections.abc import Callable
from contextlib import suppress
from typing import Any

Mutate = Callable[[random.Random, bytes], bytes]
NUMBERS = (0, 1, 0x7F, 0x80, 0xFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
TEXTS = (
    *("", "\x1b[31m\x07", "\u202e\u2066", "x" * 50_000, "a\nb", "\ud800", "0", "nan", "None", "-"),
    *("os:system", "fuzz_planted:run", "fuzz_planted.py:run", "builtins:exec", "../../../../etc/passwd", "/dev/zero"),
    *("folder:/dev", "file:///etc/passwd", "{{7*7}}", "%s%n", "<script>", "[/bold]", "${HOME}"),
)
RAW = (  # tokens that no value of Python becomes
    *("NaN", "-Infinity", "1e999", "9" * 5000, "-" + "9" * 5000, "1" + "0" * 400, "[" * 2000 + "]" * 2000),
    *('{"a":' * 900 + "1" + "}" * 900, "1e-999", "-0.0", "0.1" * 3),
)
VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2, 0.5, -0.5, 1e308, -1e308, 5e-324, 2**31, 2**63, -(2**63), 2**64, 10**15, 10**100),
    *([], {}, [[]], [0], [None], {"": 0}, [1e308] * 3, *TEXTS),
)
TOML = (
    *("nan", "-inf", "inf", "1e308", "-1", "0", "1", "0.5", "true", '""', "[]", "{}", "[[]]", "1979-05-27", "07:32:00"),
    *(
        "9" * 300,
        "9" * 5000,
        "10000000",
        "99999999999999",
        "[" * 5000,
        "[" * 200 + "]" * 200,
        "{ a = { a = { a = 1 } } }",
    ),
    *('"\\u202e\\u001b[31m"', '"os:system"', '"fuzz_planted:run"', '"fuzz_planted.py:run"', '"' + "x" * 50_000 + '"'),
    *(
        '"folder:/dev"',
        '"/dev/zero"',
        '"../../../../etc/passwd"',
        '"\\u0000"',
        "0x7fffffffffffffff",
        '"nan"',
        '"""a\nb"""',
    ),
)


def by_bytes(rng: random.Random, data: bytes) -> bytes:
    """One to four changes: a bit, a byte, a number, a cut, a span zeroed, doubled, moved or put in."""
    made = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(made)) if made else 0
        if rng.random() < 0.3:
            at = min(at, rng.randrange(1, 200))  # headers are where the meaning is
        span = min(rng.choice((1, 2, 4, 8, 64, 1024)), len(made))
        match rng.randrange(8):
            case 0 if made:
                made[at] ^= 1 << rng.randrange(8)
            case 1 if made:
                made[at] = rng.randrange(256)
            case 2:
                made[at : at + 4] = rng.choice(NUMBERS).to_bytes(4, rng.choice(("little", "big")))
            case 3:
                del made[at:]
            case 4:
                made[at : at + span] = bytes(len(made[at : at + span]))
            case 5:
                made[at:at] = made[at : at + span]
            case 6:
                del made[at : at + span]
            case _:
                made[at:at] = rng.randbytes(span)
    return bytes(made)


def by_values(rng: random.Random, data: bytes) -> bytes:
    """One to three values of a JSON file replaced, removed, renamed, doubled or added."""
    whole = json.loads(data)
    raw: dict[str, str] = {}
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        paths = list(_paths(whole))
        if not paths:
            break
        whole = _changed(rng, whole, rng.choice(paths), raw)
    text = json.dumps(whole)
    for mark, token in raw.items():
        text = text.replace(f'"{mark}"', token, 1)
    if rng.random() < 0.05:
        text = text.replace("{", '{"schema": 1, ', 1)  # a key twice
    return text.encode("utf-8", "surrogatepass")


def of_json(rng: random.Random, data: bytes) -> bytes:
    return by_bytes(rng, data) if rng.random() < 0.4 else by_values(rng, data)


def of_toml(rng: random.Random, data: bytes) -> bytes:
    """Lines of a TOML file with another value, without one, doubled, moved, or with another key."""
    if rng.random() < 0.3:
        return by_bytes(rng, data)
    lines = data.decode().splitlines()
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        at = rng.randrange(len(lines))
        key, sign, _ = lines[at].partition("=")
        match rng.randrange(8):
            case 0:
                del lines[at]
                lines = lines or [""]
            case 1:
                lines.insert(at, lines[rng.randrange(len(lines))])
            case 2:
                lines.insert(at, rng.choice(("[a]", "[[check]]", f"[{'.'.join('a' * rng.choice((3, 30, 3000)))}]")))
            case 3:
                lines[at] = f"{rng.choice(('x', 'kind', 'seed', 'fuzz_planted', 'a.b'))} = {rng.choice(TOML)}"
            case _ if sign:
                lines[at] = _within(rng, lines[at]) if "{" in lines[at] else f"{key}= {rng.choice(TOML)}"
    return "\n".join(lines).encode("utf-8", "surrogatepass")


def _within(rng: random.Random, line: str) -> str:
    """An inline table with one of its values replaced."""
    head, _, inner = line.partition("{")
    parts = inner.rstrip(" }").split(",")
    at = rng.randrange(len(parts))
    parts[at] = f"{parts[at].partition('=')[0]}= {rng.choice(TOML)}"
    return f"{head}{{{','.join(parts)} }}"


def _paths(data: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [at] if at else []
    for key, value in data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ():
        found += _paths(value, (*at, key))
    return found


def _changed(rng: random.Random, whole: Any, path: tuple[Any, ...], raw: dict[str, str]) -> Any:
    here = whole
    for key in path[:-1]:
        here = here[key]
    last, old = path[-1], here[path[-1]]
    match rng.randrange(8):
        case 0:
            del here[last]
        case 1 if isinstance(here, dict):
            here[rng.choice(("x", "kind", "digest", "schema", *TEXTS[:4]))] = here.pop(last)
        case 2 if isinstance(here, list):
            here.insert(last, old)
        case 3:
            mark = f"@@{len(raw)}@@"
            raw[mark], here[last] = rng.choice(RAW), mark
        case 4 if isinstance(old, bool):
            here[last] = not old
        case 4 | 5 if isinstance(old, int | float) and not isinstance(old, bool):
            near = (
                lambda: -old,
                lambda: old + 1,
                lambda: old * 2,
                lambda: old / 2,
                lambda: round(old),
                lambda: float(old),
            )
            with suppress(OverflowError, ValueError):
                here[last] = rng.choice(near)()
        case 4 | 5 if isinstance(old, str):
            here[last] = rng.choice((old[:-1], old + old, old.upper(), old + rng.choice(TEXTS), "PASS", "FAIL"))
        case _:
            here[last] = rng.choice(VALUES)
    return whole
