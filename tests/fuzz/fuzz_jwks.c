/* Fuzzes the reading of JWK sets: a key that is taken must be whole and strong enough, and must refuse a made-up
 * signature. */
#include "../../gateway/auth/auth_private.h"

#include "gw/log.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_key(const struct gw_key *key)
{
    static const char *const names[] = {"HS256", "RS256", "ES256", "ES384", "ES512"};
    static const char zeros[512];

    if (key->algs == 0 || (key->pkey == NULL) == (key->secret == NULL) || key->any_kid)
        abort();
    if (key->secret != NULL && key->secret_len < GW_SECRET_BYTES_MIN)
        abort();
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const struct gw_alg *alg = gw_alg_find(gw_str_of(names[i]));
        size_t n = alg->kind == GW_ALG_ES ? 2 * alg->coord_bytes : alg->kind == GW_ALG_HS ? 32 : 256;

        if (gw_key_verify(key, alg, GW_STR("header.claims"), (struct gw_str){zeros, n}) == 0)
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gw_keys keys = {0};
    struct gw_err err = {0};
    int rc;

    gw_log_setup(GW_LOG_ERROR, GW_LOG_LOGFMT); /* skipped keys are logged */
    rc = gw_keys_add_jwks(&keys, (struct gw_str){(const char *)data, size}, 0x1ff, "fuzz", &err);
    if ((rc == 0) == err.set || (rc == 0 && keys.n == 0))
        abort();
    for (size_t i = 0; i < keys.n; i++)
        check_key(&keys.v[i]);
    gw_keys_fini(&keys);
    return 0;
}
