"""Random blocks of every quantised format, and the numbers they stand for by the `gguf` package (pip install gguf numpy).

    python make_blocks.py > blocks.txt

A line: format, block as hex, numbers as hex of little-endian 32-bit floats.
"""
import gguf
import numpy as np

rng = np.random.default_rng(20261122)
# Where 16-bit floats stand in a block; random bits would be infinities and the like.
FLOATS = {
    "Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0],
    "Q2_K": [80, 82], "Q3_K": [108], "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208],
}
for name, places in FLOATS.items():
    kind = gguf.GGMLQuantizationType[name]
    _, size = gguf.GGML_QUANT_SIZES[kind]
    for _ in range(2):
        block = rng.integers(0, 256, size, dtype=np.uint8)
        for place in places:
            block[place:place + 2] = np.array([rng.normal()], dtype=np.float16).view(np.uint8)
        numbers = gguf.dequantize(block, kind).astype("<f4")
        print(name, block.tobytes().hex(), numbers.tobytes().hex())
