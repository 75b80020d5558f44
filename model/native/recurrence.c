/* The recurrence of a layer over packed rows, forward and backward, in float32.
 *
 * The inputs' part of the gates is one product for all rows. A step is a product, of the states of the
 * step before and the recurrent weights, and the cell's arithmetic. Weights are laid out once a batch as
 * the products read them. A direction that reads sequences from their ends finds its rows through a
 * permutation: nothing is turned round. Directions share no result, so that each may have its thread.
 */

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__) && defined(__GNUC__)
#define X86
#include <immintrin.h>
#endif
#ifdef _WIN32
#define PUBLIC __declspec(dllexport)
#else
#define PUBLIC __attribute__((visibility("default")))
#endif
#define INLINE static inline __attribute__((always_inline))

/* In the order of `_KEPT` in __init__.py. */
enum cell { RNN, LSTM, LSTM_COUPLED, GRU, MGU };
static const int GATES[] = {1, 4, 3, 3, 2}, KEPT[] = {0, 2, 2, 1, 1};

/* Letters as in model/cells/packed.py: N rows, I inputs, D directions, G gates, H units. Pointers may be
 * NULL where they say so. */
struct recurrence {
    int32_t cell, directions, inputs, hidden, steps, rows;
    const int64_t *sizes;      /* [steps] rows of each step, none more than the one before */
    const int64_t *reverse;    /* [N] the rows of the second direction; NULL for one direction */
    const float *in;           /* [N, I] */
    const float *input_weight; /* [D, G, H, I] */
    const float *weight;       /* [D, G, H, H] */
    const float *input_bias;   /* [D, G, H] */
    const float *bias;         /* [D, G, H] what states give beside their product; or NULL */
    const float *peephole;     /* [D, G - 1, H]; or NULL */
    float *gates;              /* [N, D, G, H]: the inputs' part, then activations */
    float *kept;               /* [N, D, kept, H] see the cells */
    float *before;             /* [N, D, H] the state that each row started from */
    float *states;             /* [N, D, H] */
    /* Backward only. */
    const float *grad;         /* [N, D, H] of states */
    float *gate_grad;          /* [N, D, G, H] of the inputs' part */
    float *from_state_grad;    /* likewise of the states' part; gate_grad itself where it is the same */
    float *in_grad;            /* [D, N, I] what each direction gives; or NULL */
    float *input_weight_grad, *weight_grad, *input_bias_grad; /* as the weights */
    float *bias_grad;          /* as the bias; or NULL */
    float *peephole_grad;      /* [D, G - 1, H] is added to; or NULL */
};

/* What one row has of these, and of the step before (NULL at the first). */
struct row {
    const float *peephole, *before, *before_kept, *from_state, *grad;
    float *gates, *kept, *state, *gate_grad, *from_state_grad, *peephole_grad, *to_state, *to_cell;
};

struct tier {
    int panel;
    void (*pack)(float *, const float *, int64_t, int64_t, int, int);
    void (*product)(int, const float *const *, int64_t, int, const float *, float *const *, int,
                    const float *);
    void (*forward)(const struct row *, enum cell, int);
    void (*backward)(const struct row *, enum cell, int);
    void (*add)(float *, const float *, int);
};

/* Inputs that a product takes in one go, for a panel of weights to stay in the nearest cache. */
static int depth_of(int inputs) {
    const int blocks = (inputs + 255) / 256;
    return (inputs + blocks - 1) / (blocks ? blocks : 1);
}

/* Store four rows of four floats as columns. */
INLINE void transpose(float *to, int64_t to_stride, const float *from, int64_t stride) {
#ifdef X86
    __m128 a = _mm_loadu_ps(from), b = _mm_loadu_ps(from + stride);
    __m128 c = _mm_loadu_ps(from + 2 * stride), d = _mm_loadu_ps(from + 3 * stride);
    _MM_TRANSPOSE4_PS(a, b, c, d);
    _mm_storeu_ps(to, a);
    _mm_storeu_ps(to + to_stride, b);
    _mm_storeu_ps(to + 2 * to_stride, c);
    _mm_storeu_ps(to + 3 * to_stride, d);
#else
    for (int i = 0; i < 4; i++)
        for (int k = 0; k < 4; k++) to[k * to_stride + i] = from[i * stride + k];
#endif
}

#define TIER
#define NAME(x) x##_portable
#define WIDTH 4
#include "products.h"
#include "steps.h"

#ifdef X86
#define TIER __attribute__((target("avx2,fma")))
#define NAME(x) x##_avx2
#define WIDTH 8
#include "products.h"
#include "steps.h"

#define TIER __attribute__((target("avx512f,fma")))
#define NAME(x) x##_avx512
#define WIDTH 16
#include "products.h"
#include "steps.h"
#endif

static int highest = 2;

/* For tests: use no tier above this one (0: portable, 1: AVX2, 2: AVX-512); return the one in use. */
PUBLIC int tagbelt_training_tier(int most) {
    highest = most;
#ifdef X86
    if (most > 1 && __builtin_cpu_supports("avx512f")) return 2;
    if (most > 0 && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return 1;
#endif
    return 0;
}

static const struct tier *this_tier(void) {
#ifdef X86
    static const struct tier *const tiers[] = {&tier_portable, &tier_avx2, &tier_avx512};
    return tiers[tagbelt_training_tier(highest)];
#else
    return &tier_portable;
#endif
}

PUBLIC int tagbelt_training_interface(void) { return 2; }

/* What a call needs beside its arrays. */
struct work {
    const struct tier *tier;
    float *packed, *room, *to_state, *to_cell; /* room [B, G, H]; the others [B, H] */
    float *zeros;                              /* [G, H] or [I] or [H], whichever is most */
    const float **in;                          /* rows of a product: N, or [G, H] */
    float **out;
    void *all;
};

static int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }

/* Floats of a packed matrix [inputs, outputs]. */
static int64_t packed_size(const struct tier *tier, int64_t inputs, int64_t outputs) {
    return inputs * ((outputs + tier->panel - 1) / tier->panel * tier->panel);
}

static int open_work(struct work *w, const struct recurrence *r) {
    const struct tier *tier = w->tier = this_tier();
    const int64_t most = r->sizes[0], hidden = r->hidden, width = GATES[r->cell] * hidden;
    const int64_t widest = larger(width, r->inputs);
    /* The weights, as rows or as columns, and the rows that the gradients of weights are made of. */
    int64_t packed = larger(packed_size(tier, r->inputs, width), packed_size(tier, hidden, width));
    packed = larger(packed, larger(packed_size(tier, width, r->inputs), packed_size(tier, width, hidden)));
    packed = larger(packed, packed_size(tier, r->rows, larger(r->inputs, hidden)));
    const int64_t floats = packed + most * hidden * 2 + most * width + widest;
    const int64_t rows = larger(r->rows, width);
    w->all = malloc(floats * sizeof(float) + 2 * rows * sizeof(float *) + 64);
    if (!w->all) return 0;
    w->packed = (float *)(((uintptr_t)w->all + 63) & ~(uintptr_t)63);
    w->in = (const float **)(w->packed + packed);
    w->out = (float **)(w->in + rows);
    w->to_state = (float *)(w->out + rows);
    w->to_cell = w->to_state + most * hidden;
    w->room = w->to_cell + most * hidden;
    w->zeros = w->room + most * width;
    memset(w->zeros, 0, widest * sizeof(float));
    return 1;
}

/* Where a matrix begins, and how far apart its rows and the elements of a row are. */
struct matrix {
    const float *at;
    int64_t by_row, by_column;
};

/* out [rows, outputs] = base [outputs] + in [rows, inputs] x by [inputs, outputs]. */
static void multiply(const struct work *w, int rows, int inputs, int outputs, struct matrix in,
                     struct matrix by, float *out, int64_t out_by_row, const float *base) {
    for (int64_t i = 0; i < rows; i++) {
        w->in[i] = in.at + i * in.by_row;
        w->out[i] = out + i * out_by_row;
    }
    w->tier->pack(w->packed, by.at, by.by_row, by.by_column, inputs, outputs);
    w->tier->product(rows, w->in, in.by_column, inputs, w->packed, w->out, outputs, base);
}

static int64_t place(const struct recurrence *r, int d, int64_t row) {
    return (d ? r->reverse[row] : row) * r->directions + d;
}

/* Row `row` of a step; `earlier` is that of its sequence's step before, or -1. */
static struct row row_of(const struct recurrence *r, int d, int64_t row, int64_t earlier) {
    const int64_t hidden = r->hidden, gates = GATES[r->cell], kept = KEPT[r->cell];
    const int64_t here = place(r, d, row), there = earlier < 0 ? 0 : place(r, d, earlier);
    const int64_t peephole = d * (gates - 1) * hidden;
    return (struct row){
        .peephole = r->peephole ? r->peephole + peephole : NULL,
        .before = earlier < 0 ? NULL : r->states + there * hidden,
        .before_kept = earlier < 0 ? NULL : r->kept + there * kept * hidden,
        .gates = r->gates + here * gates * hidden,
        .kept = r->kept + here * kept * hidden,
        .state = r->states + here * hidden,
        .grad = r->grad ? r->grad + here * hidden : NULL,
        .gate_grad = r->grad ? r->gate_grad + here * gates * hidden : NULL,
        .from_state_grad = r->grad ? r->from_state_grad + here * gates * hidden : NULL,
        .peephole_grad = r->peephole_grad ? r->peephole_grad + peephole : NULL,
    };
}

static void run_forward(const struct recurrence *r, const struct work *w, int d) {
    const int hidden = r->hidden, width = GATES[r->cell] * hidden, inputs = r->inputs;
    const int64_t state = hidden * sizeof(float), all = (int64_t)r->directions * width;
    const int64_t first = (int64_t)d * width;
    const float *const bias = r->bias ? r->bias + first : w->zeros;
    multiply(w, r->rows, inputs, width, (struct matrix){r->in, inputs, 1},
             (struct matrix){r->input_weight + first * inputs, 1, inputs}, r->gates + first, all,
             r->input_bias + first);
    w->tier->pack(w->packed, r->weight + first * hidden, 1, hidden, hidden, width);
    int64_t start = 0, earlier = -1;
    for (int t = 0; t < r->steps; earlier = start, start += r->sizes[t++]) {
        const int count = r->sizes[t];
        for (int b = 0; b < count; b++) {
            float *before = r->before + place(r, d, start + b) * hidden;
            if (t) memcpy(before, r->states + place(r, d, earlier + b) * hidden, state);
            else memset(before, 0, state);
            w->in[b] = before;
            w->out[b] = w->room + (int64_t)b * width;
            if (!t) memcpy(w->out[b], bias, width * sizeof(float));
        }
        if (t) w->tier->product(count, w->in, 1, hidden, w->packed, w->out, width, bias);
        for (int b = 0; b < count; b++) {
            struct row row = row_of(r, d, start + b, t ? earlier + b : -1);
            row.from_state = w->out[b];
            w->tier->forward(&row, r->cell, hidden);
        }
    }
}

static void run_backward(const struct recurrence *r, const struct work *w, int d) {
    const int hidden = r->hidden, width = GATES[r->cell] * hidden;
    const int64_t most = r->sizes[0];
    w->tier->pack(w->packed, r->weight + (int64_t)d * width * hidden, hidden, 1, width, hidden);
    memset(w->to_state, 0, 2 * most * hidden * sizeof(float)); /* and to_cell, behind it */
    for (int64_t b = 0; b < most; b++) w->out[b] = w->to_state + b * hidden;
    int64_t start = r->rows;
    for (int t = r->steps - 1; t >= 0; t--) {
        const int count = r->sizes[t];
        start -= count;
        const int64_t earlier = t ? start - r->sizes[t - 1] : -1;
        for (int b = 0; b < count; b++) {
            struct row row = row_of(r, d, start + b, t ? earlier + b : -1);
            row.before = t ? r->before + place(r, d, start + b) * hidden : NULL;
            row.to_state = w->out[b];
            row.to_cell = w->to_cell + (int64_t)b * hidden;
            w->tier->backward(&row, r->cell, hidden);
            w->in[b] = row.from_state_grad;
        }
        if (t) w->tier->product(count, w->in, 1, width, w->packed, w->out, hidden, NULL);
    }
}

/* What the gradients of the gates give the inputs, the weights and the biases. */
static void spread(const struct recurrence *r, const struct work *w, int d) {
    const int hidden = r->hidden, width = GATES[r->cell] * hidden, inputs = r->inputs;
    const int64_t all = (int64_t)r->directions * width, first = (int64_t)d * width;
    const float *from_input = r->gate_grad + first, *from_state = r->from_state_grad + first;
    if (r->in_grad)
        multiply(w, r->rows, width, inputs, (struct matrix){from_input, all, 1},
                 (struct matrix){r->input_weight + first * inputs, inputs, 1},
                 r->in_grad + (int64_t)d * r->rows * inputs, inputs, w->zeros);
    multiply(w, width, r->rows, inputs, (struct matrix){from_input, 1, all},
             (struct matrix){r->in, inputs, 1}, r->input_weight_grad + first * inputs, inputs,
             w->zeros);
    multiply(w, width, r->rows, hidden, (struct matrix){from_state, 1, all},
             (struct matrix){r->before + d * hidden, (int64_t)r->directions * hidden, 1},
             r->weight_grad + first * hidden, hidden, w->zeros);
    float *const sums[] = {r->input_bias_grad + first, r->bias_grad ? r->bias_grad + first : NULL};
    const float *const parts[] = {from_input, from_state};
    for (int i = 0; i < 2 && sums[i]; i++) {
        memset(sums[i], 0, width * sizeof(float));
        for (int64_t n = 0; n < r->rows; n++) w->tier->add(sums[i], parts[i] + n * all, width);
    }
}

/* Both run direction `d`, and return 0 where there is no memory. */
PUBLIC int tagbelt_training_forward(const struct recurrence *r, int d) {
    struct work w;
    if (!open_work(&w, r)) return 0;
    run_forward(r, &w, d);
    free(w.all);
    return 1;
}

PUBLIC int tagbelt_training_backward(const struct recurrence *r, int d) {
    struct work w;
    if (!open_work(&w, r)) return 0;
    run_backward(r, &w, d);
    spread(r, &w, d);
    free(w.all);
    return 1;
}
