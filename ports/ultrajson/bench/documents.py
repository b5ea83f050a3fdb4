"""The documents that are written and read for measuring: the same at each run."""

import random

NAMES = ("large", "nested", "integers", "floats", "ascii", "non-ascii", "small")


def make(name):
    """A document of dicts, lists and scalars."""
    rng = random.Random(name)
    if name == "large":
        return {"users": [user(rng, index) for index in range(100)]}
    if name == "nested":
        return [nested(rng, 12) for _ in range(20)]
    if name == "integers":
        return [rng.randrange(10 ** rng.randrange(1, 16)) for _ in range(2000)]
    if name == "floats":
        return [rng.random() * 10 ** rng.randrange(-4, 10) for _ in range(1000)]
    if name == "ascii":
        return [text(rng, "abcdefghijklmnopqrstuvwxyz     ABCDE.,;\"/", 60) for _ in range(500)]
    if name == "non-ascii":
        return [text(rng, "äöüßéèñ生日快乐中文测试汉字 абвгд😀🦄", 40) for _ in range(500)]
    if name == "small":
        return {"id": 17, "name": "a name", "ok": True, "tags": ["x", "y"], "parent": None}
    raise ValueError(f"no document {name!r}; there are {', '.join(NAMES)}")


def text(rng, letters, size):
    return "".join(rng.choice(letters) for _ in range(size))


def user(rng, index):
    return {
        "userId": 3381000 + index,
        "age": rng.randrange(120),
        "username": text(rng, "abcdefgh", 8),
        "fullname": text(rng, "abcdefghijkl mnop", 24),
        "isAuthorized": rng.random() < 0.5,
        "liked": rng.random() * 100_000,
        "approval": round(rng.random() * 100, 2),
        "jobs": [rng.randrange(10), rng.randrange(10)],
        "currentJob": None,
    }


def nested(rng, depth):
    if depth == 0:
        return {}
    return {"inner": nested(rng, depth - 1), "list": [rng.randrange(100), [depth, [True]]]}
