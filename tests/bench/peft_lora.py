"""Steps of a LoRA by PyTorch and Hugging Face's peft, on a model of random weights: the other side of `bench tune`.

usage: peft_lora.py '{"shape": {..}, "dtype": "bfloat16", "rank": 8, "targets": ["q_proj"], "samples": 4, "tokens": 256,
                      "steps": 5, "threads": 2}'          (needs PyPI's `torch`, `transformers` and `peft`)
"""

import json
import sys
import time

import peft
import torch
import transformers
from peft import LoraConfig, get_peft_model


def model(shape):
    family = {"qwen3": "Qwen3", "llama": "Llama"}[shape["family"]]
    config = getattr(transformers, family + "Config")(
        hidden_size=shape["width"],
        num_hidden_layers=shape["layers"],
        num_attention_heads=shape["heads"],
        num_key_value_heads=shape["kv_heads"],
        head_dim=shape["head_dim"],
        intermediate_size=shape["ffn"],
        vocab_size=shape["vocabulary"],
        tie_word_embeddings=shape["tied"],
    )
    return getattr(transformers, family + "ForCausalLM")(config)


def main(task):
    torch.set_num_threads(task["threads"])
    torch.manual_seed(0)
    lora = LoraConfig(r=task["rank"], lora_alpha=2 * task["rank"], target_modules=task["targets"])
    # Made in its own type: an F32 copy first would count against it. Adapters are in F32 all the same, by peft's default.
    torch.set_default_dtype(getattr(torch, task["dtype"]))
    tuned = get_peft_model(model(task["shape"]), lora)
    tuned.train()
    optimizer = torch.optim.AdamW([p for p in tuned.parameters() if p.requires_grad], lr=1e-4)
    ids = torch.randint(0, task["shape"]["vocabulary"], (task["samples"], task["tokens"]))
    secs = []
    for _ in range(task["steps"]):
        start = time.perf_counter()
        tuned(input_ids=ids, labels=ids).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        secs.append(time.perf_counter() - start)
    version = f"torch {torch.__version__}, transformers {transformers.__version__}, peft {peft.__version__}"
    print(json.dumps({"secs": secs, "version": version}))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
