/* Answers by idempotency key: the first one acts, the others wait or get its answer; the oldest answers give way. */
#include "idempotency.h"
#include "pending.h"

#include "unit_kit.h"

#include <pthread.h>
#include <stdatomic.h>

static struct gw_str key_of(unsigned i, char out[16])
{
    snprintf(out, 16, "key-%u", i);
    return gw_str_of(out);
}

static enum idempotency_state begin(struct idempotency *c, unsigned i, struct pending *waiter, struct idempotency_answer *answer)
{
    char text[16];
    struct gw_str key = key_of(i, text);
    enum idempotency_state state = idempotency_begin(c, key, waiter, answer);
    memset(text, '#', sizeof(text)); /* the cache has its own copy */
    return state;
}

static struct pending *finish(struct idempotency *c, unsigned i, int64_t offset)
{
    char text[16];
    struct idempotency_answer answer = {(int32_t)i, offset};
    return idempotency_finish(c, key_of(i, text), offset >= 0 ? &answer : NULL);
}

static void test_new_wait_done(void **state)
{
    (void)state;
    struct idempotency *c = idempotency_new(10);
    struct pending first = {0}, a = {0}, b = {0};
    struct idempotency_answer answer = {-1, -1};
    assert_int_equal(begin(c, 1, &first, &answer), IDEMPOTENCY_NEW);
    assert_int_equal(begin(c, 2, &first, &answer), IDEMPOTENCY_NEW); /* another key */
    assert_int_equal(begin(c, 1, &a, &answer), IDEMPOTENCY_WAIT);
    assert_int_equal(begin(c, 1, &b, &answer), IDEMPOTENCY_WAIT);
    assert_int_equal(answer.offset, -1);
    struct pending *w = finish(c, 1, 991);
    assert_true((w == &a && a.next_waiter == &b && !b.next_waiter) || (w == &b && b.next_waiter == &a && !a.next_waiter));
    assert_int_equal(begin(c, 1, &a, &answer), IDEMPOTENCY_DONE);
    assert_int_equal(answer.partition, 1);
    assert_int_equal(answer.offset, 991);
    assert_null(finish(c, 2, 5));
    assert_int_equal(begin(c, 1, &a, &answer), IDEMPOTENCY_DONE); /* as often as it likes */
    idempotency_free(c);
    idempotency_free(NULL);
}

/* What failed was not written: whoever sends it again acts anew. */
static void test_failure_frees_the_key(void **state)
{
    (void)state;
    struct idempotency *c = idempotency_new(10);
    struct pending first = {0}, a = {0};
    struct idempotency_answer answer;
    assert_int_equal(begin(c, 1, &first, &answer), IDEMPOTENCY_NEW);
    assert_int_equal(begin(c, 1, &a, &answer), IDEMPOTENCY_WAIT);
    assert_ptr_equal(finish(c, 1, -1), &a);
    assert_int_equal(begin(c, 1, &first, &answer), IDEMPOTENCY_NEW);
    assert_null(finish(c, 1, 7));
    assert_int_equal(begin(c, 1, &a, &answer), IDEMPOTENCY_DONE);
    assert_int_equal(answer.offset, 7);
    assert_null(finish(c, 99, -1)); /* nobody began it */
    idempotency_free(c);
}

static void test_oldest_give_way(void **state)
{
    (void)state;
    struct idempotency *c = idempotency_new(5);
    struct pending p = {0};
    struct idempotency_answer answer;
    for (unsigned i = 0; i < 20; i++)
        assert_int_equal(begin(c, i, &p, &answer), IDEMPOTENCY_NEW);
    for (unsigned i = 20; i-- > 0;) /* the order of the answers counts, not that of the questions */
        assert_null(finish(c, i, i));
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(begin(c, i, &p, &answer), IDEMPOTENCY_DONE);
        assert_int_equal(answer.offset, i);
    }
    for (unsigned i = 5; i < 20; i++) {
        assert_int_equal(begin(c, i, &p, &answer), IDEMPOTENCY_NEW);
        finish(c, i, -1);
    }
    assert_int_equal(begin(c, 100, &p, &answer), IDEMPOTENCY_NEW); /* under way: not counted, never evicted */
    for (unsigned i = 200; i < 300; i++) {
        begin(c, i, &p, &answer);
        finish(c, i, i);
    }
    assert_int_equal(begin(c, 100, &p, &answer), IDEMPOTENCY_WAIT);
    assert_ptr_equal(finish(c, 100, 1), &p);
    idempotency_free(c);
}

static void test_no_room_for_answers(void **state)
{
    (void)state;
    struct idempotency *c = idempotency_new(0);
    struct pending p = {0};
    struct idempotency_answer answer;
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(begin(c, 1, &p, &answer), IDEMPOTENCY_NEW);
        assert_null(finish(c, 1, i));
    }
    idempotency_free(c);
}

/* ---- threads ---- */

#define THREADS 4
#define KEYS 200u

struct crowd {
    struct idempotency *c;
    _Atomic int acted[KEYS], answered[KEYS];
};

/* The one who acts answers all who waited. */
static void act(struct crowd *crowd, unsigned i)
{
    atomic_fetch_add(&crowd->acted[i], 1);
    for (struct pending *w = finish(crowd->c, i, i * 10), *next; w; w = next) {
        next = w->next_waiter;
        atomic_fetch_add(&crowd->answered[i], 1);
        free(w);
    }
    atomic_fetch_add(&crowd->answered[i], 1);
}

static void *ask_all(void *arg)
{
    struct crowd *crowd = arg;
    for (unsigned i = 0; i < KEYS; i++) {
        struct pending *p = calloc(1, sizeof(*p));
        struct idempotency_answer answer = {0};
        enum idempotency_state state = begin(crowd->c, i, p, &answer);
        if (state == IDEMPOTENCY_WAIT)
            continue; /* p belongs to the one who acts */
        free(p);
        if (state == IDEMPOTENCY_NEW)
            act(crowd, i);
        else if (answer.offset == i * 10)
            atomic_fetch_add(&crowd->answered[i], 1);
    }
    return NULL;
}

static void test_threads(void **state)
{
    (void)state;
    static struct crowd crowd;
    pthread_t threads[THREADS];
    crowd.c = idempotency_new(KEYS);
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, ask_all, &crowd), 0);
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (size_t i = 0; i < KEYS; i++) {
        assert_int_equal(atomic_load(&crowd.acted[i]), 1);
        assert_int_equal(atomic_load(&crowd.answered[i]), THREADS);
    }
    idempotency_free(crowd.c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_new_wait_done),   cmocka_unit_test(test_failure_frees_the_key),
        cmocka_unit_test(test_oldest_give_way), cmocka_unit_test(test_no_room_for_answers),
        cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
