#!/bin/sh
# layers_test.sh TOP: tools/check_layers sees what it is there to see. Each case plants one fault in a
# copy of the tree and wants it refused, for the reason given; the untouched copy must pass.
set -u
top=$1
copy=$(mktemp -d) || exit 2
trap 'rm -rf "$copy"' EXIT INT TERM
failed=0

fresh() {
    rm -rf "$copy/tree"
    mkdir -p "$copy/tree/include"
    cp -R "$top/gateway" "$copy/tree/gateway"
    cp -R "$top/include/gw" "$copy/tree/include/gw"
}

# refused NAME PATTERN: the check fails on the tree as it is now, with a line that fits the pattern.
refused() {
    if said=$("$top/tools/check_layers" "$copy/tree" 2>&1); then
        echo "not ok: $1: passed"
        failed=1
    elif ! printf '%s\n' "$said" | grep -q -- "$2"; then
        echo "not ok: $1: refused for another reason: $said"
        failed=1
    else
        echo "ok: $1"
    fi
}

fresh
if said=$("$top/tools/check_layers" "$copy/tree" 2>&1); then
    echo "ok: the tree as it is passes"
else
    echo "not ok: the tree as it is: $said"
    failed=1
fi

# plant FILE LINE: append one line to a file of a fresh copy.
plant() {
    fresh
    printf '%s\n' "$2" >>"$copy/tree/$1"
}

plant gateway/wire/frame.c '#include <gw/shard/shard.h>'
refused "an include against the arrows" 'gateway/wire/frame.c:[0-9]*: wire includes <gw/shard/shard.h>'
plant include/gw/session/session.h '#  include <gw/io/ring.h>'
refused "a face that includes against the arrows" 'session.h:[0-9]*: session includes'
plant gateway/tls/context.c '#include <gw/token/index.h>'
refused "an include between neighbours without an arrow" 'tls includes <gw/token/index.h>'
plant gateway/app/config.c '#include <gw/journal/writer.h>'
refused "a library source of app that includes what the program may" 'config.c:[0-9]*: app includes'
plant gateway/app/config_internal.h '#include <gw/journal/writer.h>'
refused "a private header of the library app that does the same" 'config_internal.h:[0-9]*: app includes'
plant gateway/wire/body.c '#include <gw/wire/no_such.h>'
refused "an include of what is not there" '<gw/wire/no_such.h> is not there'
plant gateway/session/session.c '#include "shard_internal.h"'
refused "the private header of another room" '"shard_internal.h" is no header of this folder'
plant gateway/session/session.c '#include "../shard/shard_internal.h"'
refused "the same by a path" 'is no header of this folder'
plant gateway/shard/send.c '#include <openssl/ssl.h>'
refused "openssl outside crypto and tls" '<openssl/ssl.h> belongs in: crypto tls'
plant gateway/app/main.c '#include <lmdb.h>'
refused "lmdb outside token, even in the program" '<lmdb.h> belongs in: token'
plant gateway/shard/accept.c '#include <liburing.h>'
refused "liburing outside io" '<liburing.h> belongs in: io'
plant gateway/shard/shard.c '#include <libconfig.h>'
refused "libconfig outside app" '<libconfig.h> belongs in: app'
plant gateway/shard/accept.c 'static void f(void) { io_uring_prep_nop(0); }'
refused "a raw io_uring call outside io" 'a raw io_uring call outside io/'

fresh
sed -i 's/DEPENDS base)/DEPENDS base shard)/' "$copy/tree/gateway/wire/CMakeLists.txt"
refused "arrows in a circle" 'the arrows from wire lead back to it'
fresh
sed -i 's/DEPENDS base)/DEPENDS base cellar)/' "$copy/tree/gateway/wire/CMakeLists.txt"
refused "an arrow to no room" 'depends on cellar, which is no room'
fresh
sed -i 's/ uplink)$/)/' "$copy/tree/gateway/shard/CMakeLists.txt"
refused "an arrow taken away" 'no arrow leads from shard to uplink'
fresh
mkdir "$copy/tree/gateway/attic"
refused "a folder that is no room" 'no gw_room(attic'

exit $failed
