"""Small random models of every family, and the logits other implementations give for them.

Writes, for each case, `<case>.gguf` (F32), `<case>/config.json` and `<case>/model.safetensors` (BF16, of the very same
numbers), and one line of `expected.jsonl`. The logits are computed twice: by llama.cpp from the GGUF (F32 keys and values,
no flash attention), and here in float64 from the checkpoint's tensors as transformers has them. Both must agree, or nothing
is written; what llama.cpp leaves out (the windows of Mistral and Phi-3) is held to the float64 figures alone.

llama.cpp looks GELU up in a table of half-precision numbers. For Gemma it is compared with float64 that does so too, while
the figures kept are those with GELU as the models define it.

    pip install numpy gguf diskcache llama-cpp-python==0.3.36
    python generate.py
"""

import ctypes, json, math, shutil, struct, tempfile
from pathlib import Path

import gguf
import llama_cpp
import numpy as np

HERE = Path(__file__).parent
VOCAB, HIDDEN, HEADS, KV_HEADS, HEAD_DIM, FFN, CONTEXT = 32, 16, 4, 2, 8, 16, 64
PROMPT = [int(i) for i in (np.arange(20) * 17 + 3) % VOCAB]
PROMPT[7] = PROMPT[3]

LONG = {
    "short_factor": [1.0, 1.1, 1.3, 1.2],
    "long_factor": [1.0, 1.5, 3.0, 6.0],
}

# What each case has in config.json beyond the common sizes.
CASES = {
    "llama": dict(model_type="llama", rope_theta=100.0),
    "llama-linear": dict(model_type="llama", rope_theta=100.0, tie_word_embeddings=True,
                         rope_scaling=dict(rope_type="linear", factor=4.0)),
    "mistral": dict(model_type="mistral", rope_theta=100.0, sliding_window=None),
    "mistral-window": dict(model_type="mistral", rope_theta=100.0, sliding_window=5),
    "qwen2": dict(model_type="qwen2", rope_theta=1000.0, use_sliding_window=False, sliding_window=5),
    "qwen3": dict(model_type="qwen3", rope_theta=1000.0, attention_bias=False, tie_word_embeddings=True),
    "phi3": dict(model_type="phi3", rope_theta=100.0, sliding_window=None, original_max_position_embeddings=CONTEXT),
    "phi3-window": dict(model_type="phi3", rope_theta=100.0, sliding_window=5, original_max_position_embeddings=CONTEXT),
    "phi3-long": dict(model_type="phi3", rope_theta=100.0, sliding_window=None, original_max_position_embeddings=16,
                      rope_scaling=dict(type="longrope", **LONG)),
    "phi3-partial": dict(model_type="phi3", rope_theta=100.0, sliding_window=None, original_max_position_embeddings=16,
                         partial_rotary_factor=0.75, tie_word_embeddings=True,
                         rope_scaling=dict(type="longrope", **{k: v[:3] for k, v in LONG.items()})),
    "gemma2": dict(model_type="gemma2", rope_theta=100.0, sliding_window=5, num_hidden_layers=3,
                   hidden_activation="gelu_pytorch_tanh", query_pre_attn_scalar=HEAD_DIM,
                   attn_logit_softcapping=4.0, final_logit_softcapping=6.0, tie_word_embeddings=True),
    "gemma3": dict(model_type="gemma3_text", rope_theta=5000.0, rope_local_base_freq=100.0, sliding_window=5,
                   num_hidden_layers=7, sliding_window_pattern=6, hidden_activation="gelu_pytorch_tanh",
                   query_pre_attn_scalar=HEAD_DIM, attn_logit_softcapping=None, final_logit_softcapping=None,
                   rope_scaling=dict(rope_type="linear", factor=8.0), tie_word_embeddings=True),
}
# A second record of this case, for a context that is not longer than the first trained on.
SHORT = "phi3-long"
# The window there is not in llama.cpp.
ONLY_HERE = {"mistral-window", "phi3-window"}
GGUF_NAMES = {"mistral": "llama", "gemma3_text": "gemma3"}


def config_of(case):
    c = dict(hidden_size=HIDDEN, num_hidden_layers=2, num_attention_heads=HEADS, num_key_value_heads=KV_HEADS,
             intermediate_size=FFN, vocab_size=VOCAB, max_position_embeddings=CONTEXT, rms_norm_eps=1e-5,
             tie_word_embeddings=False)
    if "phi3" not in case:
        c["head_dim"] = HEAD_DIM
    if "gemma" not in case:
        c["hidden_act"] = "silu"
    if "phi3" in case or case == "qwen2":  # llama.cpp wants heads that add up to the width
        c["num_attention_heads"], c["num_key_value_heads"] = HIDDEN // HEAD_DIM, 1
    return c | CASES[case]


def bf16(x):
    """The nearest numbers that bfloat16 can hold, as float32."""
    bits = np.ascontiguousarray(x, dtype=np.float32).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000).view(np.float32)


def is_gemma(c):
    return c["model_type"].startswith("gemma")


def tensors_of(c, rng):
    q, kv = c["num_attention_heads"] * HEAD_DIM, c["num_key_value_heads"] * HEAD_DIM
    out = {}

    def matrix(name, rows, columns, scale=1.0):
        out[name] = bf16(rng.standard_normal((rows, columns)) * scale / math.sqrt(columns))

    def vector(name, size, around, spread):
        out[name] = bf16(around + spread * rng.standard_normal(size))

    def norm(name, size):
        vector(name, size, 0.0 if is_gemma(c) else 1.0, 0.3)

    matrix("model.embed_tokens.weight", VOCAB, HIDDEN, 4.0)
    for i in range(c["num_hidden_layers"]):
        p = f"model.layers.{i}."
        norm(p + "input_layernorm.weight", HIDDEN)
        norm(p + "post_attention_layernorm.weight", HIDDEN)
        if is_gemma(c):
            norm(p + "pre_feedforward_layernorm.weight", HIDDEN)
            norm(p + "post_feedforward_layernorm.weight", HIDDEN)
        if c["model_type"] == "phi3":
            matrix(p + "self_attn.qkv_proj.weight", q + 2 * kv, HIDDEN, 1.6)
            matrix(p + "mlp.gate_up_proj.weight", 2 * FFN, HIDDEN, 1.5)
        else:
            matrix(p + "self_attn.q_proj.weight", q, HIDDEN, 1.6)
            matrix(p + "self_attn.k_proj.weight", kv, HIDDEN, 1.6)
            matrix(p + "self_attn.v_proj.weight", kv, HIDDEN, 1.6)
            matrix(p + "mlp.gate_proj.weight", FFN, HIDDEN, 1.5)
            matrix(p + "mlp.up_proj.weight", FFN, HIDDEN, 1.5)
        if c["model_type"] == "qwen2":
            for name, size in (("q", q), ("k", kv), ("v", kv)):
                vector(p + f"self_attn.{name}_proj.bias", size, 0.0, 0.5)
        if c["model_type"] in ("qwen3", "gemma3_text"):
            norm(p + "self_attn.q_norm.weight", HEAD_DIM)
            norm(p + "self_attn.k_norm.weight", HEAD_DIM)
        matrix(p + "self_attn.o_proj.weight", HIDDEN, q, 1.5)
        matrix(p + "mlp.down_proj.weight", HIDDEN, FFN, 1.5)
    norm("model.norm.weight", HIDDEN)
    if not c["tie_word_embeddings"]:
        matrix("lm_head.weight", VOCAB, HIDDEN, 3.0)
    return out


# --- float64, after transformers' modelling code ---

def frequencies(c, local):
    theta = c["rope_local_base_freq"] if local and "rope_local_base_freq" in c else c["rope_theta"]
    turned = int(HEAD_DIM * c.get("partial_rotary_factor", 1.0))
    w = theta ** -(np.arange(0, turned, 2) / turned)
    scaling = c.get("rope_scaling")
    if scaling is None or (local and "rope_local_base_freq" in c):
        return w, 1.0
    if scaling.get("rope_type") == "linear":
        return w / scaling["factor"], 1.0
    first = c["original_max_position_embeddings"]
    magnitude = math.sqrt(1 + math.log(c["max_position_embeddings"] / first) / math.log(first))
    return w / np.array(scaling["short_factor" if c.get("served", CONTEXT) <= first else "long_factor"]), magnitude


def rms_norm(x, w, c):
    w = w.astype(np.float64) + (1.0 if is_gemma(c) else 0.0)
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + c["rms_norm_eps"]) * w


def turn(x, c, local):
    """(tokens, heads, size)"""
    w, magnitude = frequencies(c, local)
    angle = np.arange(x.shape[0])[:, None, None] * w
    cos, sin = np.cos(angle) * magnitude, np.sin(angle) * magnitude
    half = len(w)
    a, b, rest = x[..., :half], x[..., half:2 * half], x[..., 2 * half:]
    return np.concatenate([a * cos - b * sin, a * sin + b * cos, rest], axis=-1)


def softcap(x, cap):
    return x if cap is None else cap * np.tanh(x / cap)


def attention(x, layer, c, tensors, p):
    heads, kv_heads, tokens = c["num_attention_heads"], c["num_key_value_heads"], len(x)
    q_size, kv_size = heads * HEAD_DIM, kv_heads * HEAD_DIM
    if c["model_type"] == "phi3":
        qkv = x @ tensors[p + "qkv_proj.weight"].T.astype(np.float64)
        q, k, v = np.split(qkv, [q_size, q_size + kv_size], axis=1)
    else:
        q, k, v = (x @ tensors[p + f"{n}_proj.weight"].T.astype(np.float64)
                   + tensors.get(p + f"{n}_proj.bias", np.zeros(1)) for n in "qkv")
    q, k, v = (a.reshape(tokens, n, HEAD_DIM) for a, n in ((q, heads), (k, kv_heads), (v, kv_heads)))
    if p + "q_norm.weight" in tensors:
        q, k = rms_norm(q, tensors[p + "q_norm.weight"], c), rms_norm(k, tensors[p + "k_norm.weight"], c)
    window = c.get("sliding_window") if c.get("use_sliding_window", True) else None
    every = {"gemma2": 2, "gemma3_text": 6}.get(c["model_type"])
    if every and (layer + 1) % every == 0:
        window = None
    local = window is not None
    q, k = turn(q, c, local), turn(k, c, local)
    k, v = np.repeat(k, heads // kv_heads, axis=1), np.repeat(v, heads // kv_heads, axis=1)
    scores = np.einsum("qhd,khd->hqk", q, k) / math.sqrt(c.get("query_pre_attn_scalar", HEAD_DIM))
    scores = softcap(scores, c.get("attn_logit_softcapping"))
    row, column = np.arange(tokens)[:, None], np.arange(tokens)[None, :]
    hidden = (column > row) | ((row - column >= window) if window else False)
    scores = np.where(hidden, -np.inf, scores)
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    weights /= weights.sum(-1, keepdims=True)
    mixed = np.einsum("hqk,khd->qhd", weights, v).reshape(tokens, q_size)
    return mixed @ tensors[p + "o_proj.weight"].T


def gelu(x):
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def gelu_by_table(x):
    return gelu(x.astype(np.float16).astype(np.float64)).astype(np.float16).astype(np.float64)


def feed_forward(x, c, tensors, p, gelu):
    if c["model_type"] == "phi3":
        gate, up = np.split(x @ tensors[p + "gate_up_proj.weight"].T.astype(np.float64), 2, axis=1)
    else:
        gate, up = (x @ tensors[p + f"{n}_proj.weight"].T.astype(np.float64) for n in ("gate", "up"))
    if is_gemma(c):
        gate = gelu(gate)
    else:
        gate = gate / (1 + np.exp(-gate))
    return (gate * up) @ tensors[p + "down_proj.weight"].T


def logits_here(c, tensors, gelu=gelu):
    embedding = tensors["model.embed_tokens.weight"].astype(np.float64)
    x = embedding[PROMPT] * (math.sqrt(HIDDEN) if is_gemma(c) else 1.0)
    for i in range(c["num_hidden_layers"]):
        p = f"model.layers.{i}."
        norm = lambda name, x: rms_norm(x, tensors[p + name + ".weight"], c)
        mixed = attention(norm("input_layernorm", x), i, c, tensors, p + "self_attn.")
        if is_gemma(c):
            x = x + norm("post_attention_layernorm", mixed)
            fed = feed_forward(norm("pre_feedforward_layernorm", x), c, tensors, p + "mlp.", gelu)
            x = x + norm("post_feedforward_layernorm", fed)
        else:
            x = x + mixed
            x = x + feed_forward(norm("post_attention_layernorm", x), c, tensors, p + "mlp.", gelu)
    x = rms_norm(x, tensors["model.norm.weight"], c)
    return softcap(x @ tensors.get("lm_head.weight", embedding).T, c.get("final_logit_softcapping"))


# --- files ---

def write_safetensors(path, tensors):
    header, data = {}, b""
    for name, x in sorted(tensors.items()):
        raw = (x.view(np.uint32) >> 16).astype(np.uint16).tobytes()
        header[name] = dict(dtype="BF16", shape=list(x.shape), data_offsets=[len(data), len(data) + len(raw)])
        data += raw
    head = json.dumps(header, separators=(",", ":")).encode()
    head += b" " * (-len(head) % 8)
    path.write_bytes(struct.pack("<Q", len(head)) + head + data)


def write_gguf(path, c, tensors, original=None):
    name = GGUF_NAMES.get(c["model_type"], c["model_type"])
    w = gguf.GGUFWriter(path, name)
    w.add_name("random")
    w.add_context_length(c["max_position_embeddings"])
    w.add_embedding_length(HIDDEN)
    w.add_block_count(c["num_hidden_layers"])
    w.add_feed_forward_length(FFN)
    w.add_head_count(c["num_attention_heads"])
    w.add_head_count_kv(c["num_key_value_heads"])
    w.add_layer_norm_rms_eps(c["rms_norm_eps"])
    w.add_rope_freq_base(c["rope_theta"])
    w.add_tokenizer_model("no_vocab")
    w.add_vocab_size(VOCAB)
    if name == "phi3":
        turned = int(HEAD_DIM * c.get("partial_rotary_factor", 1.0))
        w.add_rope_dimension_count(turned)
        w.add_rope_scaling_orig_ctx_len(original or c["original_max_position_embeddings"])
        w.add_sliding_window(c["sliding_window"] or 0)
    else:
        w.add_key_length(HEAD_DIM)
        w.add_value_length(HEAD_DIM)
    if is_gemma(c):
        w.add_sliding_window(c["sliding_window"])
    elif c["model_type"] == "mistral" and c["sliding_window"]:
        w.add_sliding_window(c["sliding_window"])
    if c.get("attn_logit_softcapping"):
        w.add_attn_logit_softcapping(c["attn_logit_softcapping"])
    if c.get("final_logit_softcapping"):
        w.add_final_logit_softcapping(c["final_logit_softcapping"])
    if "rope_local_base_freq" in c:
        w.add_float32(f"{name}.rope.freq_base_swa", c["rope_local_base_freq"])
    scaling = c.get("rope_scaling", {})
    if scaling.get("rope_type") == "linear":
        w.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        w.add_rope_scaling_factor(scaling["factor"])
    if "long_factor" in scaling:
        w.add_rope_scaling_attn_factors(frequencies(c, False)[1])
        for which in ("long", "short"):
            w.add_tensor(f"rope_factors_{which}.weight", np.array(scaling[f"{which}_factor"], np.float32))
    names = gguf.get_tensor_name_map(getattr(gguf.MODEL_ARCH, name.upper()), c["num_hidden_layers"])
    for full, x in tensors.items():
        stem, suffix = full.rsplit(".", 1)
        if is_gemma(c) and full.endswith("norm.weight"):
            x = x + np.float32(1)
        for part, heads in (("q_proj.weight", c["num_attention_heads"]), ("k_proj.weight", c["num_key_value_heads"])):
            if name == "llama" and full.endswith(part):
                x = x.reshape(heads, 2, HEAD_DIM // 2, HIDDEN).swapaxes(1, 2).reshape(x.shape)
        w.add_tensor(names.get_name(stem) + "." + suffix, np.ascontiguousarray(x))
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


@llama_cpp.llama_log_callback
def quiet(_level, _text, _user):
    pass


def logits_of_llama_cpp(path):
    params = llama_cpp.llama_model_default_params()
    model = llama_cpp.llama_load_model_from_file(str(path).encode(), params)
    assert model, path
    params = llama_cpp.llama_context_default_params()
    params.n_ctx, params.n_batch, params.n_ubatch, params.n_threads, params.n_threads_batch = CONTEXT, CONTEXT, CONTEXT, 1, 1
    params.type_k = params.type_v = 0  # F32
    params.flash_attn_type = 0  # off
    context = llama_cpp.llama_new_context_with_model(model, params)
    batch = llama_cpp.llama_batch_init(len(PROMPT), 0, 1)
    batch.n_tokens = len(PROMPT)
    for i, token in enumerate(PROMPT):
        batch.token[i], batch.pos[i], batch.n_seq_id[i], batch.seq_id[i][0], batch.logits[i] = token, i, 1, 0, 1
    assert llama_cpp.llama_decode(context, batch) == 0
    rows = [np.ctypeslib.as_array(llama_cpp.llama_get_logits_ith(context, i), (VOCAB,)).copy() for i in range(len(PROMPT))]
    llama_cpp.llama_batch_free(batch)
    llama_cpp.llama_free(context)
    llama_cpp.llama_free_model(model)
    return np.array(rows)


# --- a vocabulary laid out as Gemma's: no blank in front, runs of blanks and tags as tokens of their own ---

WORDS = "▁the ▁hello ▁world ▁table world hello the ▁on ▁one one ▁a ing er ▁turn turn user ▁user model start of".split()
TEXTS = ["hello world", " hello", "hello  world   the    one", "\n\n the\n\n\nworld", "<table>one</table> <h1>", "hello▁world",
         "<start_of_turn>user\nhello<end_of_turn>", "h\u00e9llo \u65e5\u672c \U0001f642", "tabs\t\there", "", " ", "     ", "one\r\nworlding",
         "the theworld one.", "<bos>the<eos>", "<0x0A>"]


def write_vocabulary(path):
    tokens = [("<pad>", 3), ("<eos>", 3), ("<bos>", 3), ("<unk>", 2), ("<start_of_turn>", 3), ("<end_of_turn>", 3)]
    tokens += [("\n" * n, 4) for n in (1, 2, 3)] + [(" " * n, 4) for n in (2, 3, 4)] + [("\t", 4)]
    tokens += [("<table>", 4), ("</table>", 4), ("<h1>", 4)] + [(f"<0x{b:02X}>", 6) for b in range(256)]
    # Every beginning of a word is a piece, so that it can be put together from the left.
    pieces = dict.fromkeys(word[:n] for n in range(12, 0, -1) for word in WORDS if n <= len(word))
    tokens += [(piece, 1) for piece in sorted(pieces, key=len, reverse=True)] + [(c, 1) for c in "<>/_.h1"  if c not in pieces]
    w = gguf.GGUFWriter(path, "gemma3")
    w.add_context_length(CONTEXT)
    w.add_embedding_length(HIDDEN)
    w.add_block_count(1)
    w.add_feed_forward_length(FFN)
    w.add_head_count(HEADS)
    w.add_layer_norm_rms_eps(1e-6)
    w.add_tokenizer_model("llama")
    w.add_token_list([text for text, _ in tokens])
    w.add_token_scores([float(-i) if kind == 1 else -1000.0 for i, (_, kind) in enumerate(tokens)])
    w.add_token_types([kind for _, kind in tokens])
    w.add_bos_token_id(2)
    w.add_eos_token_id(1)
    w.add_unk_token_id(3)
    w.add_pad_token_id(0)
    w.add_add_space_prefix(False)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def tokens_of_llama_cpp(path, parse_special):
    params = llama_cpp.llama_model_default_params()
    params.vocab_only = True
    model = llama_cpp.llama_load_model_from_file(str(path).encode(), params)
    assert model, path
    vocabulary, ids = llama_cpp.llama_model_get_vocab(model), (llama_cpp.llama_token * 256)()
    for text in TEXTS:
        raw = text.encode()
        count = llama_cpp.llama_tokenize(vocabulary, raw, len(raw), ids, 256, False, parse_special)
        assert count >= 0, text
        yield text, list(ids[:count])
    llama_cpp.llama_free_model(model)


def vocabulary():
    path = HERE / "gemma-vocabulary.gguf"
    write_vocabulary(path)
    lines = [json.dumps(dict(text=text, special=special, ids=ids), separators=(",", ":"))
             for special in (False, True) for text, ids in tokens_of_llama_cpp(path, special)]
    (HERE / "gemma-vocabulary.jsonl").write_text("\n".join(lines) + "\n")


def main():
    llama_cpp.llama_log_set(quiet, ctypes.c_void_p(0))
    vocabulary()
    lines = []
    for number, case in enumerate(CASES):
        c = config_of(case)
        tensors = tensors_of(c, np.random.default_rng(number))
        here = logits_here(c, tensors)
        folder = HERE / case
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        (folder / "config.json").write_text(json.dumps(c, indent=1) + "\n")
        write_safetensors(folder / "model.safetensors", tensors)
        path = HERE / f"{case}.gguf"
        write_gguf(path, c, tensors)
        gap = None
        if case not in ONLY_HERE:
            theirs = logits_of_llama_cpp(path)
            gap = float(np.abs(theirs - here).max())
            # Where a number lies between two entries, the two may look up different ones: at some positions, not at most.
            by_position = np.abs(theirs - logits_here(c, tensors, gelu_by_table)).max(-1)
            print(f"{case}: llama.cpp and float64 differ by {gap:.1e}, with GELU by table by {np.median(by_position):.1e} "
                  f"at most positions and {by_position.max():.1e} at worst; logits spread over {np.ptp(here):.1f}")
            assert np.median(by_position) < 1e-4 and by_position.max() < (2e-3 if is_gemma(c) else 1e-4), case
        by = "float64" if gap is None or is_gemma(c) else "llama.cpp"
        rows = [[round(float(x), 5) for x in row] for row in (theirs if by == "llama.cpp" else here)]
        record = dict(case=case, by=by, llama_cpp_gap=gap, ids=PROMPT, logits=rows)
        lines.append(json.dumps(record, separators=(",", ":")))
        if case == SHORT:
            first = c["original_max_position_embeddings"]
            # llama.cpp rounds contexts up, so what they are compared with is moved instead.
            with tempfile.NamedTemporaryFile(suffix=".gguf") as moved:
                write_gguf(moved.name, c, tensors, original=1 << 16)
                theirs = logits_of_llama_cpp(moved.name)[:first]
            gap = float(np.abs(theirs - logits_here(c | dict(served=first), tensors)[:first]).max())
            print(f"{case}, in a short context: llama.cpp and float64 differ by {gap:.1e}")
            assert gap < 1e-4
            rows = [[round(float(x), 5) for x in row] for row in theirs]
            record |= dict(context=first, llama_cpp_gap=gap, ids=PROMPT[:first], logits=rows)
            lines.append(json.dumps(record, separators=(",", ":")))
    (HERE / "expected.jsonl").write_text("\n".join(lines) + "\n")


main()
