/* Development mode: key, people, tokens. Never reached without --dev. */
#include "gw/dev.h"

#include "gw/auth.h"
#include "gw/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEY_DIR ".sluice-dev"
#define KEY_FILE KEY_DIR "/hs256.secret"
#define TOKEN_TTL_S 900

static const struct person {
    const char *user, *name, *sessions; /* sessions: JSON array */
} people[] = {
    {"u1", "Ada", "[\"42\",\"43\"]"},
    {"u2", "Grace", "[\"42\"]"},
    {"u3", "Edsger", "[\"43\"]"},
};
#define NPEOPLE (sizeof(people) / sizeof(*people))

/* Writes a new key beside its place and links it there: of two nodes that start together one wins, both read the same key. */
static int make_key(struct gw_err *err)
{
    unsigned char raw[48];
    struct gw_buf text;
    char temp[] = KEY_DIR "/key.XXXXXX";
    gw_buf_init(&text);
    if (getrandom(raw, sizeof(raw), 0) != (ssize_t)sizeof(raw))
        return gw_err_set(err, "no random bytes: %s", strerror(errno));
    gw_buf_add_base64(&text, raw, sizeof(raw));
    if (mkdir(KEY_DIR, 0700) != 0 && errno != EEXIST) {
        gw_buf_fini(&text);
        return gw_err_set(err, "cannot make %s in the current directory: %s", KEY_DIR, strerror(errno));
    }
    int fd = mkostemp(temp, O_CLOEXEC); /* mode 0600 */
    bool ok = fd >= 0 && write(fd, text.data, text.len) == (ssize_t)text.len;
    if (fd >= 0)
        close(fd);
    ok = ok && (link(temp, KEY_FILE) == 0 || errno == EEXIST);
    int error = errno;
    if (fd >= 0)
        unlink(temp);
    gw_buf_fini(&text);
    return ok ? 0 : gw_err_set(err, "cannot write %s: %s", KEY_FILE, strerror(error));
}

const char *gw_dev_key_file(struct gw_err *err)
{
    if (access(KEY_FILE, R_OK) != 0 && make_key(err) != 0)
        return NULL;
    return KEY_FILE;
}

int gw_dev_key(struct gw_buf *out, struct gw_err *err)
{
    const char *path = gw_dev_key_file(err);
    FILE *in = path ? fopen(path, "rb") : NULL;
    if (!in)
        return gw_err_set(err, "cannot read %s: %s", KEY_FILE, strerror(errno));
    char text[256];
    gw_buf_add(out, text, fread(text, 1, sizeof(text), in));
    fclose(in);
    return 0;
}

void gw_dev_people(void *arg, struct gw_buf *json)
{
    (void)arg;
    for (size_t i = 0; i < NPEOPLE; i++)
        gw_buf_addf(json, "%s{\"user\":\"%s\",\"name\":\"%s\",\"sessions\":%s}", i ? "," : "[", people[i].user,
                    people[i].name, people[i].sessions);
    gw_buf_add_c(json, "]\n");
}

int gw_dev_token(void *arg, struct gw_str user, struct gw_buf *json)
{
    (void)arg;
    size_t i = 0;
    while (i < NPEOPLE && !gw_str_is(user, people[i].user))
        i++;
    struct gw_buf key;
    gw_buf_init(&key);
    if (i == NPEOPLE || gw_dev_key(&key, NULL) != 0)
        return -1;
    char claims[160];
    snprintf(claims, sizeof(claims), "{\"name\":\"%s\",\"sessions\":%s}", people[i].name, people[i].sessions);
    char *token = gw_token_mint(people[i].user, claims, TOKEN_TTL_S, "HS256", NULL, gw_buf_str(&key), NULL);
    gw_buf_fini(&key);
    if (!token)
        return -1;
    gw_buf_addf(json, "{\"token\":\"%s\",\"user\":\"%s\",\"expires\":%lld}\n", token, people[i].user,
                (long long)(gw_clock_wall_ms() / 1000 + TOKEN_TTL_S));
    free(token);
    return 0;
}
