/* Says of tokens what the gateway and libjwt think of them, and mints some: the C half of test_tokens.py.
 *
 *   token_probe check ALG KEYFILE [ISSUER [AUDIENCE]]    a token a line on standard input; for each, a line
 *                                                        "ok<TAB>user" or "no<TAB>reason", a TAB, and
 *                                                        libjwt's "ok" or "no"
 *   token_probe mint ALG KEYFILE SUB CLAIMS              prints a token */
#include "../unit/token_kit.h"

#include "gw/clock.h"

#include <jwt.h>

/* libjwt takes whatever alg the header names; the caller has to compare. */
static bool libjwt_accepts(const char *token, const char *alg, struct gw_str key)
{
    jwt_t *jwt = NULL;
    bool ok = jwt_decode(&jwt, token, (const unsigned char *)key.p, (int)key.len) == 0 &&
              jwt_get_alg(jwt) == jwt_str_alg(alg);

    jwt_free(jwt);
    return ok;
}

static void read_file(const char *path, struct gw_buf *out)
{
    FILE *f = fopen(path, "rb");

    kit_check(f != NULL, path);
    out->len += fread(gw_buf_reserve(out, 65536), 1, 65536, f);
    fclose(f);
}

static void check_line(struct gw_verifier *v, char *line, const char *alg, struct gw_str key)
{
    struct gw_identity *id = NULL;
    struct gw_err err = {0};
    /* libjwt overruns its buffers on empty segments */
    bool fit = strstr(line, "..") == NULL && line[0] != '.' && strlen(line) <= GW_TOKEN_BYTES_MAX;

    if (gw_verifier_check(v, gw_str_of(line), gw_clock_wall_ms(), &id, NULL, &err) == 0)
        printf("ok\t%.*s", (int)gw_identity_user(id).len, gw_identity_user(id).p);
    else
        printf("no\t%s", err.text);
    printf("\t%s\n", fit && libjwt_accepts(line, alg, key) ? "ok" : "no");
    gw_identity_unref(id);
}

static int check(int argc, char **argv)
{
    struct kit_issuer issuer = {.algorithms = argv[2], .key = argv[3], .issuer = argc > 4 ? argv[4] : NULL,
                                .audience = argc > 5 ? argv[5] : NULL};
    struct gw_err err = {0};
    struct gw_verifier *v = kit_verifier(&issuer, 1, 0, &err);
    struct gw_buf key;
    char *line = NULL;
    size_t cap = 0;
    ssize_t n;

    kit_check(v != NULL, err.text);
    gw_buf_init(&key);
    read_file(argv[3], &key);
    while ((n = getline(&line, &cap, stdin)) >= 0) {
        if (n > 0 && line[n - 1] == '\n')
            line[n - 1] = '\0';
        check_line(v, line, argv[2], gw_buf_str(&key));
    }
    free(line);
    gw_buf_fini(&key);
    gw_verifier_unref(v);
    return 0;
}

static int mint(char **argv)
{
    struct gw_err err = {0};
    char *token = gw_token_mint(argv[4], argv[5], 600, argv[2], argv[3], (struct gw_str){NULL, 0}, &err);

    if (token == NULL)
        fprintf(stderr, "%s\n", err.text);
    else
        puts(token);
    free(token);
    return token == NULL;
}

int main(int argc, char **argv)
{
    if (argc >= 4 && strcmp(argv[1], "check") == 0)
        return check(argc, argv);
    if (argc == 6 && strcmp(argv[1], "mint") == 0)
        return mint(argv);
    fprintf(stderr, "usage: token_probe check ALG KEYFILE [ISSUER [AUDIENCE]] | mint ALG KEYFILE SUB CLAIMS\n");
    return 2;
}
