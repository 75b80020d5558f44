/* Best paths of the rows of one block; see crf.h. */

#include "lanes.h"

/* Copy the emissions of the rows from `first` on to scores [steps][K], zeros after a row's end. A
 * row with an emission that is NaN or +inf is bad: as in numpy, it has no score. */
TIER INLINE void NAME(load)(const struct batch *batch, size first, size steps, V *scores,
                            char *bad) {
    const size tags = batch->tags;
    memset(scores, 0, (size_t)(steps * tags) * sizeof(V));
    for (size row = 0; row < LANES && first + row < batch->rows; row++) {
        const float *own = batch->emissions + (first + row) * batch->row_stride;
        double *cell = (double *)scores + row;
        int fine = 1;
        for (size step = 0; step < batch->lengths[first + row]; step++) {
            for (size tag = 0; tag < tags; tag++, cell += LANES) {
                fine &= own[tag] <= FLT_MAX;
                *cell = own[tag];
            }
            own += batch->step_stride;
        }
        bad[row] = !fine;
    }
}

/* Add to each step's emissions the best way to get there. */
TIER INLINE void NAME(forward_best)(V *scores, size steps, size tags, const double *start,
                                    const struct moves *into) {
    for (size tag = 0; tag < tags; tag++) scores[tag] += start[tag];
    for (size step = 1; step < steps; step++) {
        const V *before = scores;
        scores += tags;
        const struct group *const end = into->groups + into->group_count;
        for (const struct group *group = into->groups; group < end; group++) {
            V best[WIDE];
            for (int i = 0; i < WIDE; i++) best[i] = (V){0} - INFINITY;
            const double *value = group->values;
            for (size move = 0; move < group->moves; move++, value += WIDE) {
                const V from = before[group->others[move]];
                for (int i = 0; i < WIDE; i++) NAME(raise)(&best[i], from + value[i]);
            }
            for (int i = 0; i < WIDE; i++)
                if (i < group->count) scores[group->tags[i]] += best[i];
        }
    }
}

/* Walk one row back from its best last tag; ties go to the lower tag. Returns its best score.
 * `scores` is the row's lane. */
TIER INLINE double NAME(walk_back)(const double *scores, size length, size tags, const double *end,
                                   const struct moves *into, size *path, size stride) {
    double best = -INFINITY;
    size tag = 0;
    const double *now = scores + (length - 1) * tags * LANES;
    for (size last = 0; last < tags; last++) {
        double score = now[last * LANES] + end[last];
        if (score > best) best = score, tag = last;
    }
    for (size step = length - 1; step > 0; step--) {
        path[step * stride] = tag;
        now -= tags * LANES;
        double most = -INFINITY;
        size from = 0;
        for (size move = into->first[tag]; move < into->first[tag + 1]; move++) {
            double score = now[into->other[move] * LANES] + into->value[move];
            if (score > most) most = score, from = into->other[move];
        }
        tag = from;
    }
    path[0] = tag;
    return best;
}

TIER static void NAME(best_paths)(const struct batch *batch, size first, const struct crf *crf,
                                  const struct moves *into, void *room, size *paths,
                                  double *best) {
    char bad[LANES] = {0};
    const size steps = batch->lengths[first];
    NAME(load)(batch, first, steps, room, bad);
    NAME(forward_best)(room, steps, batch->tags, crf->start, into);
    for (size row = first; row < first + LANES && row < batch->rows; row++) {
        const double *lane = (const double *)room + (row - first);
        best[row] = NAN;
        if (!bad[row - first])
            best[row] = NAME(walk_back)(lane, batch->lengths[row], batch->tags, crf->end, into,
                                        paths + row, batch->rows);
    }
}

#undef V
#undef BITS
#undef NAME
#undef JOINED
#undef JOIN
#undef TIER
#undef LANES
