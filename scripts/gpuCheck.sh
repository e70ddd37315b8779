#!/usr/bin/env bash
# Everything that is to be checked once there is a graphics card, in one go: build, engine tests, MCL and L-MCL steps against
# eager PyTorch in turns, one epoch of CIFAR-100. Prepared on a machine without one, and NOT YET RUN ON A GPU.
#
#   scripts/gpuCheck.sh pack FOLDER    here, with the network: gathers Node, the npm packages and the sources in FOLDER
#   scripts/gpuCheck.sh run RESULTS    there, in the unpacked FOLDER: needs a CUDA LibTorch ($LIBTORCH, or the torch of a
#                                      Python on the path), g++ and make, and no network; writes to the folder RESULTS
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."

fail() {
  printf 'gpuCheck: %s\n' "$@" >&2
  exit 1
}

pack() {
  local folder="$1"
  [ -d node_modules ] || fail 'There are no npm packages yet. Run "npm run setup" first.'
  mkdir -p -- "$folder/node"
  # The npm package `node` brings the binary, for machines where nothing can be installed.
  npm install --prefix "$folder/node" --no-audit --no-fund --loglevel=error node@20
  git ls-files -z | grep -zv '^docs/' | xargs -0 cp --parents -t "$folder"
  cp -a node_modules "$folder/node_modules"
  rm -rf -- "$folder/node_modules/.cache" "$folder/node_modules/@typescript"
  node node_modules/typescript-7/bin/tsc -b
  for package in packages/*/; do
    [ ! -d "$package/dist" ] || cp -a "$package/dist" "$folder/$package"
  done
  mkdir -p -- "$folder/packages/torch/src/generated"
  cp packages/torch/src/generated/operators.ts "$folder/packages/torch/src/generated/"
  du -sh -- "$folder"
}

# step "name" limit_seconds command...: keeps the output, goes on after a failure, and is killed past its limit.
step() {
  local name="$1" limit="$2" status=0
  shift 2
  printf 'gpuCheck: %s\n' "$name"
  timeout "$limit" "$@" >"$results/$name.log" 2>&1 || status=$?
  printf '%s\t%s\n' "$name" "$status" >>"$results/summary.tsv"
}

run() {
  results="$(mkdir -p -- "$1" && cd -- "$1" && pwd)"
  local binary
  binary="$(find "$PWD/node" -path '*/bin/node' -type f 2>/dev/null | head -1 || true)"
  [ -n "$binary" ] || fail "There is no Node in $PWD/node. Make this folder with \"gpuCheck.sh pack\"."
  PATH="$(dirname -- "$binary"):$PATH"
  : >"$results/summary.tsv"
  step driver 30 nvidia-smi
  step build 300 node packages/torch/scripts/buildNative.mjs
  local cohort=packages/cohort/bin/cohort.js
  step doctor 60 node "$cohort" doctor
  step engine 120 node node_modules/vitest/vitest.mjs run packages/torch/src/engine/devices.test.ts \
    packages/cohort/src/topology/onStreams.test.ts
  step steps 300 node "$cohort" bench --only mcl,lmcl --device cuda --rounds 3 --out "$results"
  if [ -n "${COHORT_DATA:-}" ]; then
    local networks
    for networks in 1 2; do
      step "cifar100-$networks-at-once" 150 node "$cohort" train recipes/published/cifar100-mcl-resnet32-x2.yaml \
        train.epochs=1 train.device=cuda train.networksAtOnce="$networks"
    done
  fi
  cat -- "$results/summary.tsv"
}

case "${1:-}" in
  pack) [ $# -eq 2 ] || fail 'usage: gpuCheck.sh pack FOLDER' && pack "$2" ;;
  run) [ $# -eq 2 ] || fail 'usage: gpuCheck.sh run RESULTS' && run "$2" ;;
  *) fail 'usage: gpuCheck.sh pack FOLDER | run RESULTS' ;;
esac
