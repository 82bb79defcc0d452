/* What waits for a connection, against a plain list; the gathered batch and who may share it. */
#include "outbox.h"

#include "unit_kit.h"

#define WAITING_MAX 5000

static struct frame *new_frame(uint32_t *seed, unsigned number)
{
    char text[300];
    size_t n = random_below(seed, sizeof(text) - 16);
    memset(text, 'a' + (int)(number % 26), sizeof(text));
    int head = snprintf(text, 16, "%u:", number);
    text[head] = 'x';
    return frame_new(FRAME_TEXT, (struct gw_str){text, (size_t)head + n}, (struct gw_str){0});
}

struct model {
    struct outbox out;
    struct chunk_pool pool;
    struct batch batch;
    struct frame *f[WAITING_MAX]; /* one reference each */
    size_t first, n;
};

static void drop_first(struct model *m, size_t n)
{
    for (size_t i = 0; i < n; i++)
        frame_unref(m->f[m->first + i]);
    m->first += n;
    m->n -= n;
}

/* The head is as many frames as fit, at least one, in their order. */
static size_t check_head(struct model *m, size_t bytes_max)
{
    size_t want = 0, bytes = 0, got;
    while (want < m->n && (want == 0 || bytes + m->f[m->first + want]->len <= bytes_max))
        bytes += m->f[m->first + want++]->len;
    struct gw_str head = outbox_head(&m->out, &m->batch, bytes_max, &got);
    assert_int_equal(got, want);
    assert_int_equal(head.len, bytes);
    for (size_t i = 0, at = 0; i < want; at += m->f[m->first + i++]->len)
        assert_memory_equal(head.p + at, m->f[m->first + i]->bytes, m->f[m->first + i]->len);
    return want;
}

static void check_bytes(const struct model *m)
{
    size_t bytes = 0;
    for (size_t i = 0; i < m->n; i++)
        bytes += m->f[m->first + i]->len;
    assert_int_equal(m->out.bytes, bytes);
    assert_int_equal(m->out.first != NULL, m->n > 0);
    assert_int_equal(m->out.last != NULL, m->n > 0);
}

static void one_step(struct model *m, uint32_t *seed, unsigned number)
{
    uint32_t what = random_below(seed, 100);
    if (what < 55 && m->first + m->n < WAITING_MAX) {
        struct frame *f = new_frame(seed, number);
        outbox_push(&m->out, &m->pool, f);
        m->f[m->first + m->n++] = f;
    } else if (what < 96 && m->n) {
        size_t n = check_head(m, 1 + random_below(seed, 4000));
        n = random_below(seed, 2) ? n : random_below(seed, (uint32_t)m->n + 1);
        outbox_drop(&m->out, &m->pool, n);
        drop_first(m, n);
    } else if (what == 99) {
        outbox_clear(&m->out, &m->pool);
        drop_first(m, m->n);
    }
    if (what == 98)
        batch_reset(&m->batch);
    check_bytes(m);
}

static void test_against_model(void **state)
{
    (void)state;
    static struct model m;
    uint32_t seed = 31;
    for (unsigned i = 0; i < 8000; i++) {
        one_step(&m, &seed, i);
        if (m.n == 0)
            m.first = 0;
    }
    outbox_clear(&m.out, &m.pool);
    drop_first(&m, m.n);
    check_bytes(&m);
    outbox_clear(&m.out, &m.pool); /* nothing there is fine */
    batch_fini(&m.batch);
    chunk_pool_fini(&m.pool);
}

/* Connections with the same frames get the very same bytes, gathered once. */
static void test_batch_is_shared(void **state)
{
    (void)state;
    struct chunk_pool pool = {0};
    struct outbox a = {0}, b = {0}, c = {0};
    struct batch batch = {0};
    struct frame *f[40];
    uint32_t seed = 9;
    size_t n;
    for (unsigned i = 0; i < 40; i++) {
        f[i] = new_frame(&seed, i);
        outbox_push(&a, &pool, f[i]);
        outbox_push(&b, &pool, f[i]);
        if (i != 20)
            outbox_push(&c, &pool, f[i]);
        assert_int_equal(f[i]->refs, i == 20 ? 3 : 4);
    }
    struct gw_str first = outbox_head(&a, &batch, SIZE_MAX, &n);
    assert_int_equal(n, 40);
    assert_int_equal(f[0]->refs, 5); /* the batch holds its frames */
    batch.bytes.data[2] ^= 1;        /* whoever gathers again would put it right */
    struct gw_str second = outbox_head(&b, &batch, SIZE_MAX, &n);
    assert_ptr_equal(second.p, first.p);
    assert_int_equal(second.p[2] ^ 1, f[0]->bytes[2]);
    struct gw_str third = outbox_head(&c, &batch, SIZE_MAX, &n); /* 39 frames: not the same */
    assert_int_equal(n, 39);
    assert_memory_equal(third.p, f[0]->bytes, f[0]->len);
    outbox_clear(&b, &pool); /* as many, from the same one on, but others behind */
    for (unsigned i = 0; i < 39; i++)
        outbox_push(&b, &pool, f[i]);
    struct gw_str fourth = outbox_head(&b, &batch, SIZE_MAX, &n);
    assert_int_equal(n, 39);
    assert_memory_equal(fourth.p + fourth.len - f[38]->len, f[38]->bytes, f[38]->len);
    outbox_drop(&a, &pool, 1); /* the same number, but one further */
    outbox_head(&a, &batch, SIZE_MAX, &n);
    assert_int_equal(n, 39);
    assert_memory_equal(batch.bytes.data, f[1]->bytes, f[1]->len);
    outbox_clear(&a, &pool);
    outbox_clear(&b, &pool);
    outbox_clear(&c, &pool);
    batch_reset(&batch);
    for (unsigned i = 0; i < 40; i++) {
        assert_int_equal(f[i]->refs, 1);
        frame_unref(f[i]);
    }
    batch_fini(&batch);
    chunk_pool_fini(&pool);
}

/* A frame alone is written from where it is; one that is too long for a write still goes. */
static void test_single_frames(void **state)
{
    (void)state;
    struct chunk_pool pool = {0};
    struct outbox o = {0};
    struct batch batch = {0};
    size_t n;
    struct frame *small = frame_new(FRAME_TEXT, GW_STR("small"), GW_STR("")), *big = frame_new(FRAME_TEXT, GW_STR("longer than ten bytes"), GW_STR(""));
    outbox_push(&o, &pool, big);
    outbox_push(&o, &pool, small);
    struct gw_str head = outbox_head(&o, &batch, 10, &n);
    assert_int_equal(n, 1);
    assert_ptr_equal(head.p, big->bytes);
    assert_int_equal(batch.n, 0);
    outbox_drop(&o, &pool, 1);
    head = outbox_head(&o, &batch, 7, &n);
    assert_ptr_equal(head.p, small->bytes);
    assert_int_equal(head.len, 7);
    outbox_push(&o, &pool, small); /* exactly as much as fits */
    outbox_head(&o, &batch, 13, &n);
    assert_int_equal(n, 1);
    outbox_head(&o, &batch, 14, &n);
    assert_int_equal(n, 2);
    outbox_clear(&o, &pool);
    batch_fini(&batch);
    frame_unref(small);
    frame_unref(big);
    chunk_pool_fini(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_model),
        cmocka_unit_test(test_batch_is_shared),
        cmocka_unit_test(test_single_frames),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
