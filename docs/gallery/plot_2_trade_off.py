"""
Accurately or far, not both
===========================

A shift register remembers 16 steps perfectly and nothing more. Spread over the unit circle the same 16 directions remember far, a little of
everything. The step dt of S4D-Lin moves between the two.
"""

import matplotlib.pyplot as plt
import numpy as np

from ssmemory import LinearSystem, init, memory_function

systems = {"shift register": LinearSystem.from_matrices(np.eye(16, k=-1), np.eye(16)[0])}
systems |= {f"S4D-Lin, dt {dt:g}": init.s4d_lin(16, dt) for dt in (0.13, 0.03, 0.01)}

_, axes = plt.subplots(figsize=(7, 4.2), layout="constrained")
for name, system in systems.items():
    memory = memory_function(system, 1000)
    memory.plot(axes, label=name, bound=name == "shift register")
    print(f"{name}: MF(10) = {float(memory.values[10]):.3f}, MF(200) = {float(memory.values[200]):.3g}")
axes.legend(frameon=False)
axes.set_ylim(1e-4, 1.3)
plt.show()

# %%
# The best that 16 directions could do at lag 200 is 16/201 = 0.08.
