# table.jq's result for a person.
def rounded($digits): if . == null then "-" else . * pow(10; $digits) | round / pow(10; $digits)
                      | tostring end;

["", "requests/s", "% of a core", "us/request", "requests/cpu s", "of nginx", "(from", "to)",
 "a sync", "p50 ms", "p99 ms"],
(.rows[] | [
    .name,
    (.requests_per_s | rounded(0)),
    (.cpu_percent | rounded(0)),
    (.cpu_us_per_request | rounded(2)),
    (.requests_per_cpu_s | rounded(0)),
    (.of_nginx.median | rounded(2)),
    (.of_nginx.min | rounded(2)),
    (.of_nginx.max | rounded(2)),
    (.requests_per_sync | rounded(1)),
    (.p50_us / 1000 | rounded(2)),
    (.p99_us / 1000 | rounded(2))
])
| @tsv
