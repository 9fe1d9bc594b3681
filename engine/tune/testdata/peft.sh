#!/bin/sh
# Makes peft.json, the losses that tests/it/against_peft.rs expects, with PyTorch, transformers and peft:
#   testdata/peft.sh path/to/models/stories656k
set -e
cd "$(dirname "$0")/.."
job=$(mktemp -d)
HEARTH_PEFT_JOB="$job" cargo test --test it the_job_for_peft_is_written -- --ignored
python3 "$job/finetune.py" --base "$1" --dtype float32
cp "$job/losses.json" testdata/peft.json
rm -r "$job"
