# Shared by scripts/demo and scripts/test: says what it does, does it once, and is quick the second time.
# shellcheck shell=bash

say() { printf '%s\n' "$*" >&2; }
fail() { say "godwit: $*"; exit 1; }

as_root() {
  if [ "$(id -u)" -eq 0 ]; then "$@"; elif command -v sudo >/dev/null 2>&1; then sudo "$@"; else return 1; fi
}

# apt_install PACKAGE...: installs what is missing; returns 1, having said so, where it cannot.
apt_install() {
  local missing=() package
  for package in "$@"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
  done
  [ "${#missing[@]}" -eq 0 ] && return 0
  if ! command -v apt-get >/dev/null 2>&1; then
    say "godwit: please install by hand (this is no Debian): ${missing[*]}"
    return 1
  fi
  say "Installing from Debian: ${missing[*]}"
  if ! { as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}" >/dev/null 2>&1 ||
    { as_root apt-get update >/dev/null && as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}" >/dev/null; }; }; then
    say "godwit: cannot install (no root, no sudo, or no network): ${missing[*]}"
    return 1
  fi
}

require_node() {
  command -v node >/dev/null 2>&1 || fail 'Node.js is missing. Install Node.js 20.19 or newer, for example from https://nodejs.org, and try again.'
  node -e 'const [a,b]=process.versions.node.split(".").map(Number);process.exit(a>20||(a===20&&b>=19)?0:1)' ||
    fail "Node.js $(node --version) is too old; godwit needs 20.19 or newer."
}

# install_packages: npm ci, only when package-lock.json or Node.js changed since the last time.
install_packages() {
  local stamp=node_modules/.godwit-installed want
  want="$(sha256sum package-lock.json | cut -d' ' -f1) $(node --version) $(uname -m)"
  [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$want" ] && return 0
  say 'Installing packages (npm ci)…'
  if ! npm ci --no-audit --no-fund --loglevel=error >&2 || ! native_loads; then
    say 'A native package has to be compiled here.'
    apt_install python3 make g++ || fail 'python3, make and g++ are needed to compile it.'
    npm ci --no-audit --no-fund --loglevel=error >&2 || fail 'npm ci failed; the lines above say why.'
    native_loads || fail 'better-sqlite3 does not load; the lines above say why.'
  fi
  printf '%s' "$want" >"$stamp"
}

native_loads() {
  node -e 'new (require("better-sqlite3"))(":memory:").close()'
}

# build: compiles only when a source is newer than the last build.
build() {
  local stamp=dist/.built
  if [ -f "$stamp" ] && [ -z "$(find src package.json tsconfig.json tsconfig.build.json -newer "$stamp" -print -quit)" ]; then return 0; fi
  say 'Building…'
  rm -rf dist
  npm run --silent build >&2 || fail 'The build failed; the lines above say why.'
  chmod +x dist/main.js
  touch "$stamp"
}
