"""Prints adamw.json: numbers and gradient norms of twelve steps of PyTorch's AdamW with clipping."""

import json

import torch

values = torch.nn.Parameter(torch.tensor([1.0, -2.0, 0.5, 0.0]))
optimizer = torch.optim.AdamW([values], betas=(0.9, 0.99), eps=1e-8, weight_decay=0.1)
rows = []
for i in range(12):
    values.grad = torch.tensor([0.3 * i, -1.0 + 0.2 * i, 0.01, 2.0 / (1.0 + i)])
    norm = torch.nn.utils.clip_grad_norm_([values], 1.0)
    optimizer.param_groups[0]["lr"] = 0.01 * (1 + i)
    optimizer.step()
    rows.append(values.tolist() + [float(norm)])
print(json.dumps(rows))
