/* The recurrence of a layer over packed rows, forward and backward, in float32.
 *
 * A step is a product, of the states of the step before and the recurrent weights, and the cell's
 * arithmetic. The weights are laid out once a batch as the products read them. A direction that
 * reads sequences from their ends finds its rows through a permutation: nothing is turned round.
 */

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifdef _WIN32
#define PUBLIC __declspec(dllexport)
#else
#define PUBLIC __attribute__((visibility("default")))
#endif
#define INLINE static inline __attribute__((always_inline))

/* In the order of `_KEPT` in __init__.py. */
enum cell { RNN, LSTM, LSTM_COUPLED, GRU, MGU };
static const int GATES[] = {1, 4, 3, 3, 2}, KEPT[] = {0, 2, 2, 1, 1};

/* Letters as in model/cells/packed.py: N rows, D directions, G gates, H units. Pointers may be NULL
 * where they say so. */
struct recurrence {
    int32_t cell, directions, hidden, steps;
    const int64_t *sizes;   /* [steps] rows of each step, none more than the one before */
    const int64_t *reverse; /* [N] the rows of the second direction; NULL for one direction */
    const float *weight;    /* [D, G, H, H] */
    const float *bias;      /* [D, G, H] what states give beside their product; or NULL */
    const float *peephole;  /* [D, G - 1, H]; or NULL */
    float *gates;           /* [N, D, G, H]: the inputs' part, then activations */
    float *kept;            /* [N, D, kept, H] see the cells */
    float *before;          /* [N, D, H] the state that each row started from */
    float *states;          /* [N, D, H] */
    /* Backward only. */
    const float *grad;      /* [N, D, H] of states */
    float *gate_grad;       /* [N, D, G, H] of the inputs' part */
    float *from_state_grad; /* likewise of the states' part; gate_grad itself where it is the same */
    float *peephole_grad;   /* [D, G - 1, H] is added to; or NULL */
};

/* What one row has of these, and of the step before (NULL at the first). */
struct row {
    const float *peephole, *before, *before_kept, *from_state, *grad;
    float *gates, *kept, *state, *gate_grad, *from_state_grad, *peephole_grad, *to_state, *to_cell;
};

struct tier {
    int panel;
    void (*pack)(float *, const float *, int64_t, int64_t, int, int);
    void (*product)(int, const float *const *, int, const float *, float *const *, int);
    void (*forward)(const struct row *, enum cell, int);
    void (*backward)(const struct row *, enum cell, int);
};

/* Inputs that a product takes in one go, for a panel of weights to stay in the nearest cache. */
static int depth_of(int inputs) {
    const int blocks = (inputs + 255) / 256;
    return (inputs + blocks - 1) / (blocks ? blocks : 1);
}

#define TIER
#define NAME(x) x##_portable
#define WIDTH 4
#include "steps.h"

#if defined(__x86_64__) && defined(__GNUC__)
#define TIER __attribute__((target("avx2,fma")))
#define NAME(x) x##_avx2
#define WIDTH 8
#include "steps.h"
#define HAS_AVX2 (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
#else
#define tier_avx2 tier_portable
#define HAS_AVX2 0
#endif

static int portable_only;

/* For tests: leave this processor's own instructions unused, or use them again. */
PUBLIC void tagbelt_training_portable(int only) { portable_only = only; }

PUBLIC int tagbelt_training_interface(void) { return 1; }

/* What a call needs beside its arrays, for one direction at a time. */
struct work {
    const struct tier *tier;
    float *packed, *room, *to_state, *to_cell; /* room [B, G, H]; the others [B, H] */
    const float **in;                          /* [B] rows of a product */
    float **out;
    void *all;
};

static int open_work(struct work *w, const struct recurrence *r, int inputs, int outputs) {
    w->tier = HAS_AVX2 && !portable_only ? &tier_avx2 : &tier_portable;
    const int64_t rows = r->sizes[0], hidden = r->hidden, gates = GATES[r->cell];
    const int64_t wide = (outputs + w->tier->panel - 1) / w->tier->panel * w->tier->panel;
    const int64_t packed = wide * inputs, floats = packed + rows * hidden * (gates + 2);
    w->all = malloc(floats * sizeof(float) + 2 * rows * sizeof(float *) + 64);
    if (!w->all) return 0;
    w->packed = (float *)(((uintptr_t)w->all + 63) & ~(uintptr_t)63);
    w->in = (const float **)(w->packed + packed);
    w->out = (float **)(w->in + rows);
    w->to_state = (float *)(w->out + rows);
    w->to_cell = w->to_state + rows * hidden;
    w->room = w->to_cell + rows * hidden;
    return 1;
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
    const int hidden = r->hidden, width = GATES[r->cell] * hidden;
    const int64_t state = hidden * sizeof(float);
    w->tier->pack(w->packed, r->weight + (int64_t)d * width * hidden, 1, hidden, hidden, width);
    int64_t start = 0, earlier = -1;
    for (int t = 0; t < r->steps; earlier = start, start += r->sizes[t++]) {
        const int count = r->sizes[t];
        for (int b = 0; b < count; b++) {
            float *room = w->out[b] = w->room + (int64_t)b * width;
            if (r->bias) memcpy(room, r->bias + (int64_t)d * width, width * sizeof(float));
            else memset(room, 0, width * sizeof(float));
            float *before = r->before + place(r, d, start + b) * hidden;
            if (t) memcpy(before, r->states + place(r, d, earlier + b) * hidden, state);
            else memset(before, 0, state);
            w->in[b] = before;
        }
        if (t) w->tier->product(count, w->in, hidden, w->packed, w->out, width);
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
    memset(w->to_state, 0, most * hidden * sizeof(float));
    memset(w->to_cell, 0, most * hidden * sizeof(float));
    for (int64_t b = 0; b < most; b++) w->out[b] = w->to_state + b * hidden;
    int64_t start = 0;
    for (int t = 0; t < r->steps; t++) start += r->sizes[t];
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
        if (t) w->tier->product(count, w->in, width, w->packed, w->out, hidden);
    }
}

/* Return 0 where there is no memory. */
PUBLIC int tagbelt_training_forward(const struct recurrence *r) {
    struct work w;
    if (!open_work(&w, r, r->hidden, GATES[r->cell] * r->hidden)) return 0;
    for (int d = 0; d < r->directions; d++) run_forward(r, &w, d);
    free(w.all);
    return 1;
}

PUBLIC int tagbelt_training_backward(const struct recurrence *r) {
    struct work w;
    if (!open_work(&w, r, GATES[r->cell] * r->hidden, r->hidden)) return 0;
    for (int d = 0; d < r->directions; d++) run_backward(r, &w, d);
    free(w.all);
    return 1;
}
