"""Writes a Llama-shaped GGUF of random weights (16-bit floats), to measure speed with.

usage: random_gguf.py 135m|0.5b|1b OUT.gguf VOCABULARY.gguf          (needs PyPI's `gguf` and `numpy`)
then:  llama-quantize OUT.gguf OUT-q4_k_m.gguf Q4_K_M

The vocabulary is that of any file of a byte-level BPE of at most 49,152 tokens, such as StarCoder's.
"""

import sys

import gguf
import numpy as np

SHAPES = {
    "135m": dict(width=576, layers=30, heads=9, kv_heads=3, ffn=1536, vocabulary=49152),
    "0.5b": dict(width=1024, layers=24, heads=16, kv_heads=4, ffn=4096, vocabulary=49152),
    "1b": dict(width=2048, layers=16, heads=32, kv_heads=8, ffn=8192, vocabulary=128256),
}


def add_vocabulary(writer, size, path):
    """The byte-level vocabulary of another file, filled up with tokens that no text has."""
    fields = gguf.GGUFReader(path).fields
    tokens = fields["tokenizer.ggml.tokens"].contents()
    kinds = fields["tokenizer.ggml.token_type"].contents()
    if len(tokens) > size:
        raise SystemExit(f"the vocabulary has {len(tokens)} tokens, the shape takes {size}")
    missing = range(size - len(tokens))
    writer.add_tokenizer_model(fields["tokenizer.ggml.model"].contents())
    writer.add_tokenizer_pre(fields["tokenizer.ggml.pre"].contents())
    writer.add_token_list(tokens + [f"<|unused-{i}|>" for i in missing])
    writer.add_token_types(kinds + [gguf.TokenType.UNUSED for _ in missing])
    writer.add_token_merges(fields["tokenizer.ggml.merges"].contents())
    writer.add_bos_token_id(fields["tokenizer.ggml.bos_token_id"].contents())
    writer.add_eos_token_id(fields["tokenizer.ggml.eos_token_id"].contents())


def main(name, out, vocabulary):
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
    add_vocabulary(writer, shape["vocabulary"], vocabulary)
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
    main(*sys.argv[1:4])
