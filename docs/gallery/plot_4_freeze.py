"""
Freeze, train, and look at the memory again
===========================================

A small model reads scikit-learn's digits pixel by pixel, once with learned and once with frozen eigenvalues. The frozen memory is bit for bit
what it was.
"""

import tempfile

import matplotlib.pyplot as plt
import torch

from ssmemory import fit, nn
from ssmemory.data import load_images, pixel_sequences, standardise

images = load_images("digits")
u = pixel_sequences(images.train_images, pixel_max=images.pixel_max)
y = torch.as_tensor(images.train_labels)
u_train, u_validation = standardise(u[:600], u[600:800])

_, (left, right) = plt.subplots(1, 2, figsize=(8.5, 3.6), layout="constrained")
for mode, style in (("none", "-"), ("eigenvalues", "--")):
    torch.manual_seed(0)
    model = nn.Backbone(nn.BackboneConfig(d_model=16, d_state=16, n_layers=1, dt_min=0.03, dt_max=0.03))
    config = fit.TrainConfig(epochs=6, batch_size=25, lr=1e-2, freeze=mode)
    with tempfile.TemporaryDirectory() as folder:
        result = fit.train(model, (u_train, y[:600]), (u_validation, y[600:800]), config, folder=folder, progress=False)
    rows = result.rows[1:]
    name = "learned" if mode == "none" else "frozen"
    left.plot([r["epoch"] for r in rows], [100 * r["validation_accuracy"] for r in rows], style, label=name)
    after = result.after[0]
    right.loglog([lag + 1 for lag in after.lags], after.median, style, label=f"after training, {name}")
    print(f"{name}: {100 * result.final('validation_accuracy'):.1f} %, the same memory: {after == result.before[0]}")
left.set(xlabel="epoch", ylabel="validation accuracy (%)")
right.set(xlabel="steps back (lag + 1)", ylabel="memory function", ylim=(1e-4, 1.3))
left.legend(frameon=False)
right.legend(frameon=False)
plt.show()
