/* kafka.properties: which client a property belongs to, which may not be given, which are secret. Any thread; keeps no
 * state. It does not check values otherwise: librdkafka does. */
#include "conf.h"

#include "gw/map.h"

#include <stdlib.h>
#include <string.h>

#define CONSUMER_BIT 1u
#define PRODUCER_BIT 2u

struct gw_kafka_scopes {
    struct gw_map names; /* property -> its bits, kept in the pointer */
};

/* One line of librdkafka's table: "name    |  C  | range | ...", C, P or * for both. */
static void add_line(struct gw_kafka_scopes *s, char *line)
{
    char *bar = strchr(line, '|');
    if (!bar || line[0] == ' ' || line[0] == '-' || line[0] == '#')
        return;
    size_t len = strcspn(line, " |");
    uintptr_t bits = strncmp(bar, "|  C ", 5) == 0   ? CONSUMER_BIT
                     : strncmp(bar, "|  P ", 5) == 0 ? PRODUCER_BIT
                     : strncmp(bar, "|  * ", 5) == 0 ? CONSUMER_BIT | PRODUCER_BIT
                                                     : 0;
    if (!bits || len == 0)
        return;
    struct gw_str name = {line, len};
    bits |= (uintptr_t)gw_map_get(&s->names, name); /* some stand in the global and in the topic table */
    gw_map_put(&s->names, name, (void *)bits);
}

/* librdkafka has no call that tells a property's client, but it prints a table that does; a property of the other client
 * is accepted and only warned about, at every start. */
struct gw_kafka_scopes *gw_kafka_scopes_new(void)
{
    struct gw_kafka_scopes *s = gw_alloc(sizeof(*s));
    gw_map_init(&s->names);
    char *text = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&text, &len);
    if (!f)
        return s;
    rd_kafka_conf_properties_show(f);
    fclose(f);
    char *rest = text;
    for (char *line; (line = strsep(&rest, "\n"));)
        add_line(s, line);
    free(text);
    return s;
}

void gw_kafka_scopes_free(struct gw_kafka_scopes *s)
{
    if (!s)
        return;
    gw_map_fini(&s->names, NULL);
    free(s);
}

bool gw_kafka_scopes_known(const struct gw_kafka_scopes *s, const char *name)
{
    return gw_map_get(&s->names, gw_str_of(name)) != NULL;
}

bool gw_kafka_scopes_has(const struct gw_kafka_scopes *s, const char *name, enum gw_kafka_role role)
{
    uintptr_t bits = (uintptr_t)gw_map_get(&s->names, gw_str_of(name));
    return (bits & (role == GW_KAFKA_CONSUMER ? CONSUMER_BIT : PRODUCER_BIT)) != 0;
}

#define ONE_TO_5 "1..5"

/* allowed: values that may stand, separated by '|'; NULL: none may. */
static const struct refusal {
    const char *name, *allowed, *why;
} refusals[] = {
    {"bootstrap.servers", NULL, "use kafka.brokers"},
    {"metadata.broker.list", NULL, "use kafka.brokers"},
    {"client.id", NULL, "use kafka.client_id"},
    {"group.id", NULL, "use kafka.group_id"},
    {"sasl.username", NULL, "use kafka.username"},
    {"sasl.password", NULL, "use kafka.password"},
    {"message.timeout.ms", NULL, "use producer.timeout_ms"},
    {"delivery.timeout.ms", NULL, "use producer.timeout_ms"},
    {"group.instance.id", NULL, "partitions are assigned, not balanced in a group"},
    {"enable.auto.commit", "false", "positions belong to the clients, nothing is committed"},
    {"auto.commit.enable", "false", "positions belong to the clients, nothing is committed"},
    {"enable.auto.offset.store", "false", "positions belong to the clients, nothing is committed"},
    {"auto.offset.reset", "error", "a position must never jump unseen"},
    {"enable.partition.eof", "true", "positions past transaction markers come from it"},
    {"isolation.level", "read_committed", "aborted transactions must not reach a browser"},
    {"enable.idempotence", "true", "an action must not be written twice"},
    {"acks", "all|-1", "an ack means that Kafka has the action"},
    {"request.required.acks", "all|-1", "an ack means that Kafka has the action"},
    {"max.in.flight", ONE_TO_5, "idempotence allows 1 to 5"},
    {"max.in.flight.requests.per.connection", ONE_TO_5, "idempotence allows 1 to 5"},
    {"transactional.id", NULL, "actions are produced one by one, without transactions"},
    {"log.queue", "true", "logs are taken from a queue"},
    {"test.mock.num.brokers", NULL, "it replaces the brokers; use --dev"},
};

static bool one_of(const char *list, const char *value)
{
    size_t len = strlen(value);
    for (const char *p = list; *p;) {
        size_t n = strcspn(p, "|");
        if (n == len && strncmp(p, value, n) == 0)
            return true;
        p += n + (p[n] == '|');
    }
    return false;
}

const char *gw_kafka_property_refused(const char *name, const char *value)
{
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        const struct refusal *r = &refusals[i];
        if (strcmp(r->name, name) != 0)
            continue;
        if (!r->allowed)
            return r->why;
        if (strcmp(r->allowed, ONE_TO_5) == 0)
            return strlen(value) == 1 && value[0] >= '1' && value[0] <= '5' ? NULL : r->why;
        return one_of(r->allowed, value) ? NULL : r->why;
    }
    return NULL;
}

bool gw_kafka_property_secret(const char *name)
{
    static const char *const marks[] = {"password", "secret", "ssl.key", "oauthbearer.config", "ssl_key"};
    for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++)
        if (strstr(name, marks[i]))
            return true;
    return false;
}
