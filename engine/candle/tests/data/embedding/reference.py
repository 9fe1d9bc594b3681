#!/usr/bin/env python3
"""Sentence encoders in NumPy, written from the papers and the published configs alone, in double precision.

    reference.py toys              writes toy-*/ with made-up weights, and what they make of the texts, beside this file
    reference.py vectors FOLDER    writes minilm.json: what the encoder in FOLDER (all-MiniLM-L6-v2) makes of the texts

Texts longer than the model's window are left out: how they are cut is no matter of the model's.
"""

import json
import math
import struct
import sys
import unicodedata
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
TEXTS = [
    "The weather is lovely today.",
    "It's so sunny outside!",
    "He drove to the stadium.",
    "Caf\u00e9 na\u00efve: \u201cR\u00e9sum\u00e9\u201d \u2014 \u00bd price, 100% d\u00e9j\u00e0-vu\u2026",
    "\u4f60\u597d, world! \u65e5\u672c\u8a9e \u3068 \ud55c\uad6d\uc5b4",
    "fn main() { println!(\"{}\", 1 << 20); } // [SEP] is no separator here",
    "",
    "Dear Ms Okafor, the invoice for March is attached. Could you confirm that the new bank details are right, "
    "and tell me by Friday whether the delivery of the second batch has arrived? Kind regards, Jonas",
]
ERF = np.vectorize(math.erf, otypes=[float])


# --- words -----------------------------------------------------------------------------------------------------------


def is_mark(c):
    n = ord(c)
    if 33 <= n <= 47 or 58 <= n <= 64 or 91 <= n <= 96 or 123 <= n <= 126:
        return True
    return unicodedata.category(c).startswith("P")


def is_cjk(c):
    n = ord(c)
    spans = [(0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F), (0x2B740, 0x2B81F),
             (0x2B820, 0x2CEAF), (0xF900, 0xFAFF), (0x2F800, 0x2FA1F)]
    return any(a <= n <= b for a, b in spans)


def words(text):
    text = "".join(" " if c.isspace() else c for c in text
                   if c in "\t\n\r" or unicodedata.category(c) not in ("Cc", "Cf", "Cn", "Co") and c != "\ufffd")
    text = "".join(f" {c} " if is_cjk(c) else c for c in text)
    text = "".join(c for c in unicodedata.normalize("NFD", text) if unicodedata.category(c) != "Mn").lower()
    return "".join(f" {c} " if is_mark(c) else c for c in text).split()


def pieces(word, vocab):
    if len(word) > 100:
        return [vocab["[UNK]"]]
    found, start = [], 0
    while start < len(word):
        for end in range(len(word), start, -1):
            piece = ("##" if start else "") + word[start:end]
            if piece in vocab:
                found.append(vocab[piece])
                start = end
                break
        else:
            return [vocab["[UNK]"]]
    return found


def ids(text, vocab):
    return [vocab["[CLS]"], *(id for word in words(text) for id in pieces(word, vocab)), vocab["[SEP]"]]


# --- networks --------------------------------------------------------------------------------------------------------


def norm(x, weight, bias, eps):
    x = x - x.mean(-1, keepdims=True)
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + eps) * weight + bias


def softmax(x):
    x = np.exp(x - x.max(-1, keepdims=True))
    return x / x.sum(-1, keepdims=True)


def attention(q, k, v, heads):
    """(tokens, hidden) each; no mask, since a text is read alone."""
    split = lambda x: x.reshape(len(x), heads, -1).transpose(1, 0, 2)
    q, k, v = split(q), split(k), split(v)
    weights = softmax(q @ k.transpose(0, 2, 1) / math.sqrt(q.shape[-1]))
    return (weights @ v).transpose(1, 0, 2).reshape(q.shape[1], -1)


def bert(w, config, tokens):
    eps, heads = config["layer_norm_eps"], config["num_attention_heads"]
    linear = lambda x, name: x @ w[f"{name}.weight"].T + w[f"{name}.bias"]
    normed = lambda x, name: norm(x, w[f"{name}.weight"], w[f"{name}.bias"], eps)
    x = w["embeddings.word_embeddings.weight"][tokens]
    x = x + w["embeddings.position_embeddings.weight"][: len(tokens)] + w["embeddings.token_type_embeddings.weight"][0]
    x = normed(x, "embeddings.LayerNorm")
    for layer in range(config["num_hidden_layers"]):
        at = f"encoder.layer.{layer}"
        q, k, v = (linear(x, f"{at}.attention.self.{name}") for name in ("query", "key", "value"))
        mixed = linear(attention(q, k, v, heads), f"{at}.attention.output.dense")
        x = normed(x + mixed, f"{at}.attention.output.LayerNorm")
        inner = linear(x, f"{at}.intermediate.dense")
        inner = inner * 0.5 * (1 + ERF(inner / math.sqrt(2)))
        x = normed(x + linear(inner, f"{at}.output.dense"), f"{at}.output.LayerNorm")
    return x


def nomic(w, config, tokens):
    eps, heads = config["layer_norm_epsilon"], config["n_head"]
    normed = lambda x, name: norm(x, w[f"{name}.weight"], w[f"{name}.bias"], eps)
    half = config["n_embd"] // heads // 2
    angles = np.outer(np.arange(len(tokens)), config["rotary_emb_base"] ** (-np.arange(half) / half))
    cos, sin = np.cos(angles)[:, None], np.sin(angles)[:, None]

    def turned(x):
        x = x.reshape(len(x), heads, 2 * half)
        a, b = x[..., :half], x[..., half:]
        return np.concatenate([a * cos - b * sin, b * cos + a * sin], -1).reshape(len(x), -1)

    x = w["embeddings.word_embeddings.weight"][tokens] + w["embeddings.token_type_embeddings.weight"][0]
    x = normed(x, "emb_ln")
    for layer in range(config["n_layer"]):
        at = f"encoder.layers.{layer}"
        q, k, v = np.split(x @ w[f"{at}.attn.Wqkv.weight"].T, 3, axis=-1)
        mixed = attention(turned(q), turned(k), v, heads) @ w[f"{at}.attn.out_proj.weight"].T
        x = normed(x + mixed, f"{at}.norm1")
        gate = x @ w[f"{at}.mlp.fc12.weight"].T
        inner = (x @ w[f"{at}.mlp.fc11.weight"].T) * gate / (1 + np.exp(-gate))
        x = normed(x + inner @ w[f"{at}.mlp.fc2.weight"].T, f"{at}.norm2")
    return x


def vector(w, config, tokens, pooling, normalised):
    states = (bert if config["model_type"] == "bert" else nomic)(w, config, tokens)
    pooled = states[0] if pooling == "cls" else states.mean(0)
    return pooled / np.linalg.norm(pooled) if normalised else pooled


# --- files -----------------------------------------------------------------------------------------------------------


def read_weights(path):
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header, data = json.loads(data[8 : 8 + length]), data[8 + length :]
    header.pop("__metadata__", None)
    return {
        name: np.frombuffer(data[slice(*t["data_offsets"])], "<f4").reshape(t["shape"]).astype(float)
        for name, t in header.items() if t["dtype"] == "F32"
    }


def write_weights(path, weights, prefix):
    header, data = {}, b""
    for name, tensor in weights.items():
        raw = tensor.astype("<f4").tobytes()
        place = [len(data), len(data) + len(raw)]
        header[prefix + name] = {"dtype": "F32", "shape": tensor.shape, "data_offsets": place}
        data += raw
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def expected(w, config, vocab, window, pooling, normalised, prompts={}):
    cases = []
    for role in ("plain", *prompts):
        prompt = prompts.get(role, "")
        for text in TEXTS:
            tokens = ids(prompt + text, vocab)
            if len(tokens) > window:
                continue
            numbers = vector(w, config, np.array(tokens), pooling, normalised)
            use = {"passage": "document"}.get(role, role)
            cases.append({"role": use, "text": text, "ids": tokens, "vector": [round(float(x), 7) for x in numbers]})
    return cases


# --- toys ------------------------------------------------------------------------------------------------------------

HIDDEN, HEADS, LAYERS, INNER, POSITIONS = 16, 4, 2, 24, 64


def toy_vocab():
    letters = "abcdefghijklmnopqrstuvwxyz0123456789"
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *letters, *("##" + c for c in letters), *".,:!?'\"()-/<[]{};%",
              "the", "weather", "is", "so", "sunny", "##ing", "##er", "dear", "query", "passage", "\u4f60", "\u597d"]
    return {token: id for id, token in enumerate(tokens)}


def toy_weights(shapes, seed):
    rng = np.random.default_rng(seed)
    made = {}
    for name, shape in shapes.items():
        is_norm = "norm" in name.lower() or "emb_ln" in name
        around = 1.0 if is_norm and name.endswith("weight") else 0.0
        scale = 0.1 if is_norm or name.endswith("bias") else 0.5
        made[name] = (around + scale * rng.standard_normal(shape)).astype("<f4").astype(float)
    return made


def bert_shapes(vocab):
    both = lambda name, out, inner: {f"{name}.weight": (out, inner), f"{name}.bias": (out,)}
    normed = lambda name: {f"{name}.weight": (HIDDEN,), f"{name}.bias": (HIDDEN,)}
    shapes = {
        "embeddings.word_embeddings.weight": (vocab, HIDDEN),
        "embeddings.position_embeddings.weight": (POSITIONS, HIDDEN),
        "embeddings.token_type_embeddings.weight": (2, HIDDEN),
        **normed("embeddings.LayerNorm"),
    }
    for layer in range(LAYERS):
        at = f"encoder.layer.{layer}"
        for part in ("attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense"):
            shapes |= both(f"{at}.{part}", HIDDEN, HIDDEN)
        shapes |= both(f"{at}.intermediate.dense", INNER, HIDDEN) | both(f"{at}.output.dense", HIDDEN, INNER)
        shapes |= normed(f"{at}.attention.output.LayerNorm") | normed(f"{at}.output.LayerNorm")
    return shapes


def nomic_shapes(vocab):
    shapes = {
        "embeddings.word_embeddings.weight": (vocab, HIDDEN),
        "embeddings.token_type_embeddings.weight": (2, HIDDEN),
        "emb_ln.weight": (HIDDEN,),
        "emb_ln.bias": (HIDDEN,),
    }
    for layer in range(LAYERS):
        at = f"encoder.layers.{layer}"
        shapes |= {
            f"{at}.attn.Wqkv.weight": (3 * HIDDEN, HIDDEN),
            f"{at}.attn.out_proj.weight": (HIDDEN, HIDDEN),
            f"{at}.mlp.fc11.weight": (INNER, HIDDEN),
            f"{at}.mlp.fc12.weight": (INNER, HIDDEN),
            f"{at}.mlp.fc2.weight": (HIDDEN, INNER),
            **{f"{at}.{n}.{p}": (HIDDEN,) for n in ("norm1", "norm2") for p in ("weight", "bias")},
        }
    return shapes


def toy(name, config, weights, vocab, prefix, pooling, normalised, prompts):
    folder = HERE / name
    (folder / "1_Pooling").mkdir(parents=True, exist_ok=True)
    write = lambda file, value: (folder / file).write_text(json.dumps(value, ensure_ascii=False) + "\n")
    write("config.json", config)
    (folder / "vocab.txt").write_text("".join(f"{token}\n" for token in vocab))
    write_weights(folder / "model.safetensors", weights, prefix)
    kinds = ["Transformer", "Pooling"] + ["Normalize"] * normalised
    paths = ["", "1_Pooling", "2_Normalize"]
    write("modules.json", [
        {"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for i, (kind, path) in enumerate(zip(kinds, paths))
    ])
    write("1_Pooling/config.json", {
        "word_embedding_dimension": HIDDEN,
        "pooling_mode_cls_token": pooling == "cls",
        "pooling_mode_mean_tokens": pooling == "mean",
    })
    write("sentence_bert_config.json", {"max_seq_length": 56, "do_lower_case": False})
    write("config_sentence_transformers.json", {"prompts": dict(prompts), "default_prompt_name": None})
    write("expected.json", expected(weights, config, vocab, 56, pooling, normalised, prompts))


def toys():
    vocab = toy_vocab()
    config = {
        "model_type": "bert", "vocab_size": len(vocab), "hidden_size": HIDDEN, "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS, "intermediate_size": INNER, "hidden_act": "gelu",
        "max_position_embeddings": POSITIONS, "type_vocab_size": 2, "layer_norm_eps": 1e-12,
    }
    toy("toy-bert-mean", config, toy_weights(bert_shapes(len(vocab)), 1), vocab, "", "mean", True,
        {"query": "query: ", "passage": "passage: "})
    toy("toy-bert-cls", config, toy_weights(bert_shapes(len(vocab)), 2), vocab, "bert.", "cls", False, {})
    # More rows than tokens, as the published model has them.
    config = {
        "model_type": "nomic_bert", "vocab_size": len(vocab) + 4, "n_embd": HIDDEN, "n_head": HEADS, "n_layer": LAYERS,
        "n_inner": INNER, "n_positions": 2048, "max_trained_positions": POSITIONS, "type_vocab_size": 2,
        "layer_norm_epsilon": 1e-12, "rotary_emb_fraction": 1.0, "rotary_emb_base": 1000,
        "qkv_proj_bias": False, "mlp_fc1_bias": False, "mlp_fc2_bias": False, "activation_function": "swiglu",
        "prenorm": False, "causal": False,
    }
    toy("toy-nomic", config, toy_weights(nomic_shapes(len(vocab) + 4), 3), vocab, "", "mean", True,
        {"query": "query: "})


def vectors(folder):
    config = json.loads((folder / "config.json").read_text())
    vocab = {token: id for id, token in enumerate((folder / "vocab.txt").read_text().split("\n")) if token}
    cases = expected(read_weights(folder / "model.safetensors"), config, vocab, 256, "mean", True)
    (HERE / "minilm.json").write_text("[\n" + ",\n".join(json.dumps(case) for case in cases) + "\n]\n")


if __name__ == "__main__":
    if sys.argv[1:] == ["toys"]:
        toys()
    elif len(sys.argv) == 3 and sys.argv[1] == "vectors":
        vectors(Path(sys.argv[2]))
    else:
        sys.exit(__doc__)
