# shellcheck shell=bash
# Sourced by the scripts beside it: the one place which makes, checks and reuses .venv.
#
#   ensure_environment NAME PIP_ARGUMENT...   what to install, remembered under NAME
#   ensure_torch                              the same for torch
#   environment_python                        the path of the environment's Python
#
# PYTHON chooses the interpreter; without it an existing .venv stays and a new one takes the first
# supported Python found.  uv does the work where it is present, pip elsewhere.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
VENV=$ROOT/.venv
REQUIREMENTS=$ROOT/scripts/requirements
SUPPORTED="3.10 to 3.13"
export PIP_DISABLE_PIP_VERSION_CHECK=1
# Where `bert4keras.checkpoints.fetch` keeps what it fetches.
export BERT4KERAS_CACHE=${BERT4KERAS_CACHE:-$ROOT/.cache/checkpoints}

say() { printf '%s\n' "$*" >&2; }
die() { say "error: $*"; exit 1; }
environment_python() { printf '%s\n' "$VENV/bin/python"; }

# Print "3.11.7" if $1 runs and is supported; otherwise print what it is, and fail.
python_version() {
  "$1" -c 'import platform, sys
print(platform.python_version())
sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null
}

find_python() {
  local candidate version
  if [ -n "${PYTHON:-}" ]; then
    version=$(python_version "$PYTHON") || die "PYTHON=$PYTHON ${version:+is Python $version and }\
cannot be used: Python $SUPPORTED is needed."
    printf '%s\n' "$PYTHON"
    return
  fi
  for candidate in python3 python3.13 python3.12 python3.11 python3.10 python; do
    if python_version "$candidate" >/dev/null; then
      printf '%s\n' "$candidate"
      return
    fi
  done
  version=$(python_version python3)
  die "Python $SUPPORTED is needed, but ${version:+python3 is $version and }no other was found;\
 install one, or name it: PYTHON=/path/to/python $0"
}

# Say why .venv cannot be used as it is; say nothing when it can.
venv_defect() {
  local version wanted
  if ! version=$(python_version "$VENV/bin/python"); then
    echo "its Python ${version:-does not run}${version:+ is not supported}"
  elif [ -e "$VENV/.stamps/unfinished" ]; then
    echo "an installation into it was interrupted"
  elif ! "$VENV/bin/python" -c 'import pip' 2>/dev/null; then
    echo "it has no pip"
  elif [ -n "${PYTHON:-}" ]; then
    wanted=$(python_version "$PYTHON")
    [ "$version" = "$wanted" ] || echo "it has Python $version, and PYTHON asks for $wanted"
  fi
}

ensure_venv() {
  local python defect
  if [ -n "${PYTHON:-}" ]; then find_python >/dev/null || exit 1; fi
  if [ -e "$VENV" ]; then
    defect=$(venv_defect)
    [ -n "$defect" ] || return 0
    say "Making .venv anew: $defect."
    rm -rf "$VENV"
  fi
  python=$(find_python) || exit 1
  say "Creating .venv with Python $(python_version "$python")"
  # --seed: torch is installed by pip, see ensure_torch.
  if command -v uv >/dev/null && uv venv --quiet --seed --python "$(command -v "$python")" "$VENV"
  then return; fi
  rm -rf "$VENV"
  "$python" -m venv "$VENV" || { rm -rf "$VENV"; die "'$python -m venv' failed (on Debian and\
 Ubuntu the package python3-venv is needed)."; }
}

# What an installation depends on, as a short text: the files, the place, Python, the arguments.
fingerprint() {
  "$VENV/bin/python" - "$ROOT" "$@" <<'PYTHON'
import hashlib
import platform
import sys
from pathlib import Path

root = Path(sys.argv[1])
digest = hashlib.sha256(repr((sys.argv[1:], platform.python_version())).encode())
for path in [root / "setup.py", *sorted((root / "scripts" / "requirements").glob("*.txt"))]:
    digest.update(path.read_bytes())
print(digest.hexdigest())
PYTHON
}

# Run "$2..." unless it has been run for this fingerprint already; $1 names the stamp.
# The stamp is written last.  What a killed installer leaves looks complete and is not, so the
# mark `unfinished` stays behind then; an installer that merely fails leaves the old state.
once() {
  local stamps=$VENV/.stamps stamp=$VENV/.stamps/$1 key status=0
  shift
  key=$(fingerprint "$@") || die "cannot read the requirements in $REQUIREMENTS"
  [ "$(cat "$stamp" 2>/dev/null)" != "$key" ] || return 0
  mkdir -p "$stamps"
  rm -f "$stamp"
  : >"$stamps/unfinished"
  "$@" || status=$?
  if [ $status -lt 128 ]; then rm -f "$stamps/unfinished"; fi
  [ $status -eq 0 ] || die "the installation failed; see the lines above, then run this again."
  printf '%s\n' "$key" >"$stamp"
}

install() {
  say "Installing into .venv: $*"
  if command -v uv >/dev/null; then
    local status=0
    uv pip install --quiet --python "$VENV/bin/python" "$@" || status=$?
    if [ $status -eq 0 ] || [ $status -ge 128 ]; then return $status; fi
    say "uv could not install this; trying pip."
  fi
  "$VENV/bin/python" -m pip install --quiet "$@"
}

# uv reads neither pip's configuration nor its find-links, where a CPU build of torch may lie
# that spares the gigabytes of GPU packages; therefore torch is always installed by pip.
install_torch() {
  say "Installing into .venv: $1"
  "$VENV/bin/python" -m pip install --quiet "$1" -c "$REQUIREMENTS/constraints.txt"
}

# Two scripts started at once take turns.  $@: the command to run while holding the lock.
with_lock() {
  mkdir -p "$ROOT/.cache"
  if command -v flock >/dev/null; then
    exec 9>"$ROOT/.cache/environment.lock"
    flock 9
  fi
  "$@" 9>&-
  exec 9>&-
}

ensure_environment() {
  with_lock ensure_venv
  with_lock once "$1" install "${@:2}" -c "$REQUIREMENTS/constraints.txt"
}

ensure_torch() {
  with_lock once torch install_torch "${TORCH_REQUIREMENT:-torch==2.13.0}"
}
