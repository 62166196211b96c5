import numpy as np
import pytest
import torch

from ssmemory import init
from ssmemory.errors import InputError
from ssmemory.init.nplr import NPLR_NAMES, nplr

SIZES = [2, 4, 8, 64, 256]


@pytest.fixture(params=SIZES)
def d_state(request):
    return request.param


@pytest.mark.parametrize("name", NPLR_NAMES)
class TestForm:
    def test_it_is_the_matrix(self, name, d_state):
        """Both halves written out in complex numbers, and the method that does the same in real ones."""
        form = nplr(name, d_state)
        A, B = (matrix.numpy() for matrix in getattr(init, f"{name}_matrices")(d_state))
        V, values, P, half_B = (
            np.concatenate([half, half.conj()], axis)
            for half, axis in zip(
                (form.V.numpy(), form.eigenvalues.numpy(), form.P.numpy(), form.B.numpy()), (1, 0, 0, 0), strict=True
            )
        )
        tolerance = 1e-13 * np.abs(A).max()
        np.testing.assert_allclose(V @ (np.diag(values) - P @ P.conj().T) @ V.conj().T, A, rtol=0, atol=tolerance)
        np.testing.assert_allclose(V @ half_B, B, rtol=0, atol=1e-13 * d_state)
        for got, wanted in zip(form.matrices(), (A, B), strict=True):
            np.testing.assert_allclose(got.numpy(), wanted, rtol=0, atol=tolerance)

    def test_v_is_unitary(self, name, d_state):
        V = torch.cat([nplr(name, d_state).V, nplr(name, d_state).V.conj()], 1)
        torch.testing.assert_close(V.mH @ V, torch.eye(d_state, dtype=V.dtype), rtol=0, atol=1e-14 * d_state)

    def test_the_halves(self, name, d_state):
        form = nplr(name, d_state)
        assert form.eigenvalues.shape == form.B.shape == (d_state // 2,)
        assert form.P.shape == (d_state // 2, 2 if name == "hippo_legt" else 1)
        assert bool((form.eigenvalues.imag.diff() > 0).all())
        assert bool((form.B.real > 0).all())
        assert not form.B.imag.any()

    def test_an_odd_d_state_is_refused(self, name):
        with pytest.raises(InputError, match=r"^d_state: expected an even number, got 3"):
            nplr(name, 3)


def test_the_normal_parts(d_state):
    """LegS: those that S4D-LegS keeps. FouT: whole periods of the window. LegT: skew."""
    legs, legt, fout = (nplr(name, d_state).eigenvalues for name in NPLR_NAMES)
    diagonal = init.s4d_legs(d_state, 1.0, discretization="zoh").log_modes
    np.testing.assert_allclose(np.sort(legs.imag), np.sort(diagonal.imag.abs()), rtol=1e-11)
    assert bool((legs.real == -0.5).all())
    assert not legt.real.any()
    torch.testing.assert_close(fout, 2j * torch.pi * torch.arange(d_state // 2).double())


def test_another_name_is_refused():
    with pytest.raises(InputError, match=r"^initialiser: expected one of hippo_legs, .*did you mean 'hippo_legt'\?"):
        nplr("hippo_leg", 4)
