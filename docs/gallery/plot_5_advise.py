"""
Set up from the data
====================

A noisy oscillation that drifts in frequency: where is its power, how should a layer of 32 state directions be started, and what does that
remember?
"""

import matplotlib.pyplot as plt
import numpy as np

from ssmemory import init

rng = np.random.default_rng(0)
phase = np.cumsum(0.25 + 0.05 * rng.standard_normal(20_000))
x = np.sin(phase) + 0.3 * rng.standard_normal(20_000)

advice = init.from_data(x, d_state=32, length=512, sampling_rate=10, unit="min")
print(advice.explain())

# %%
# What was tried: a smaller approximation error against better conditioned modes.

_, axes = plt.subplots(figsize=(7, 4.2), layout="constrained")
for name in ("fourier", "peaks", "lin", "inv", "band"):
    tried = [candidate for candidate in advice.candidates if candidate.spectrum == name]
    axes.plot([c.separation for c in tried], [c.approximation_error for c in tried], "o", markersize=5, label=name)
axes.plot(advice.separation, advice.approximation_error, "x", color="black", markersize=11, label="advised")
axes.set(xscale="log", yscale="log", xlabel="condition number of the responses", ylabel="approximation error")
axes.legend(frameon=False)
plt.show()
