/*
 * Mints HS256 tokens (RFC 7519), so that each benchmark connection can be a user of its own. Any thread; keeps no secret.
 */
#ifndef BENCH_TOKEN_H
#define BENCH_TOKEN_H

#include <stddef.h>

#define BENCH_TOKEN_BYTES_MAX 1024
#define BENCH_TOKEN_SECRET_MAX 512

struct bench_token_key {
    const char *issuer;   /* borrowed, <= 100 characters, no JSON escapes needed */
    const char *audience; /* the same */
    unsigned char secret[BENCH_TOKEN_SECRET_MAX];
    size_t secret_len;
};

/* Reads the secret's file, a trailing newline is not part of it. 0, or -1 after a line on standard error. */
int bench_token_load(struct bench_token_key *key, const char *path);

/* Writes a token for user `u<number>`, good for an hour. 0, or -1 when it does not fit. */
int bench_token_mint(const struct bench_token_key *key, unsigned number, char out[BENCH_TOKEN_BYTES_MAX]);

#endif
