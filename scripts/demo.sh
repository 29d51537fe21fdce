#!/bin/sh
# The main job on the example sheet with the embedded model: no key, no network but the package
# index or the model hub. Usage: demo.sh WAREMILL [PRODUCTS]
set -eu
case "$1" in /*) waremill=$1 ;; *) waremill=$PWD/$1 ;; esac
products=${2:-${DEMO_PRODUCTS:-20}}
trial=$((products < 5 ? products : 5))

rm -rf demo
"$waremill" init demo --example perfume
cd demo
step() { printf '\n$ waremill %s\n' "$*" >&2; "$waremill" "$@"; }

step import perfumes.xlsx --key sku --group group
step estimate launch --limit "$products"
step trial launch -n "$trial" --gold gold/attributes.jsonl --where "sku IN ($(
    sed -n 's/.*"sku": "\([^"]*\)".*/'"'"'\1'"'"'/p' gold/attributes.jsonl | paste -sd, -))" -o trial.html
step run launch --limit "$products" -o perfumes-with-copy.xlsx
step report last -o report.html

printf '\nfinished sheet: %s\nreport:         %s\n' "$PWD/perfumes-with-copy.xlsx" "$PWD/report.html"
