"""What `ppi_ml` offers: few names, each there, none in the way of a module."""

import pkgutil

import pytest

import ppi_ml


def test_there_are_at_most_sixteen_in_order():
    assert len(ppi_ml.__all__) <= 16
    assert sorted(ppi_ml.__all__) == ppi_ml.__all__


@pytest.mark.parametrize("name", ppi_ml.__all__)
def test_each_can_be_imported_and_calls_itself_so(name):
    assert getattr(ppi_ml, name).__name__ == name
    assert name in dir(ppi_ml)


def test_a_model_can_be_fitted_without_an_event_log():
    assert {"Curves", "Durations", "HazardModel"} <= set(ppi_ml.__all__)


def test_none_is_also_the_name_of_a_module():
    modules = {module.name for module in pkgutil.iter_modules(ppi_ml.__path__)}
    assert modules.isdisjoint(ppi_ml.__all__)


def test_a_wrong_name_is_an_error():
    with pytest.raises(AttributeError, match="no attribute 'lode'"):
        _ = ppi_ml.lode
