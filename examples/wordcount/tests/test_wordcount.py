"""wordcount, compared with collections.Counter."""

import re
from collections import Counter

import pytest
import wordcount

TEXT = "The quick brown fox, the lazy dog; the_end äöü ÄÖÜ 4 x x" * 50


@pytest.mark.parametrize("lower", [False, True])
@pytest.mark.parametrize("min_length", [1, 3])
def test_it_counts_as_counter_does(lower, min_length):
    words = re.findall(r"[0-9A-Za-z_\x80-\U0010ffff]+", TEXT)
    if lower:
        words = [re.sub("[A-Z]", lambda letter: letter[0].lower(), word) for word in words]
    expected = Counter(word for word in words if len(word) >= min_length)
    assert wordcount.count(TEXT, lower=lower, min_length=min_length) == expected


def test_no_words():
    assert wordcount.count("") == wordcount.count(" ,;") == {}


def test_what_is_no_text():
    with pytest.raises(TypeError):
        wordcount.count(1)
