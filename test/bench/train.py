"""PyTorch's side of `bench:train`: says `ready`, then takes a step for each line and answers its cost.

The same as the method `pgd-at`: PGD on running statistics, then a step of SGD by batch statistics.
"""
import sys
import time

import torch
import torch.nn as nn
import torch.nn.functional as F

EPS, STEP, STEPS = 8 / 255, 2 / 255, 7


def convolution(i, o, k, s):
    return nn.Sequential(nn.Conv2d(i, o, k, s, k // 2, bias=False), nn.BatchNorm2d(o))


class Basic(nn.Module):
    def __init__(self, i, o, s):
        super().__init__()
        self.a, self.b = convolution(i, o, 3, s), convolution(o, o, 3, 1)
        self.shortcut = convolution(i, o, 1, s) if s > 1 or i != o else nn.Identity()

    def forward(self, x):
        return F.relu(self.b(F.relu(self.a(x))) + self.shortcut(x))


def resnet(depth, width=16):
    layers, c = [convolution(3, width, 3, 1), nn.ReLU()], width
    for stage in range(3):
        for block in range((depth - 2) // 6):
            layers.append(Basic(c, width << stage, 2 if stage and not block else 1))
            c = width << stage
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(c, 10))


def attacked(net, x, y):
    net.eval()
    z = x + torch.empty_like(x).uniform_(-EPS, EPS)
    for _ in range(STEPS):
        z.requires_grad_(True)
        (g,) = torch.autograd.grad(F.cross_entropy(net(z), y), z)
        with torch.no_grad():
            z = torch.min(torch.max(z + STEP * g.sign(), x - EPS), x + EPS).clamp(0, 1)
    net.train()
    return z.detach()


def main():
    depth, batch, threads = map(int, sys.argv[1:])
    torch.set_num_threads(threads)
    net = resnet(depth)
    optimiser = torch.optim.SGD(net.parameters(), 0.05, momentum=0.9, weight_decay=5e-4)
    x, y = torch.rand(batch, 3, 32, 32), torch.arange(batch) % 10
    print("ready", flush=True)
    for _ in sys.stdin:
        wall, cpu = time.perf_counter(), time.process_time()
        z = attacked(net, x, y)
        optimiser.zero_grad()
        F.cross_entropy(net(z), y).backward()
        optimiser.step()
        print((time.perf_counter() - wall) * 1e3, (time.process_time() - cpu) * 1e3, flush=True)


main()
