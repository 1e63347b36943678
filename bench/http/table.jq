# The runs of bench/http/run as one table: for each measurement the medians over the rounds, and all
# rounds behind them. What a round says of the gateway is held against nginx in the same round.
def median: sort | if length % 2 == 1 then .[length / 2 | floor]
                   else (.[length / 2 - 1] + .[length / 2]) / 2 end;

map(. + {
    requests_per_s: (.requests / .seconds),
    cpu_us_per_request: (.cpu_s * 1e6 / .requests),
    requests_per_cpu_s: (if .cpu_s > 0 then .requests / .cpu_s else null end),
    cpu_percent: (.cpu_s / .seconds * 100),
    requests_per_sync: (if .name == "update" and .syncs > 0 then .requests / .syncs else null end)
})
| (map(select(.name == "nginx") | {key: (.round | tostring), value: .requests_per_cpu_s})
   | from_entries) as $nginx
| map(. + {of_nginx: (.requests_per_cpu_s / $nginx[.round | tostring])})
| {
    what: "http",
    commit: $commit,
    machine: $machine,
    connections: $connections,
    devices: $devices,
    rows: (group_by(.name) | map(. as $runs | {
        name: $runs[0].name,
        requests_per_s: ($runs | map(.requests_per_s) | median),
        cpu_percent: ($runs | map(.cpu_percent) | median),
        cpu_us_per_request: ($runs | map(.cpu_us_per_request) | median),
        requests_per_cpu_s: ($runs | map(.requests_per_cpu_s) | median),
        of_nginx: ($runs | map(.of_nginx) | {median: median, min: min, max: max}),
        requests_per_sync: ($runs | map(.requests_per_sync)
                            | if any(. == null) then null else median end),
        p50_us: ($runs | map(.p50_us) | median),
        p99_us: ($runs | map(.p99_us) | median)
    })),
    runs: .
}
