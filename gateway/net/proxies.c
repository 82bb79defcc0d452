/* Forwarded (RFC 7239) and X-Forwarded-For, believed from configured proxies only. Addresses are kept as IPv6, IPv4 ones mapped. */
#include "proxies.h"

#include <arpa/inet.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct net {
    struct in6_addr addr;
    unsigned bits;
};

struct gw_proxies {
    size_t n;
    struct net v[];
};

static const unsigned char mapped_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};

static bool is_mapped(const struct in6_addr *a)
{
    return memcmp(a, mapped_prefix, sizeof(mapped_prefix)) == 0;
}

static bool parse_address(struct gw_str s, struct in6_addr *out)
{
    char text[64];
    if (s.len == 0 || s.len >= sizeof(text))
        return false;
    memcpy(text, s.p, s.len);
    text[s.len] = '\0';
    if (inet_pton(AF_INET6, text, out) == 1)
        return true;
    struct in_addr v4;
    if (inet_pton(AF_INET, text, &v4) != 1)
        return false;
    memcpy(out, mapped_prefix, sizeof(mapped_prefix));
    memcpy((char *)out + sizeof(mapped_prefix), &v4, sizeof(v4));
    return true;
}

static bool parse_net(const char *text, struct net *out)
{
    const char *slash = strchr(text, '/');
    struct gw_str address = {text, slash ? (size_t)(slash - text) : strlen(text)};
    if (!parse_address(address, &out->addr))
        return false;
    unsigned most = is_mapped(&out->addr) ? 32 : 128;
    out->bits = 128;
    if (!slash)
        return true;
    char *end;
    unsigned long bits = strtoul(slash + 1, &end, 10);
    if (slash[1] < '0' || slash[1] > '9' || *end || bits > most)
        return false;
    out->bits = (unsigned)bits + 128 - most;
    return true;
}

struct gw_proxies *gw_proxies_new(const struct gw_cfg_texts *list, struct gw_err *err)
{
    struct gw_proxies *p = gw_alloc(sizeof(*p) + list->n * sizeof(struct net));
    for (; p->n < list->n; p->n++)
        if (!parse_net(list->v[p->n].text, &p->v[p->n])) {
            gw_err_set(err, "%s: expected an address or a network such as 10.0.0.0/8", list->v[p->n].at);
            free(p);
            return NULL;
        }
    return p;
}

void gw_proxies_free(struct gw_proxies *p)
{
    free(p);
}

static bool is_proxy(const struct gw_proxies *p, const struct in6_addr *a)
{
    for (size_t i = 0; i < p->n; i++) {
        unsigned whole = p->v[i].bits / 8, rest = p->v[i].bits % 8;
        const unsigned char *x = a->s6_addr, *y = p->v[i].addr.s6_addr;
        if (memcmp(x, y, whole) == 0 && (rest == 0 || ((x[whole] ^ y[whole]) >> (8 - rest)) == 0))
            return true;
    }
    return false;
}

static struct gw_str trim(struct gw_str s)
{
    while (s.len && (*s.p == ' ' || *s.p == '\t'))
        s.p++, s.len--;
    while (s.len && (s.p[s.len - 1] == ' ' || s.p[s.len - 1] == '\t'))
        s.len--;
    return s;
}

/* Whether the byte at i begins or ends a quoted-string: one behind a backslash stands for itself (RFC 9110 section 5.6.4). */
static bool is_quote(struct gw_str s, size_t i)
{
    size_t slashes = 0;
    while (slashes < i && s.p[i - slashes - 1] == '\\')
        slashes++;
    return s.p[i] == '"' && slashes % 2 == 0;
}

/* Cuts the last element off a comma-separated list. Read from the right, where the nearest proxy wrote: quotes that a client
 * left open further left do no harm, and a comma that a proxy has quoted does not split its element. */
static struct gw_str last_element(struct gw_str *list, bool has_quotes)
{
    size_t i = list->len;
    for (bool inside = false; i > 0 && (inside || list->p[i - 1] != ','); i--)
        if (has_quotes && is_quote(*list, i - 1))
            inside = !inside;
    struct gw_str e = {list->p + i, list->len - i};
    list->len = i > 0 ? i - 1 : 0;
    return trim(e);
}

/* Cuts the first pair off an element of Forwarded. */
static struct gw_str first_pair(struct gw_str *element)
{
    size_t i = 0;
    for (bool inside = false; i < element->len && (inside || element->p[i] != ';'); i++)
        if (is_quote(*element, i))
            inside = !inside;
    struct gw_str pair = {element->p, i};
    size_t used = i < element->len ? i + 1 : i;
    *element = (struct gw_str){element->p + used, element->len - used};
    return trim(pair);
}

/* The node of `for=` in one element of Forwarded: RFC 7239 section 4. Absent where there is none. */
static struct gw_str forwarded_for(struct gw_str element)
{
    while (element.len) {
        struct gw_str pair = first_pair(&element);
        if (pair.len <= 4 || strncasecmp(pair.p, "for=", 4) != 0)
            continue;
        struct gw_str node = {pair.p + 4, pair.len - 4};
        if (*node.p != '"')
            return node;
        if (node.len < 2 || node.p[node.len - 1] != '"')
            break;
        return (struct gw_str){node.p + 1, node.len - 2};
    }
    return (struct gw_str){0};
}

/* "1.2.3.4:567", "[2001:db8::1]:567" and bare addresses. */
static bool parse_node(struct gw_str node, struct in6_addr *out)
{
    if (node.len && *node.p == '[') {
        const char *end = memchr(node.p, ']', node.len);
        bool ends = end && (end + 1 == node.p + node.len || end[1] == ':');
        return ends && parse_address((struct gw_str){node.p + 1, (size_t)(end - node.p - 1)}, out);
    }
    const char *colon = node.len ? memchr(node.p, ':', node.len) : NULL;
    if (colon && colon == memrchr(node.p, ':', node.len))
        node.len = (size_t)(colon - node.p);
    return parse_address(node, out);
}

void gw_proxies_client(const struct gw_proxies *p, struct gw_str peer, struct gw_str header, bool is_forwarded,
                       struct gw_buf *out)
{
    struct in6_addr at, next;
    if (!parse_address(peer, &at)) {
        gw_buf_add_str(out, peer);
        return;
    }
    struct gw_str list = header;
    while (list.len && is_proxy(p, &at)) {
        struct gw_str e = last_element(&list, is_forwarded);
        if (!parse_node(is_forwarded ? forwarded_for(e) : e, &next))
            break;
        at = next;
    }
    char text[INET6_ADDRSTRLEN];
    inet_ntop(is_mapped(&at) ? AF_INET : AF_INET6, is_mapped(&at) ? (char *)&at + 12 : (char *)&at, text, sizeof(text));
    gw_buf_add_c(out, text);
}
