/* A linear-chain CRF over a batch of sentences: what best paths (viterbi.c) and probabilities
 * (posteriors.c) share.
 *
 * Rows are computed in blocks, side by side in the lanes of a vector: all tables of a block are
 * [steps][K tags] of vectors. Moves that the tag scheme forbids, in BIOES two thirds of all, are
 * not in the lists of moves and cost nothing. Rows never mix: what a row yields does not depend on
 * the others. viterbi_block.h and posteriors_block.h are included once a size of vectors: with
 * LANES, how many rows a block has, and TIER, the attributes of functions for processors that have
 * these.
 *
 * Arrays are C-contiguous but for emissions [T][B][K], whose strides are given in floats. Types and
 * shapes are checked by the caller (crf.py), lengths and tags here. There is no state, so any
 * number of threads may call.
 */

#ifndef TAGBELT_CRF_H
#define TAGBELT_CRF_H

#include "exact.h"

#include <float.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__) && defined(__GNUC__)
#define HAVE_TIERS 1
#include <immintrin.h>
#else
#define HAVE_TIERS 0
#endif

#define EXPORT __attribute__((visibility("default")))
#define INLINE static inline __attribute__((always_inline))

enum {
    MOST_LANES = 4,   /* 8, with AVX-512, are hardly faster and waste more on a lone row */
    LEAST_LANES = 2,  /* what every processor has */
    WIDE = 4,         /* tags of a group: sums of each are in a register */
    LONG = 8192,      /* rows of more steps go in the smallest blocks: tables are large enough */
};

/* What functions return below 0; crf.py has the same. */
enum {
    NO_MEMORY = -1,
    BAD_LENGTHS = -2, /* not falling, or not in 1..T */
    BAD_TAGS = -3,    /* not in 0..K-1 */
    BAD_SPANS = -4,   /* outside their rows */
};

typedef ptrdiff_t size; /* numpy's intp */

/* A batch of emissions; lengths [rows] fall. */
struct batch {
    const float *emissions;
    size step_stride, row_stride; /* in floats */
    size steps, rows, tags;
    const size *lengths;
};

/* Scores of a CRF over K tags; -inf: never. */
struct crf {
    size tags;
    const double *start, *transitions, *end; /* [K], [K][K] (from, to), [K] */
};

/* How a scheme writes the entities of L labels in K tags; see TagTable in inference/crf/parameters.py. */
struct scheme {
    size tags, labels;
    const char *opens, *continues; /* [K] */
    const size *label;             /* [K], -1 outside */
    const size *places;            /* [L][4] */
    const char *continuing;        /* [L][K] */
};

/* Tags that are computed together, up to WIDE of them: their moves come from (or lead to) the same
 * `others`, each of which is read once for all. In BIOES: all that may follow O, and each label's I
 * and E. */
struct group {
    size tags[WIDE], count;
    size moves;
    const size *others; /* [moves] */
    double *values;     /* [moves][WIDE], `none` where there is no tag */
};

/* The moves into (or out of) each tag: those from list[first[k]] to list[first[k + 1] - 1]; and the
 * same by groups. */
struct moves {
    size *first;   /* [K + 1] */
    size *other;   /* the tag at the other end, rising */
    double *value;
    struct group *groups;
    size group_count;
    double *wide; /* the groups' values */
};

static inline int lengths_fit(const struct batch *batch) {
    size before = batch->steps;
    for (size row = 0; row < batch->rows; row++) {
        if (batch->lengths[row] < 1 || batch->lengths[row] > before) return 0;
        before = batch->lengths[row];
    }
    return 1;
}

/* Lanes to compute with, for rows of up to `steps`. */
static inline int lanes_for(size steps) {
#if HAVE_TIERS
    if (steps <= LONG && __builtin_cpu_supports("avx2")) return 4;
#endif
    (void)steps;
    return LEAST_LANES;
}

/* NULL if it would not fit: sizes come from callers. */
static inline void *tables(size count, size elements, size bytes) {
    if (elements && (size_t)count > PTRDIFF_MAX / bytes / (size_t)elements) return NULL;
    return malloc((size_t)count * (size_t)elements * bytes + 1);
}

static inline void moves_free(struct moves *moves) {
    free(moves->first);
    free(moves->other);
    free(moves->value);
    free(moves->groups);
    free(moves->wide);
}

/* The group that tag `tag` joins: one with its `others` and room, else a new one. */
static inline struct group *group_for(struct moves *moves, size tag) {
    const size *others = moves->other + moves->first[tag];
    const size count = moves->first[tag + 1] - moves->first[tag];
    struct group *group = moves->groups, *end = group + moves->group_count;
    for (; group < end; group++)
        if (group->count < WIDE && group->moves == count &&
            !memcmp(group->others, others, (size_t)count * sizeof *others))
            return group;
    moves->group_count++;
    *group = (struct group){.others = others, .moves = count};
    return group;
}

/* Group the tags, from the lists of their moves. */
static inline int groups_init(struct moves *moves, size tags, double none) {
    moves->group_count = 0;
    moves->groups = tables(tags, 1, sizeof(struct group));
    moves->wide = tables(moves->first[tags], WIDE, sizeof(double));
    if (!moves->groups || !moves->wide) return 0;
    double *values = moves->wide;
    for (size tag = 0; tag < tags; tag++) {
        struct group *group = group_for(moves, tag);
        if (!group->count) {
            group->values = values;
            for (size i = 0; i < group->moves * WIDE; i++) *values++ = none;
        }
        for (size move = 0; move < group->moves; move++)
            group->values[move * WIDE + group->count] = moves->value[moves->first[tag] + move];
        group->tags[group->count++] = tag;
    }
    return 1;
}

/* From value [K][K] (from, to), leaving out those that are `none`. */
static inline int moves_init(struct moves *moves, const double *value, size tags, int into,
                             double none) {
    moves->first = tables(tags + 1, 1, sizeof(size));
    moves->other = tables(tags, tags, sizeof(size));
    moves->value = tables(tags, tags, sizeof(double));
    moves->groups = NULL;
    moves->wide = NULL;
    if (!moves->first || !moves->other || !moves->value) return 0;
    size count = 0;
    for (size tag = 0; tag < tags; tag++) {
        moves->first[tag] = count;
        for (size other = 0; other < tags; other++) {
            double found = into ? value[other * tags + tag] : value[tag * tags + other];
            if (found == none) continue;
            moves->other[count] = other;
            moves->value[count++] = found;
        }
    }
    moves->first[tags] = count;
    return groups_init(moves, tags, none);
}

#endif
