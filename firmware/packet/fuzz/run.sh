#!/bin/sh
# Runs the fuzz target with libFuzzer's arguments: ./run.sh corpus -runs=10000000 -max_len=2048
# The flags are what libFuzzer needs of the compiler: edge counters and the operands of
# comparisons. Given here, they replace the static linking of the firmware's own builds, under
# which libFuzzer cannot look for its optional functions.
set -eu
cd "$(dirname "$0")"
export CARGO_TARGET_DIR=../../../target/fuzz
export RUSTFLAGS="--cfg=fuzzing -Cpasses=sancov-module
  -Cllvm-args=-sanitizer-coverage-level=4
  -Cllvm-args=-sanitizer-coverage-inline-8bit-counters
  -Cllvm-args=-sanitizer-coverage-pc-table
  -Cllvm-args=-sanitizer-coverage-trace-compares"
exec cargo run --release --locked -- "$@"
