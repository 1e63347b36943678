# shellcheck shell=bash disable=SC2034
# Shell helpers of tools/demo, check, check-kernel, fuzz, coverage and of bench's scripts. Sourced, with bash;
# sets $top and goes there.

top=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
cd -- "$top" || exit

if [[ -t 1 ]]; then
    bold=$'\e[1m' red=$'\e[31m' plain=$'\e[0m'
else
    bold='' red='' plain=''
fi

say() { printf '%s\n' "$*"; }
head_line() { printf '%s\n' "$bold$*$plain"; }
warn() { printf '%s\n' "$red$*$plain" >&2; }
die() {
    warn "$(basename -- "$0"): $*"
    exit 1
}

# What the programs are built with and from.
packages_build=(gcc libc6-dev make cmake ninja-build pkg-config liburing-dev
    android-libboringssl-dev liblmdb-dev libxxhash-dev libjansson-dev libconfig-dev)
# The micro benchmarks are configured with everything else, and want Google Benchmark for it.
[[ ! -f bench/micro/CMakeLists.txt ]] || packages_build+=(g++ libbenchmark-dev)
# What the tests need on top.
packages_check=(g++ clang clang-format clang-tidy llvm libcmocka-dev libbenchmark-dev
    libbearssl-dev libmbedtls-dev libhttp-parser-dev curl openssl binutils procps iproute2 git
    tzdata haproxy e2fsprogs xfsprogs)

# is_installed PACKAGE
is_installed() { [[ $(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null) == installed ]]; }

# install_packages PACKAGE...: installs those that are missing, and says so first.
install_packages() {
    local package missing=() as_root=()

    if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
        say "No apt here: taking for granted what Debian calls $*"
        return
    fi
    for package in "$@"; do
        is_installed "$package" || missing+=("$package")
    done
    ((${#missing[@]})) || return 0
    if ((EUID != 0)); then
        command -v sudo >/dev/null || die "needs root to install: apt-get install ${missing[*]}"
        as_root=(sudo)
    fi
    head_line "Installing with apt-get: ${missing[*]}"
    "${as_root[@]}" apt-get -qq update || warn "apt-get update failed; trying with what is known"
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y \
        --no-install-recommends "${missing[@]}" >/dev/null ||
        die "apt-get could not install: ${missing[*]}"
}

# install_stopped PACKAGE...: Debian starts a service when it installs it, unless policy-rc.d
# forbids it, and enables it for every boot. One that was there before is left as it was. Whoever
# calls this calls allow_services when he is interrupted.
policy=''
install_stopped() {
    local package fresh=() as_root=()

    ((EUID == 0)) || as_root=(sudo)
    for package in "$@"; do
        is_installed "$package" || fresh+=("$package")
    done
    if ((${#fresh[@]})) && command -v apt-get >/dev/null && [[ ! -e /usr/sbin/policy-rc.d ]]; then
        policy=/usr/sbin/policy-rc.d
        printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" install -m 755 /dev/stdin "$policy"
    fi
    install_packages "$@"
    allow_services
    for package in "${fresh[@]}"; do
        [[ ! -e /etc/init.d/$package ]] ||
            "${as_root[@]}" update-rc.d "$package" disable >/dev/null
    done
}

allow_services() {
    local as_root=()

    ((EUID == 0)) || as_root=(sudo)
    [[ -z $policy ]] || "${as_root[@]}" rm -f -- "$policy"
    policy=''
}

# build_preset PRESET LOG [TARGET...]: configures and builds, shows the log when that fails.
# Ninja's own progress line is the progress shown.
build_preset() {
    local preset=$1 log=$2 targets=()
    shift 2
    (($#)) && targets=(--target "$@")

    mkdir -p -- "$(dirname -- "$log")"
    if ! cmake --preset "$preset" >"$log" 2>&1; then
        tail -n 40 -- "$log" >&2
        return 1
    fi
    if [[ -t 1 ]]; then
        NINJA_STATUS="  building $preset [%f/%t] " cmake --build --preset "$preset" \
            -j "$(nproc)" "${targets[@]}" || return 1
    elif ! cmake --build --preset "$preset" -j "$(nproc)" "${targets[@]}" >>"$log" 2>&1; then
        grep -E -A 12 'FAILED|error' -- "$log" | tail -n 80 >&2
        return 1
    fi
}

# read_junit FILE: one line for each test of a JUnit file as ctest writes it: passed, failed or skipped, and its name.
# A test that could not be started is no skipped one.
read_junit() {
    awk '
        function status(line) { sub(/.*status="/, "", line); sub(/".*/, "", line); return line }
        /<testcase name="/ {
            name = $0; sub(/.*<testcase name="/, "", name); sub(/".*/, "", name)
            pending = 0
            if (status($0) == "run") print "passed", name
            else if (status($0) == "disabled") print "skipped", name
            else if (status($0) == "notrun") pending = 1
            else print "failed", name
        }
        /<skipped message="/ && pending {
            print(/SKIP_RETURN_CODE/ ? "skipped" : "failed", name)
            pending = 0
        }' "$1"
}

# is_port_free PORT: nobody answers there. Asking by connecting, since two gateways of one user can
# share a port (SO_REUSEPORT), and then share its devices.
is_port_free() { ! (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# free_port PORT: that one, or the next that is free.
free_port() {
    local port=$1

    while ! is_port_free "$port"; do
        ((++port < $1 + 100)) || return 1
    done
    printf '%s\n' "$port"
}

# start_apart LOG COMMAND...: in the background, out of reach of the terminal's Ctrl-C, gone when
# this script is gone. $! is its process.
start_apart() {
    local log=$1
    shift

    setpriv --pdeathsig TERM setsid -- "$@" >"$log" 2>&1 </dev/null &
}

# end_process PID SECONDS: asks, waits, insists. Nothing happens when it is gone.
end_process() {
    local pid=$1 tenths=$(($2 * 10))

    [[ -n $pid ]] || return 0
    kill -TERM "$pid" 2>/dev/null || return 0
    while kill -0 "$pid" 2>/dev/null && ((tenths-- > 0)); do
        sleep 0.1
    done
    kill -KILL "$pid" 2>/dev/null && warn "process $pid did not end by itself"
    wait "$pid" 2>/dev/null
    return 0
}

# --- a gateway in a directory of its own ----------------------------------------------------------

# refuse_memory DIR: what is measured is a disk.
refuse_memory() {
    [[ -d $1 ]] || die "$1: no such directory"
    case $(stat -f -c %T -- "$1") in
    tmpfs | ramfs) die "$1 is memory, not a disk: nothing would be durable there. Use --dir" ;;
    esac
}

# place_programs PRESET: finds what the build made; sets tollgate, ctl and bench.
place_programs() {
    local name

    for name in tollgate tollgatectl tollgate-bench; do
        [[ -n $(find "build/$1" -type f -perm -u+x -name "$name" -print -quit) ]] ||
            die "build/$1 holds no $name"
    done
    tollgate=$top/$(find "build/$1" -type f -perm -u+x -name tollgate -print -quit)
    ctl=$top/$(find "build/$1" -type f -perm -u+x -name tollgatectl -print -quit)
    bench=$top/$(find "build/$1" -type f -perm -u+x -name tollgate-bench -print -quit)
}

# try WHAT COMMAND...: quiet, unless the command fails; its output stays in $dir/step.log.
try() {
    local what=$1
    shift
    "$@" >"$dir/step.log" 2>&1 || {
        cat -- "$dir/step.log" >&2
        die "$what failed"
    }
}

# place_make DEVICES PRODUCT NAME HOST...: certificates, index and tokens in $dir.
place_make() {
    local devices=$1 product=$2 name=$3 host hosts=()
    shift 3

    for host in "$@"; do
        hosts+=(--host "$host")
    done
    export TOLLGATE_INDEX=$dir/index
    try 'making certificates' "$ctl" dev-cert "${hosts[@]}" --out "$dir/certs"
    try 'making the index' "$ctl" index init
    try 'adding an organisation' "$ctl" org add 'Demo organisation'
    try 'adding a product' "$ctl" product add --id "$product" --name "$name" \
        --org 'Demo organisation' --plain
    try 'adding devices' "$ctl" index generate --devices "$devices" --product "$product" \
        --tokens "$dir/tokens"
}

# place_configure ADDRESS TLS-PORT PLAIN-PORT ADMIN-PORT [LINE...]: writes $dir/tollgate.conf. The
# lines of tls_lines stand in its group "tls".
tls_lines=()
place_configure() {
    cat >"$dir/tollgate.conf" <<END
listeners = (
    { address = "$1:$2"; tls = true; },
    { address = "$1:$3"; tls = false; }
);
tls: {
    rsa_chain = "certs/rsa.pem";
    rsa_key = "certs/rsa.key";
    ec_chain = "certs/ec.pem";
    ec_key = "certs/ec.key";
    ${tls_lines[*]}
};
index: { path = "index"; high_water = "high-water"; };
journal: { path = "journal"; segment_bytes = 67108864L; bytes_max = 1073741824L; };
admin: { listen = "127.0.0.1:$4"; };
END
    shift 4
    (($# == 0)) || printf '%s\n' "$@" >>"$dir/tollgate.conf"
}

# place_start: starts the gateway of $dir and waits until it serves; sets gateway, counts starts.
# gateway_prefix: words before its command, `taskset -c 0` for instance.
starts=0
gateway_prefix=()
place_start() {
    local tenths=150

    start_apart "$dir/gateway.$((++starts)).log" "${gateway_prefix[@]}" "$tollgate" \
        --config "$dir/tollgate.conf"
    gateway=$!
    until grep -q 'event=ready' -- "$dir/gateway.$starts.log" 2>/dev/null; do
        if ! kill -0 "$gateway" 2>/dev/null || ((tenths-- == 0)); then
            warn 'The gateway did not start. Its log:'
            cat -- "$dir/gateway.$starts.log" >&2
            return 1
        fi
        sleep 0.1
    done
}
