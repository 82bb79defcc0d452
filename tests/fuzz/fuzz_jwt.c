/* Fuzzes the check of tokens. Input that begins with 's' is "s<header>\n<claims>": it is signed here, so that the
 * fuzzer gets behind the signature; else, behind its first byte, it is a token as a stranger would send it. What is
 * accepted must hold what the contract promises, and must not be accepted with any byte of it changed. */
#include "../../gateway/auth/auth_private.h"
#include "../unit/token_kit.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct gw_verifier *verifier(void)
{
    static struct gw_verifier *v;

    if (v != NULL)
        return v;
    v = kit_verifier(&(struct kit_issuer){.algorithms = "HS256", .key = kit_text_file("secret", KIT_SECRET)}, 1, 0,
                     NULL);
    kit_check(v != NULL, "no verifier");
    kit_clean();
    return v;
}

static bool count_text(struct gw_str text, void *arg)
{
    size_t *n = arg;

    kit_check(text.p != NULL && text.len <= GW_TOKEN_BYTES_MAX, "a claim's text");
    return ++*n < 1000;
}

static void check_room(struct gw_str room, void *arg)
{
    (void)arg;
    kit_check(gw_room_name_valid(room), "an automatic room's name");
}

/* Automatic rooms of the claim `sessions`. */
static const struct gw_access *access_rules(void)
{
    static char pattern[] = "s:{id}:x", claim[] = "sessions", value[] = "{id}";
    static struct gw_access *a;
    struct gw_cfg_rule rule = {.kind = GW_RULE_CONTAINS, .claim = claim, .value = value};
    struct gw_cfg_room room = {.pattern = {.text = pattern}, .join = {&rule, 1}, .automatic = true};
    const struct gw_config cfg = {.rooms = &room, .nrooms = 1};

    if (a == NULL)
        a = gw_access_new(&cfg, NULL);
    kit_check(a != NULL, "no rooms");
    return a;
}

static void check_identity(const struct gw_identity *id)
{
    struct gw_str user = gw_identity_user(id);
    size_t n = 0;

    kit_check(user.len >= 1 && user.len <= GW_USER_BYTES_MAX && gw_name_printable(user), "the user's name");
    kit_check(gw_identity_expires_ms(id) > KIT_NOW_MS - 5000, "the time of expiry");
    gw_identity_claim(id, "sessions", count_text, &n);
    gw_identity_claim(id, "a.b.c", count_text, &n);
    gw_identity_has_scope(id, GW_STR("x"));
    gw_access_auto_rooms(access_rules(), id, 100, check_room, NULL);
}

static void check_altered(const char *token, size_t n, size_t at)
{
    struct gw_identity *id = NULL;
    char *other = gw_str_dup((struct gw_str){token, n});

    other[at] = (char)(other[at] ^ 1);
    kit_check(gw_verifier_check(verifier(), (struct gw_str){other, n}, KIT_NOW_MS, &id, NULL, NULL) != 0,
              "a token that was changed");
    free(other);
}

static char *sign(const uint8_t *data, size_t size)
{
    const uint8_t *nl = size == 0 ? NULL : memchr(data, '\n', size);
    size_t head = nl == NULL ? size : (size_t)(nl - data), rest = nl == NULL ? 0 : size - head - 1;
    unsigned char sig[EVP_MAX_MD_SIZE];
    struct gw_buf out;
    char *token;
    size_t n;

    gw_buf_init(&out);
    kit_b64(&out, data, head);
    gw_buf_add_char(&out, '.');
    kit_b64(&out, nl == NULL ? data : nl + 1, rest);
    n = kit_sign_hmac("HS256", GW_STR(KIT_SECRET), gw_buf_str(&out), sig);
    gw_buf_add_char(&out, '.');
    kit_b64(&out, sig, n);
    token = gw_str_dup(gw_buf_str(&out));
    gw_buf_fini(&out);
    return token;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bool expired = false;
    struct gw_identity *id = NULL;
    struct gw_err err = {0};
    char *token;
    size_t n;

    if (size < 1)
        return 0;
    token = data[0] == 's' ? sign(data + 1, size - 1) : gw_str_dup((struct gw_str){(const char *)data + 1, size - 1});
    n = data[0] == 's' ? strlen(token) : size - 1;
    if (gw_verifier_check(verifier(), (struct gw_str){token, n}, KIT_NOW_MS, &id, &expired, &err) == 0) {
        kit_check(!expired && !err.set, "accepted with an error");
        check_identity(id);
        check_altered(token, n, size % n);
        check_altered(token, n, n - 1);
    } else {
        kit_check(err.set && id == NULL, "refused without a reason");
    }
    gw_identity_unref(id);
    free(token);
    return 0;
}
