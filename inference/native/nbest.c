/* What the search for the n best tag sequences begins with: Viterbi's scores at every step, and the
 * sum over all sequences in log space, which nothing can leave. The scores are those of
 * inference/crf/reference.py, operation for operation, and no sum is below its best score. */

#include "crf.h"

/* One step of a row: to `after` and `sums` [K], from `before` and `past` [K]. */
static void advance(const struct moves *into, size tags, const float *emission,
                    const double *before, double *after, const double *past, double *sums) {
    for (size tag = 0; tag < tags; tag++) {
        const size first = into->first[tag], stop = into->first[tag + 1];
        double best = -INFINITY, peak = -INFINITY;
        for (size move = first; move < stop; move++) {
            const double value = into->value[move], score = before[into->other[move]] + value;
            const double all = past[into->other[move]] + value;
            if (score > best) best = score;
            if (all > peak) peak = all;
        }
        double sum = 0.0;
        for (size move = first; peak > -INFINITY && move < stop; move++)
            sum += exp(past[into->other[move]] + into->value[move] - peak);
        after[tag] = emission[tag] + best;
        sums[tag] = (log(sum) + peak) + emission[tag];
    }
}

/* Fill the steps from `begin` to before `stop` of scores [T][B][K], of the best way to each tag, its
 * emission included; what stands before `begin` is there already. sums [B][K] is the logarithm of
 * all ways to a row's last step so far, and stays at its last one. Returns 0, or what is wrong. */
EXPORT size tagbelt_forward(const struct crf *crf, const float *emissions, size step_stride,
                            size row_stride, size steps, size rows, const size *lengths,
                            size begin, size stop, double *scores, double *sums) {
    const size tags = crf->tags;
    const struct batch batch = {emissions, step_stride, row_stride, steps, rows, tags, lengths};
    if (!lengths_fit(&batch) || begin < 0) return BAD_LENGTHS;
    struct moves into;
    double *past = tables(tags, 1, sizeof(double));
    const int fits = moves_init(&into, crf->transitions, tags, 1, -INFINITY) && past;
    for (size row = 0; fits && row < rows; row++) {
        const size end = lengths[row] < stop ? lengths[row] : stop;
        double *own = sums + row * tags;
        for (size step = begin; step < end; step++) {
            const float *emission = emissions + step * step_stride + row * row_stride;
            double *after = scores + (step * rows + row) * tags;
            for (size tag = 0; tag < tags; tag++) past[tag] = own[tag];
            if (step > 0)
                advance(&into, tags, emission, after - rows * tags, after, past, own);
            else
                for (size tag = 0; tag < tags; tag++)
                    own[tag] = after[tag] = emission[tag] + crf->start[tag];
        }
    }
    free(past);
    moves_free(&into);
    return fits ? 0 : NO_MEMORY;
}
