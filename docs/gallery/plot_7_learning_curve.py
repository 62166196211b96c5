"""
A learning curve before training
================================

The loss of a readout under gradient descent follows from the eigenvalues and the teacher. Here torch's SGD walks along it.
"""

import matplotlib.pyplot as plt
import torch

from ssmemory import init, learning

teacher = torch.exp(-torch.arange(60, dtype=torch.float64) / 15)
system = init.s4d_lin(16, dt=0.05)
prediction = learning.predict(system, teacher, horizon=200)
print(prediction.explain())

lags = torch.arange(200)
x = system.B.squeeze(-1).unsqueeze(-1) * torch.exp(system.log_modes.unsqueeze(-1) * lags)
features = torch.cat([2 * x.real, -2 * x.imag])
w = torch.zeros(len(features), dtype=torch.float64, requires_grad=True)
descent, losses = torch.optim.SGD([w], lr=prediction.lr), []
target = torch.nn.functional.pad(teacher, (0, 140))
for _ in range(300):
    loss = 0.5 * (w @ features - target).square().sum()
    losses.append(loss.item())
    descent.zero_grad()
    loss.backward()
    descent.step()

predicted = prediction.modes.descent(range(300), lr=prediction.lr)
print(f"largest difference: {float((predicted - torch.tensor(losses, dtype=torch.float64)).abs().max()):.1e}")

_, axes = plt.subplots(figsize=(7, 4.2), layout="constrained")
axes.plot(losses, linewidth=4, alpha=0.4, label="torch.optim.SGD")
axes.plot(predicted, linewidth=1.2, color="black", label="predicted")
axes.axhline(prediction.reachable_loss, color="0.6", linestyle="--", linewidth=0.8, label="reachable loss")
axes.set(xlabel="step", ylabel="loss", yscale="log")
axes.legend(frameon=False)
plt.show()
