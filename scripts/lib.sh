# Shared by scripts/run and scripts/test: installs what is missing, on Debian or a system like it.

say() { printf '\033[1m== %s\033[0m\n' "$*"; }
fail() { printf '%s\n' "$*" >&2; exit 1; }

# need COMMAND PACKAGE... : installs the packages unless the command is there.
need() {
  command -v "$1" >/dev/null 2>&1 && return
  missing_packages+=("${@:2}")
}

install_missing() {
  [ ${#missing_packages[@]} -eq 0 ] && return
  command -v apt-get >/dev/null || fail "Please install: ${missing_packages[*]}"
  local sudo=
  [ "$(id -u)" -eq 0 ] || sudo=sudo
  say "installing ${missing_packages[*]}"
  $sudo apt-get update -qq
  $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing_packages[@]}" >/dev/null
  missing_packages=()
}

missing_packages=()
need_build_tools() {
  need cc build-essential
  need c++ build-essential
  need cmake cmake
  need make make
  need node nodejs
  need npm npm
  if ! command -v cargo >/dev/null && apt-cache show rustup >/dev/null 2>&1; then missing_packages+=(rustup); fi
  install_missing
  command -v cargo >/dev/null || fail "Please install Rust 1.95 or newer with rustup (https://rustup.rs), then run this again."
  cargo --version >/dev/null 2>&1 || rustup default stable
}

build_desk() {
  [ -f web/package.json ] || return 0
  if [ ! -d web/node_modules ] || [ web/package-lock.json -nt web/node_modules/.package-lock.json ]; then
    say "fetching what the desk is built with"
    npm --prefix web ci --no-audit --no-fund --silent
  fi
  say "building the desk"
  npm --prefix web run --silent build
}
