"""Fingerprints mean the same however a column is put together."""

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from jobs.sources.prints import hash_names, hash_texts


@given(st.lists(st.text(max_size=40), max_size=20), st.text(max_size=20))
def test_a_text_hashes_alike_in_any_company(texts: list[str], alone: str) -> None:
    """Texts of one length go another way than those of several."""
    by_one = [hash_texts(pa.array([text]))[0] for text in texts]
    assert hash_texts(pa.array(texts, pa.string())).tolist() == by_one
    assert hash_names(pa.array(texts, pa.string())).tolist() == by_one
    alike = hash_texts(pa.array([alone] * 3))
    assert alike.tolist() == [hash_texts(pa.array([alone, alone + "x"]))[0]] * 3


def test_fingerprints_are_those_of_the_stores_that_exist() -> None:
    """They are kept on disk: another value would count everything again."""
    assert hash_texts(pa.array(["", "abcdefgh", "6f1c2d3e-0a1b-4c2d-8e3f-000000000001"])).tolist() == [
        3346935820585757876,
        6231935017565359789,
        16518189925428275386,
    ]
