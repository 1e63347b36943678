#!/bin/sh
# openssl_client.sh HOST PORT CA.pem TOKEN
# OpenSSL's client as a device: logs in over every version and modern suite, checks the name in the
# certificate, and is turned away with TLS 1.1 and 1.0.
set -eu
host=$1 port=$2 ca=$3 token=$4
slow=${TOLLGATE_TEST_SLOW:-1} # as tests/system/process.h says
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
bad=0
case $host in
*[!0-9.]*) verify=-verify_hostname ;;
*) verify=-verify_ip ;;
esac

# pause TENTHS of a second
pause() {
    tenths=$(($1 * slow))
    sleep $((tenths / 10)).$((tenths % 10))
}

# answered ID: the answer 200 to ID has come, or time is up
answered() {
    tries=$((100 * slow))
    until od -An -v -tx1 "$dir/answer" | tr -d '\n' | grep -q " 00 00 0$1 00 c8"; do
        [ $((tries -= 1)) -gt 0 ] || return 0
        sleep 0.1
    done
}

# login NAME OPTIONS...: a login frame must be answered by 200 to id 1.
login() {
    name=$1
    shift
    : >"$dir/answer"
    { printf '\035\000\001\000\040%s' "$token"; answered 1; } |
        timeout $((20 * slow)) openssl s_client -connect "$host:$port" -CAfile "$ca" -verify_return_error \
            "$verify" "$host" -quiet -no_ign_eof "$@" >"$dir/answer" 2>"$dir/errors" || :
    answer=$(od -An -tx1 "$dir/answer" | tr -d ' \n')
    if [ "$answer" = 00000100c8 ]; then
        echo "ok: $name"
    else
        echo "FAILED: $name: answer '$answer'"
        sed 's/^/    /' "$dir/errors"
        bad=1
    fi
}

for suite in TLS_AES_128_GCM_SHA256 TLS_AES_256_GCM_SHA384 TLS_CHACHA20_POLY1305_SHA256; do
    login "TLS 1.3 $suite" -tls1_3 -ciphersuites $suite
done
for kind in ECDSA RSA; do
    for suite in AES128-GCM-SHA256 AES256-GCM-SHA384 CHACHA20-POLY1305; do
        login "TLS 1.2 ECDHE-$kind-$suite" -tls1_2 -cipher ECDHE-$kind-$suite
    done
done
login "group P-256" -groups P-256
login "max_fragment_length 512" -maxfraglen 512

# s_client takes a line that begins with K, k or R for a command: new keys for both sides, new keys
# for its own, a new handshake. A PING (6) after each change must be answered.
commands() {
    printf '\035\000\001\000\040%s' "$token"
    answered 1
    for id in 2 3 4 5; do
        case $id in
        3) printf 'k\n' ;;
        *) printf 'K\n' ;;
        esac
        pause 2 # what it reads together with a command is lost
        printf "\\006\\000\\00$id\\000\\000"
        answered $id
    done
}
updates() {
    : >"$dir/answer"
    commands | timeout $((20 * slow)) openssl s_client -connect "$host:$port" -CAfile "$ca" -tls1_3 \
        -ciphersuites "$1" >"$dir/answer" 2>"$dir/errors" || :
    answer=$(od -An -v -tx1 "$dir/answer" | tr -d '\n')
    for id in 2 3 4 5; do
        case $answer in
        *" 00 00 0$id 00 c8"*) ;;
        *)
            echo "FAILED: $1: no answer to PING $id after a KeyUpdate"
            sed 's/^/    /' "$dir/errors"
            bad=1
            return
            ;;
        esac
    done
    echo "ok: KeyUpdates both ways, $1"
}
for suite in TLS_AES_128_GCM_SHA256 TLS_AES_256_GCM_SHA384 TLS_CHACHA20_POLY1305_SHA256; do
    updates $suite
done
{ pause 3; printf 'R\n'; pause 5; } |
    timeout $((20 * slow)) openssl s_client -connect "$host:$port" -CAfile "$ca" -tls1_2 >"$dir/answer" 2>&1 || :
if grep -q 'no renegotiation' "$dir/answer"; then
    echo "ok: renegotiation refused"
else
    echo "FAILED: renegotiation was not refused by no_renegotiation"
    sed 's/^/    /' "$dir/answer"
    bad=1
fi

# A refusal must be ours: an alert, not a client that never asked.
for version in -tls1 -tls1_1; do
    timeout $((20 * slow)) openssl s_client -connect "$host:$port" $version -cipher 'ALL:@SECLEVEL=0' \
        </dev/null >"$dir/answer" 2>&1 || :
    if grep -q 'alert protocol version' "$dir/answer"; then
        echo "ok: $version refused"
    elif grep -q 'unknown option\|no protocols available' "$dir/answer"; then
        echo "skipped: this openssl has no $version"
    else
        echo "FAILED: $version was not refused by protocol_version"
        sed 's/^/    /' "$dir/answer"
        bad=1
    fi
done
exit $bad
