#!/bin/sh
# with_server.sh TOLLGATECTL FRAME_SERVER PROFILE COMMAND...
# Runs COMMAND beside a frame_server, with @HOST@ @PORT@ @CA@ @TOKEN@ @TMPL@ filled in.
set -eu
ctl=$1 server=$2 profile=$3
shift 3
dir=$(mktemp -d)
pid=
trap '[ -z "$pid" ] || kill "$pid" 2>/dev/null || :; rm -rf "$dir"' EXIT
"$ctl" dev-cert --host 127.0.0.1 --host localhost --out "$dir" >/dev/null
mkfifo "$dir/port"
"$server" "$dir" "$profile" >"$dir/port" &
pid=$!
read -r port <"$dir/port"
count=$#
while [ "$count" -gt 0 ]; do
    case $1 in
    @HOST@) word=127.0.0.1 ;;
    @PORT@) word=$port ;;
    @CA@) word=$dir/ca.pem ;;
    @TOKEN@) word=xw7ITVneg1DifRRQuPGcA7fJvV8-FAVl ;;
    @TMPL@) word=TMPL0vFkFmJM7 ;;
    *) word=$1 ;;
    esac
    shift
    set -- "$@" "$word"
    count=$((count - 1))
done
"$@"
