#!/usr/bin/env bash
# Runs the engine's and the method's tests on Debian 13 (LibTorch 2.6.0, GCC 14) in a folder of its own. Optional: as root,
# on Debian or a relative with debootstrap, with about 3 GB of disk and the Debian registry within reach.
#
#   scripts/debian13.sh [folder] [test files or folders...]
#
# The folder (default /var/tmp/cohort-debian13) is made once and kept; delete it with rm -r --one-file-system.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
repository="$PWD"
folder="${1:-/var/tmp/cohort-debian13}"
shift || true
limit="${COHORT_LIMIT_MINUTES:-90}"

fail() {
  printf 'debian13: %s\n' "$@" >&2
  exit 1
}

[ "$(id -u)" -eq 0 ] || fail 'This needs root, for debootstrap and chroot.'
command -v debootstrap >/dev/null || fail 'debootstrap was not found. Install it: apt-get install debootstrap'
[ -d node_modules ] || fail 'There are no npm packages yet. Run "npm run setup" first.'
free="$(df --output=avail -k -- "$(dirname -- "$folder")" | tail -1)"
[ -d "$folder" ] || [ "$free" -gt 4000000 ] || fail "4 GB of free disk are needed at $folder."

if [ ! -f "$folder/.ready" ]; then
  timeout "${limit}m" debootstrap --variant=minbase --include=ca-certificates trixie "$folder" http://deb.debian.org/debian
  timeout "${limit}m" chroot "$folder" sh -c 'apt-get update -q && DEBIAN_FRONTEND=noninteractive \
    apt-get install -q -y --no-install-recommends libtorch-dev libopenblas0-openmp g++ make nodejs python3'
  touch "$folder/.ready"
fi

place="$folder$repository"
mkdir -p -- "$place"
leave() {
  umount -- "$place" 2>/dev/null || true
  umount -- "$folder/proc" 2>/dev/null || true
}
trap leave EXIT
mountpoint -q -- "$place" || mount --bind -- "$repository" "$place"
mountpoint -q -- "$folder/proc" || mount -t proc proc "$folder/proc"
# Npm packages with native code were compiled here; Node 20 and a newer C library run them there as well.
timeout "${limit}m" chroot "$folder" /usr/bin/env -C "$repository" LIBTORCH= \
  node scripts/testEngine.mjs --libtorch /usr "$@"
