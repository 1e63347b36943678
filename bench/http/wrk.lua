-- What wrk asks in bench/http/run, and how it tells what it saw:
--
--     wrk ... URL -- TOKENS TARGET RESULT
--
-- Requests for TARGET have the tokens of the file TOKENS for {T}, one after the other. At the end
-- RESULT holds the figures as JSON: requests, seconds, latencies in microseconds, and errors, which
-- count answers of 400 and above, too.

local threads, requests, at = {}, {}, 0

function setup(thread)
    table.insert(threads, thread)
end

function init(args)
    result = args[3] -- a global: the main state reads it from here
    for token in io.lines(args[1]) do
        table.insert(requests, wrk.format("GET", (args[2]:gsub("{T}", token))))
    end
end

function request()
    at = at % #requests + 1
    return requests[at]
end

function done(summary, latency)
    local file = assert(io.open(threads[1]:get("result"), "w"))
    local errors = summary.errors

    file:write(string.format(
        '{"requests":%d,"seconds":%.6f,"p50_us":%d,"p99_us":%d,"errors":%d}\n', summary.requests,
        summary.duration / 1e6, latency:percentile(50), latency:percentile(99),
        errors.connect + errors.read + errors.write + errors.status + errors.timeout))
    file:close()
end
