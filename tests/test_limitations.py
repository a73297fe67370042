"""The page of limitations states what explain does with each of its programs."""

import jax
import jax.numpy as jnp
import pytest

from docs import generate_limitations as limitations
from docs.limits import entered, whole
from jaxgrad import diagnose, explain

PAGE = limitations.PAGE.read_text(encoding="utf-8")
SAME_VERSION = f"with JAX {jax.__version__};" in PAGE


def test_the_tables_of_explain_are_current():
    """A program that is entered, kept whole or refused against its table raises."""
    tables = limitations.tables()
    assert not SAME_VERSION or all(str(table) in PAGE for table in tables)


@pytest.mark.parity
def test_the_tables_of_explain_torch_are_current():
    assert all(str(table) in PAGE for table in limitations.torch_tables())


def test_a_program_in_the_wrong_table_is_noticed():
    with pytest.raises(ValueError, match="called: is_entered is True"):
        limitations.steps_of(entered.CALLS[0], enters=False)
    with pytest.raises(ValueError, match="called: explained"):
        limitations.refusal(entered.CALLS[0])


def test_the_library_is_entered_on_demand():
    inside = explain(whole.library, depth="library")(entered.ONES)
    assert len(inside.steps) > len(explain(whole.library)(entered.ONES).steps)


def test_diagnose_says_what_it_did_not_check():
    def in_place(x):
        square = jax.new_ref(x)
        square[...] = square[...] ** 2
        return square[...].sum()

    x = jnp.array([1.0, 2.0])
    assert "digits were not checked: it changes arrays" in str(diagnose(in_place)(x))
    assert "only as a whole" in str(diagnose(whole.python_reads)(x))
