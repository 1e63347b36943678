#!/bin/sh
# tollgatectl from the outside: what it prints, where, and how it ends.
#   ctl_test.sh PATH_OF_TOLLGATECTL
set -u
ctl=$1
dir=$(mktemp -d /tmp/ctl_test.XXXXXX) || exit 1
trap 'rm -rf "$dir"' EXIT
export TOLLGATE_INDEX="$dir/index"
token=xw7ITVneg1DifRRQuPGcA7fJvV8-FAVl
failed=0

# ends CODE NAME COMMAND...: runs it; stdout and stderr go to $dir/out and $dir/err
ends() {
    want=$1 name=$2
    shift 2
    "$@" >"$dir/out" 2>"$dir/err" </dev/null
    got=$?
    if [ $got -ne "$want" ]; then
        echo "FAILED: $name: exit $got, not $want"
        cat "$dir/out" "$dir/err"
        failed=1
    fi
}

# piped TEXT COMMAND...: as ends 0, with TEXT on standard input
piped() {
    text=$1
    shift
    if ! printf '%s\n' "$text" | "$@" >"$dir/out" 2>"$dir/err"; then
        echo "FAILED: $*"
        cat "$dir/err"
        failed=1
    fi
}

# says FILE TEXT: FILE (out or err) holds TEXT
says() {
    if ! grep -qF -- "$2" "$dir/$1"; then
        echo "FAILED: $1 lacks '$2':"
        cat "$dir/$1"
        failed=1
    fi
}

silent() {
    if [ -s "$dir/$1" ]; then
        echo "FAILED: $1 is not empty:"
        cat "$dir/$1"
        failed=1
    fi
}

ends 69 "no index yet" "$ctl" device list
says err "index init"
ends 2 "no command" "$ctl"
ends 2 "a command mistyped" "$ctl" devcie list
says err "did you mean 'device list'?"
ends 2 "an option mistyped" "$ctl" device add --prodcut X
says err "did you mean --product?"
ends 2 "an option without its value" "$ctl" device add --product
ends 2 "an option given twice" "$ctl" device add --product A --product B
ends 0 "help" "$ctl" help
says out "token rotate"
ends 0 "help for one" "$ctl" help token rotate
says out "usage: tollgatectl token rotate DEVICE"
ends 0 "help by option" "$ctl" token rotate --help
says out "usage: tollgatectl token rotate DEVICE"

# Commands to devices, without a gateway; tests/system/downlink_test.c gives them to one.
export TOLLGATE_CONTROL="$dir/control"
ends 69 "no gateway" "$ctl" send 1 V1 42
says err "no gateway listens on $dir/control"
ends 69 "no gateway there" "$ctl" status 1 --socket "$dir/elsewhere"
says err "$dir/elsewhere"
ends 2 "no value" "$ctl" send 1 V1
says err "an argument is missing"
ends 2 "a device that is no number" "$ctl" send porch V1 42
says err "DEVICE must be a whole number"
ends 2 "a value like an option" "$ctl" send 1 V1 -5
ends 69 "the same behind dashes" "$ctl" send 1 V1 -- -5
ends 2 "a value that is no text" "$ctl" send 1 V1 "$(printf '\377')"
says err "UTF-8"
ends 2 "ota without an address" "$ctl" ota 1
ends 2 "reboot of two" "$ctl" reboot 1 2
ends 2 "a socket's path that is too long" "$ctl" reboot 1 --socket "$(printf '%0200d' 7)"
says err "107 bytes"

keys="$dir/ticket-keys"
ends 69 "no keys to rotate" "$ctl" ticket-keys rotate "$keys"
says err "ticket-keys init"
ends 2 "keys without a file" "$ctl" ticket-keys init
ends 0 "keys" "$ctl" ticket-keys init "$keys"
silent out
[ "$(stat -c %a "$keys")" = 600 ] || { echo "FAILED: mode of the keys"; failed=1; }
cp -p "$keys" "$keys.first"
ends 1 "keys twice" "$ctl" ticket-keys init "$keys"
ends 0 "keys that are not due" "$ctl" ticket-keys rotate "$keys"
says err "not due"
cmp -s "$keys" "$keys.first" || { echo "FAILED: keys changed"; failed=1; }
ends 0 "keys now" "$ctl" ticket-keys rotate "$keys" --now
says err "SIGHUP"
[ "$(sed -n 's/^previous //p' "$keys")" = "$(sed -n 's/^current //p' "$keys.first")" ] &&
    [ "$(awk '$1 == "current" { print $3, $4 }' "$keys")" = \
        "$(awk '$1 == "next" { print $3, $4 }' "$keys.first")" ] ||
    { echo "FAILED: keys did not move on"; failed=1; }
# As if it had been made 13 hours ago.
awk -v t="$(($(date +%s) - 46800))" '$1 ~ /current|previous/ { $2 = t } { print }' "$keys" >"$keys.old"
chmod 400 "$keys.old"
ends 0 "keys that are due" "$ctl" ticket-keys rotate "$keys.old"
says err "rotated"
[ "$(stat -c %a "$keys.old")" = 400 ] || { echo "FAILED: mode after a rotation"; failed=1; }
chmod 640 "$keys"
ends 77 "keys that others read" "$ctl" ticket-keys rotate "$keys"
says err "chmod 600"
chmod 600 "$keys"
echo more >>"$keys"
ends 78 "keys and something else" "$ctl" ticket-keys rotate "$keys"
says err "line 4"

ends 0 "init" "$ctl" index init
ends 1 "a second init leaves the first alone" "$ctl" index init
[ "$(stat -c %a "$dir/index/pepper")" = 400 ] || { echo "FAILED: pepper's mode"; failed=1; }
[ "$(stat -c %a "$dir/index")" = 700 ] || { echo "FAILED: directory's mode"; failed=1; }

ends 0 "org" "$ctl" org add acme
ends 1 "org twice" "$ctl" org add acme
ends 0 "product" "$ctl" product add --org acme --id TMPL0vFkFmJM7 --name Lamp
ends 1 "product twice" "$ctl" product add --org acme --id TMPL0vFkFmJM7
ends 1 "product of nobody" "$ctl" product add --org nobody
ends 0 "product with an id drawn" "$ctl" product add --org acme
grep -qE '^product TMPL[A-Za-z0-9_-]{9}$' "$dir/out" || { echo "FAILED: drawn id"; failed=1; }

# a token is printed once, by the command that made it, and nowhere else
piped "$token" "$ctl" device add --product TMPL0vFkFmJM7 --name lamp --token-stdin
says out "device 1"
says out "token $token"
silent err
ends 0 "show" "$ctl" device show 1
ends 0 "list" "$ctl" device list --json
grep -rqF "$token" "$dir/out" "$dir/index" && { echo "FAILED: the token is kept"; failed=1; }
if printf '%s\n' "$token" | "$ctl" device add --product TMPL0vFkFmJM7 --token-stdin 2>"$dir/err"; then
    echo "FAILED: a token was added twice"
    failed=1
fi
says err "already"
grep -qF "$token" "$dir/err" && { echo "FAILED: an error repeats the token"; failed=1; }

ends 0 "a drawn token" "$ctl" device add --product TMPL0vFkFmJM7
grep -qE '^token [A-Za-z0-9_-]{32}$' "$dir/out" || { echo "FAILED: drawn token"; failed=1; }
ends 0 "rotate" "$ctl" token rotate 2
ends 0 "revoke" "$ctl" token revoke 2
ends 1 "revoke twice" "$ctl" token revoke 2
ends 1 "a device that is not there" "$ctl" device show 99
ends 2 "a device that is no number" "$ctl" device show lamp
ends 0 "disable" "$ctl" device disable 1
ends 0 "show disabled" "$ctl" device show 1
says out "disabled"
ends 0 "enable" "$ctl" device enable 1
ends 0 "close a product" "$ctl" product close TMPL0vFkFmJM7
ends 0 "closed in the list" "$ctl" product list
says out "closed"
ends 0 "open it" "$ctl" product open TMPL0vFkFmJM7
if [ -e /dev/full ]; then
    "$ctl" device list >/dev/full 2>"$dir/err" && { echo "FAILED: a full disk is success"; failed=1; }
fi

# datastreams and events of a product
ends 0 "a datastream" "$ctl" product stream add TMPL0vFkFmJM7 V1 --type double --name Temperature \
    --min -40 --max 85.5 --decimals 2 --default 20 --sync
silent err
ends 0 "a location" "$ctl" product stream add TMPL0vFkFmJM7 v2 --type location --default 13.4,52.5
ends 1 "a datastream twice" "$ctl" product stream add TMPL0vFkFmJM7 V1 --type int
says err "datastream V1"
ends 2 "a datastream without a type" "$ctl" product stream add TMPL0vFkFmJM7 V3
ends 2 "a type that is none" "$ctl" product stream add TMPL0vFkFmJM7 V3 --type float
says err "location, not 'float'"
ends 2 "a pin that is none" "$ctl" product stream add TMPL0vFkFmJM7 V256 --type int
ends 2 "a bound that is no number" "$ctl" product stream add TMPL0vFkFmJM7 V3 --type int --min low
ends 2 "bounds out of order" "$ctl" product stream add TMPL0vFkFmJM7 V3 --type int --min 2 --max 1
ends 2 "a default that does not suit" "$ctl" product stream add TMPL0vFkFmJM7 V3 --type int --default x
ends 2 "a number that is none" "$ctl" product stream add TMPL0vFkFmJM7 V3 --type int --number 0
ends 0 "a datastream with a number" "$ctl" product stream add TMPL0vFkFmJM7 V3 --type int --number 7
ends 1 "a number twice" "$ctl" product stream add TMPL0vFkFmJM7 V4 --type int --number 7
says err "datastream V3 has the number 7 already"
ends 1 "a datastream of nobody" "$ctl" product stream add TMPLnone V3 --type int
ends 0 "the datastreams" "$ctl" product stream list TMPL0vFkFmJM7
says out "13.4,52.5"
says out "Temperature"
ends 0 "the datastreams as JSON" "$ctl" product stream list TMPL0vFkFmJM7 --json
says out '"decimals": 2'
says out '"number": 7'
says out '"default": "13.4,52.5"'
ends 0 "a datastream removed" "$ctl" product stream remove TMPL0vFkFmJM7 V2
ends 1 "a datastream removed twice" "$ctl" product stream remove TMPL0vFkFmJM7 V2
ends 0 "a field's number" "$ctl" product field add TMPL0vFkFmJM7 1 "Serial Number"
ends 1 "a field's number twice" "$ctl" product field add TMPL0vFkFmJM7 1 Room
ends 2 "a field's number that is none" "$ctl" product field add TMPL0vFkFmJM7 65536 Room
ends 2 "a field without a name" "$ctl" product field add TMPL0vFkFmJM7 2 ""
ends 0 "the numbers of fields" "$ctl" product field list TMPL0vFkFmJM7
says out "Serial Number"
ends 0 "the numbers of fields as JSON" "$ctl" product field list TMPL0vFkFmJM7 --json
says out '"number": 1'
ends 0 "a field's number removed" "$ctl" product field remove TMPL0vFkFmJM7 1
ends 1 "a field's number removed twice" "$ctl" product field remove TMPL0vFkFmJM7 1
ends 0 "an event" "$ctl" product event add TMPL0vFkFmJM7 hot --name "Too hot"
ends 1 "an event twice" "$ctl" product event add TMPL0vFkFmJM7 hot
ends 0 "the events" "$ctl" product event list TMPL0vFkFmJM7
says out "Too hot"
ends 0 "the events as JSON" "$ctl" product event list TMPL0vFkFmJM7 --json
says out '"code": "hot"'
ends 0 "an event removed" "$ctl" product event remove TMPL0vFkFmJM7 hot
ends 1 "an event removed twice" "$ctl" product event remove TMPL0vFkFmJM7 hot
ends 2 "commands of a family" "$ctl" product stream
says err "product stream add"
ends 0 "help for a family" "$ctl" help product stream
says out "product stream remove"
ends 2 "three words mistyped" "$ctl" product steam add TMPL0vFkFmJM7 V1 --type int
says err "did you mean 'product stream add'?"

# metadata and time zone of a device
ends 0 "a field" "$ctl" device meta set 1 "Serial Number" "A 123"
ends 0 "the field" "$ctl" device meta get 1 "Serial Number"
[ "$(cat "$dir/out")" = "A 123" ] || { echo "FAILED: the field's value"; failed=1; }
ends 0 "a second field" "$ctl" device meta set 1 Room Attic
ends 0 "the fields" "$ctl" device meta get 1 --json
says out '"Room": "Attic"'
says out '"Serial Number": "A 123"'
ends 0 "a field removed" "$ctl" device meta remove 1 Room
ends 1 "a field that is not there" "$ctl" device meta get 1 Room
says err "device 1 has no field 'Room'"
ends 1 "a field of nobody" "$ctl" device meta set 99 Room Attic
says err "device 99"
ends 0 "no zone yet" "$ctl" device show 1
says out "time zone   UTC"
if [ -e /usr/share/zoneinfo/Europe/Berlin ]; then
    ends 0 "a zone" "$ctl" device set 1 --time-zone Europe/Berlin
    ends 0 "the zone" "$ctl" device show 1 --json
    says out '"time_zone": "Europe/Berlin"'
    ends 1 "a zone of nobody" "$ctl" device set 99 --time-zone Europe/Berlin
    mkdir "$dir/tz"
    ends 1 "another database" env TZDIR="$dir/tz" "$ctl" device set 1 --time-zone Europe/Berlin
    says err "$dir/tz"
fi
ends 1 "a zone mistyped" "$ctl" device set 1 --time-zone Europe/Berln
says err "Europe/Berln"
ends 1 "a zone that is a path" "$ctl" device set 1 --time-zone ../zoneinfo/UTC
ends 2 "no zone" "$ctl" device set 1
ends 0 "back to UTC" "$ctl" device set 1 --time-zone UTC
ends 0 "UTC again" "$ctl" device show 1
says out "time zone   UTC"

# an import is whole or not at all
cat >"$dir/bad.csv" <<X
token,product,name
0123456789abcdef0123456789abcdef,TMPL0vFkFmJM7,"quoted, ""name"""
0123456789abcdef0123456789abcde0,TMPLnone,x
short,TMPL0vFkFmJM7,y
0123456789abcdef0123456789abcdef,TMPL0vFkFmJM7,again
X
ends 1 "bad lines" "$ctl" import "$dir/bad.csv"
says err "bad.csv:3: "
says err "bad.csv:4: "
says err "bad.csv:5: "
ends 0 "nothing came of it" "$ctl" index stat
says out "devices        2"
ends 0 "bad lines left out" "$ctl" import "$dir/bad.csv" --skip-bad
says out "imported 1"
says out "skipped 3"
ends 0 "the quoted name" "$ctl" device show 3
says out 'quoted, "name"'
printf 'name,product\n' >"$dir/head.csv"
ends 1 "a header without token" "$ctl" import "$dir/head.csv"
says err "head.csv:1: "
printf '%s,TMPL0vFkFmJM7\n' "$token" >"$dir/head.csv"
ends 1 "no header at all" "$ctl" import "$dir/head.csv"
grep -qF -- "$token" "$dir/err" && { echo "FAILED: a token is printed as a column"; failed=1; }
printf 'token,product,site\n' >"$dir/head.csv"
ends 0 "a column that nobody knows" "$ctl" import "$dir/head.csv"
says err "column 'site' is ignored"
printf 'token,product,name\n%s,TMPL0vFkFmJM7,porch, north\n' "$token" >"$dir/head.csv"
ends 1 "a comma that wants quotes" "$ctl" import "$dir/head.csv"
says err "head.csv:2: the line has more fields"

ends 0 "generate" "$ctl" index generate --devices 1000 --tokens "$dir/tokens"
[ "$(wc -l <"$dir/tokens")" = 1000 ] || { echo "FAILED: token count"; failed=1; }
[ "$(stat -c %a "$dir/tokens")" = 600 ] || { echo "FAILED: token file's mode"; failed=1; }
ends 1 "generate keeps its hands off a file that is there" \
    "$ctl" index generate --devices 5 --tokens "$dir/tokens"
ends 0 "verify" "$ctl" index verify
says out "tokens         1002"

ends 0 "backup" "$ctl" index backup "$dir/backup"
ends 0 "a device after the backup" "$ctl" device add --product TMPL0vFkFmJM7
head -c -8192 "$dir/backup" >"$dir/cut"
ends 78 "a backup cut short" "$ctl" index restore "$dir/cut"
ends 0 "the index is as it was" "$ctl" index stat
says out "devices        1004"
ends 0 "restore" "$ctl" index restore "$dir/backup" --accept
ends 0 "what was there at the backup" "$ctl" index stat
says out "devices        1003"
ends 0 "details come back with a backup" "$ctl" device meta get 1 "Serial Number"
says out "A 123"
[ -d "$dir/index.old" ] && [ ! -e "$dir/index.new" ] || { echo "FAILED: .old, .new"; failed=1; }

ends 69 "no last values yet" "$ctl" values 1 --journal "$dir/journal"
says err "last values in $dir/journal/values"
ends 2 "values of no device" "$ctl" values

# a cursor that root commits is one that the gateway's user can read
if [ "$(id -u)" = 0 ]; then
    mkdir -p "$dir/journal/cursors"
    chmod 755 "$dir"
    chown -R 65534:65534 "$dir/journal"
    ends 0 "a cursor committed by root" "$ctl" cursor commit mine 1:4096 --journal "$dir/journal"
    [ "$(stat -c %u:%g "$dir/journal/cursors/mine")" = 65534:65534 ] ||
        { echo "FAILED: the cursor is root's"; failed=1; }
fi

chmod 0444 "$dir/index/pepper"
ends 77 "a pepper open to all" "$ctl" device list
says err "pepper"
chmod 0400 "$dir/index/pepper"

[ $failed -eq 0 ] && echo "all as it should be"
exit $failed
