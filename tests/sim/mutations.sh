#!/bin/sh
# mutations.sh [SEEDS] [NAME ...]
#
# Breaks the gateway in one place after the other (mutations/NAME.patch) and lets the simulation run
# until it notices, for SEEDS seeds at most (5000). Works on a copy of the tree. Fails when one goes
# unnoticed or no longer applies. What no run of the simulation can show names the unit test that does
# (a line `noticed by: TEST` in the patch). All of them take a quarter of an hour of one processor.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
seeds=${1:-5000}
[ $# -gt 0 ] && shift
copy=$(mktemp -d "${TMPDIR:-/tmp}/tollgate-mutations-XXXXXX")
trap 'rm -rf "$copy"' EXIT
trap 'exit 130' INT TERM

cd "$here/../.."
tar -c --exclude=./build --exclude=./.git . | tar -x -C "$copy"
cd "$copy"
sed -i 's/ -Werror//' cmake/Warnings.cmake # what is broken may leave something unused
cmake -G Ninja -S . -B build -DGW_BENCH=OFF >configure.log
build() { ninja -C build "$1" >build.log 2>&1 || { cat build.log; exit 1; }; }
build sim
./build/tests/sim/sim --seeds 20 >/dev/null # the tree as it is passes

[ $# -gt 0 ] || set -- $(cd tests/sim/mutations && ls | sed 's/\.patch$//')
failed=0
for name; do
    if ! patch -s -p1 --dry-run <"tests/sim/mutations/$name.patch" >/dev/null; then
        echo "$name: does not apply"
        failed=1
        continue
    fi
    patch -s -p1 <"tests/sim/mutations/$name.patch"
    unit=$(sed -n 's/^noticed by: //p' "tests/sim/mutations/$name.patch")
    build "${unit:-sim}"
    if [ -n "$unit" ]; then
        if "$(find build/tests/unit -type f -name "$unit")" >run.log 2>&1; then
            echo "$name: NOT NOTICED by $unit"
            failed=1
        else
            printf '%-40s %s: %s\n' "$name" "$unit" "$(sed -n 's/^\[  FAILED  \] \([a-z_]*\)$/\1/p' run.log | head -1)"
        fi
    elif ./build/tests/sim/sim --seeds "$seeds" >run.log 2>&1; then
        echo "$name: NOT NOTICED in $seeds seeds"
        failed=1
    else
        printf '%-40s seed %s: %s\n' "$name" \
            "$(sed -n 's/^repeat with: sim --seed //p' run.log)" "$(sed -n 's/^assertion failed: \(.*\) (.*/\1/p' run.log)"
    fi
    patch -s -R -p1 <"tests/sim/mutations/$name.patch"
done
exit $failed
