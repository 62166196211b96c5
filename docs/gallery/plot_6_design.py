"""
The best memory of one lag
==========================

No state of N directions remembers lag τ better than N/(τ+1). How near can eigenvalues come, and how near does S4D-Lin come at the dt that
suits it best?
"""

import matplotlib.pyplot as plt

from ssmemory import init, memory_function

lag, d_state = 200, 16
found = init.design(d_state, lags=[lag])
print(found.explain())

closed = memory_function(init.recall(d_state, lag), [lag]).values
print(f"the closed form reaches {float(closed) / found.value:.1%} of it")

_, axes = plt.subplots(figsize=(7, 4.2), layout="constrained")
memory_function(found.system, 1000).plot(axes, label="designed for lag 200")
memory_function(init.recall(d_state, lag), 1000).plot(axes, label="init.recall", bound=False)
memory_function(found.baseline_systems[found.best_baseline], 1000).plot(axes, label=found.best_baseline, bound=False)
axes.axvline(lag + 1, color="0.7", linewidth=0.8)
axes.legend(frameon=False)
plt.show()
