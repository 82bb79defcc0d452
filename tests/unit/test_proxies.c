/* Whose word about a client's address counts: configured proxies, the chain of both headers, and clients that lie. */
#include "proxies.h"

#include "unit_kit.h"

/* A list of up to 4 networks, separated by blanks. */
static struct gw_proxies *proxies(const char *list, struct gw_err *err)
{
    static char at[] = "p.yaml:3: proxies[0]";
    struct gw_cfg_text v[4];
    struct gw_cfg_texts texts = {v, 0};
    char *copy = strdup(list), *rest = copy, *one;
    while ((one = strsep(&rest, " ")))
        if (*one)
            v[texts.n++] = (struct gw_cfg_text){one, at};
    struct gw_proxies *p = gw_proxies_new(&texts, err);
    free(copy);
    return p;
}

#define LAN "10.0.0.0/8 192.168.1.1 fd00::/8"

struct row {
    const char *list, *peer, *header, *client;
};

static const struct row x_forwarded_for[] = {
    /* nobody is believed, or nothing was said */
    {"", "1.2.3.4", "5.6.7.8", "1.2.3.4"},
    {LAN, "1.2.3.4", "5.6.7.8", "1.2.3.4"},
    {LAN, "10.1.1.1", "", "10.1.1.1"},
    /* one proxy */
    {LAN, "10.1.1.1", "5.6.7.8", "5.6.7.8"},
    {LAN, "10.255.255.255", " 5.6.7.8\t", "5.6.7.8"},
    {LAN, "11.0.0.0", "5.6.7.8", "11.0.0.0"},
    {LAN, "192.168.1.1", "5.6.7.8", "5.6.7.8"},
    {LAN, "192.168.1.2", "5.6.7.8", "192.168.1.2"},
    {LAN, "fd12::1", "5.6.7.8", "5.6.7.8"},
    {LAN, "fe12::1", "5.6.7.8", "fe12::1"},
    {LAN, "10.1.1.1", "2001:DB8:0:0::0001", "2001:db8::1"},
    /* IPv4 on a socket for IPv6 */
    {LAN, "::ffff:10.1.1.1", "5.6.7.8", "5.6.7.8"},
    {LAN, "::ffff:1.2.3.4", "5.6.7.8", "1.2.3.4"},
    {LAN, "10.1.1.1", "::ffff:5.6.7.8", "5.6.7.8"},
    /* chains: from the right, as long as the speaker is a proxy */
    {LAN, "10.1.1.1", "5.6.7.8, 10.2.2.2", "5.6.7.8"},
    {LAN, "10.1.1.1", "5.6.7.8,fd00::7,192.168.1.1,10.2.2.2", "5.6.7.8"},
    {LAN, "10.1.1.1", "10.3.3.3, 10.2.2.2", "10.3.3.3"}, /* all of them proxies: the farthest */
    /* lies: what the client wrote stands to the left of its own address */
    {LAN, "10.1.1.1", "10.9.9.9, 5.6.7.8", "5.6.7.8"},
    {LAN, "10.1.1.1", "6.6.6.6, 5.6.7.8, 10.2.2.2", "5.6.7.8"},
    {LAN, "10.1.1.1", "6.6.6.6, 10.9.9.9, 5.6.7.8", "5.6.7.8"},
    {LAN, "10.1.1.1", "\", 5.6.7.8", "5.6.7.8"},
    /* garbage ends the walk: the last one who is known */
    {LAN, "10.1.1.1", "unknown", "10.1.1.1"},
    {LAN, "10.1.1.1", "5.6.7.8,", "10.1.1.1"},
    {LAN, "10.1.1.1", ",", "10.1.1.1"},
    {LAN, "10.1.1.1", "5.6.7.8, nonsense, 10.2.2.2", "10.2.2.2"},
    {LAN, "10.1.1.1", "5.6.7", "10.1.1.1"},
    {LAN, "10.1.1.1", "5.6.7.8.9", "10.1.1.1"},
    {LAN, "10.1.1.1", "05.6.7.8", "10.1.1.1"},
    {LAN, "10.1.1.1", "256.1.1.1", "10.1.1.1"},
    {LAN, "10.1.1.1", "5.6.7.8 9.9.9.9", "10.1.1.1"},
    {LAN, "10.1.1.1", ":::", "10.1.1.1"},
    {LAN, "10.1.1.1", "[]", "10.1.1.1"},
    {LAN, "10.1.1.1", "[", "10.1.1.1"},
    {LAN, "10.1.1.1", "5.6.7.8\n", "10.1.1.1"},
    {LAN, "10.1.1.1", "<script>alert(1)</script>", "10.1.1.1"},
    {LAN, "10.1.1.1", "0123456789012345678901234567890123456789012345678901234567890123", "10.1.1.1"},
    /* ports, as some balancers write them */
    {LAN, "10.1.1.1", "5.6.7.8:4711", "5.6.7.8"},
    {LAN, "10.1.1.1", "[2001:db8::1]:4711", "2001:db8::1"},
    {LAN, "10.1.1.1", "[2001:db8::1]", "2001:db8::1"},
    {LAN, "10.1.1.1", "[2001:db8::1]x", "10.1.1.1"},
    {LAN, "10.1.1.1", "[2001:db8::1", "10.1.1.1"},
    /* networks whose edge is inside a byte; everything; one address alone */
    {"172.16.0.0/12", "172.31.255.255", "5.6.7.8", "5.6.7.8"},
    {"172.16.0.0/12", "172.32.0.0", "5.6.7.8", "172.32.0.0"},
    {"2001:db8:8000::/33", "2001:db8:ffff::1", "5.6.7.8", "5.6.7.8"},
    {"2001:db8:8000::/33", "2001:db8:7fff::1", "5.6.7.8", "2001:db8:7fff::1"},
    {"0.0.0.0/0", "1.2.3.4", "5.6.7.8", "5.6.7.8"},
    {"0.0.0.0/0", "2001:db8::1", "5.6.7.8", "2001:db8::1"},
    {"1.2.3.4/32", "1.2.3.5", "5.6.7.8", "1.2.3.5"},
    {"2001:db8::1/128", "2001:db8::1", "5.6.7.8", "5.6.7.8"},
    {"2001:db8::1/128", "2001:db8::2", "5.6.7.8", "2001:db8::2"},
    /* a peer without an address (a UNIX socket) is taken as it is */
    {LAN, "", "5.6.7.8", ""},
    {LAN, "unix", "5.6.7.8", "unix"},
};

/* RFC 7239 section 4. */
static const struct row forwarded[] = {
    {LAN, "10.1.1.1", "for=5.6.7.8", "5.6.7.8"},
    {LAN, "1.2.3.4", "for=5.6.7.8", "1.2.3.4"},
    {LAN, "10.1.1.1", "For=\"5.6.7.8\"", "5.6.7.8"},
    {LAN, "10.1.1.1", "for=\"5.6.7.8:4711\"", "5.6.7.8"},
    {LAN, "10.1.1.1", "for=\"[2001:db8::1]:4711\"", "2001:db8::1"},
    {LAN, "10.1.1.1", "for=\"[2001:db8:cafe::17]\"", "2001:db8:cafe::17"},
    {LAN, "10.1.1.1", "proto=https;by=10.1.1.1; FOR=5.6.7.8;host=example.com", "5.6.7.8"},
    {LAN, "10.1.1.1", "for=5.6.7.8, for=10.2.2.2;proto=http", "5.6.7.8"},
    {LAN, "10.1.1.1", "for=6.6.6.6, for=5.6.7.8 , for=\"10.2.2.2\"", "5.6.7.8"},
    /* nothing to be had */
    {LAN, "10.1.1.1", "for=unknown", "10.1.1.1"},
    {LAN, "10.1.1.1", "for=_hidden", "10.1.1.1"},
    {LAN, "10.1.1.1", "for=5.6.7.8, for=_secret, for=10.2.2.2", "10.2.2.2"},
    {LAN, "10.1.1.1", "proto=https", "10.1.1.1"},
    {LAN, "10.1.1.1", "for=", "10.1.1.1"},
    {LAN, "10.1.1.1", "for=\"\"", "10.1.1.1"},
    {LAN, "10.1.1.1", "for=\"", "10.1.1.1"},
    {LAN, "10.1.1.1", "xfor=5.6.7.8", "10.1.1.1"},
    {LAN, "10.1.1.1", "5.6.7.8", "10.1.1.1"},
    {LAN, "10.1.1.1", ";;;", "10.1.1.1"},
    {LAN, "10.1.1.1", "for=\"5.6.7.89", "10.1.1.1"}, /* the quote is never closed */
    {LAN, "10.1.1.1", "for=\"5.6.7.8\"9", "10.1.1.1"},
    /* quoted strings may hold commas and semicolons: what a proxy copies there from the client must not pass for its own word */
    {LAN, "10.1.1.1", "for=5.6.7.8;host=\"a,for=6.6.6.6;b\"", "5.6.7.8"},
    {LAN, "10.1.1.1", "host=\"a;for=6.6.6.6;b\";for=5.6.7.8", "5.6.7.8"},
    {LAN, "10.1.1.1", "for=5.6.7.8;host=\"a\\\", for=6.6.6.6;\\\"b\"", "5.6.7.8"},
    {LAN, "10.1.1.1", "host=\"\\\\\";for=5.6.7.8", "5.6.7.8"},
    /* a client's own header with a quote left open does not swallow what the proxy put behind it */
    {LAN, "10.1.1.1", "for=\", for=5.6.7.8", "5.6.7.8"},
    {LAN, "10.1.1.1", "host=\"x, for=5.6.7.8;host=\"y\"", "5.6.7.8"},
};

static void check(const struct row *r, bool is_forwarded)
{
    struct gw_err err = {0};
    struct gw_buf out = {0};
    struct gw_proxies *p = proxies(r->list, &err);
    if (!p)
        fail_msg("%s: %s", r->list, err.text);
    gw_buf_add_c(&out, "ip=");
    /* a copy without a NUL behind it: a byte too far is seen by the sanitizer */
    size_t n = strlen(r->header);
    char *header = malloc(n ? n : 1);
    memcpy(header, r->header, n);
    gw_proxies_client(p, gw_str_of(r->peer), (struct gw_str){header, n}, is_forwarded, &out);
    free(header);
    if (strcmp(gw_buf_c(&out) + 3, r->client) != 0)
        fail_msg("%s, from %s: \"%s\":\n  got  %s\n  want %s", r->list, r->peer, r->header, gw_buf_c(&out) + 3, r->client);
    gw_buf_fini(&out);
    gw_proxies_free(p);
}

static void test_x_forwarded_for(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS(x_forwarded_for); i++)
        check(&x_forwarded_for[i], false);
}

static void test_forwarded(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS(forwarded); i++)
        check(&forwarded[i], true);
}

static void test_bad_networks(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/+8", "10.0.0.0/8x", "10.0.0.0/0x8", "10.0.0", "localhost",
        "2001:db8::/129", "[2001:db8::1]", "/8", "10.0.0.0/99999999999999999999", "10.0.0.0//8",
    };
    for (size_t i = 0; i < ROWS(bad); i++) {
        struct gw_err err = {0};
        struct gw_proxies *p = proxies(bad[i], &err);
        if (p)
            fail_msg("%s: was accepted", bad[i]);
        assert_string_equal(err.text, "p.yaml:3: proxies[0]: expected an address or a network such as 10.0.0.0/8");
    }
    gw_proxies_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_x_forwarded_for),
        cmocka_unit_test(test_forwarded),
        cmocka_unit_test(test_bad_networks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
