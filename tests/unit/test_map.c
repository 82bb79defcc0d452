/* The hash map, held against an array that is searched from end to end. */
#include "gw/map.h"

#include "unit_kit.h"

#define KEYS 700

struct model {
    struct gw_map map;
    char key[KEYS][48];
    size_t len[KEYS];
    int *value[KEYS]; /* NULL: not in the map */
    size_t n;
};

static int numbers[1000];

/* Keys that share beginnings, have NULs inside, and are of all short lengths; the first one is empty. */
static void make_keys(struct model *m, uint32_t *seed)
{
    for (size_t i = 0; i < KEYS; i++) {
        m->len[i] = i == 0 ? 0 : 3 + random_below(seed, 40);
        memset(m->key[i], 'k', sizeof(m->key[i]));
        if (i)
            memcpy(m->key[i] + m->len[i] - 3, (char[]){(char)(i & 31), '\0', (char)(i >> 5)}, 3);
    }
}

static struct gw_str key_of(const struct model *m, size_t i)
{
    return (struct gw_str){m->key[i], m->len[i]};
}

static void check_all(const struct model *m)
{
    bool seen[KEYS] = {false};
    assert_int_equal(m->map.len, m->n);
    for (size_t i = 0; i < KEYS; i++) {
        struct gw_str k = key_of(m, i);
        assert_ptr_equal(gw_map_get(&m->map, k), m->value[i]);
        assert_ptr_equal(gw_map_get_hashed(&m->map, k, gw_hash(k.p, k.len)), m->value[i]);
    }
    size_t pos = 0, n = 0;
    struct gw_str k;
    void *value;
    while (gw_map_next(&m->map, &pos, &k, &value)) {
        size_t i = 0;
        while (i < KEYS && !gw_str_eq(k, key_of(m, i)))
            i++;
        assert_true(i < KEYS);
        assert_false(seen[i]);
        assert_ptr_equal(value, m->value[i]);
        seen[i] = true;
        n++;
    }
    assert_int_equal(n, m->n);
}

static void one_step(struct model *m, uint32_t *seed, uint32_t put_share)
{
    size_t i = random_below(seed, KEYS);
    if (random_below(seed, 100) < put_share) {
        int *v = &numbers[random_below(seed, ROWS(numbers))];
        char copy[48]; /* the map keeps its own */
        memcpy(copy, m->key[i], sizeof(copy));
        assert_ptr_equal(gw_map_put(&m->map, (struct gw_str){copy, m->len[i]}, v), m->value[i]);
        memset(copy, '!', sizeof(copy));
        m->n += m->value[i] == NULL;
        m->value[i] = v;
    } else {
        assert_ptr_equal(gw_map_del(&m->map, key_of(m, i)), m->value[i]);
        m->n -= m->value[i] != NULL;
        m->value[i] = NULL;
    }
}

static void test_against_model(void **state)
{
    (void)state;
    static struct model m;
    uint32_t seed = 4711;
    gw_map_init(&m.map);
    make_keys(&m, &seed);
    check_all(&m);
    for (uint32_t round = 0; round < 40; round++) { /* fuller and emptier by turns */
        for (int i = 0; i < 2000; i++)
            one_step(&m, &seed, round % 2 ? 20 : 80);
        check_all(&m);
    }
    for (size_t i = 0; i < KEYS; i++) {
        gw_map_del(&m.map, key_of(&m, i));
        m.n -= m.value[i] != NULL;
        m.value[i] = NULL;
    }
    check_all(&m);
    gw_map_fini(&m.map, NULL);
}

static size_t freed;

static void count_free(void *value)
{
    assert_non_null(value);
    freed++;
}

static void test_fini_frees_values(void **state)
{
    (void)state;
    struct gw_map m;
    char key[16];
    gw_map_init(&m);
    assert_null(gw_map_get(&m, GW_STR("x")));
    assert_null(gw_map_del(&m, GW_STR("x")));
    for (int i = 0; i < 1000; i++) {
        snprintf(key, sizeof(key), "%d", i);
        assert_null(gw_map_put(&m, gw_str_of(key), &numbers[i]));
    }
    gw_map_del(&m, GW_STR("7"));
    gw_map_fini(&m, count_free);
    assert_int_equal(freed, 999);
    assert_int_equal(m.len, 0);
    gw_map_fini(&m, count_free);
    assert_int_equal(freed, 999);
}

/* Not a proof, but a hash that ignored a byte, the length or the order would fail here. */
static void test_hash(void **state)
{
    (void)state;
    char text[64] = {0};
    uint64_t seen[65 + 64 * 8];
    size_t n = 0;
    for (size_t len = 0; len <= sizeof(text); len++)
        seen[n++] = gw_hash(text, len);
    for (size_t bit = 0; bit < sizeof(text) * 8; bit++) {
        text[bit / 8] = (char)(1 << bit % 8);
        seen[n++] = gw_hash(text, sizeof(text));
        text[bit / 8] = 0;
    }
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < i; k++)
            if (seen[i] == seen[k])
                fail_msg("hashes %zu and %zu are the same", i, k);
    assert_int_equal(gw_hash("same", 4) == gw_hash("same", 4), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_model),
        cmocka_unit_test(test_fini_frees_values),
        cmocka_unit_test(test_hash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
