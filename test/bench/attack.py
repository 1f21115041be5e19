"""PyTorch's side of the benchmark: AutoAttack, standard version, on an ONNX graph run by PyTorch.

Arguments: a folder with model.onnx, x.f32 and y.i32; the images' shape C,H,W; eps; threads. Prints one JSON document.
"""
import contextlib
import json
import sys
import time

import numpy as np
import onnx
import torch
import torch.nn.functional as F
from onnx import numpy_helper


class Graph(torch.nn.Module):
    """Runs the operators of small convolutional classifiers."""

    def __init__(self, path):
        super().__init__()
        graph = onnx.load(path).graph
        self.image = graph.input[0].name
        self.out = graph.output[0].name
        self.nodes = [(n.op_type, list(n.input), n.output[0], {a.name: onnx.helper.get_attribute_value(a) for a in n.attribute}) for n in graph.node]
        self.weights = {t.name: torch.from_numpy(numpy_helper.to_array(t).copy()) for t in graph.initializer}
        self.unused = torch.nn.Parameter(torch.zeros(1))

    def forward(self, x):
        values = {**self.weights, self.image: x}
        for op, names, out, attributes in self.nodes:
            values[out] = self.run(op, [values[name] if name else None for name in names], attributes)
        return values[self.out]

    def run(self, op, v, a):
        if op == "Conv":
            pads, stride = a.get("pads", [0, 0, 0, 0]), a.get("strides", [1, 1])
            x = v[0] if pads[:2] == pads[2:] else F.pad(v[0], [pads[1], pads[3], pads[0], pads[2]])
            padding = pads[:2] if pads[:2] == pads[2:] else 0
            return F.conv2d(x, v[1], v[2] if len(v) > 2 else None, stride, padding, a.get("dilations", [1, 1]), a.get("group", 1))
        if op == "Gemm":
            w = v[1].T if a.get("transB") else v[1]
            return v[0] @ w + (v[2] if len(v) > 2 else 0)
        if op == "Reshape":
            return v[0].reshape([v[0].shape[i] if d == 0 else int(d) for i, d in enumerate(v[1].tolist())])
        if op == "GlobalAveragePool":
            return v[0].mean((2, 3), keepdim=True)
        if op == "ReduceMean":
            return v[0].mean(tuple(v[1].tolist()), keepdim=bool(a.get("keepdims", 1)))
        if op == "AveragePool":
            return F.avg_pool2d(v[0], a["kernel_shape"], a.get("strides"))
        if op == "MaxPool":
            return F.max_pool2d(v[0], a["kernel_shape"], a.get("strides"), a.get("pads", [0, 0])[0])
        return {
            "Relu": lambda: F.relu(v[0]),
            "Add": lambda: v[0] + v[1],
            "Sub": lambda: v[0] - v[1],
            "Mul": lambda: v[0] * v[1],
            "Div": lambda: v[0] / v[1],
            "MatMul": lambda: v[0] @ v[1],
            "Identity": lambda: v[0],
            "Flatten": lambda: v[0].flatten(a.get("axis", 1)),
        }[op]()


def robust(net, x, y, eps, classes):
    try:
        from autoattack import AutoAttack

        attack = AutoAttack(net, norm="Linf", eps=eps, version="standard", device="cpu", seed=0, verbose=False)
        return "PyTorch, autoattack", attack.run_standard_evaluation(x, y, bs=128)
    except ImportError:
        from torchattacks import AutoAttack

        return "PyTorch, torchattacks", AutoAttack(net, norm="Linf", eps=eps, version="standard", n_classes=classes, seed=0)(x, y)


def main():
    folder, shape, eps, threads = sys.argv[1:]
    torch.set_num_threads(int(threads))
    x = torch.from_numpy(np.fromfile(f"{folder}/x.f32", np.float32)).reshape(-1, *map(int, shape.split(",")))
    y = torch.from_numpy(np.fromfile(f"{folder}/y.i32", np.int32)).long()
    net = Graph(f"{folder}/model.onnx").eval()
    classes = net(x[:1]).shape[1]
    begun = time.perf_counter()
    with contextlib.redirect_stdout(sys.stderr):
        name, found = robust(net, x, y, float(eps), classes)
    seconds = time.perf_counter() - begun
    with torch.no_grad():
        accuracy = (net(found).argmax(1) == y).float().mean().item()
    print(json.dumps({"name": name, "seconds": seconds, "robust": accuracy}))


main()
