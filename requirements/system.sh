#!/usr/bin/env bash
# What the tests need from the system, or only the commands that are named. Installs it where we are
# root on Debian, else names it.
set -u
wanted=("$@")
[ ${#wanted[@]} -eq 0 ] && wanted=(redis-server chromium postgres haproxy prometheus tmux openssl)
packages=()
for each in "${wanted[@]}"; do
  command -v "$each" >/dev/null && continue
  case $each in
    postgres) ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || packages+=(postgresql) ;;
    *) packages+=("$each") ;;
  esac
done
# Chromium without a window's parts runs the browser tests in two thirds of the time. It is no
# condition: the tests take either.
shell=chromium-headless-shell
if [ $# -eq 0 ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null && ! command -v $shell >/dev/null; then
  quick=(-qq -o Acquire::Retries=0 -o Acquire::http::Timeout=10 -o Acquire::https::Timeout=10)
  echo "Installing $shell …"
  { timeout 60 apt-get update "${quick[@]}" && DEBIAN_FRONTEND=noninteractive timeout 120 apt-get install -y "${quick[@]}" $shell; } >/dev/null 2>&1 \
    || echo "It is not to be had here; the browser tests take chromium."
fi
[ ${#packages[@]} -eq 0 ] && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  echo "Installing ${packages[*]} …"
  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "${packages[@]}" >/dev/null
  exit
fi
echo "These system packages are needed; install them first: ${packages[*]}"
[ -z "${CI:-}" ]
