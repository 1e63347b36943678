# The table of all rows, with their ratios to Tollgate's. A proxy is of use with a gateway behind
# it only, so it has a second row: with what the gateway costs for the same devices in plain.
def is_proxy: .name == "haproxy" or .name == "nginx";
def ratios($to): . as $figures | with_entries(.value = (
    if .value == null or $to[.key] == null or $to[.key] == 0 then null
    else .value / $to[.key] end));
def plus($other): with_entries(.value = (
    if .value == null or $other[.key] == null then null else .value + $other[.key] end));

(map(select(.name == "tollgate")) | first) as $tollgate
| (map(select(.name == "tollgate-plain")) | first) as $plain
| {
    what: "peers",
    commit: $commit,
    machine: $tollgate.runs.hold.machine,
    devices: $devices,
    rate: $rate,
    logins: $logins,
    seconds: $seconds,
    rows: (map(., if is_proxy
                  then {name: (.name + " + tollgate-plain"), handshake, seen,
                        figures: (.figures | plus($plain.figures))}
                  else empty end)
           | map(.ratios = (.figures | ratios($tollgate.figures))))
}
