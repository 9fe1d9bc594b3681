"""Runs a job that Hearth has written down, with Hugging Face's peft.

    pip install torch transformers peft
    python finetune.py --base MODEL
    torchrun --nproc-per-node 8 finetune.py --base MODEL

MODEL is the base model in Hugging Face's form: the very model the job was made for, since the examples are token ids of
its vocabulary. Which example is read in which step is written down too, so the run is the one Hearth would do. The adapter
is written to ./adapter, from where Hearth imports it, and the losses to ./losses.json.
"""

import argparse
import json
import math
import os
from pathlib import Path

import torch
import torch.distributed as dist
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM

HERE = Path(__file__).resolve().parent
IGNORED = -100


def lines(name):
    return [json.loads(line) for line in (HERE / name).read_text().splitlines()]


def rate(settings, step, steps):
    """The share of the highest step size at a step: a straight line up, half a cosine down."""
    warmup = max(math.ceil(settings["warmup_share"] * steps - 1e-3), 0)
    if step < warmup:
        return (step + 1) / warmup
    last, way = settings["final_share"], min((step - warmup) / max(steps - warmup, 1), 1)
    return last + (1 - last) * 0.5 * (1 + math.cos(math.pi * way))


def loss_of(model, pieces, device):
    """The sum of the losses of the learnt tokens. Each piece is a row, and sees only itself."""
    width = max(len(piece["ids"]) for piece in pieces)
    ids = torch.zeros(len(pieces), width, dtype=torch.long)
    mask, labels = torch.zeros_like(ids), torch.full_like(ids, IGNORED)
    for row, piece in enumerate(pieces):
        count = len(piece["ids"])
        ids[row, :count], mask[row, :count] = torch.tensor(piece["ids"]), 1
        learnt = [token if learn else IGNORED for token, learn in zip(piece["ids"][1:], piece["learnt"])]
        labels[row, 1:count] = torch.tensor(learnt)
    logits = model(input_ids=ids.to(device), attention_mask=mask.to(device)).logits[:, :-1].float()
    labels = labels[:, 1:].to(device)
    return torch.nn.functional.cross_entropy(
        logits.reshape(-1, logits.shape[-1]), labels.reshape(-1), ignore_index=IGNORED, reduction="sum"
    )


def learnt_tokens(pieces):
    return sum(sum(piece["learnt"]) for piece in pieces)


def over_all(value, device):
    """The sum over all processes."""
    value = torch.tensor(float(value), dtype=torch.float64, device=device)
    if dist.is_initialized():
        dist.all_reduce(value)
    return value.item()


def groups(pieces, size):
    return [pieces[i : i + size] for i in range(0, len(pieces), size)]


@torch.no_grad()
def held_out_loss(model, pieces, arguments, device):
    """The mean loss of the learnt tokens of this process's pieces and the others'."""
    model.eval()
    loss = sum(float(loss_of(model, group, device)) for group in groups(pieces, arguments.rows))
    model.train()
    return over_all(loss, device) / max(over_all(learnt_tokens(pieces), device), 1)


def modules(base, targets):
    """What the targets are called in this model, which may hold several of them as one matrix."""
    there = {name.rsplit(".", 1)[-1] for name, _ in base.named_modules()}
    joined = {"gate_proj": "gate_up_proj", "up_proj": "gate_up_proj"}
    return sorted({name if name in there else joined.get(name, "qkv_proj") for name in targets})


def with_adapter(base, settings):
    if (HERE / "initial").exists():
        return PeftModel.from_pretrained(base, HERE / "initial", is_trainable=True)
    lora = settings["lora"]
    config = LoraConfig(
        task_type="CAUSAL_LM",
        r=lora["rank"],
        lora_alpha=lora["alpha"],
        use_rslora=lora["rslora"],
        lora_dropout=lora["dropout"],
        target_modules=modules(base, lora["targets"]),
    )
    return get_peft_model(base, config)


def train(model, settings, arguments, device, place):
    rank, world = place
    pieces, steps = lines("train.jsonl"), lines("steps.jsonl")
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(
        trained,
        lr=settings["learning_rate"],
        betas=(settings["beta1"], settings["beta2"]),
        eps=settings["epsilon"],
        weight_decay=settings["weight_decay"],
    )
    losses = []
    for step, places in enumerate(steps):
        read = [pieces[place] for place in places]
        learnt = learnt_tokens(read)
        total = 0.0
        for group in groups(read[rank::world], arguments.rows):
            loss = loss_of(model, group, device) / learnt
            loss.backward()
            total += float(loss.detach())
        for parameter in trained:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            if dist.is_initialized():
                dist.all_reduce(parameter.grad)
        if settings["clip_norm"] > 0:
            torch.nn.utils.clip_grad_norm_(trained, settings["clip_norm"])
        for group in optimizer.param_groups:
            group["lr"] = settings["learning_rate"] * rate(settings, step, len(steps))
        optimizer.step()
        optimizer.zero_grad()
        losses.append(over_all(total, device))
        if rank == 0:
            print(f"step {step + 1} of {len(steps)}: loss {losses[-1]:.4f}", flush=True)
    return losses


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--base", required=True, help="the base model in Hugging Face's form")
    parser.add_argument("--dtype", default="auto", help="float32, bfloat16 or auto: as the model's files have it")
    parser.add_argument("--rows", type=int, default=4, help="examples that are read at once")
    arguments = parser.parse_args()
    settings = json.loads((HERE / "settings.json").read_text())
    rank, world = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    if world > 1:
        dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    device = torch.device("cpu")
    if torch.cuda.is_available():
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)))
        torch.cuda.set_device(device)
    # The same first adapter in every process.
    torch.manual_seed(settings["seed"] % 2**63)
    base = AutoModelForCausalLM.from_pretrained(arguments.base, torch_dtype=arguments.dtype)
    model = with_adapter(base, settings).to(device)
    # From here on every process drops what it likes.
    torch.manual_seed((settings["seed"] + rank) % 2**63)
    held_out = lines("held_out.jsonl")[rank::world]
    model.train()
    report = {"held_out_before": held_out_loss(model, held_out, arguments, device)}
    report["train"] = train(model, settings, arguments, device, (rank, world))
    report["held_out_after"] = held_out_loss(model, held_out, arguments, device)
    if rank == 0:
        (HERE / "losses.json").write_text(json.dumps(report))
        model.save_pretrained(HERE / "adapter")
        print(f"held out: {report['held_out_before']:.4f} before, {report['held_out_after']:.4f} after")
    if dist.is_initialized():
        dist.destroy_process_group()


if __name__ == "__main__":
    main()
