"""
Three spectra and the bound
===========================

The memory function of three spectra with 32 state directions, beside the bound that none of any kind can pass.
"""

import matplotlib.pyplot as plt

from ssmemory import init, memory_function

spectra = {
    "S4D-Lin, dt 0.01": init.s4d_lin(32, dt=0.01),
    "ring, 0.9 to 0.999": init.ring(32, seed=0),
    "geometric, up to 1000 steps": init.geometric(32, length=1000),
}

# %%
# The capacity is the same for all that have 32 directions; only where it lies differs. S4D-Lin's first mode is real, and counts once.

_, axes = plt.subplots(figsize=(7, 4.2), layout="constrained")
for name, system in spectra.items():
    memory = memory_function(system, 2000)
    memory.plot(axes, label=name, bound=name.startswith("ring"))
    print(f"{name}: capacity {float(memory.capacity):.9f}. {memory.describe(1000, level=0.05)}")
axes.legend(frameon=False)
axes.set_ylim(1e-4, 1.3)
plt.show()
