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
#define I8MM_TARGET __attribute__((target("arch=armv8.2-a+i8mm")))
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
    int64_t forms;         /* rows of the table */
    const int64_t *rows;   /* [T][sequences] */
    const uint8_t *before; /* later layers' inputs [T][sequences][...] */
    uint8_t *after;        /* states [T][sequences][directions][...] */
    /* What the commonest inputs add to sums is computed once: */
    int kept;               /* so many, at most KEPT */
    const uint8_t **inputs; /* [kept] */
    int32_t *kept_of;       /* [T][sequences], which of them, or -1 */
    int32_t *seen;          /* [forms] */
    int32_t *sums;          /* [kept][U][G][LANES] */
    /* The rows of a step, first those whose inputs are kept: */
    int *order;
    uint8_t *states;            /* of the step before, perhaps with this step's inputs behind them */
    const int32_t **input_sums;
    float **row_cells;
    uint8_t **row_out;
    float *cells; /* [sequences][...], which row_cells point into */
    uint8_t *gathered, *prepared; /* rows side by side, and as the tier's products want them */
    void *room;                   /* for the tiles of a gate, likewise */
    float *projected, *keys, *shares; /* of a few sentences, a head, a few queries; see attention.h */
};

/* LANES units of up to LANES rows. */
struct block {
    int32_t *sums; /* [rows][G][LANES] */
    const float *scale, *bias, *peephole;
    float *const *cells; /* by row, of which the units from `first` on are wanted */
    uint8_t *const *out;
    int first;
    int rows, lanes; /* rows and units that there are */
};

static inline int64_t round_up(int64_t number, int64_t step) {
    return (number + step - 1) / step * step;
}

/* The second direction reads every sequence from its end. */
static inline int64_t place_of(const struct pass *p, int d, int step, int row) {
    const int at = d ? p->lengths[row] - 1 - step : step;
    return (int64_t)at * p->sequences + row;
}

static inline const uint8_t *input_at(const struct pass *p, int64_t place, int width) {
    return p->table ? p->table + p->rows[place] * width : p->before + place * width;
}

static inline uint8_t *output_of(const struct pass *p, int d, int step, int row, int64_t stride) {
    return p->after + (place_of(p, d, step, row) * p->directions + d) * stride;
}

/* Copy blocks of LANES bytes. */
static inline void copy_blocks(uint8_t *to, const uint8_t *from, int bytes) {
    for (int k = 0; k < bytes; k += LANES) memcpy(to + k, from + k, LANES);
}

/* Rows of bytes, or what a tier makes of them, `stride` bytes apart. */
struct rows {
    const uint8_t *at;
    int64_t stride;
};

/* For each of `count` rows of 4 * `fours` bytes, the sums of its products with weights
 * [gates][pitch] of which the first [fours][LANES][4] are wanted. */
struct product {
    struct rows rows;
    int count; /* at most LANES */
    const int8_t *tiles;
    int64_t pitch; /* in bytes */
    int fours;     /* a multiple of four */
    int gates, which[4]; /* those that are wanted */
    int lanes; /* of LANES sums of a row, those that are wanted */
    const int32_t *start;       /* [gates][STARTS][LANES], what sums start from, as in struct layer */
    const int32_t *const *from; /* by row, what is added to [gates][LANES] sums; or NULL */
    int64_t from_at;            /* where that begins */
    void *room;                 /* for the tiles of a gate, as the tier wants them */
    int32_t *sums;              /* [count][gates][LANES] */
    int64_t sums_stride;        /* from row to row */
};

static inline const int32_t *start_from(const struct product *m, int row, int gate) {
    return m->from[row] + m->from_at + gate * LANES;
}

/* Gates that the product does not reach are what they start from. */
static inline void fill_unreached(const struct product *m, int gates) {
    for (int gate = 0, next = 0; gate < gates; gate++) {
        if (next < m->gates && m->which[next] == gate) {
            next++;
            continue;
        }
        for (int row = 0; row < m->count; row++) {
            int32_t *to = m->sums + row * m->sums_stride + gate * LANES;
            if (m->from) memcpy(to, start_from(m, row, gate), LANES * sizeof *to);
            else memset(to, 0, LANES * sizeof *to);
        }
    }
}

struct tier {
    void (*direction)(const struct layer *, int, struct pass *);
    void (*tags)(const struct network *, const struct pass *, const uint8_t *, int64_t, int,
                 float *);
    void (*attend)(const struct network *, const struct pass *, const uint8_t *, int64_t, float *);
    int64_t (*bare)(int64_t);           /* see tagbelt_bare_products; or NULL */
    void (*open)(void), (*close)(void); /* around any use, or NULL */
};

#define HIDDEN __attribute__((visibility("hidden")))
HIDDEN void choose_kept(struct pass *, int);

#define TIER_OF(name) HIDDEN extern const struct tier tier_##name;
TIER_OF(portable)
TIER_OF(avx2)
TIER_OF(avxvnni)
TIER_OF(vnni)
TIER_OF(amx)
TIER_OF(neon)
TIER_OF(neondot)
TIER_OF(neoni8mm)

/* Bytes of a prepared row: words, and what its own products add to every sum. */
static inline int64_t prepared_stride(int fours) { return 2 * round_up(fours * 4, CHUNK) + CHUNK; }

/* Take the gates whose bits are set. */
static inline void choose(struct product *m, int reached) {
    m->gates = 0;
    for (int gate = 0; gate < 4; gate++)
        if (reached >> gate & 1) m->which[m->gates++] = gate;
}

static inline int32_t four_bytes(const uint8_t *from) {
    int32_t four;
    memcpy(&four, from, sizeof four);
    return four;
}

#endif
