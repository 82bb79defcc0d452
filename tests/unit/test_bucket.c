/* Token buckets: the burst, the rate, and that neither asking often nor a slow rate loses anything. */
#include "net_private.h"

#include "unit_kit.h"

static void test_burst_and_refill(void **state)
{
    (void)state;
    struct bucket b = {0};
    int64_t now = 123456;
    for (int i = 0; i < 10; i++)
        assert_true(bucket_take(&b, 5, 1000, 10, now));
    assert_false(bucket_take(&b, 5, 1000, 10, now));
    assert_false(bucket_take(&b, 5, 1000, 10, now + 199));
    assert_true(bucket_take(&b, 5, 1000, 10, now + 200));
    assert_false(bucket_take(&b, 5, 1000, 10, now + 201));
    now += 3600 * 1000; /* a long silence fills it, and no more than that */
    for (int i = 0; i < 10; i++)
        assert_true(bucket_take(&b, 5, 1000, 10, now));
    assert_false(bucket_take(&b, 5, 1000, 10, now));
}

static const struct {
    int64_t count, per_ms, burst;
    uint32_t step_ms; /* asked at random times, this far apart at most */
} rows[] = {
    {50, 1000, 100, 3}, {60, 60000, 60, 5}, {10, 60000, 10, 50}, {1, 60000, 1, 40}, {1, 3600000, 1, 3000},
    {7, 10000, 7, 1000}, {100000, 1000, 200000, 1}, {3, 7000, 2, 9000}, {1, 86400000, 1, 100000},
};

/* However it is asked: in any stretch it gives burst + rate * time, never more, and to somebody who keeps asking, all of it. */
static void test_rate(void **state)
{
    (void)state;
    uint32_t seed = 8;
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct bucket b = {0};
        int64_t start = 1000000, now = start, taken = 0;
        for (int k = 0; k < 100000; k++) {
            taken += bucket_take(&b, rows[i].count, rows[i].per_ms, rows[i].burst, now);
            now += random_below(&seed, rows[i].step_ms + 1);
            if (k % 1000 == 999) {
                int64_t most = rows[i].burst + (now - start) * rows[i].count / rows[i].per_ms;
                assert_true(taken <= most);
            }
        }
        /* asks more often than it may: nearly all of what was due was given */
        int64_t due = (now - start) * rows[i].count / rows[i].per_ms;
        if (due < 100000 * 9 / 10 && taken < due - 1)
            fail_msg("%lld in %lld ms: got %lld, %lld were due", (long long)rows[i].count, (long long)rows[i].per_ms, (long long)taken, (long long)due);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_burst_and_refill),
        cmocka_unit_test(test_rate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
