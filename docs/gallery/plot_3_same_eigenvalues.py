"""
Same eigenvalues, same memory
=============================

HiPPO-LegS is dense and S4D-Real is diagonal; their eigenvalues are the same, and so is their memory. S4D-Inv and S4D-LegS keep other
eigenvalues, of a normal part of HiPPO-LegS: another memory.
"""

import matplotlib.pyplot as plt

from ssmemory import init, memory_function

d_state, dt = 8, 0.1
lags = 60
legs = memory_function(init.hippo_legs(d_state, dt), lags)
others = {
    "S4D-Real": init.s4d_real(d_state, dt, discretization="bilinear"),
    "S4D-LegS": init.s4d_legs(d_state, dt, discretization="bilinear"),
    "S4D-Inv": init.s4d_inv(d_state, dt, discretization="bilinear"),
}

_, axes = plt.subplots(figsize=(7, 4.2), layout="constrained")
legs.plot(axes, label="HiPPO-LegS (dense)")
for name, system in others.items():
    memory = memory_function(system, lags)
    apart = float((memory.values - legs.values).abs().max())
    print(f"{name}: differs from HiPPO-LegS by at most {apart:.1e}")
    memory.plot(axes, label=name, bound=False)
    if name == "S4D-Real":
        axes.lines[-1].set(linestyle=(0, (1, 2)), linewidth=4)
axes.legend(frameon=False)
axes.set_ylim(1e-6, 1.3)
plt.show()
