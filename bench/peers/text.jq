# table.jq's result for a person: figures, and in brackets how many times Tollgate's they are.
def rounded($digits):
    if . == null then "-"
    elif $digits == 0 then round | tostring
    else (. * pow(10; $digits) | round) as $n
         | ($n | fabs | tostring) as $text
         | ("0" * ([$digits + 1 - ($text | length), 0] | max) // "") + $text
         | (if $n < 0 then "-" else "" end) + .[:-$digits] + "." + .[-$digits:]
    end;
def cell($row; $key; $digits):
    ($row.figures[$key] | rounded($digits))
    + (if $row.ratios[$key] == null then "" else " (" + ($row.ratios[$key] | rounded(2)) + ")" end);
def ms($us): if $us == null then "-" else ($us / 1000 | rounded(2)) end;

["", "user", "slab", "idle", "login", "one-way", "acknowledged", "answer", "answer", ""],
["", "B/session", "B/session", "% of a core", "CPU us", "CPU us", "CPU us", "p50 ms", "p99 ms",
 "failed"],
(.rows[] | . as $row | [
    .name,
    cell($row; "user_bytes_per_session"; 0),
    cell($row; "slab_bytes_per_session"; 0),
    cell($row; "idle_cpu_percent"; 3),
    cell($row; "cpu_us_per_login"; 0),
    cell($row; "cpu_us_per_update"; 1),
    cell($row; "cpu_us_per_acknowledged_update"; 1),
    ms(.seen.acknowledged_p50_us),
    ms(.seen.acknowledged_p99_us),
    (.seen.failed | tostring)
])
| @tsv
