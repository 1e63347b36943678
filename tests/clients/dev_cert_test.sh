#!/bin/sh
# dev_cert_test.sh TOLLGATECTL OPENSSL
# What tollgatectl dev-cert writes, seen by an X.509 implementation that is not ours.
set -eu
ctl=$1 openssl=$2
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

fail() {
    echo "FAILED: $1"
    exit 1
}
verified() { # HOST-OPTION HOST LEAF
    "$openssl" verify -x509_strict -purpose sslserver -CAfile "$dir/out/ca.pem" "$1" "$2" \
        "$dir/out/$3" >/dev/null || fail "$3 is not good for $2"
}

"$ctl" dev-cert --host 192.0.2.7 --host gw.test --host=2001:db8::7 --out "$dir/out" >/dev/null
for leaf in rsa.pem ec.pem; do
    verified -verify_ip 192.0.2.7 $leaf
    verified -verify_ip 2001:db8::7 $leaf
    verified -verify_hostname gw.test $leaf
    "$openssl" x509 -in "$dir/out/$leaf" -noout -ext subjectAltName | grep -q 'DNS:192.0.2.7' ||
        fail "$leaf does not list its address as a DNS name"
    "$openssl" verify -CAfile "$dir/out/ca.pem" -verify_hostname other.test "$dir/out/$leaf" \
        >/dev/null 2>&1 && fail "$leaf is good for any host"
done
for key in ca.key rsa.key ec.key; do
    [ "$(stat -c %a "$dir/out/$key")" = 600 ] || fail "$key can be read by others"
done
for pair in rsa ec; do
    [ "$("$openssl" x509 -in "$dir/out/$pair.pem" -noout -pubkey)" = \
        "$("$openssl" pkey -in "$dir/out/$pair.key" -pubout)" ] || fail "$pair.key is another key"
done

# A group may read the servers' keys, and nobody's but theirs.
group=$(id -gn)
"$ctl" dev-cert --host gw.test --out "$dir/shared" --group "$group" >/dev/null
[ "$(stat -c %a:%G "$dir/shared/rsa.key" "$dir/shared/ec.key" | sort -u)" = "640:$group" ] ||
    fail "the group cannot read the servers' keys"
[ "$(stat -c %a "$dir/shared/ca.key")" = 600 ] || fail "the group can read the CA's key"
"$ctl" dev-cert --host gw.test --out "$dir/none" --group 'no such group' >/dev/null 2>&1 &&
    fail "a group that is not there was taken"

# The header is C, and holds the same certificate.
printf '#include "ca.h"\n#include <stdio.h>\nint main(void){fputs(tollgate_ca_pem,stdout);}\n' \
    >"$dir/show.c"
if command -v cc >/dev/null; then
    cc -I"$dir/out" "$dir/show.c" -o "$dir/show"
    "$dir/show" | cmp - "$dir/out/ca.pem" || fail "ca.h holds another certificate"
fi

# Nothing is replaced unasked, and the CA never.
cp "$dir/out/ca.pem" "$dir/ca.before"
cp "$dir/out/ec.pem" "$dir/ec.before"
"$ctl" dev-cert --host gw.test --out "$dir/out" >/dev/null 2>&1 && fail "leaves were replaced"
cmp -s "$dir/out/ec.pem" "$dir/ec.before" || fail "a refused run changed ec.pem"
"$ctl" dev-cert --host other.test --out "$dir/out" --force >/dev/null
cmp -s "$dir/out/ca.pem" "$dir/ca.before" || fail "--force replaced the CA"
verified -verify_hostname other.test ec.pem

# A CA without its key, or with another one, is not replaced behind anybody's back.
rm "$dir/out/ca.key"
"$ctl" dev-cert --host gw.test --out "$dir/out" --force >/dev/null 2>&1 && fail "ca.key is missing"
cp "$dir/out/rsa.key" "$dir/out/ca.key"
"$ctl" dev-cert --host gw.test --out "$dir/out" --force >/dev/null 2>&1 && fail "another ca.key"
cmp -s "$dir/out/ca.pem" "$dir/ca.before" || fail "a refused run replaced the CA"
for bad in 'a b' '-x' 'a..b' '' '*'; do
    "$ctl" dev-cert --host "$bad" --out "$dir/none" >/dev/null 2>&1 && fail "--host '$bad' taken"
done
[ ! -e "$dir/none" ] || fail "a refused run left something behind"
echo ok
