"""Writes a GGUF of random weights, to measure speed with: Llamas, or for fine-tuning a small Qwen3.

usage: random_gguf.py 135m|0.5b|1b|153m-qwen3 OUT.gguf VOCABULARY.gguf [f16|q8_0|q4_k]   (needs PyPI's `gguf` and `numpy`)
then:  llama-quantize OUT.gguf OUT-q4_k_m.gguf Q4_K_M

The vocabulary is that of any file of a byte-level BPE of at most so many tokens as the shape has: 50,257 of Qwen3, such as
GPT-2's, and 49,152 or more of the others, such as StarCoder's.
"""

import sys

import gguf
import numpy as np

SHAPES = {
    "135m": dict(width=576, layers=30, heads=9, kv_heads=3, ffn=1536, vocabulary=49152),
    "0.5b": dict(width=1024, layers=24, heads=16, kv_heads=4, ffn=4096, vocabulary=49152),
    "153m-qwen3": dict(width=768, layers=12, heads=12, kv_heads=4, ffn=2048, vocabulary=50257),
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


def encoded(weights, form):
    """The weights as a file has them, and their type."""
    if form == "f16":
        return weights.astype(np.float16), gguf.GGMLQuantizationType.F16
    if form == "q8_0":
        kind = gguf.GGMLQuantizationType.Q8_0
        return gguf.quants.quantize(weights, kind), kind
    # Blocks of 256 weights: two factors, scales and minima of 6 bits (all 32 here), and 4 bits a weight.
    rows, blocks = weights.shape[0], weights.shape[1] // 256
    packed = np.zeros((rows, blocks, 144), dtype=np.uint8)
    factor = np.float16(weights.std() / (32 * 4.61))
    packed[..., 0:2] = np.frombuffer(factor.tobytes(), dtype=np.uint8)
    packed[..., 2:4] = np.frombuffer(np.float16(7.5 * factor).tobytes(), dtype=np.uint8)
    packed[..., 4:12] = 0xA0
    values = weights.reshape(rows, blocks, 256) / (32 * np.float32(factor)) + 7.5
    values = np.clip(np.rint(values), 0, 15).astype(np.uint8)
    packed[..., 16:] = values[..., :128] | values[..., 128:] << 4
    return packed.reshape(rows, -1), gguf.GGMLQuantizationType.Q4_K


def main(name, out, vocabulary, form="f16"):
    shape = SHAPES[name]
    family = "qwen3" if name.endswith("qwen3") else "llama"
    width, kv_width = shape["width"], shape["width"] // shape["heads"] * shape["kv_heads"]
    writer = gguf.GGUFWriter(out, family)
    writer.add_name(f"random-{name}")
    writer.add_context_length(8192)
    writer.add_embedding_length(width)
    writer.add_block_count(shape["layers"])
    writer.add_feed_forward_length(shape["ffn"])
    writer.add_head_count(shape["heads"])
    writer.add_head_count_kv(shape["kv_heads"])
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(width // shape["heads"])
    writer.add_key_length(width // shape["heads"])
    writer.add_value_length(width // shape["heads"])
    writer.add_rope_freq_base(10000.0)
    file_types = {"f16": gguf.LlamaFileType.MOSTLY_F16, "q8_0": gguf.LlamaFileType.MOSTLY_Q8_0}
    writer.add_file_type(file_types.get(form, gguf.LlamaFileType.MOSTLY_Q4_K_S))
    writer.add_vocab_size(shape["vocabulary"])
    add_vocabulary(writer, shape["vocabulary"], vocabulary)
    rng = np.random.default_rng(0)

    def norm(name, numbers=width):
        writer.add_tensor(name, np.ones(numbers, dtype=np.float32))

    def matrix(name, rows, columns):
        weights = rng.standard_normal((rows, columns), dtype=np.float32) * 0.02
        data, kind = encoded(weights, form)
        writer.add_tensor(name, data, raw_dtype=kind)

    matrix("token_embd.weight", shape["vocabulary"], width)
    norm("output_norm.weight")
    matrix("output.weight", shape["vocabulary"], width)
    for layer in range(shape["layers"]):
        at = f"blk.{layer}."
        norm(at + "attn_norm.weight")
        norm(at + "ffn_norm.weight")
        if family == "qwen3":
            norm(at + "attn_q_norm.weight", width // shape["heads"])
            norm(at + "attn_k_norm.weight", width // shape["heads"])
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
    main(*sys.argv[1:5])
