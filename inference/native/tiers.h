/* What the tiers of processors share. A tier is a file tier_NAME.c: its products, and tier.h with its
 * vectors. recurrent.c has the table of tiers. */

#ifndef TAGBELT_TIERS_H
#define TAGBELT_TIERS_H

#include "recurrent.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

#if defined(__x86_64__) && defined(__GNUC__) && !defined(_WIN32)
#define X86 1
#include <immintrin.h>
#else
#define X86 0
#endif

#if defined(__aarch64__) && defined(__GNUC__) && !defined(__AARCH64EB__) && !defined(_WIN32)
#define NEON 1
/* GCC and new clang compile dot products for a function alone; old clang for all or none. */
#if !defined(__clang__) || __clang_major__ >= 16
#define NEON_DOT 1
#define DOT_TARGET __attribute__((target("arch=armv8.2-a+dotprod")))
#elif defined(__ARM_FEATURE_DOTPROD)
#define NEON_DOT 1
#define DOT_TARGET
#else
#define NEON_DOT 0
#endif
#else
#define NEON 0
#define NEON_DOT 0
#endif

#define INLINE static inline __attribute__((always_inline))

/* What one direction of a layer works on. */
struct pass {
    int sequences, directions;
    const int32_t *lengths;
    const uint8_t *table;  /* the first layer's inputs, by row; NULL in later layers */
    const int64_t *rows;   /* [T][sequences] */
    const uint8_t *before; /* later layers' inputs [T][sequences][...] */
    uint8_t *after;        /* states [T][sequences][directions][...] */
    uint8_t *rows_now;     /* states of the step before, with this step's inputs */
    uint8_t *rows_next;
    float *cells;
    uint8_t *prepared; /* rows as the tier's products want them */
    void *room;        /* for the tiles of a gate, likewise */
};

/* LANES units of up to LANES rows. */
struct block {
    int32_t *sums; /* [G][LANES rows][LANES] */
    const float *scale, *bias, *peephole;
    float *cells;
    uint8_t *out;
    int64_t stride, out_stride; /* from row to row of cells and out */
    int rows, lanes; /* rows and units that there are */
};

static inline int64_t padded_rows(int64_t rows) { return (rows + LANES - 1) / LANES * LANES; }

/* The second direction reads every sequence from its end. */
static inline int64_t place_of(const struct pass *p, int d, int step, int row) {
    const int at = d ? p->lengths[row] - 1 - step : step;
    return (int64_t)at * p->sequences + row;
}

static inline const uint8_t *input_of(const struct pass *p, int d, int step, int row, int width) {
    const int64_t place = place_of(p, d, step, row);
    return p->table ? p->table + p->rows[place] * width : p->before + place * width;
}

static inline uint8_t *output_of(const struct pass *p, int d, int step, int row, int64_t stride) {
    return p->after + (place_of(p, d, step, row) * p->directions + d) * stride;
}

/* Rows of bytes, or what a tier makes of them, `stride` bytes apart. */
struct rows {
    const uint8_t *at;
    int64_t stride;
};

/* sums [gates][LANES][LANES]: for each of `count` rows of `chunks` * CHUNK bytes, the sums of its
 * products with tiles [chunks][gates][TILE]. */
struct product {
    struct rows rows;
    int count; /* at most LANES */
    const int8_t *tiles;
    int chunks, gates;
    int lanes; /* of LANES sums of a row, those that are wanted */
    const int32_t *start; /* [gates][STARTS][LANES], what sums start from, as in struct layer */
    void *room;           /* for the tiles of a gate, as the tier wants them */
    int32_t *sums;
};

struct tier {
    void (*direction)(const struct layer *, int, const struct pass *);
    void (*tags)(const struct network *, const struct pass *, const uint8_t *, int64_t, int,
                 float *);
    int64_t (*bare)(int64_t);           /* see tagbelt_bare_products; or NULL */
    void (*open)(void), (*close)(void); /* around any use, or NULL */
};

#define TIER_OF(name) __attribute__((visibility("hidden"))) extern const struct tier tier_##name;
TIER_OF(portable)
TIER_OF(avx2)
TIER_OF(avxvnni)
TIER_OF(vnni)
TIER_OF(amx)
TIER_OF(neon)
TIER_OF(neondot)

/* Bytes of a prepared row: words, and what its own products add to every sum. */
static inline int64_t prepared_stride(int chunks) { return (2 * (int64_t)chunks + 1) * CHUNK; }

static inline int32_t four_bytes(const uint8_t *from) {
    int32_t four;
    memcpy(&four, from, sizeof four);
    return four;
}

#endif
