# One peer's row, from the results of its four measurements. The kernel's memory is divided by the
# ends that exist for a session: the device's own, the peer's, and behind a proxy two more; the peer
# is given those that it holds ($ends).
def slab($hold):
    $hold[0] as $run | $run.slab as $slab | ($run.sessions) as $sessions
    | if $slab == null or $sessions == 0 then null
      else (2 * $ends) as $all
      # The swarm takes dentries beyond two for a session for noise: those of a proxy are not.
      | (if $slab.noise_known
         then ($slab.inode_bytes_grown + $slab.dentry_bytes_grown - $slab.noise_bytes)
              / (2 * $sessions) * ($all - 2) * $sessions
         else 0 end) as $taken_off
      | ($slab.grown_without_noise + $taken_off) / $sessions * $ends / $all
      end;

{
    name: $name,
    version: $version,
    handshake: $handshake,
    figures: {
        user_bytes_per_session: $hold[0].user_bytes_per_session,
        slab_bytes_per_session: slab($hold),
        idle_cpu_percent: $hold[0].cpu_percent,
        cpu_us_per_login: $login[0].cpu_us_per_login,
        cpu_us_per_update: $one_way[0].cpu_us_per_update,
        cpu_us_per_acknowledged_update: $acknowledged[0].cpu_us_per_update
    },
    seen: {
        sessions: $hold[0].sessions,
        logins_per_s: $login[0].logins_per_s,
        updates_per_s: $one_way[0].updates_per_s,
        acknowledged_updates_per_s: $acknowledged[0].updates_per_s,
        login_p50_us: $login[0].login_p50_us,
        login_p99_us: $login[0].login_p99_us,
        acknowledged_p50_us: $acknowledged[0].ping_p50_us,
        acknowledged_p99_us: $acknowledged[0].ping_p99_us,
        failed: ([$hold[0], $login[0], $one_way[0], $acknowledged[0]] | map(.failed) | add)
    },
    runs: {
        hold: $hold[0],
        login: $login[0],
        one_way: $one_way[0],
        acknowledged: $acknowledged[0]
    }
}
