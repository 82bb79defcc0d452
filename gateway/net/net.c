/* The network side as a whole: loops, their threads, and what is said to all of them. Main's thread unless said otherwise. */
#include "net_private.h"

#include "gw/clock.h"
#include "gw/log.h"

#include "idempotency.h"

#include <stdlib.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static void lws_log(int level, const char *line)
{
    GW_LOG(level & LLL_ERR ? GW_LOG_ERROR : GW_LOG_WARN, "lws", GW_KS("text", line));
}

/* One descriptor a connection and some more. libwebsockets sizes its tables by this limit: an endless one is cut down. */
static void raise_fd_limit(const struct gw_config *cfg)
{
    struct rlimit rl;
    rlim_t want = (rlim_t)cfg->limits_connections + 1024;
    if (getrlimit(RLIMIT_NOFILE, &rl) != 0)
        return;
    rl.rlim_cur = rl.rlim_max == RLIM_INFINITY || rl.rlim_max > want ? want : rl.rlim_max;
    setrlimit(RLIMIT_NOFILE, &rl);
}

unsigned gw_net_loops(const struct gw_config *cfg)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    long n = cfg->loops ? cfg->loops : cores > 0 ? cores : 1;
    return n > GW_LOOPS_MAX ? GW_LOOPS_MAX : (unsigned)n;
}

static int start_loop(struct gw_net *n, unsigned i, struct gw_policy *policy, struct gw_err *err)
{
    int fd = i == 0 ? listener_open(n->cfg->listen, n->address, sizeof(n->address), err) : listener_again(n->address, err);
    if (fd < 0)
        return -1;
    return loop_init(&n->loop[i], n, i, fd, policy, err);
}

struct gw_net *gw_net_start(const struct gw_net_init *init, struct gw_err *err)
{
    struct gw_net *n = gw_alloc(sizeof(*n));
    n->cfg = init->cfg;
    n->hub = init->hub;
    n->producer = init->producer;
    n->calls = init->calls;
    n->nloops = gw_net_loops(init->cfg);
    n->loop = gw_alloc(n->nloops * sizeof(*n->loop));
    n->idempotency = idempotency_new((size_t)init->cfg->producer_idempotency_entries);
    pthread_mutex_init(&n->lock, NULL);
    pthread_cond_init(&n->changed, NULL);
    if (getrandom(&n->node_id, sizeof(n->node_id), 0) < 0)
        abort();
    raise_fd_limit(n->cfg);
    lws_set_log_level(LLL_ERR | LLL_WARN, lws_log);
    n->files = static_files_load(n->cfg->http_static_dir, err);
    int rc = n->files ? 0 : -1;
    for (unsigned i = 0; rc == 0 && i < n->nloops; i++)
        rc = start_loop(n, i, init->policy, err);
    for (; rc == 0 && n->started < n->nloops; n->started++)
        rc = pthread_create(&n->loop[n->started].thread, NULL, loop_run, &n->loop[n->started]);
    return rc == 0 ? n : NULL; /* a failed start ends the process: nothing is taken down */
}

const char *gw_net_address(const struct gw_net *n)
{
    return n->address;
}

static void tell(struct gw_net *n, unsigned i, uint32_t kind, void *item)
{
    gw_mailbox_put(n->loop[i].mailbox, (struct gw_mail){.kind = kind, .item = item});
    gw_mailbox_wake(n->loop[i].mailbox);
}

void gw_net_set_policy(struct gw_net *n, struct gw_policy *policy)
{
    for (unsigned i = 0; i < n->nloops; i++)
        tell(n, i, MAIL_POLICY, gw_policy_ref(policy));
}

void gw_net_kafka_state(struct gw_net *n, enum gw_kafka_state state)
{
    for (unsigned i = 0; i < n->nloops; i++)
        tell(n, i, MAIL_KAFKA, (void *)(uintptr_t)state);
}

void gw_net_drain(struct gw_net *n)
{
    atomic_store(&n->draining, true);
    for (unsigned i = 0; i < n->nloops; i++)
        tell(n, i, MAIL_DRAIN, NULL);
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    int64_t ms = n->cfg->drain_ms + n->cfg->ws_close_timeout_ms + 1000;
    until.tv_sec += ms / 1000 + 1;
    pthread_mutex_lock(&n->lock);
    while (n->drained < n->nloops && pthread_cond_timedwait(&n->changed, &n->lock, &until) == 0)
        ;
    unsigned left = n->nloops - n->drained;
    pthread_mutex_unlock(&n->lock);
    if (left)
        GW_LOG(GW_LOG_WARN, "drain.timeout", GW_KI("loops_with_connections", left));
}

void gw_net_stop(struct gw_net *n)
{
    for (unsigned i = 0; i < n->nloops; i++)
        tell(n, i, MAIL_STOP, NULL);
    for (unsigned i = 0; i < n->started; i++)
        pthread_join(n->loop[i].thread, NULL);
    idempotency_free(n->idempotency);
    static_files_free(n->files);
    pthread_cond_destroy(&n->changed);
    pthread_mutex_destroy(&n->lock);
    free(n->loop);
    free(n);
}
