"""Makes the small models and adapters beside this file, and what real `transformers` and `peft` make of them.

    pip install torch transformers peft safetensors
    python make.py

Models are random. Each adapter has numbers in B as if it were trained.
"""

import json
import shutil
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM, Phi3Config, Phi3ForCausalLM

HERE = Path(__file__).resolve().parent
IDS = [1, 17, 4, 30, 9, 22]
SIZES = {
    "vocab_size": 32,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "tie_word_embeddings": True,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}
MODELS = {
    "llama": lambda: LlamaForCausalLM(LlamaConfig(**SIZES)),
    "phi3": lambda: Phi3ForCausalLM(Phi3Config(**SIZES)),
}
ADAPTERS = {
    "llama-all": (
        "llama",
        torch.float32,
        LoraConfig(
            r=2,
            lora_alpha=5,
            target_modules=["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"],
        ),
    ),
    "llama-patterns": (
        "llama",
        torch.bfloat16,
        LoraConfig(
            r=2,
            lora_alpha=4,
            use_rslora=True,
            target_modules=["q_proj", "v_proj", "down_proj"],
            layers_to_transform=[1],
            rank_pattern={"v_proj": 3},
            alpha_pattern={"model.layers.1.mlp.down_proj": 7},
        ),
    ),
    "phi3-all": (
        "phi3",
        torch.float16,
        LoraConfig(r=2, lora_alpha=3, target_modules=["qkv_proj", "o_proj", "gate_up_proj", "down_proj"]),
    ),
}


def randomise(parameters, scale):
    for parameter in parameters:
        parameter.data = torch.randn_like(parameter) * scale


@torch.no_grad()
def logits(model):
    return model(input_ids=torch.tensor([IDS])).logits[0].flatten().tolist()


def learn(model):
    """The loss of each token by those before it, and the gradient of their sum by one of the adapter's matrices."""
    ids = torch.tensor([IDS])
    losses = torch.nn.functional.cross_entropy(model(input_ids=ids).logits[0, :-1], ids[0, 1:], reduction="none")
    losses.sum().backward()
    gradients = {
        name: parameter.grad.flatten().tolist()
        for name, parameter in model.named_parameters()
        if parameter.grad is not None and ("q_proj" in name or "qkv_proj" in name or "down_proj" in name)
    }
    return losses.tolist(), gradients


def rounded(numbers):
    return [round(number, 7) for number in numbers]


def main():
    torch.manual_seed(7)
    for name, make in MODELS.items():
        model = make()
        randomise([p for p in model.parameters() if p.dim() > 1], 0.3)
        model.to(torch.float16).save_pretrained(HERE / name)
        (HERE / name / "generation_config.json").unlink(missing_ok=True)
    for name, (base, dtype, config) in ADAPTERS.items():
        plain = MODELS[base]().from_pretrained(HERE / base, dtype=torch.float32).eval()
        expected = {"ids": IDS, "base": rounded(logits(plain))}
        model = get_peft_model(plain, config).eval()
        trained = [p for p in model.parameters() if p.requires_grad]
        randomise(trained, 0.3)
        for parameter in trained:
            parameter.data = parameter.data.to(dtype).float()
        expected["adapted"] = rounded(logits(model))
        losses, gradients = learn(model)
        expected["losses"] = rounded(losses)
        expected["gradients"] = {key.replace(".default", ""): rounded(value) for key, value in gradients.items()}
        shutil.rmtree(HERE / name, ignore_errors=True)
        for parameter in trained:
            parameter.data = parameter.data.to(dtype)
        model.save_pretrained(HERE / name)
        (HERE / name / "README.md").unlink(missing_ok=True)
        description = json.loads((HERE / name / "adapter_config.json").read_text())
        description["base_model_name_or_path"] = base
        (HERE / name / "adapter_config.json").write_text(json.dumps(description, indent=2) + "\n")
        (HERE / name / "expected.json").write_text(json.dumps(expected) + "\n")


if __name__ == "__main__":
    main()
