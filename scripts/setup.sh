#!/usr/bin/env bash
# Makes a fresh clone ready to run: system packages, npm packages, native build, TypeScript build. Every part is done
# only where it is missing or out of date, so that a second run is quiet and needs no network.
# Kept to bash 3.2, which is what macOS has.
set -euo pipefail

# Before the change of folder: a relative LIBTORCH is meant from where the user stands.
case "${LIBTORCH:-}" in
  '' | /*) ;;
  *) export LIBTORCH="$PWD/$LIBTORCH" ;;
esac
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."

log="$(mktemp "${TMPDIR:-/tmp}/cohort-setup.XXXXXX")"
trap 'rm -f -- "$log"' EXIT

fail() {
  printf 'set-up: %s\n' "$@" >&2
  exit 1
}

# perform "what it does" command...: one line with the time it took; the command's own output only when it fails.
perform() {
  local title="$1" begin="$SECONDS"
  shift
  printf 'set-up: %s ... ' "$title"
  if "$@" >"$log" 2>&1 </dev/null; then
    printf '%s s\n' "$((SECONDS - begin))"
  else
    printf 'failed after %s s\n' "$((SECONDS - begin))"
    cat -- "$log" >&2
    return 1
  fi
}

# lock descriptor path: waits for another set-up; where there is no flock (macOS), two at once are the user's affair.
lock() {
  command -v flock >/dev/null || return 0
  flock --nonblock "$1" && return 0
  printf 'set-up: waiting for another set-up of %s\n' "$2"
  flock "$1"
}

check_tools() {
  command -v node >/dev/null || fail 'Node.js was not found. Install version 20.12 or newer: https://nodejs.org'
  node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a === 20 && b >= 12) ? 0 : 1)' ||
    fail "Node.js 20.12 or newer is needed; $(command -v node) is $(node --version). Update it: https://nodejs.org"
  command -v npm >/dev/null || fail 'npm was not found. It comes with Node.js: https://nodejs.org (Debian: apt-get install npm)'
  command -v "${CXX:-c++}" >/dev/null || command -v g++ >/dev/null ||
    fail 'No C++ compiler was found. Install g++ (Debian: apt-get install g++; macOS: xcode-select --install)'
  command -v make >/dev/null ||
    fail 'make was not found. Install it (Debian: apt-get install make; macOS: xcode-select --install)'
}

is_installed() {
  [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# Sets `missing` to the Debian packages that are needed here and not installed.
find_missing_packages() {
  local engine=() package libtorch
  missing=()
  for package in libtorch-dev libopenblas0-openmp libdnnl-dev; do
    is_installed "$package" || engine+=("$package")
  done
  if [ "${#engine[@]}" -gt 0 ]; then
    if libtorch="$(node packages/torch/scripts/findLibTorch.mjs 2>&1)"; then
      # A LibTorch of one's own, in $LIBTORCH or a Python, brings its BLAS along.
      case "$libtorch" in *'"source": "system"'*) ;; *) engine=() ;; esac
    elif [ -n "${LIBTORCH:-}" ]; then
      fail "$libtorch"
    fi
  fi
  missing=(${engine[@]+"${engine[@]}"})
  if [ ! -d "${COHORT_DATA:-/nonexistent}/fashion-mnist" ] && ! is_installed dataset-fashion-mnist; then
    missing+=(dataset-fashion-mnist)
  fi
}

apt_get() {
  DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300 "$@"
}

# The package lists may be absent (a fresh container) or too old (files that are gone): then they are fetched, once.
install_packages() {
  apt_get install --no-install-recommends "$@" && return 0
  echo 'Trying again with new package lists.'
  apt_get update && apt_get install --no-install-recommends "$@"
}

ensure_system_packages() {
  # Elsewhere than on Debian and its relatives the native build looks for LibTorch and says how to get it.
  command -v dpkg-query >/dev/null && command -v apt-get >/dev/null || return 0
  find_missing_packages
  [ "${#missing[@]}" -gt 0 ] || return 0
  if [ "$(id -u)" -ne 0 ]; then
    fail "Debian packages are missing. Install them with:" \
      "  sudo apt-get update && sudo apt-get install --no-install-recommends ${missing[*]}"
  fi
  # apt's own lock does not cover the fetching of lists, so set-ups of two clones wait for each other here.
  exec 8</var/lib/dpkg
  lock 8 'the Debian packages'
  find_missing_packages
  if [ "${#missing[@]}" -gt 0 ]; then
    perform "installing the Debian packages ${missing[*]}" install_packages "${missing[@]}" ||
      fail "apt-get could not install ${missing[*]}: its words are above. This needs the network and free disk space."
  fi
  exec 8<&-
}

ensure_npm_packages() {
  node scripts/dependencies.mjs check && return 0
  # Dev dependencies are named because NODE_ENV=production would leave out the compiler. No package needs its install script.
  perform 'installing the npm packages' npm ci --include=dev --ignore-scripts --no-audit --no-fund --loglevel=error ||
    fail 'npm ci failed: its words are above. This needs the network (the npm registry) and free disk space.'
  node scripts/dependencies.mjs stamp
}

# tsc finds out by itself what is up to date, but takes a second or two for that.
typescript_is_built() {
  local stamp=node_modules/.cohort-typescript package
  [ -f "$stamp" ] || return 1
  for package in packages/*/tsconfig.json; do
    [ -f "${package%/*}/dist/.tsbuildinfo" ] || return 1
  done
  [ -f packages/dashboard/dist/web/served/index.html ] && [ -f packages/dashboard/dist/web/shared/page.js ] || return 1
  # Folders count too: a file that was removed leaves its mark there.
  [ -z "$(find packages/*/src packages/runtime/page packages/dashboard/page packages/*/*.json tsconfig.json tsconfig.base.json \
    package-lock.json -newer "$stamp")" ]
}

ensure_typescript() {
  typescript_is_built && return 0
  local begun=node_modules/.cohort-typescript.begun
  touch "$begun"
  perform 'compiling TypeScript' node node_modules/typescript-7/bin/tsc -b || fail 'the TypeScript build failed: see above.'
  perform 'bundling the page of exports' node packages/runtime/scripts/buildPage.mjs ||
    fail 'the page of exports could not be bundled: see above.'
  perform 'bundling the dashboard' node packages/dashboard/scripts/buildPage.mjs ||
    fail 'the dashboard could not be bundled: see above.'
  mv -f "$begun" node_modules/.cohort-typescript
}

# The first set-up of a clone compiles what it can while packages are fetched, which come first where there are few cores; it
# keeps the lock until that is done.
begin_engine() {
  [ -f packages/torch/build/cohort_torch.node ] && return 0
  nice node packages/torch/scripts/buildNative.mjs --early >/dev/null 2>&1 </dev/null &
  early="$!"
}

# The build script speaks for itself, LibTorch's version and path included; only the time is added.
ensure_native_engine() {
  local begin="$SECONDS" addon=packages/torch/build/cohort_torch.node
  : >"$log"
  if [ -n "$early" ]; then
    node packages/torch/scripts/buildNative.mjs --rest || fail 'the native build failed: see above.'
    wait "$early" || true
  fi
  node packages/torch/scripts/buildNative.mjs || fail 'the native build failed: see above.'
  [ "$addon" -nt "$log" ] || return 0
  printf 'set-up: built the native engine in %s s\n' "$((SECONDS - begin))"
}

check_tools
# The script itself is the lock: it is there in every clone and needs no file to be made.
exec 9<scripts/setup.sh
lock 9 'this folder'
early=
begin_engine
ensure_system_packages
ensure_npm_packages
ensure_native_engine
ensure_typescript
