/*
 * HS256 tokens (token.h). Any thread.
 */
#include "token.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define TOKEN_SECONDS 3600

int bench_token_load(struct bench_token_key *key, const char *path)
{
    FILE *file = fopen(path, "re");
    if (!file) {
        fprintf(stderr, "%s: cannot be read\n", path);
        return -1;
    }
    key->secret_len = fread(key->secret, 1, sizeof key->secret, file);
    fclose(file);
    while (key->secret_len > 0 && key->secret[key->secret_len - 1] == '\n')
        key->secret_len--;
    if (key->secret_len < 32) {
        fprintf(stderr, "%s: an HS256 secret needs 32 bytes (RFC 7518, 3.2)\n", path);
        return -1;
    }
    return 0;
}

/* base64url without padding; out holds 4/3 of n and 4 bytes more. Returns the length. */
static size_t encode(const void *in, size_t n, char *out)
{
    size_t len = (size_t)EVP_EncodeBlock((unsigned char *)out, in, (int)n);
    while (len > 0 && out[len - 1] == '=')
        len--;
    for (size_t i = 0; i < len; i++)
        out[i] = out[i] == '+' ? '-' : out[i] == '/' ? '_' : out[i];
    out[len] = '\0';
    return len;
}

int bench_token_mint(const struct bench_token_key *key, unsigned number, char out[BENCH_TOKEN_BYTES_MAX])
{
    static const char header[] = "{\"alg\":\"HS256\",\"typ\":\"JWT\"}";
    char claims[384];
    long now = (long)time(NULL);
    int n = snprintf(claims, sizeof claims, "{\"iss\":\"%s\",\"aud\":\"%s\",\"sub\":\"u%u\",\"iat\":%ld,\"exp\":%ld}", key->issuer,
                     key->audience, number, now, now + TOKEN_SECONDS);
    if (n < 0 || (size_t)n >= sizeof claims)
        return -1;
    size_t len = encode(header, sizeof header - 1, out);
    out[len++] = '.';
    len += encode(claims, (size_t)n, out + len);
    unsigned char mac[EVP_MAX_MD_SIZE];
    unsigned mac_len = 0;
    if (!HMAC(EVP_sha256(), key->secret, (int)key->secret_len, (unsigned char *)out, len, mac, &mac_len))
        return -1;
    out[len++] = '.';
    encode(mac, mac_len, out + len);
    return 0;
}
