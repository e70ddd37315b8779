#!/usr/bin/env bash
# Compiles our own kernels for aarch64 and runs them, emulated, against their definitions in float64. Optional; needs Debian's
# g++-aarch64-linux-gnu and qemu-user (apt-get install --no-install-recommends g++-aarch64-linux-gnu qemu-user).
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../packages/torch/native"

for program in aarch64-linux-gnu-g++ qemu-aarch64; do
  command -v "$program" >/dev/null || {
    printf 'armCheck: %s was not found. Run: apt-get install --no-install-recommends g++-aarch64-linux-gnu qemu-user\n' "$program" >&2
    exit 1
  }
done
folder=../build/kernels-aarch64
mkdir -p -- "$folder"
[ -f "$folder/compiler" ] || touch "$folder/compiler"
make -s CXX=aarch64-linux-gnu-g++ BUILD="$folder" KERNEL_BUILD="$folder" kernel-check
timeout 600 qemu-aarch64 -L /usr/aarch64-linux-gnu "$folder/kernelCheck"
