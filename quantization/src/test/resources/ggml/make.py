#!/usr/bin/env python3
"""make.py LIBGGML_BASE: writes the golden blocks beside it with ggml's own reference quantisers.

values.f32        1,024 little-endian floats: four superblocks of different character
FORMAT.blocks     these values in that format, by ggml's quantize_row_…_ref
FORMAT.f32        the blocks expanded again by ggml's dequantize_row_…
importance.f32    512 little-endian floats, some of them zero
FORMAT.weighted.blocks  the values as two rows of 512 with these importances, by quantize_…
"""
import array
import ctypes
import pathlib
import random
import sys

ggml = ctypes.CDLL(sys.argv[1])
here = pathlib.Path(__file__).parent
rng = random.Random(20250301)


def superblock(kind):
    if kind == "gaussian":
        return [rng.gauss(0, 0.02) for _ in range(256)]
    if kind == "groups of different size":
        return [rng.gauss(0, 10.0 ** (i // 16 % 8 - 5)) for i in range(256)]
    if kind == "one sign, then outliers":
        return [abs(rng.gauss(0, 1)) if i < 128 else rng.gauss(0, 1) ** 5 for i in range(256)]
    # Zeros, a constant, a negative constant, subnormal halves, ramps with ties.
    return ([0.0] * 32 + [0.25] * 32 + [-3.0] * 32 + [rng.gauss(0, 1e-7) for _ in range(32)]
            + [(i - 64) / 8 for i in range(128)])


values = array.array("f")
for kind in ("gaussian", "groups of different size", "one sign, then outliers", "special"):
    values.extend(superblock(kind))
n = len(values)
source = (ctypes.c_float * n)(*values)
(here / "values.f32").write_bytes(bytes(source))
for name, size, block, encode, decode in (
        ("F16", 1, 2, "ggml_fp32_to_fp16_row", "ggml_fp16_to_fp32_row"),
        ("BF16", 1, 2, "ggml_fp32_to_bf16_row_ref", "ggml_bf16_to_fp32_row"),
        ("Q8_0", 32, 34, "quantize_row_q8_0_ref", "dequantize_row_q8_0"),
        ("Q4_0", 32, 18, "quantize_row_q4_0_ref", "dequantize_row_q4_0"),
        ("Q4_1", 32, 20, "quantize_row_q4_1_ref", "dequantize_row_q4_1"),
        ("Q5_0", 32, 22, "quantize_row_q5_0_ref", "dequantize_row_q5_0"),
        ("Q5_1", 32, 24, "quantize_row_q5_1_ref", "dequantize_row_q5_1"),
        ("Q4_K", 256, 144, "quantize_row_q4_K_ref", "dequantize_row_q4_K"),
        ("Q5_K", 256, 176, "quantize_row_q5_K_ref", "dequantize_row_q5_K"),
        ("Q6_K", 256, 210, "quantize_row_q6_K_ref", "dequantize_row_q6_K")):
    blocks = (ctypes.c_uint8 * (n // size * block))()
    expanded = (ctypes.c_float * n)()
    getattr(ggml, encode)(source, blocks, ctypes.c_int64(n))
    getattr(ggml, decode)(blocks, expanded, ctypes.c_int64(n))
    (here / f"{name}.blocks").write_bytes(bytes(blocks))
    (here / f"{name}.f32").write_bytes(bytes(expanded))

columns = 512
importance = (ctypes.c_float * columns)(
    *(0.0 if i % 97 == 5 else rng.expovariate(1) ** 3 for i in range(columns)))
(here / "importance.f32").write_bytes(bytes(importance))
for name, size, block in (
        ("Q8_0", 32, 34), ("Q4_0", 32, 18), ("Q4_1", 32, 20), ("Q5_0", 32, 22), ("Q5_1", 32, 24),
        ("Q4_K", 256, 144), ("Q5_K", 256, 176), ("Q6_K", 256, 210)):
    blocks = (ctypes.c_uint8 * (n // size * block))()
    quantize = getattr(ggml, "quantize_" + name.replace("Q", "q"))
    quantize.restype = ctypes.c_size_t
    quantize(source, blocks, ctypes.c_int64(n // columns), ctypes.c_int64(columns), importance)
    (here / f"{name}.weighted.blocks").write_bytes(bytes(blocks))
