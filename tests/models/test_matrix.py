"""A matrix of one's own: what it can be asked, and what it refuses."""

import numpy as np
import pytest

from ppi_ml.errors import UsageError
from ppi_ml.models.covariates import Settings
from ppi_ml.models.matrix import MatrixRows, Scaling


def test_a_matrix_has_no_process_that_could_stand_alone():
    rows = MatrixRows(np.zeros((2, 1)), Scaling.of(np.zeros((2, 1))), np.zeros(2), np.arange(2))
    with pytest.raises(UsageError, match=r"expected process\+glm or process\+glm\+trees"):
        rows.alone(Settings((0.0, 1.0), (), ("x",)))
