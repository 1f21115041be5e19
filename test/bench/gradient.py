"""PyTorch's side of the benchmark: forward and input gradient, one timing per line asked for on stdin.

Reads lines `MODEL BATCH SIZE FOLDED`, answers `ready VERSION`; then for each empty line the milliseconds of one run.
"""
import sys
import time

import torch
import torch.nn as nn
import torch.nn.functional as F


class Norm(nn.Module):
    """Convolution, and batch norm in evaluation unless it is folded."""

    def __init__(self, i, o, k, s=1, g=1, folded=True):
        super().__init__()
        self.conv = nn.Conv2d(i, o, k, s, k // 2, groups=g, bias=folded)
        self.bn = nn.Identity() if folded else nn.BatchNorm2d(o)

    def forward(self, x):
        return self.bn(self.conv(x))


class Bottleneck(nn.Module):
    def __init__(self, i, w, s, f):
        super().__init__()
        self.a, self.b, self.c = Norm(i, w, 1, folded=f), Norm(w, w, 3, s, folded=f), Norm(w, 4 * w, 1, folded=f)
        self.d = Norm(i, 4 * w, 1, s, folded=f) if s > 1 or i != 4 * w else nn.Identity()

    def forward(self, x):
        return F.relu(self.c(F.relu(self.b(F.relu(self.a(x))))) + self.d(x))


class Basic(nn.Module):
    def __init__(self, i, w, s, f):
        super().__init__()
        self.a, self.b = Norm(i, w, 3, s, folded=f), Norm(w, w, 3, folded=f)
        self.d = Norm(i, w, 1, s, folded=f) if s > 1 or i != w else nn.Identity()

    def forward(self, x):
        return F.relu(self.b(F.relu(self.a(x))) + self.d(x))


class Inverted(nn.Module):
    def __init__(self, i, o, s, e, f):
        super().__init__()
        w = i * e
        head = [] if e == 1 else [Norm(i, w, 1, folded=f), nn.ReLU6()]
        self.body = nn.Sequential(*head, Norm(w, w, 3, s, w, f), nn.ReLU6(), Norm(w, o, 1, folded=f))
        self.skip = s == 1 and i == o

    def forward(self, x):
        return x + self.body(x) if self.skip else self.body(x)


def head(c, classes):
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(c, classes)]


def resnet50(f):
    layers, c = [Norm(3, 64, 7, 2, folded=f), nn.ReLU(), nn.MaxPool2d(3, 2, 1)], 64
    for stage, n in enumerate((3, 4, 6, 3)):
        for b in range(n):
            layers.append(Bottleneck(c, 64 << stage, 2 if b == 0 and stage else 1, f))
            c = 256 << stage
    return nn.Sequential(*layers, *head(c, 1000))


def resnet18(f):
    layers, c = [Norm(3, 64, 3, folded=f), nn.ReLU()], 64
    for stage in range(4):
        for b in range(2):
            layers.append(Basic(c, 64 << stage, 2 if b == 0 and stage else 1, f))
            c = 64 << stage
    return nn.Sequential(*layers, *head(c, 10))


def mobilenetv2(f):
    layers, c = [Norm(3, 32, 3, 2, folded=f), nn.ReLU6()], 32
    for e, o, n, s in ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)):
        for b in range(n):
            layers.append(Inverted(c, o, s if b == 0 else 1, e, f))
            c = o
    return nn.Sequential(*layers, Norm(c, 1280, 1, folded=f), nn.ReLU6(), *head(1280, 1000))


class Layer(nn.Module):
    def __init__(self, d, h):
        super().__init__()
        self.h, self.n, self.m = h, nn.LayerNorm(d, 1e-6), nn.LayerNorm(d, 1e-6)
        self.qkv, self.proj = nn.Linear(d, 3 * d), nn.Linear(d, d)
        self.mlp = nn.Sequential(nn.Linear(d, 4 * d), nn.GELU(), nn.Linear(4 * d, d))

    def forward(self, x):
        b, t, d = x.shape
        q, k, v = self.qkv(self.n(x)).reshape(b, t, 3, self.h, d // self.h).permute(2, 0, 3, 1, 4)
        p = (q * (d // self.h) ** -0.5 @ k.transpose(-2, -1)).softmax(-1)
        x = x + self.proj((p @ v).transpose(1, 2).reshape(b, t, d))
        return x + self.mlp(self.m(x))


class Vit(nn.Module):
    def __init__(self, d=384, h=6, n=12):
        super().__init__()
        self.patch = nn.Conv2d(3, d, 16, 16)
        self.token, self.position = nn.Parameter(torch.randn(1, 1, d) * 0.02), nn.Parameter(torch.randn(1, 197, d) * 0.02)
        self.layers, self.norm, self.head = nn.Sequential(*[Layer(d, h) for _ in range(n)]), nn.LayerNorm(d, 1e-6), nn.Linear(d, 1000)

    def forward(self, x):
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(len(x), -1, -1), x], 1) + self.position
        return self.head(self.norm(self.layers(x))[:, 0])


MODELS = {"ResNet-50": resnet50, "CIFAR ResNet-18": resnet18, "MobileNetV2": mobilenetv2, "ViT-S/16": lambda f: Vit()}


def main():
    torch.set_num_threads(int(sys.argv[1]))
    name, batch, size, folded = sys.stdin.readline().strip().split("|")
    net = MODELS[name](folded == "1").eval()
    for p in net.parameters():
        p.requires_grad_(False)
    x = torch.rand(int(batch), 3, int(size), int(size), requires_grad=True)
    y = torch.zeros(int(batch), dtype=torch.long)
    print("ready", torch.__version__, flush=True)
    for _ in sys.stdin:
        start = time.perf_counter()
        (g,) = torch.autograd.grad(F.cross_entropy(net(x), y, reduction="sum"), x)
        print((time.perf_counter() - start) * 1e3, flush=True)


main()
