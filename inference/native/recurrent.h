/* The 8-bit recurrent network: what Python (quantised.py) and the kernels share. */

#ifndef TAGBELT_RECURRENT_H
#define TAGBELT_RECURRENT_H

#include "cells.h"

#include <stdint.h>

enum {
    LANES = 16,  /* units (or tags) that are computed side by side, and rows of a block */
    CHUNK = 64,  /* inputs that one tile of weights covers */
    TILE = 1024, /* bytes of a tile: [CHUNK / 4][LANES][4] */
    ZERO = 128,  /* the byte that stands for 0 */
    KEPT = 128,  /* inputs whose products are kept: with the weights, they must fit in a core's cache */
};

/* The inputs of a product: all of a row, its states, or what stands behind them. */
enum range { WHOLE, STATES, INPUTS };

/* One layer: D directions, U blocks of LANES units, G gates; all arrays contiguous.
 *
 * The gates are those of cells.h. Scales and biases of gates that pass a sigmoid are halved. A row of
 * the product is a state, U * LANES bytes, then an input; `chunks` is its length in chunks, rounded
 * up. */
struct layer {
    int32_t cell;
    int32_t directions;
    int32_t unit_blocks; /* U */
    int32_t input_bytes;
    int32_t chunks;
    int32_t hidden; /* H units; the last block is filled up */
    const int8_t *tiles; /* [D][U][G][chunks][TILE] */
    const float *scale;  /* [D][U][G][LANES] */
    const float *bias;   /* [D][U][G][LANES]; what ZERO adds to the sums is taken off here */
    const float *peephole; /* [D][U][G - 1][LANES], or NULL */
    const int32_t *start[3]; /* [D][U][G][STARTS][LANES], what sums over a `range` start from; NULL
                                in tiers without */
};

/* Outputs of rows of states, in `blocks` blocks of LANES; a weight is a byte, or the sum of two bytes of
 * different scale, "high" and "low". */
struct linear {
    int32_t outputs, blocks, chunks;
    int32_t bytes;        /* of a weight */
    const int8_t *tiles;  /* [blocks][bytes][chunks][TILE] */
    const float *scale;   /* [blocks][bytes][LANES] */
    const float *bias;    /* [blocks][LANES] */
    const int32_t *start; /* [blocks][bytes][STARTS][LANES], as in a layer */
};

/* All that stands behind the word vectors. K tags; with A heads of self-attention `scores` has K outputs
 * for the token, then K for each head, and `pairs` the queries and keys of all heads; see attention.h. */
struct network {
    int32_t layers;
    int32_t tags;  /* K */
    int32_t heads; /* A, 0 without attention */
    const struct layer *layer;
    struct linear scores, pairs;
};

#endif
