/* Forward-backward over packed rows, in probability space with a scale a step (Rabiner 1989, section
 * V.A), in float64. What is out of its reach is left to log space, in model/crf.py. */

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifdef _WIN32
#define PUBLIC __declspec(dllexport)
#else
#define PUBLIC __attribute__((visibility("default")))
#endif
#define INLINE static inline __attribute__((always_inline))

/* N rows of B sentences, K tags. */
struct lattice {
    int32_t tags, steps, rows, each;
    double safe_score, safe_probability; /* see model/crf.py */
    const int64_t *sizes;                /* [steps] rows of each step, none more than the one before */
    const double *emissions;             /* [N, K] */
    const double *start, *step, *end;    /* [K], [K, K] (from, to), [K]; -inf where impossible */
    const int64_t *gold;                 /* [N] tags whose score and counts are taken off; or NULL */
    double *log_partition;               /* [B] */
    double *marginals;                   /* [N, K] */
    double *counts;                      /* [K, K], or [B, K, K] where `each` */
    double *starts, *ends;               /* [K] marginals of all first and all last rows together */
};

/* Return 0 where a score is extreme, or is not a number. */
static int exponentials(const struct lattice *l, const double *scores, int64_t count, double *to) {
    for (int64_t i = 0; i < count; i++) {
        if (!(fabs(scores[i]) <= l->safe_score || scores[i] == -INFINITY)) return 0;
        to[i] = exp(scores[i]);
    }
    return 1;
}

/* Turn a row of scores into multiples of its highest one's probability. */
static int likelihoods(const struct lattice *l, const double *scores, double *to, double *top) {
    double high = -INFINITY, low = INFINITY;
    for (int k = 0; k < l->tags; k++) {
        if (isnan(scores[k])) return 0;
        if (scores[k] > high) high = scores[k];
        if (scores[k] < low && scores[k] != -INFINITY) low = scores[k];
    }
    if (!(high > -INFINITY && high - low <= l->safe_score)) return 0;
    for (int k = 0; k < l->tags; k++) to[k] = exp(scores[k] - high);
    *top = high;
    return 1;
}

/* to += vector x matrix [K, K]. */
INLINE void multiply(double *restrict to, const double *vector, const double *matrix, int tags) {
    for (int i = 0; i < tags; i++)
        for (int j = 0; j < tags; j++) to[j] += vector[i] * matrix[(int64_t)i * tags + j];
}

/* Take the score and the counts of the gold tags off. */
static void subtract_gold(const struct lattice *l) {
    const int64_t tags = l->tags;
    int64_t start = 0, earlier = 0;
    for (int t = 0; t < l->steps; earlier = start, start += l->sizes[t++])
        for (int64_t b = 0; b < l->sizes[t]; b++) {
            const int64_t row = start + b, tag = l->gold[row];
            double score = l->emissions[row * tags + tag];
            l->marginals[row * tags + tag] -= 1.0;
            if (t) {
                const int64_t move = l->gold[earlier + b] * tags + tag;
                score += l->step[move];
                l->counts[move] -= 1.0;
            } else {
                score += l->start[tag];
                l->starts[tag] -= 1.0;
            }
            if (t + 1 == l->steps || b >= l->sizes[t + 1]) {
                score += l->end[tag];
                l->ends[tag] -= 1.0;
            }
            l->log_partition[b] -= score;
        }
}

INLINE int run(const struct lattice *l, double *room) {
    const int tags = l->tags;
    const int64_t square = (int64_t)tags * tags, most = l->sizes[0];
    double *const step = room, *const turned = step + square, *const start_weight = turned + square;
    double *const end_weight = start_weight + tags, *const scale = end_weight + tags;
    double *const mass = scale + l->rows, *const ahead = mass + most;
    double *const likelihood = ahead + most * tags, *const forward = likelihood + l->rows * (int64_t)tags;
    if (!exponentials(l, l->step, square, step) || !exponentials(l, l->start, tags, start_weight) ||
        !exponentials(l, l->end, tags, end_weight))
        return 0;
    for (int i = 0; i < tags; i++)
        for (int j = 0; j < tags; j++) turned[(int64_t)j * tags + i] = step[(int64_t)i * tags + j];
    memset(forward, 0, l->rows * (int64_t)tags * sizeof(double));
    memset(l->log_partition, 0, most * sizeof(double));
    int64_t start = 0, earlier = 0;
    for (int t = 0; t < l->steps; earlier = start, start += l->sizes[t++])
        for (int64_t b = 0; b < l->sizes[t]; b++) {
            const int64_t row = start + b;
            double *const now = forward + row * tags, *const here = likelihood + row * tags;
            double top, sum = 0.0;
            if (!likelihoods(l, l->emissions + row * tags, here, &top)) return 0;
            if (t) multiply(now, forward + (earlier + b) * tags, step, tags);
            else memcpy(now, start_weight, tags * sizeof(double));
            for (int k = 0; k < tags; k++) sum += now[k] *= here[k];
            for (int k = 0; k < tags; k++) {
                now[k] /= sum;
                if (now[k] > 0.0 && now[k] < l->safe_probability) return 0;
            }
            scale[row] = sum;
            l->log_partition[b] += log(sum) + top;
            if (t + 1 < l->steps && b < l->sizes[t + 1]) continue;
            mass[b] = 0.0;
            for (int k = 0; k < tags; k++) mass[b] += now[k] * end_weight[k];
            l->log_partition[b] += log(mass[b]);
            if (!isfinite(l->log_partition[b])) return 0;
        }

    memset(l->counts, 0, (l->each ? most : 1) * square * sizeof(double));
    memset(l->starts, 0, tags * sizeof(double));
    memset(l->ends, 0, tags * sizeof(double));
    start = l->rows;
    for (int t = l->steps - 1; t >= 0; t--) {
        start -= l->sizes[t];
        earlier = t ? start - l->sizes[t - 1] : 0;
        for (int64_t b = 0; b < l->sizes[t]; b++) {
            const int64_t row = start + b;
            const int is_last = t + 1 == l->steps || b >= l->sizes[t + 1];
            /* Until here `marginals` of a row holds the backward probabilities that reach it. */
            double *const backward = l->marginals + row * tags, *const reach = ahead + b * tags;
            const double *const now = forward + row * tags, *const here = likelihood + row * tags;
            if (is_last)
                for (int k = 0; k < tags; k++) backward[k] = end_weight[k] / mass[b];
            for (int k = 0; k < tags; k++) {
                reach[k] = here[k] / scale[row] * backward[k];
                backward[k] *= now[k];
                if (!isfinite(backward[k])) return 0;
                if (is_last) l->ends[k] += backward[k];
                if (!t) l->starts[k] += backward[k];
            }
            if (!t) continue;
            double *const before = l->marginals + (earlier + b) * tags;
            double *const counts = l->counts + (l->each ? b * square : 0);
            const double *const from = forward + (earlier + b) * tags;
            memset(before, 0, tags * sizeof(double));
            multiply(before, reach, turned, tags);
            for (int i = 0; i < tags; i++)
                for (int j = 0; j < tags; j++) counts[(int64_t)i * tags + j] += from[i] * reach[j];
        }
    }
    for (int64_t b = 0; b < (l->each ? most : 1); b++)
        for (int64_t i = 0; i < square; i++) l->counts[b * square + i] *= step[i];
    if (l->gold) subtract_gold(l);
    return 1;
}

#if defined(__x86_64__) && defined(__GNUC__)
__attribute__((target("avx2,fma"))) static int run_avx2(const struct lattice *l, double *room) {
    return run(l, room);
}
#define HAS_AVX2 (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
#else
#define run_avx2 run
#define HAS_AVX2 0
#endif

/* Return 0 where scores are so far apart that digits may be lost, 1 if all is well, -1 without memory. */
PUBLIC int tagbelt_training_lattice(const struct lattice *l) {
    const int64_t tags = l->tags, most = l->sizes[0], rows = l->rows;
    const int64_t count = 2 * tags * tags + 2 * tags + rows + most + most * tags + 2 * rows * tags;
    double *room = malloc(count * sizeof(double));
    if (!room) return -1;
    const int done = HAS_AVX2 ? run_avx2(l, room) : run(l, room);
    free(room);
    return done;
}
