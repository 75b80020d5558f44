/* The cells, one row of the table and one body each. Included once for the table, and once a tier,
 * by tier.h, for the arithmetic. */

#ifndef TAGBELT_CELLS_H
#define TAGBELT_CELLS_H

#include <stdint.h>

/* A row: constant, name, gates of the product, and those that pass a sigmoid, as bits. The gates
 * are, in this order:
 *   LSTM          candidate g, input i, forget f, output o
 *   LSTM_COUPLED  g f o, with i = 1 - f
 *   GRU           reset r, update z, new n: the inputs' part and the states' part
 *   RNN           the only one
 *   MGU           f, which resets and updates, then n as in GRU */
#define CELLS(CELL)                                        \
    CELL(LSTM, "lstm", 4, 1 << 1 | 1 << 2 | 1 << 3)        \
    CELL(LSTM_COUPLED, "lstm-coupled", 3, 1 << 1 | 1 << 2) \
    CELL(GRU, "gru", 4, 1 << 0 | 1 << 1)                   \
    CELL(RNN, "rnn", 1, 0)                                 \
    CELL(MGU, "mgu", 3, 1 << 0)

#define CONSTANT(constant, name, gates, sigmoids) constant,
enum cell { CELLS(CONSTANT) CELL_COUNT };
#undef CONSTANT

#define GATES(constant, name, gates, sigmoids) gates,
static const int32_t GATES_OF[] = {CELLS(GATES)};
#undef GATES

#endif

#ifdef TIER

/* What the gates of a block of units become for its rows: from GATE(g), the sum of gate g before
 * activation, of which a sigmoid gate's is halved, and the row's `cells`, the state of the cell
 * before, `state` and the new `cells` are made. A body that is cut in two, by way of `cells`, keeps
 * the processor busier: it looks ahead no further than a hundred operations. */
#define EACH_ROW(body)                                        \
    for (int row = 0; row < b->rows; row++) {                 \
        const int32_t *sums = b->sums + row * LANES + lane;   \
        float *cells = b->cells + row * b->stride + lane;     \
        body;                                                 \
    }
#define ROWS(body)                                                        \
    EACH_ROW({                                                            \
        V state;                                                          \
        body;                                                             \
        STORE_BYTES(b->out + row * b->out_stride + lane, state * 127.0f); \
    })
#define GATE(g) FUSED(NAME(load_sums)(sums + (g) * LANES * LANES), scale[g], bias[g])
#define STORE_CELL(v) memcpy(cells, &(v), sizeof(V))

TIER static inline __attribute__((always_inline)) void NAME(squash)(
    const struct block *b, int cell, int gates, int lane) {
    V scale[4], bias[4], peephole[3];
    for (int gate = 0; gate < gates; gate++) {
        scale[gate] = NAME(load)(b->scale + gate * LANES + lane);
        bias[gate] = NAME(load)(b->bias + gate * LANES + lane);
    }
    for (int gate = 0; gate < 3; gate++)
        peephole[gate] = b->peephole && gate < gates - 1
                             ? NAME(load)(b->peephole + gate * LANES + lane) : (V){0};
    if (cell == LSTM) {
        EACH_ROW({
            V before = NAME(load)(cells);
            V g = NAME(tanh)(GATE(0));
            V i = NAME(sigmoid)(GATE(1) + peephole[0] * before);
            V f = NAME(sigmoid)(GATE(2) + peephole[1] * before);
            V c = f * before + i * g;
            STORE_CELL(c);
        })
        ROWS({
            V c = NAME(load)(cells);
            V o = NAME(sigmoid)(GATE(3) + peephole[2] * c);
            state = o * NAME(tanh)(c);
        })
    } else if (cell == LSTM_COUPLED) {
        EACH_ROW({
            V before = NAME(load)(cells);
            V g = NAME(tanh)(GATE(0));
            V f = NAME(sigmoid)(GATE(1) + peephole[0] * before);
            V c = f * (before - g) + g;
            STORE_CELL(c);
        })
        ROWS({
            V c = NAME(load)(cells);
            V o = NAME(sigmoid)(GATE(2) + peephole[1] * c);
            state = o * NAME(tanh)(c);
        })
    } else if (cell == GRU) {
        ROWS({
            V before = NAME(load)(cells);
            V r = NAME(sigmoid)(GATE(0));
            V z = NAME(sigmoid)(GATE(1));
            V n = NAME(tanh)(GATE(2) + r * GATE(3));
            state = z * (before - n) + n;
            STORE_CELL(state);
        })
    } else if (cell == MGU) {
        ROWS({
            V before = NAME(load)(cells);
            V f = NAME(sigmoid)(GATE(0));
            V n = NAME(tanh)(GATE(1) + f * GATE(2));
            state = f * (n - before) + before;
            STORE_CELL(state);
        })
    } else {
        ROWS({
            (void)cells;
            state = NAME(tanh)(GATE(0));
        })
    }
}

#define CELL_CASE(constant, name, gates, sigmoids) \
    case constant: NAME(squash)(b, constant, gates, lane); break;
TIER static void NAME(units)(const struct block *b, int cell) {
    for (int lane = 0; lane < b->lanes; lane += WIDTH) switch (cell) { CELLS(CELL_CASE) }
}
#undef CELL_CASE

#undef ROWS
#undef EACH_ROW
#undef GATE
#undef STORE_CELL

#endif
