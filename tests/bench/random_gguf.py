"""Writes a Llama-shaped GGUF of random weights (16-bit floats) with a whole byte-level vocabulary, to measure speed with.

usage: random_gguf.py 135m|0.5b|1b OUT.gguf          (needs PyPI's `gguf` and `numpy`)
then:  llama-quantize OUT.gguf OUT-q4_k_m.gguf Q4_K_M
"""

import sys

import gguf
import numpy as np

SHAPES = {
    "135m": dict(width=576, layers=30, heads=9, kv_heads=3, ffn=1536, vocabulary=49152),
    "0.5b": dict(width=1024, layers=24, heads=16, kv_heads=4, ffn=4096, vocabulary=49152),
    "1b": dict(width=2048, layers=16, heads=32, kv_heads=8, ffn=8192, vocabulary=128256),
}


def byte_characters():
    """GPT-2's character for each byte."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = (256 + n for n in range(256))
    return [chr(byte if byte in plain else next(others)) for byte in range(256)]


def vocabulary(size):
    """Bytes, then tokens made by joining an older one with a byte, then begin and end of text; and the joins."""
    tokens = byte_characters()
    merges = []
    first = 0
    while len(tokens) < size - 2:
        for byte in range(256):
            if len(tokens) < size - 2:
                merges.append(f"{tokens[first]} {tokens[byte]}")
                tokens.append(tokens[first] + tokens[byte])
        first += 1
    return tokens + ["<|begin|>", "<|end|>"], merges


def add_vocabulary(writer, size):
    tokens, merges = vocabulary(size)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(tokens)
    writer.add_token_types([gguf.TokenType.NORMAL] * (size - 2) + [gguf.TokenType.CONTROL] * 2)
    writer.add_token_merges(merges)
    writer.add_bos_token_id(size - 2)
    writer.add_eos_token_id(size - 1)


def main(name, out):
    shape = SHAPES[name]
    width, kv_width = shape["width"], shape["width"] // shape["heads"] * shape["kv_heads"]
    writer = gguf.GGUFWriter(out, "llama")
    writer.add_name(f"random-{name}")
    writer.add_context_length(8192)
    writer.add_embedding_length(width)
    writer.add_block_count(shape["layers"])
    writer.add_feed_forward_length(shape["ffn"])
    writer.add_head_count(shape["heads"])
    writer.add_head_count_kv(shape["kv_heads"])
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(width // shape["heads"])
    writer.add_rope_freq_base(10000.0)
    writer.add_vocab_size(shape["vocabulary"])
    add_vocabulary(writer, shape["vocabulary"])
    rng = np.random.default_rng(0)

    def norm(name):
        writer.add_tensor(name, np.ones(width, dtype=np.float32))

    def matrix(name, rows, columns):
        weights = rng.standard_normal((rows, columns), dtype=np.float32) * 0.02
        writer.add_tensor(name, weights.astype(np.float16))

    matrix("token_embd.weight", shape["vocabulary"], width)
    norm("output_norm.weight")
    matrix("output.weight", shape["vocabulary"], width)
    for layer in range(shape["layers"]):
        at = f"blk.{layer}."
        norm(at + "attn_norm.weight")
        norm(at + "ffn_norm.weight")
        matrix(at + "attn_q.weight", width, width)
        matrix(at + "attn_k.weight", kv_width, width)
        matrix(at + "attn_v.weight", kv_width, width)
        matrix(at + "attn_output.weight", width, width)
        matrix(at + "ffn_gate.weight", shape["ffn"], width)
        matrix(at + "ffn_up.weight", shape["ffn"], width)
        matrix(at + "ffn_down.weight", width, shape["ffn"])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    main(*sys.argv[1:3])
