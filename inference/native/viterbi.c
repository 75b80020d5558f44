/* The best tag sequence of each sentence (Viterbi 1967) and the entities in it. The sums are those
 * of inference/crf/reference.py, operation for operation, so that paths, ties and scores are the same. */

#include "crf.h"

/* Paths and best scores of the rows from `first` on, one a lane; `room` is for their scores. */
typedef void best_paths_of(const struct batch *batch, size first, const struct crf *crf,
                           const struct moves *into, void *room, size *paths, double *best);

#define LANES 2
#define TIER
#include "viterbi_block.h"
#if HAVE_TIERS
#define LANES 4
#define TIER __attribute__((target("avx2")))
#include "viterbi_block.h"
#endif

static best_paths_of *best_paths(int lanes) {
#if HAVE_TIERS
    if (lanes == 4) return best_paths_4;
#endif
    (void)lanes;
    return best_paths_2;
}

/* Best paths [T][B], which must be zeros, and their scores [B]. Returns 0, or 1 + the first row
 * that has no path of finite score, or what is wrong. */
EXPORT size tagbelt_viterbi(const struct crf *crf, const float *emissions, size step_stride,
                            size row_stride, size steps, size rows, const size *lengths,
                            size *paths, double *best) {
    const size tags = crf->tags;
    const struct batch batch = {emissions, step_stride, row_stride, steps, rows, tags, lengths};
    if (!lengths_fit(&batch)) return BAD_LENGTHS;
    if (rows == 0) return 0;
    struct moves into;
    const int lanes = lanes_for(lengths[0]);
    int done = moves_init(&into, crf->transitions, tags, 1, -INFINITY);
    double *scores = done ? tables(lengths[0] * lanes, tags, sizeof(double)) : NULL;
    for (size row = 0; scores && row < rows; row += lanes)
        best_paths(lanes)(&batch, row, crf, &into, scores, paths, best);
    size result = scores ? 0 : NO_MEMORY;
    free(scores);
    moves_free(&into);
    for (size row = 0; !result && row < rows; row++)
        if (!isfinite(best[row])) result = row + 1;
    return result;
}

/* The entities of valid paths [T][B], row by row, in order: spans [4][T B] of row, start, end
 * (exclusive) and label. Returns how many there are, or what is wrong. */
EXPORT size tagbelt_find_spans(const struct scheme *scheme, const size *paths, size steps,
                               size rows, const size *lengths, size *spans) {
    const size tags = scheme->tags, room = steps * rows;
    size count = 0;
    for (size row = 0; row < rows; row++) {
        if (lengths[row] < 0 || lengths[row] > steps) return BAD_LENGTHS;
        size start = 0, kind = 0;
        for (size step = 0; step < lengths[row]; step++) {
            size tag = paths[step * rows + row];
            if (tag < 0 || tag >= tags) return BAD_TAGS;
            if (scheme->label[tag] < 0) continue;
            if (scheme->opens[tag]) start = step, kind = scheme->label[tag];
            size next = step + 1 < lengths[row] ? paths[(step + 1) * rows + row] : -1;
            if (next >= tags) return BAD_TAGS;
            if (next >= 0 && scheme->continues[next]) continue;
            spans[count] = row;
            spans[room + count] = start;
            spans[2 * room + count] = step + 1;
            spans[3 * room + count++] = kind;
        }
    }
    return count;
}
