/* The arithmetic of one tier of processors, whose file includes this one, with
 *   TIER        function attributes,        NAME(x)  the tier's name for x,
 *   WIDTH       floats of a vector,         MINIMUM, MAXIMUM, QUOTIENT  of vectors,
 *   FUSED       (a, b, c): a b + c of vectors, rounded once,
 *   STORE_BYTES (p, v): add ZERO to the rounded values of v and store each as a byte at p,
 *   FINISH      (product): compute its sums,
 * and, if the tier has them,
 *   START       (product): a first half of that; between the two other work may stand,
 *   PREPARE     (to, rows, count, fours): the rows as products read them, made at `to`,
 *   STARTS      how many numbers it has for a sum to start from, 1 unless given,
 *   OWN_GATES   defined where it has functions of its own: NAME(tanh) of ARGUMENT times x, and
 *               NAME(sigmoid) of ARGUMENT times x / 2,
 *   SPLIT       0 where rows are always multiplied whole.
 */

#ifndef START
#define START(product)
#endif
#ifndef PREPARE
#define PREPARE(to, rows, count, fours) (rows)
#endif
#ifndef STARTS
#define STARTS 1
#endif
#ifndef SPLIT
#define SPLIT 1
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

#ifndef OWN_GATES
#define ARGUMENT 1.0f

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
#endif

#include "cells.h"

/* Let it be of rows, up to a block of them, of `count`. */
static inline void NAME(take)(struct product *m, struct rows rows, int row, int count) {
    m->rows = (struct rows){rows.at + row * rows.stride, rows.stride};
    m->count = count - row < LANES ? count - row : LANES;
}

/* Outputs [count][...] of prepared rows, `step` floats from row to row. */
TIER static void NAME(linear)(const struct linear *l, const struct pass *p, struct rows rows,
                              int count, float *out, int64_t step) {
    int32_t sums[LANES * 4 * LANES] __attribute__((aligned(64)));
    struct product m = {.pitch = (int64_t)l->chunks * TILE, .lanes = LANES, .which = {0, 1, 2, 3},
                        .fours = l->chunks * (CHUNK / 4), .room = p->room, .sums = sums,
                        .sums_stride = 4 * LANES};
    for (int block = 0; block < l->blocks; block += 4 / l->bytes) {
        const int at = block * l->bytes;
        m.gates = l->blocks * l->bytes - at < 4 ? l->blocks * l->bytes - at : 4;
        m.tiles = l->tiles + at * m.pitch;
        m.start = l->start ? l->start + at * STARTS * LANES : NULL;
        for (int first = 0; first < count; first += LANES) {
            NAME(take)(&m, rows, first, count);
            START(&m);
            FINISH(&m);
            for (int part = 0; part < m.gates; part += l->bytes) {
                const int from = (block + part / l->bytes) * LANES, left = l->outputs - from;
                const float *scale = l->scale + (at + part) * LANES, *bias = l->bias + from;
                for (int row = 0; row < m.count; row++) {
                    const int32_t *own = sums + row * m.sums_stride + part * LANES;
                    float made[LANES];
                    for (int lane = 0; lane < LANES; lane += WIDTH) {
                        V v = NAME(load)(bias + lane);
                        if (l->bytes == 2)
                            v = NAME(load_sums)(own + LANES + lane) * NAME(load)(scale + LANES + lane)
                              + v;
                        v = NAME(load_sums)(own + lane) * NAME(load)(scale + lane) + v;
                        memcpy(made + lane, &v, sizeof v);
                    }
                    memcpy(out + (first + row) * step + from, made,
                           (left < LANES ? left : LANES) * sizeof *out);
                }
            }
        }
    }
}

/* Scores [count][K] of the tags, from states `stride` bytes apart. */
TIER static void NAME(tags)(const struct network *n, const struct pass *p, const uint8_t *states,
                            int64_t stride, int count, float *scores) {
    const struct rows rows = PREPARE(p->prepared, ((struct rows){states, stride}), count,
                                     n->scores.chunks * (CHUNK / 4));
    NAME(linear)(&n->scores, p, rows, count, scores, n->tags);
}

#include "attention.h"

/* A product over a range of a layer's rows. */
static inline struct product NAME(over)(const struct layer *l, const struct pass *p,
                                        enum range range) {
    const int gates = GATES_OF[l->cell], states = l->unit_blocks * LANES;
    const int inputs = (int)round_up(l->input_bytes, 16);
    const int columns[] = {SPLIT ? states + inputs : l->chunks * CHUNK, states, inputs};
    struct product m = {.fours = columns[range] / 4, .pitch = (int64_t)l->chunks * TILE,
                        .room = p->room, .sums_stride = gates * LANES};
    const int reached[] = {(1 << gates) - 1, STATES_REACH[l->cell], INPUTS_REACH[l->cell]};
    choose(&m, reached[range]);
    return m;
}

/* Let it be of a block of units. */
static inline void NAME(aim)(struct product *m, const struct layer *l, int d, int unit,
                             enum range range) {
    const int gates = GATES_OF[l->cell], behind = l->hidden - unit * LANES;
    const int64_t at = ((int64_t)d * l->unit_blocks + unit) * gates;
    m->tiles = l->tiles + at * m->pitch + (range == INPUTS ? l->unit_blocks * LANES * LANES : 0);
    m->start = l->start[range] ? l->start[range] + at * STARTS * LANES : NULL;
    m->lanes = behind < LANES ? behind : LANES;
}

/* Compute what the kept inputs add to the sums of a direction. */
TIER static void NAME(keep)(const struct layer *l, int d, const struct pass *p) {
    const int64_t stride = round_up(l->input_bytes, CHUNK);
    for (int row = 0; row < p->kept; row++)
        memcpy(p->gathered + row * stride, p->inputs[row], l->input_bytes);
    struct product m = NAME(over)(l, p, INPUTS);
    const struct rows rows = PREPARE(p->prepared, ((struct rows){p->gathered, stride}), p->kept,
                                     m.fours);
    m.sums_stride *= l->unit_blocks;
    for (int unit = 0; unit < l->unit_blocks; unit++) {
        NAME(aim)(&m, l, d, unit, INPUTS);
        for (int row = 0; row < p->kept; row += LANES) {
            NAME(take)(&m, rows, row, p->kept);
            m.sums = p->sums + row * m.sums_stride + unit * GATES_OF[l->cell] * LANES;
            START(&m);
            FINISH(&m);
            fill_unreached(&m, GATES_OF[l->cell]);
        }
    }
}

/* One step of a direction, of `count` rows from `first` on: of those whose inputs are kept, or of
 * others, which have them behind their states.
 *
 * The products of a block are started before the cells of the block before it are computed: on
 * AMX the two use different parts of the core. */
TIER static void NAME(step)(const struct layer *l, int d, const struct pass *p, int first,
                            int count, int kept, int64_t stride) {
    const int gates = GATES_OF[l->cell];
    const int parted = SPLIT && !kept && STATES_REACH[l->cell] != INPUTS_REACH[l->cell];
    const enum range range = kept || parted ? STATES : WHOLE;
    int32_t sums[2][LANES * 4 * LANES] __attribute__((aligned(64)));
    const int32_t *own[LANES];
    struct block before = {.rows = 0}, b;
    struct product m = NAME(over)(l, p, range), inputs = NAME(over)(l, p, INPUTS);
    struct rows rows = {p->states + first * stride, stride}, behind = rows;
    if (parted) {
        behind.at += l->unit_blocks * LANES;
        behind = PREPARE(p->prepared + count * prepared_stride(m.fours), behind, count,
                         inputs.fours);
    }
    rows = PREPARE(p->prepared, rows, count, m.fours);
    for (int unit = 0; unit < l->unit_blocks; unit++) {
        const int64_t at = (int64_t)d * l->unit_blocks + unit;
        NAME(aim)(&m, l, d, unit, range);
        NAME(aim)(&inputs, l, d, unit, INPUTS);
        b.lanes = m.lanes;
        b.first = unit * LANES;
        b.scale = l->scale + at * gates * LANES;
        b.bias = l->bias + at * gates * LANES;
        b.peephole = l->peephole ? l->peephole + at * (gates - 1) * LANES : NULL;
        for (int row = 0; row < count; row += LANES) {
            NAME(take)(&m, rows, row, count);
            b.rows = m.count;
            m.sums = b.sums = before.sums == sums[0] ? sums[1] : sums[0];
            b.cells = p->row_cells + first + row;
            b.out = p->row_out + first + row;
            if (kept) {
                m.from = p->input_sums + first + row;
                m.from_at = unit * gates * LANES;
            } else if (parted) {
                NAME(take)(&inputs, behind, row, count);
                inputs.sums = m.sums;
                FINISH(&inputs);
                fill_unreached(&inputs, gates);
                for (int i = 0; i < m.count; i++) own[i] = m.sums + i * m.sums_stride;
                m.from = own;
            }
            START(&m);
            if (before.rows) NAME(units)(&before, l->cell);
            FINISH(&m);
            if (kept) fill_unreached(&m, gates);
            before = b;
        }
    }
    NAME(units)(&before, l->cell);
}

/* All steps of one direction of a layer. */
TIER static void NAME(direction)(const struct layer *l, int d, struct pass *p) {
    const int units = l->unit_blocks * LANES;
    const int64_t stride = (int64_t)l->chunks * CHUNK, ints = (int64_t)units * GATES_OF[l->cell];
    if (SPLIT && d == 0) choose_kept(p, l->input_bytes);
    if (SPLIT) NAME(keep)(l, d, p);
    memset(p->cells, 0, p->sequences * units * sizeof(float));
    int alive = p->sequences;
    for (int step = 0; step < p->lengths[0]; step++) {
        while (p->lengths[alive - 1] <= step) alive--;
        int kept = 0, others = alive;
        for (int row = 0; row < alive; row++)
            p->order[SPLIT && p->kept_of[place_of(p, d, step, row)] >= 0 ? kept++ : --others] = row;
        for (int i = 0; i < alive; i++) {
            const int row = p->order[i];
            const int64_t place = place_of(p, d, step, row);
            uint8_t *to = p->states + i * stride;
            if (step) copy_blocks(to, output_of(p, d, step - 1, row, units), units);
            else memset(to, ZERO, units);
            if (i < kept) p->input_sums[i] = p->sums + p->kept_of[place] * ints;
            else memcpy(to + units, input_at(p, place, l->input_bytes), l->input_bytes);
            if (step + 1 < p->lengths[row]) { /* which mostly lies far away */
                const int64_t next = place_of(p, d, step + 1, row);
                const uint8_t *input = input_at(p, next, l->input_bytes);
                __builtin_prefetch(input);
                __builtin_prefetch(input + CHUNK);
            }
            p->row_cells[i] = p->cells + (int64_t)row * units;
            p->row_out[i] = output_of(p, d, step, row, units);
        }
        if (kept) NAME(step)(l, d, p, 0, kept, 1, stride);
        if (kept < alive) NAME(step)(l, d, p, kept, alive - kept, 0, stride);
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
#undef SPLIT
#undef OWN_GATES
#undef ARGUMENT
