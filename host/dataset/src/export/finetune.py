"""Trains a LoRA adapter on the examples beside this file, with the settings in config.json.

    pip install torch transformers peft
    python finetune.py --base <a Hugging Face model or folder>
    torchrun --nproc-per-node 8 finetune.py --base <the same>

The adapter is written to ./adapter in peft's form and can be imported from there.
"""

import argparse
import json
import math
import os
import random
from pathlib import Path

import torch
import torch.distributed as dist
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer

HERE = Path(__file__).resolve().parent
IGNORED = -100


def read(name):
    path = HERE / name
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]


def tokens_of(example, tokenizer, learn_all):
    """Token ids, and which of them are learnt: the assistant's turns, or what follows a prompt."""
    if "messages" in example:
        return tokens_of_chat(example["messages"], tokenizer, learn_all)
    prompt, text = example.get("prompt", ""), example.get("completion", example.get("text"))
    ids = tokenizer(prompt, add_special_tokens=False)["input_ids"] if prompt else []
    if tokenizer.bos_token_id is not None:
        ids = [tokenizer.bos_token_id] + ids
    learnt = [learn_all] * len(ids)
    more = tokenizer(text, add_special_tokens=False)["input_ids"]
    if tokenizer.eos_token_id is not None:
        more = more + [tokenizer.eos_token_id]
    return ids + more, learnt + [True] * len(more)


def tokens_of_chat(messages, tokenizer, learn_all):
    if tokenizer.chat_template is None:
        return tokens_of_plain_chat(messages, tokenizer, learn_all)

    def rendered(part, cue):
        return tokenizer.apply_chat_template(part, tokenize=False, add_generation_prompt=cue)

    whole = rendered(messages, False)
    ids, learnt, at = [], [], 0
    # The rendering of the first messages with the cue is the beginning of the whole, so the parts join to it.
    for n, message in enumerate(messages):
        if message["role"] != "assistant":
            continue
        before, after = rendered(messages[:n], True), rendered(messages[: n + 1], False)
        if not whole.startswith(before) or not whole.startswith(after):
            raise SystemExit("this model's chat template cannot be trained turn by turn; choose another base")
        for text, learn in ((whole[at : len(before)], learn_all), (whole[len(before) : len(after)], True)):
            part = tokenizer(text, add_special_tokens=False)["input_ids"]
            ids += part
            learnt += [learn] * len(part)
        at = len(after)
    return ids, learnt


def tokens_of_plain_chat(messages, tokenizer, learn_all):
    ids = [] if tokenizer.bos_token_id is None else [tokenizer.bos_token_id]
    learnt = [learn_all] * len(ids)
    for message in messages:
        name = {"system": "", "user": "User: ", "assistant": "Assistant:"}[message["role"]]
        answer = message["role"] == "assistant"
        parts = [(name, learn_all), (" " + message["content"] + "\n", True)] if answer else [
            (name + message["content"] + "\n", learn_all)
        ]
        for text, learn in parts:
            part = tokenizer(text, add_special_tokens=False)["input_ids"]
            ids += part
            learnt += [learn] * len(part)
    return ids, learnt


def pieces(examples, tokenizer, settings):
    """Samples of at most `sequence_tokens`; longer examples are cut into several."""
    size = settings["sequence_tokens"]
    learn_all = settings["loss_on"] == "all"
    for example in examples:
        ids, learnt = tokens_of(example, tokenizer, learn_all)
        for at in range(0, len(ids), size):
            if any(learnt[at + 1 : at + size]):
                yield ids[at : at + size], learnt[at : at + size]


def batches(samples, settings):
    """Lists of samples of about `batch_tokens`, padded ones not counted."""
    batch, tokens = [], 0
    for sample in samples:
        if batch and tokens + len(sample[0]) > settings["batch_tokens"]:
            yield batch
            batch, tokens = [], 0
        batch.append(sample)
        tokens += len(sample[0])
    if batch:
        yield batch


def loss_of(model, batch, device):
    """Sum of the losses of learnt tokens, and how many there are."""
    width = max(len(ids) for ids, _ in batch)
    ids = torch.zeros(len(batch), width, dtype=torch.long)
    mask = torch.zeros_like(ids)
    labels = torch.full_like(ids, IGNORED)
    for row, (sample, learnt) in enumerate(batch):
        ids[row, : len(sample)] = torch.tensor(sample)
        mask[row, : len(sample)] = 1
        labels[row, : len(sample)] = torch.tensor([t if l else IGNORED for t, l in zip(sample, learnt)])
    labels = labels[:, 1:].to(device)
    logits = model(input_ids=ids.to(device), attention_mask=mask.to(device)).logits[:, :-1]
    loss = torch.nn.functional.cross_entropy(
        logits.float().reshape(-1, logits.shape[-1]), labels.reshape(-1), ignore_index=IGNORED, reduction="sum"
    )
    return loss, int((labels != IGNORED).sum())


def total(values, device):
    """Sums over all processes."""
    sums = torch.tensor(values, dtype=torch.float64, device=device if device.type == "cuda" else "cpu")
    if dist.is_initialized():
        dist.all_reduce(sums)
    return sums.tolist()


def held_out_loss(model, held, settings, device, rank, world):
    model.eval()
    loss, count = 0.0, 0
    with torch.no_grad():
        for batch in batches(held[rank::world], settings):
            part, learnt = loss_of(model, batch, device)
            loss, count = loss + float(part), count + learnt
    model.train()
    loss, count = total([loss, count], device)
    return loss / max(count, 1)


def plan(train, settings, world, minutes_as_epochs):
    """How many steps, and how many batches make one."""
    per_epoch = max(1, math.ceil(len(list(batches(train, settings))) / (settings["accumulation"] * world)))
    (kind, amount), = settings["budget"].items()
    if kind == "steps":
        return int(amount)
    epochs = amount if kind == "epochs" else minutes_as_epochs
    return max(1, round(per_epoch * epochs))


def rate(step, steps, settings):
    warmup = max(1, round(steps * settings["warmup_share"]))
    if step < warmup:
        return (step + 1) / warmup
    done = (step - warmup) / max(1, steps - warmup)
    low = settings["final_share"]
    return low + (1 - low) * 0.5 * (1 + math.cos(math.pi * done))


def endless(train, settings, rank, world):
    """Batches of one epoch after the other, shuffled alike everywhere and dealt out to the processes."""
    epoch = 0
    while True:
        order = list(train)
        if settings["shuffle"]:
            random.Random(settings["seed"] * 1_000_003 + epoch).shuffle(order)
        dealt = list(batches(order, settings))
        for n in range(math.ceil(len(dealt) / world)):
            yield dealt[(n * world + rank) % len(dealt)]
        epoch += 1


def adapted(args, settings, device):
    model = AutoModelForCausalLM.from_pretrained(args.base, dtype=args.dtype).to(device)
    lora = settings["lora"]
    config = LoraConfig(
        task_type="CAUSAL_LM",
        r=lora["rank"],
        lora_alpha=lora["alpha"],
        lora_dropout=lora["dropout"],
        use_rslora=lora["rslora"],
        target_modules=sorted(lora["targets"]),
    )
    model = get_peft_model(model, config)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()
    if settings["recompute"]:
        model.enable_input_require_grads()
        model.gradient_checkpointing_enable()
    return model


def run(args, settings, device, rank, world):
    torch.manual_seed(settings["seed"])
    tokenizer = AutoTokenizer.from_pretrained(args.base)
    train = list(pieces(read("train.jsonl"), tokenizer, settings))
    held = list(pieces(read("held_out.jsonl"), tokenizer, settings))
    if not train:
        raise SystemExit("no example has anything to learn in it")
    model = adapted(args, settings, device)
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(
        trained,
        lr=settings["learning_rate"],
        betas=(settings["beta1"], settings["beta2"]),
        eps=settings["epsilon"],
        weight_decay=settings["weight_decay"],
    )
    steps = plan(train, settings, world, args.epochs)
    if rank == 0:
        print(f"{len(train)} samples, {len(held)} held out, {steps} steps on {world} processes", flush=True)
        if held:
            print("held-out loss before: ", end="", flush=True)
    if held:
        loss = held_out_loss(model, held, settings, device, rank, world)
        if rank == 0:
            print(f"{loss:.4f}", flush=True)
    dealt = endless(train, settings, rank, world)
    model.train()
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = settings["learning_rate"] * rate(step, steps, settings)
        loss, count = 0.0, 0
        for _ in range(settings["accumulation"]):
            with torch.autocast(device.type, dtype=torch.bfloat16, enabled=settings["precision"] == "bf16"):
                part, learnt = loss_of(model, next(dealt), device)
            part.backward()
            loss, count = loss + float(part.detach()), count + learnt
        loss, count = total([loss, count], device)
        for parameter in trained:
            if parameter.grad is None:
                continue
            if dist.is_initialized():
                dist.all_reduce(parameter.grad)
            parameter.grad /= max(count, 1)
        if settings["clip_norm"] > 0:
            torch.nn.utils.clip_grad_norm_(trained, settings["clip_norm"])
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if rank == 0:
            print(f"step {step + 1}/{steps}  loss {loss / max(count, 1):.4f}", flush=True)
    if held:
        loss = held_out_loss(model, held, settings, device, rank, world)
        if rank == 0:
            print(f"held-out loss after: {loss:.4f}", flush=True)
    if rank == 0:
        model.save_pretrained(HERE / "adapter")
        print(f"written: {HERE / 'adapter'}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", required=True, help="the model that stays as it is, in Hugging Face's form")
    parser.add_argument("--epochs", type=float, default=3.0, help="where the budget is in minutes of another machine")
    parser.add_argument("--dtype", default="auto", help="of the base model's weights")
    args = parser.parse_args()
    settings = json.loads((HERE / "config.json").read_text(encoding="utf-8"))["settings"]
    cuda = torch.cuda.is_available()
    rank, world = 0, 1
    if "RANK" in os.environ:
        if cuda:
            torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        dist.init_process_group("nccl" if cuda else "gloo")
        rank, world = dist.get_rank(), dist.get_world_size()
    device = torch.device(f"cuda:{torch.cuda.current_device()}" if cuda else "cpu")
    try:
        run(args, settings, device, rank, world)
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()


if __name__ == "__main__":
    main()
