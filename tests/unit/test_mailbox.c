/* The bounded queue: order, bounds, one wake-up for many items, waiting senders, the end. */
#include "gw/mailbox.h"

#include "unit_kit.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <time.h>

static struct gw_mail number(uint32_t n)
{
    return (struct gw_mail){.kind = n, .bytes = 1, .item = NULL};
}

static void test_order_and_bound(void **state)
{
    (void)state;
    struct gw_mailbox *m = gw_mailbox_new(100, SIZE_MAX);
    uint32_t seed = 3, put = 0, taken = 0;
    for (int i = 0; i < 20000; i++) {
        if (random_below(&seed, 2)) {
            bool ok = gw_mailbox_try_put(m, number(put));
            assert_int_equal(ok, put - taken < 100);
            put += ok;
        } else {
            struct gw_mail out[150];
            size_t most = 1 + random_below(&seed, 150), n = gw_mailbox_take(m, out, most);
            assert_int_equal(n, put - taken < most ? put - taken : most);
            for (size_t k = 0; k < n; k++)
                assert_int_equal(out[k].kind, taken++);
        }
        assert_int_equal(gw_mailbox_len(m), put - taken);
    }
    gw_mailbox_free(m);
    gw_mailbox_free(NULL);
}

/* Answers and control go in past the bound, behind what is there. */
static void test_put_passes_the_bound(void **state)
{
    (void)state;
    struct gw_mailbox *m = gw_mailbox_new(2, SIZE_MAX);
    struct gw_mail out[600];
    assert_true(gw_mailbox_try_put(m, number(0)));
    assert_true(gw_mailbox_try_put(m, number(1)));
    assert_false(gw_mailbox_try_put(m, number(9)));
    for (uint32_t i = 2; i < 500; i++)
        gw_mailbox_put(m, number(i));
    assert_false(gw_mailbox_try_put(m, number(9)));
    assert_int_equal(gw_mailbox_take(m, out, 600), 500);
    for (uint32_t i = 0; i < 500; i++)
        assert_int_equal(out[i].kind, i);
    assert_true(gw_mailbox_try_put(m, number(500)));
    assert_int_equal(gw_mailbox_take(m, out, 600), 1);
    gw_mailbox_free(m);
}

static void test_bytes_bound(void **state)
{
    (void)state;
    struct gw_mailbox *m = gw_mailbox_new(100, 1000);
    struct gw_mail big = {.kind = 1, .bytes = 5000}, small = {.kind = 2, .bytes = 400}, none = {.kind = 3}, out[8];
    assert_true(gw_mailbox_try_put(m, big)); /* an empty one takes anything: nothing is too big for ever */
    assert_false(gw_mailbox_try_put(m, none));
    assert_int_equal(gw_mailbox_take(m, out, 1), 1);
    assert_true(gw_mailbox_try_put(m, small));
    assert_true(gw_mailbox_try_put(m, small));
    assert_true(gw_mailbox_try_put(m, small)); /* 800 were there: full only at the bound */
    assert_false(gw_mailbox_try_put(m, none));
    assert_int_equal(gw_mailbox_take(m, out, 1), 1);
    assert_true(gw_mailbox_try_put(m, none));
    assert_int_equal(gw_mailbox_take(m, out, 8), 3);
    assert_int_equal(out[2].kind, 3);
    gw_mailbox_free(m);
}

static void count_wake(void *arg)
{
    (*(int *)arg)++;
}

static void test_wake_ups_are_coalesced(void **state)
{
    (void)state;
    struct gw_mailbox *m = gw_mailbox_new(100, SIZE_MAX);
    struct gw_mail out[8];
    int wakes = 0;
    gw_mailbox_put(m, number(0));
    gw_mailbox_wake(m); /* nobody to wake yet */
    assert_int_equal(gw_mailbox_take(m, out, 8), 1);
    assert_int_equal(gw_mailbox_take(m, out, 8), 0);
    gw_mailbox_on_wake(m, count_wake, &wakes);
    gw_mailbox_wake(m);
    assert_int_equal(wakes, 0); /* nothing inside */
    for (uint32_t i = 0; i < 5; i++) {
        gw_mailbox_put(m, number(i));
        gw_mailbox_wake(m);
    }
    assert_int_equal(wakes, 1);
    assert_int_equal(gw_mailbox_take(m, out, 3), 3);
    gw_mailbox_wake(m);
    assert_int_equal(gw_mailbox_take(m, out, 3), 2);
    gw_mailbox_put(m, number(5)); /* the receiver is still at it */
    gw_mailbox_wake(m);
    assert_int_equal(wakes, 1);
    assert_int_equal(gw_mailbox_take(m, out, 3), 1);
    assert_int_equal(gw_mailbox_take(m, out, 3), 0); /* armed again */
    gw_mailbox_wake(m);
    assert_int_equal(wakes, 1);
    gw_mailbox_put(m, number(6));
    gw_mailbox_wake(m);
    assert_int_equal(wakes, 2);
    gw_mailbox_free(m);
}

/* ---- threads ---- */

#define SENDERS 4
#define EACH 5000u

struct traffic {
    struct gw_mailbox *m;
    sem_t bell;
    _Atomic int rings;
    _Atomic unsigned next; /* sender's number */
    _Atomic int refused;
};

static void ring(void *arg)
{
    struct traffic *t = arg;
    atomic_fetch_add(&t->rings, 1);
    sem_post(&t->bell);
}

static void traffic_init(struct traffic *t, size_t max)
{
    memset(t, 0, sizeof(*t));
    sem_init(&t->bell, 0, 0);
    t->m = gw_mailbox_new(max, SIZE_MAX);
    gw_mailbox_on_wake(t->m, ring, t);
}

static void traffic_fini(struct traffic *t)
{
    gw_mailbox_free(t->m);
    sem_destroy(&t->bell);
}

static void await_bell(struct traffic *t)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 20;
    if (sem_timedwait(&t->bell, &until) != 0)
        fail_msg("a wake-up was lost");
}

/* Wakes only now and then, and at the end: the waiting in put_wait must wake for itself. */
static void *send_all(void *arg)
{
    struct traffic *t = arg;
    unsigned me = atomic_fetch_add(&t->next, 1);
    uint32_t seed = me + 1;
    for (uint32_t i = 0; i < EACH; i++) {
        struct gw_mail mail = {.kind = me, .item = (void *)(uintptr_t)i};
        if (!gw_mailbox_put_wait(t->m, mail))
            atomic_fetch_add(&t->refused, 1);
        if (random_below(&seed, 20) == 0)
            gw_mailbox_wake(t->m);
    }
    gw_mailbox_wake(t->m);
    return NULL;
}

/* The receiver looks only when it is woken, as a loop does: a lost wake-up ends in the deadline. */
static void test_many_senders(void **state)
{
    (void)state;
    struct traffic t;
    pthread_t threads[SENDERS];
    uintptr_t next[SENDERS] = {0};
    size_t total = 0;
    traffic_init(&t, 16);
    for (size_t i = 0; i < SENDERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, send_all, &t), 0);
    while (total < (size_t)SENDERS * EACH) {
        struct gw_mail out[8];
        size_t n;
        await_bell(&t);
        while ((n = gw_mailbox_take(t.m, out, ROWS(out))) > 0) {
            assert_true(gw_mailbox_len(t.m) <= 16);
            for (size_t i = 0; i < n; i++)
                assert_int_equal((uintptr_t)out[i].item, next[out[i].kind]++);
            total += n;
        }
    }
    for (size_t i = 0; i < SENDERS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&t.refused), 0);
    assert_int_equal(gw_mailbox_len(t.m), 0);
    assert_true(atomic_load(&t.rings) <= (int)total);
    traffic_fini(&t);
}

static void *send_one(void *arg)
{
    struct traffic *t = arg;
    if (!gw_mailbox_put_wait(t->m, number(77)))
        atomic_fetch_add(&t->refused, 1);
    atomic_fetch_add(&t->next, 1);
    return NULL;
}

static void test_close_ends_waiting(void **state)
{
    (void)state;
    struct traffic t;
    pthread_t threads[SENDERS];
    struct gw_mail out[4];
    traffic_init(&t, 1);
    assert_true(gw_mailbox_try_put(t.m, number(1)));
    for (size_t i = 0; i < SENDERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, send_one, &t), 0);
    await_bell(&t); /* a sender that has to wait wakes the receiver first */
    assert_int_equal(atomic_load(&t.next), 0);
    gw_mailbox_close(t.m);
    for (size_t i = 0; i < SENDERS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&t.refused), SENDERS);
    assert_false(gw_mailbox_try_put(t.m, number(2)));
    assert_false(gw_mailbox_put_wait(t.m, number(2)));
    gw_mailbox_put(t.m, number(3)); /* answers and control still come through */
    assert_int_equal(gw_mailbox_take(t.m, out, 4), 2);
    assert_int_equal(out[0].kind, 1);
    assert_int_equal(out[1].kind, 3);
    traffic_fini(&t);
}

static void test_taking_lets_one_in(void **state)
{
    (void)state;
    struct traffic t;
    pthread_t thread;
    struct gw_mail out[4];
    traffic_init(&t, 1);
    assert_true(gw_mailbox_try_put(t.m, number(1)));
    assert_int_equal(pthread_create(&thread, NULL, send_one, &t), 0);
    await_bell(&t);
    assert_int_equal(gw_mailbox_take(t.m, out, 4), 1);
    pthread_join(thread, NULL);
    assert_int_equal(atomic_load(&t.refused), 0);
    assert_int_equal(gw_mailbox_take(t.m, out, 4), 1);
    assert_int_equal(out[0].kind, 77);
    traffic_fini(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order_and_bound),        cmocka_unit_test(test_put_passes_the_bound),
        cmocka_unit_test(test_bytes_bound),            cmocka_unit_test(test_wake_ups_are_coalesced),
        cmocka_unit_test(test_many_senders),           cmocka_unit_test(test_close_ends_waiting),
        cmocka_unit_test(test_taking_lets_one_in),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
