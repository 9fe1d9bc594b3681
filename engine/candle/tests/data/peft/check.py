"""Prints what real `transformers` and `peft` make of a base model with an adapter: logits as JSON.

    python check.py BASE ADAPTER ID...
"""

import json
import sys

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM


def main():
    base, adapter, *ids = sys.argv[1:]
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    model = PeftModel.from_pretrained(model, adapter).eval()
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([[int(id) for id in ids]])).logits[0]
    print(json.dumps(logits.flatten().tolist()))


if __name__ == "__main__":
    main()
