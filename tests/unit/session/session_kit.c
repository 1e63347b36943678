#include "session_kit.h"

const struct gw_session_limits limits = {.frame_body_bytes_max = 4096,
                                         .heartbeat_default_s = 10,
                                         .heartbeat_min_s = 5,
                                         .heartbeat_max_s = 3600};

struct life in_login(void)
{
    struct life l = {.s = {.rx = GW_CHUNK_QUEUE_EMPTY, .tx = GW_CHUNK_QUEUE_EMPTY},
                     .cold = {.held = GW_CHUNK_QUEUE_EMPTY}};

    gw_session_move(&l.s, GW_SESSION_ACCEPTING);
    gw_session_move(&l.s, GW_SESSION_LOGIN);
    return l;
}

struct life in_live(uint8_t product_flags)
{
    struct life l = in_login();
    struct gw_grant grant = {.device = 7, .product = 3, .org = 1, .product_flags = product_flags};

    gw_session_login(&l.s, &l.cold, &limits, 1, GW_LOGIN_GRANTED, &grant, &l.todo);
    return l;
}

void give(struct life *l, uint8_t type, uint16_t id, struct gw_bytes body)
{
    struct gw_frame frame = {.type = type, .msg_id = id, .body = body};

    gw_session_frame(&l->s, &l->cold, &limits, &frame, NOW_US, &l->todo);
}
