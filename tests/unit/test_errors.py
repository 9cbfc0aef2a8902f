"""What a message names where there is too much to name it all."""

from spyglass_export.errors import some


def test_the_first_are_named_and_the_others_counted() -> None:
    assert some(["a", "b"], 2) == "a, b"
    assert some(["a", "b", "c"], 2) == "a, b and 1 more"
    assert some(["a", "b", "c", "d"], 2, "; ") == "a; b; and 2 more"
    assert some([], 2) == ""
