/* Fuzz target: who a request is from. An input is 'f' (Forwarded) or anything else (X-Forwarded-For), networks separated by
 * blanks up to a line feed, the peer up to a line feed, and the header.
 *
 * It checks that the answer is an address (or the peer as it is, where that is none); that the header counts for nothing where
 * the peer is no proxy; and that nobody can change the answer by what they write in front of the header. */
#include "proxies.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#define NETWORKS_MAX 8

static void check(bool ok)
{
    if (!ok)
        abort();
}

static struct gw_str take_line(struct gw_str *rest)
{
    const char *lf = rest->len ? memchr(rest->p, '\n', rest->len) : NULL;
    struct gw_str line = {rest->p, lf ? (size_t)(lf - rest->p) : rest->len};
    size_t used = lf ? line.len + 1 : line.len;
    *rest = (struct gw_str){rest->p + used, rest->len - used};
    return line;
}

/* `text` is cut up. NULL: they were refused. */
static struct gw_proxies *proxies_of(char *text)
{
    static char at[] = "x";
    struct gw_cfg_text v[NETWORKS_MAX];
    struct gw_cfg_texts list = {v, 0};
    struct gw_err err = {0};
    char *one;
    while (list.n < NETWORKS_MAX && (one = strsep(&text, " ")))
        if (*one)
            v[list.n++] = (struct gw_cfg_text){one, at};
    struct gw_proxies *p = gw_proxies_new(&list, &err);
    check((p == NULL) == err.set);
    return p;
}

static bool is_address(struct gw_buf *b)
{
    unsigned char out[16];
    return inet_pton(AF_INET, gw_buf_c(b), out) == 1 || inet_pton(AF_INET6, gw_buf_c(b), out) == 1;
}

static void check_no_one_lies(const struct gw_proxies *p, struct gw_str peer, struct gw_str header, bool is_forwarded, struct gw_buf *before)
{
    static const char *const lies[] = {"6.6.6.6, ", "for=6.6.6.6, ", "for=\"6.6.6.6, ", "garbage\\,", ",", "for=\"[::1]\";host=\"x\", 10.0.0.1,"};
    struct gw_buf longer = {0}, after = {0};
    for (size_t i = 0; i < sizeof(lies) / sizeof(*lies); i++) {
        gw_buf_clear(&longer);
        gw_buf_clear(&after);
        gw_buf_add_c(&longer, lies[i]);
        gw_buf_add_str(&longer, header);
        gw_proxies_client(p, peer, gw_buf_str(&longer), is_forwarded, &after);
        check(gw_str_eq(gw_buf_str(before), gw_buf_str(&after)));
    }
    gw_buf_fini(&longer);
    gw_buf_fini(&after);
}

static void run(const struct gw_proxies *p, struct gw_str peer, struct gw_str header, bool is_forwarded)
{
    struct gw_buf out = {0}, alone = {0}, again = {0};
    gw_proxies_client(p, peer, (struct gw_str){0}, is_forwarded, &alone);
    gw_proxies_client(p, peer, header, is_forwarded, &out);
    bool believed = !gw_str_eq(gw_buf_str(&out), gw_buf_str(&alone));
    if (!is_address(&alone)) {
        check(!believed && gw_str_eq(gw_buf_str(&out), peer));
    } else {
        check(is_address(&out));
        /* the answer is in its own best form already */
        gw_proxies_client(p, gw_buf_str(&out), (struct gw_str){0}, is_forwarded, &again);
        check(gw_str_eq(gw_buf_str(&again), gw_buf_str(&out)));
        /* somebody who is no proxy has the last word on nothing: what is in front of it does not count */
        gw_buf_clear(&again);
        gw_proxies_client(p, gw_buf_str(&out), is_forwarded ? GW_STR("for=6.6.6.6") : GW_STR("6.6.6.6"), is_forwarded, &again);
        bool ends = gw_str_eq(gw_buf_str(&again), gw_buf_str(&out)) && !gw_str_is(gw_buf_str(&out), "6.6.6.6");
        if (ends && (!is_forwarded || !header.len || !memchr(header.p, '"', header.len)))
            check_no_one_lies(p, peer, header, is_forwarded, &out);
    }
    gw_buf_fini(&out);
    gw_buf_fini(&alone);
    gw_buf_fini(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct gw_str rest = {(const char *)data + 1, size - 1};
    struct gw_str networks = take_line(&rest), peer = take_line(&rest);
    char *text = gw_str_dup(networks);
    struct gw_proxies *p = proxies_of(text);
    if (p)
        run(p, peer, rest, data[0] == 'f');
    gw_proxies_free(p);
    free(text);
    return 0;
}
