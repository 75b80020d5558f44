/* The arithmetic of one tier of processors, whose file includes this one, with
 *   TIER        function attributes,        NAME(x)  the tier's name for x,
 *   WIDTH       floats of a vector,         MINIMUM, MAXIMUM, QUOTIENT  of vectors,
 *   FUSED       (a, b, c): a b + c of vectors, rounded once,
 *   STORE_BYTES (p, v): add ZERO to the rounded values of v and store each as a byte at p,
 *   FINISH      (product): compute its sums,
 * and, if the tier has them,
 *   START       (product): a first half of that; between the two other work may stand,
 *   PREPARE     (pass, rows, count, chunks): the rows as products read them,
 *   STARTS      how many numbers it has for a sum to start from, 1 unless given.
 */

#ifndef START
#define START(product)
#endif
#ifndef PREPARE
#define PREPARE(pass, rows, count, chunks) (rows)
#endif
#ifndef STARTS
#define STARTS 1
#endif

typedef float NAME(floats) __attribute__((vector_size(WIDTH * 4)));
typedef int32_t NAME(integers) __attribute__((vector_size(WIDTH * 4)));
#define V NAME(floats)

TIER static inline V NAME(load)(const float *from) {
    V v;
    memcpy(&v, from, sizeof v);
    return v;
}

TIER static inline V NAME(load_sums)(const int32_t *from) {
    NAME(integers) v;
    memcpy(&v, from, sizeof v);
    return __builtin_convertvector(v, V);
}

/* x P(x^2) / Q(x^2), fitted to tanh on [-6, 6] for the least maximum error (6e-6). */
TIER static inline V NAME(tanh)(V x) {
    const V limit = (V){0} + 6.0f;
    x = MAXIMUM(MINIMUM(x, limit), -limit);
    const V s = x * x;
    const V zero = {0};
    const V p = FUSED(FUSED(zero + 1.4955370e-3f, s, zero + 1.1447248e-1f), s, zero + 9.9997117e-1f);
    const V r = FUSED(zero + 5.5185007e-5f, s, zero + 1.7487308e-2f);
    const V q = FUSED(FUSED(r, s, zero + 4.4771387e-1f), s, zero + 1.0f);
    return QUOTIENT(x * p, q);
}

/* sigmoid(x) = tanh(x / 2) / 2 + 1 / 2, of x / 2. */
TIER static inline V NAME(sigmoid)(V half) { return 0.5f * NAME(tanh)(half) + 0.5f; }

#include "cells.h"

/* Scores [rows][K] of the tags, `step` floats from row to row, from states `stride` bytes apart. */
TIER static void NAME(tags)(const struct network *n, const struct pass *p, const uint8_t *states,
                            int64_t stride, int rows, float *scores) {
    int32_t sums[2 * LANES * LANES] __attribute__((aligned(64)));
    struct product m = {.count = rows, .chunks = n->tag_chunks, .gates = 2, .lanes = LANES,
                        .room = p->room, .sums = sums};
    m.rows = PREPARE(p, ((struct rows){states, stride}), rows, n->tag_chunks);
    for (int block = 0; block < n->tag_blocks; block++) {
        m.tiles = n->tag_tiles + (int64_t)block * n->tag_chunks * 2 * TILE;
        m.start = n->tag_start ? n->tag_start + block * 2 * STARTS * LANES : NULL;
        START(&m);
        FINISH(&m);
        const float *scale = n->tag_scale + block * 2 * LANES;
        const int first = block * LANES;
        const int count = n->tags - first < LANES ? n->tags - first : LANES;
        for (int row = 0; row < rows; row++) {
            float made[LANES];
            for (int lane = 0; lane < LANES; lane += WIDTH) {
                V v = NAME(load_sums)(sums + row * LANES + lane) * NAME(load)(scale + lane)
                    + (NAME(load_sums)(sums + (LANES + row) * LANES + lane)
                           * NAME(load)(scale + LANES + lane)
                       + NAME(load)(n->tag_bias + first + lane));
                memcpy(made + lane, &v, sizeof v);
            }
            memcpy(scores + (int64_t)row * n->tags + first, made, count * sizeof(float));
        }
    }
}

/* One step of a direction: states `now` [alive] and the inputs behind them make those of `next`.
 *
 * The products of a block are started before the cells of the block before it are computed: on
 * AMX the two use different parts of the core. */
TIER static void NAME(step)(const struct layer *l, int d, const struct pass *p, int alive,
                            const uint8_t *now, uint8_t *next) {
    const int gates = GATES_OF[l->cell];
    const int64_t stride = (int64_t)l->chunks * CHUNK;
    const int units = l->unit_blocks * LANES;
    int32_t sums[2][4 * LANES * LANES] __attribute__((aligned(64)));
    struct block before = {.rows = 0}, b = {.stride = units, .out_stride = stride};
    struct product m = {.chunks = l->chunks, .gates = gates, .room = p->room};
    const struct rows rows = PREPARE(p, ((struct rows){now, stride}), alive, l->chunks);
    for (int unit = 0; unit < l->unit_blocks; unit++) {
        const int64_t at = (int64_t)d * l->unit_blocks + unit;
        m.tiles = l->tiles + at * l->chunks * gates * TILE;
        m.start = l->start ? l->start + at * gates * STARTS * LANES : NULL;
        const int behind = l->hidden - unit * LANES;
        m.lanes = b.lanes = behind < LANES ? behind : LANES;
        b.scale = l->scale + at * gates * LANES;
        b.bias = l->bias + at * gates * LANES;
        b.peephole = l->peephole ? l->peephole + at * (gates - 1) * LANES : NULL;
        for (int row = 0; row < alive; row += LANES) {
            m.rows = (struct rows){rows.at + row * rows.stride, rows.stride};
            m.count = b.rows = alive - row < LANES ? alive - row : LANES;
            m.sums = b.sums = before.sums == sums[0] ? sums[1] : sums[0];
            b.cells = p->cells + (int64_t)row * units + unit * LANES;
            b.out = next + row * stride + unit * LANES;
            START(&m);
            if (before.rows) NAME(units)(&before, l->cell);
            FINISH(&m);
            before = b;
        }
    }
    NAME(units)(&before, l->cell);
}

/* All steps of one direction of a layer. */
TIER static void NAME(direction)(const struct layer *l, int d, const struct pass *p) {
    const int64_t stride = (int64_t)l->chunks * CHUNK;
    const int units = l->unit_blocks * LANES;
    uint8_t *now = p->rows_now, *next = p->rows_next;
    int alive = p->sequences;
    memset(now, ZERO, padded_rows(alive) * stride);
    memset(next, ZERO, padded_rows(alive) * stride);
    memset(p->cells, 0, padded_rows(alive) * units * sizeof(float));
    for (int step = 0; step < p->lengths[0]; step++) {
        while (p->lengths[alive - 1] <= step) alive--;
        for (int row = 0; row < alive; row++)
            memcpy(now + row * stride + units, input_of(p, d, step, row, l->input_bytes),
                   l->input_bytes);
        NAME(step)(l, d, p, alive, now, next);
        for (int row = 0; row < alive; row++)
            memcpy(output_of(p, d, step, row, units), next + row * stride, units);
        uint8_t *swap = now;
        now = next;
        next = swap;
    }
}

#undef V
#undef TIER
#undef NAME
#undef WIDTH
#undef MINIMUM
#undef MAXIMUM
#undef QUOTIENT
#undef FUSED
#undef STORE_BYTES
#undef START
#undef FINISH
#undef PREPARE
#undef STARTS
