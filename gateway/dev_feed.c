/* The gentle feed of demo events: a thread of its own that produces what a learning platform's back ends would. */
#include "gw/dev.h"

#include "gw/clock.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#define INTERVAL_MS 4000

struct gw_dev_feed {
    struct gw_producer *producer;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool stop; /* [lock] */
    unsigned step; /* [feed] */
};

static void produce(struct gw_dev_feed *f, const char *topic, const char *key, const struct gw_buf *value)
{
    struct gw_produce rec = {.topic = topic, .key = gw_str_of(key), .value = gw_buf_str(value)};
    gw_producer_send(f->producer, &rec, NULL); /* a demo event that finds no place is no loss */
}

static void session_starting(struct gw_dev_feed *f, struct gw_buf *b)
{
    static const struct {
        const char *id, *users, *title;
    } sessions[] = {{"42", "[\"u1\",\"u2\"]", "Algorithms study group"}, {"43", "[\"u1\",\"u3\"]", "Compilers seminar"}};
    unsigned i = f->step / 3 % 2;
    char time[25];
    gw_clock_rfc3339(gw_clock_wall_ms() + 90000 + 30000 * (int64_t)(f->step % 5), time);
    gw_buf_addf(b, "{\"sessionId\":\"%s\",\"userIds\":%s,\"message\":\"%s is about to start\",\"scheduledTime\":\"%s\"}",
                sessions[i].id, sessions[i].users, sessions[i].title, time);
    produce(f, "session-notifications", sessions[i].id, b);
}

static void concept_mastered(struct gw_dev_feed *f, struct gw_buf *b)
{
    static const struct {
        const char *id, *name;
    } concepts[] = {{"7", "Recursion"}, {"8", "Pointers"}, {"9", "Concurrency"}};
    unsigned i = f->step / 3 % 3;
    gw_buf_addf(b, "{\"conceptId\":\"%s\",\"userIds\":[\"u%u\"],\"conceptName\":\"%s\",\"masteryLevel\":0.%02u}", concepts[i].id,
                f->step % 3 + 1, concepts[i].name, 30 + f->step * 7 % 70);
    produce(f, "concept-notifications", concepts[i].id, b);
}

static void notification(struct gw_dev_feed *f, struct gw_buf *b)
{
    static const char *const texts[] = {"A new exercise is ready for you", "Your answer was reviewed",
                                        "Two people liked your note", "Your weekly goal is almost reached"};
    unsigned user = f->step / 3 % 3 + 1;
    char key[8];
    snprintf(key, sizeof(key), "u%u", user);
    gw_buf_addf(b, "{\"userIds\":[\"u%u\"],\"message\":\"%s\",\"type\":\"info\",\"data\":{\"id\":\"n-%lld\"}}", user,
                texts[f->step / 3 % 4], (long long)gw_clock_wall_ms());
    produce(f, "concept-notifications", key, b);
}

static void *run(void *arg)
{
    static void (*const kinds[])(struct gw_dev_feed *, struct gw_buf *) = {session_starting, concept_mastered, notification};
    struct gw_dev_feed *f = arg;
    pthread_setname_np(pthread_self(), "sluice-feed");
    struct gw_buf b;
    gw_buf_init(&b);
    pthread_mutex_lock(&f->lock);
    while (!f->stop) {
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec += INTERVAL_MS / 1000;
        if (pthread_cond_timedwait(&f->wake, &f->lock, &until) == 0)
            continue;
        pthread_mutex_unlock(&f->lock);
        gw_buf_clear(&b);
        kinds[f->step % 3](f, &b);
        f->step++;
        pthread_mutex_lock(&f->lock);
    }
    pthread_mutex_unlock(&f->lock);
    gw_buf_fini(&b);
    return NULL;
}

struct gw_dev_feed *gw_dev_feed_start(struct gw_producer *producer)
{
    struct gw_dev_feed *f = gw_alloc(sizeof(*f));
    f->producer = producer;
    pthread_mutex_init(&f->lock, NULL);
    pthread_cond_init(&f->wake, NULL);
    if (pthread_create(&f->thread, NULL, run, f) == 0)
        return f;
    free(f);
    return NULL;
}

void gw_dev_feed_stop(struct gw_dev_feed *f)
{
    if (!f)
        return;
    pthread_mutex_lock(&f->lock);
    f->stop = true;
    pthread_cond_signal(&f->wake);
    pthread_mutex_unlock(&f->lock);
    pthread_join(f->thread, NULL);
    pthread_cond_destroy(&f->wake);
    pthread_mutex_destroy(&f->lock);
    free(f);
}
