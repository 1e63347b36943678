/*
 * The plan: what was configured, as shards, bytes and descriptors, checked against what this
 * process may have before anything is opened.
 */
#include "gateway_internal.h"

#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include <gw/base/log.h>

enum {
    RESERVED_DESCRIPTORS = 64, /* log, index, admin, eventfds and the like, beside listeners */
    /* More than most turns ask for; a full queue is submitted. What a ring takes counts towards
       RLIMIT_MEMLOCK: of the usual 8 MiB there are rings for 64 shards. */
    SQ_ENTRIES = 512,
    CQ_ENTRIES = 4096, /* touched in turn; what does not fit is kept by the kernel */
    /* An idle connection in the kernel: socket, inode, file and an armed poll. */
    KERNEL_SESSION_BYTES = 4200,
};

/* RLIMIT_NOFILE bounds each ring's table of direct descriptors: take all that we may have. */
static uint64_t raise_descriptor_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return 1024;
    if (limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
        (void)getrlimit(RLIMIT_NOFILE, &limit);
    }
    return limit.rlim_cur;
}

/* 0: not known. */
static uint64_t physical_bytes(void)
{
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);

    return pages > 0 && page > 0 ? (uint64_t)pages * (uint64_t)page : 0;
}

int plan_make(const struct gw_config *config, struct plan *out, char *why)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);

    *out = (struct plan){.descriptors_max = raise_descriptor_limit()};
    out->shards = config->shards != 0 ? config->shards : (uint32_t)(cores > 0 ? cores : 1);
    if (out->shards > GW_SHARDS_MAX) {
        if (config->shards != 0) {
            (void)snprintf(why, WHY_BYTES, "shards = %u: at most %d are possible", out->shards,
                           GW_SHARDS_MAX);
            return EXIT_CONFIG;
        }
        out->shards = GW_SHARDS_MAX;
    }
    out->sessions = (uint64_t)out->shards * config->sessions_per_shard;

    struct gw_shard_options shard = plan_shard(config, out, 0);

    out->session_bytes = gw_shard_session_bytes(&shard);
    out->shard_bytes = gw_shard_bytes(&shard);
    if (gateway_has_tls(config)) {
        out->session_bytes += gw_tls_session_bytes();
        out->shard_bytes += gw_tls_context_bytes(config->sessions_per_shard);
    }
    out->lane_bytes = (uint64_t)config->journal_batches_per_lane * GW_LANE_BATCH_BYTES;
    out->values_bytes = config->values_enabled ? config->values_memory_bytes : 0;
    out->lockout_bytes =
        gw_lockout_bytes(config->lockout_sources) +
        (config->flapping_logins == 0 ? 0 : gw_lockout_bytes(config->flapping_tokens) / 2);
    out->total_bytes =
        out->shards * (out->shard_bytes + out->lane_bytes) + out->values_bytes + out->lockout_bytes;
    out->kernel_bytes = out->sessions * KERNEL_SESSION_BYTES;
    if (config->sessions_per_shard > out->descriptors_max) {
        (void)snprintf(why, WHY_BYTES,
                       "sessions_per_shard = %u, but RLIMIT_NOFILE allows a ring only %llu files; "
                       "raise it (LimitNOFILE= in the unit), or use more shards with fewer "
                       "sessions each",
                       config->sessions_per_shard, (unsigned long long)out->descriptors_max);
        return EXIT_CONFIG;
    }
    uint64_t own = (uint64_t)out->shards * (config->listener_count + 3) + RESERVED_DESCRIPTORS;

    if (own > out->descriptors_max) {
        (void)snprintf(why, WHY_BYTES,
                       "%u shards with %u listeners need %llu descriptors of the process itself, "
                       "but RLIMIT_NOFILE is %llu; raise it, or use fewer shards",
                       out->shards, config->listener_count, (unsigned long long)own,
                       (unsigned long long)out->descriptors_max);
        return EXIT_CONFIG;
    }
    uint64_t memory = physical_bytes();

    if (memory != 0 && out->total_bytes + out->kernel_bytes > memory) {
        (void)snprintf(why, WHY_BYTES,
                       "%llu sessions on %u shards take up to %llu MiB here and about %llu MiB in "
                       "the kernel, but this machine has %llu MiB; lower sessions_per_shard, "
                       "chunks_per_shard, ring.receive_buffers or values.memory_bytes",
                       (unsigned long long)out->sessions, out->shards,
                       (unsigned long long)(out->total_bytes >> 20),
                       (unsigned long long)(out->kernel_bytes >> 20),
                       (unsigned long long)(memory >> 20));
        return EXIT_CONFIG;
    }
    return EXIT_OK;
}

void plan_log(const struct plan *plan)
{
    gw_log(GW_LOG_INFO, "plan", GW_U64("shards", plan->shards), GW_U64("sessions", plan->sessions),
           GW_U64("session_bytes", plan->session_bytes), GW_U64("shard_bytes", plan->shard_bytes),
           GW_U64("lane_bytes", plan->lane_bytes), GW_U64("values_bytes", plan->values_bytes),
           GW_U64("lockout_bytes", plan->lockout_bytes), GW_U64("total_bytes", plan->total_bytes),
           GW_U64("kernel_bytes", plan->kernel_bytes),
           GW_U64("descriptors_max", plan->descriptors_max));
}

struct gw_ring_options plan_ring(const struct gw_config *config)
{
    struct gw_ring_options ring = {
        .sq_entries = SQ_ENTRIES,
        .cq_entries = CQ_ENTRIES,
        .files = config->sessions_per_shard,
        .buffers = config->ring_receive_buffers,
        .buffer_bytes = config->ring_receive_bytes,
        .gather = config->ring_gather,
        .gather_us = config->ring_gather_us,
    };

    for (uint32_t i = 0; i < config->ring_disable.count; i++)
        ring.disabled |= gw_ring_feature_by_name(config->ring_disable.names[i]);
    return ring;
}

struct gw_shard_options plan_shard(const struct gw_config *config, const struct plan *plan,
                                   uint32_t number)
{
    struct gw_shard_options options = {
        .number = number,
        .count = plan->shards,
        .sessions_max = config->sessions_per_shard,
        .handshakes_max = config->handshakes_max,
        .handshakes_per_turn = config->handshakes_per_turn,
        .handshake_us_per_turn = config->handshake_us_per_turn,
        .handshake_age_s_max = config->handshake_age_s_max,
        .accepts_pending = config->accepts_pending,
        .chunk_count = config->chunks_per_shard,
        .answers_max = config->answers_max,
        .tx_bytes_max = config->tx_bytes_max,
        .held_bytes_max = config->held_bytes_max,
        .downlink_pending_max = config->downlink_pending_max,
        .owed_max = config->downlink_owed_max,
        .bridge_sessions_max = config->bridge_sessions_max,
        .bridge_targets_max = config->bridge_targets_max,
        .bindings_max = config->provision_pending_max,
        .downlink_bytes_max = config->downlink_bytes_max,
        .handshake_s_max = config->handshake_s_max,
        .stranger_s_max = config->stranger_s_max,
        .login_s_max = config->login_s_max,
        .linger_ms_max = config->linger_ms_max,
        .send_s_max = config->send_s_max,
        .drain_s_max = config->drain_s_max,
        .rate_frames_per_s = config->rate_frames_per_s,
        .rate_burst = config->rate_burst,
        .rate_over_s_max = config->rate_over_s_max,
        .mismatch_delay_s = config->mismatch_delay_s,
        .mismatch_delay_s_max = config->mismatch_delay_s_max,
        .limits = {.frame_body_bytes_max = config->frame_body_bytes_max,
                   .heartbeat_default_s = (uint16_t)config->heartbeat_default_s,
                   .heartbeat_min_s = (uint16_t)config->heartbeat_min_s,
                   .heartbeat_max_s = (uint16_t)config->heartbeat_max_s},
        .http = {.enabled = config->http_enabled,
                 .limits = {.head_bytes_max = config->http_head_bytes_max,
                            .headers_max = config->http_headers_max,
                            .body_bytes_max = config->http_body_bytes_max,
                            .chunked_bytes_max = config->http_chunked_bytes_max},
                 .value_bytes_max = config->http_value_bytes_max,
                 .answer_bytes_max = config->http_answer_bytes_max,
                 .points_max = config->http_points_max,
                 .point_age_s_max = config->http_point_age_s_max,
                 .request_s_max = config->http_request_s_max,
                 .idle_s_max = config->http_idle_s_max,
                 .websocket = config->http_websocket,
                 .websocket_message_bytes_max = config->http_websocket_message_bytes_max,
                 .cors_origin = config->http_cors_origin,
                 .acme_folder = config->http_acme_folder},
        .ring = plan_ring(config),
        .listener_count = config->listener_count,
    };

    return options;
}
