/* The cells, one row of the table and one body each. Included once for the table, and once a tier,
 * by tier.h, for the arithmetic. */

#ifndef TAGBELT_CELLS_H
#define TAGBELT_CELLS_H

#include <stdint.h>

/* A row: constant, name, gates of the product; and as bits, those that pass a sigmoid, those that
 * states reach, and those that inputs reach. The gates are, in this order:
 *   LSTM          candidate g, input i, forget f, output o
 *   LSTM_COUPLED  g f o, with i = 1 - f
 *   GRU           reset r, update z, new n: the inputs' part and the states' part
 *   RNN           the only one
 *   MGU           f, which resets and updates, then n as in GRU */
#define CELLS(CELL)                                      \
    CELL(LSTM, "lstm", 4, 0xe, 0xf, 0xf)                 \
    CELL(LSTM_COUPLED, "lstm-coupled", 3, 0x6, 0x7, 0x7) \
    CELL(GRU, "gru", 4, 0x3, 0xb, 0x7)                   \
    CELL(RNN, "rnn", 1, 0x0, 0x1, 0x1)                   \
    CELL(MGU, "mgu", 3, 0x1, 0x5, 0x3)

#define CONSTANT(constant, ...) constant,
enum cell { CELLS(CONSTANT) CELL_COUNT };
#undef CONSTANT

#define GATES(constant, name, gates, ...) gates,
static const int32_t GATES_OF[] = {CELLS(GATES)};
#undef GATES

#define STATES(constant, name, gates, sigmoids, states, inputs) states,
static const int32_t STATES_REACH[] = {CELLS(STATES)};
#undef STATES

#define INPUTS(constant, name, gates, sigmoids, states, inputs) inputs,
static const int32_t INPUTS_REACH[] = {CELLS(INPUTS)};
#undef INPUTS

#endif

#ifdef TIER

/* What the gates of a block of units become for its rows: from GATE(g), the sum of gate g before
 * activation, of which a sigmoid gate's is halved, and the row's `cells`, the state of the cell
 * before, `state` and the new `cells` are made. A body that is cut in two, by way of `cells`, keeps
 * the processor busier: it looks ahead no further than a hundred operations. */
#define EACH_ROW(body)                                        \
    for (int row = 0; row < b->rows; row++) {                 \
        const int32_t *sums = b->sums + row * gates * LANES + lane; \
        float *cells = b->cells[row] + b->first + lane;       \
        body;                                                 \
    }
#define ROWS(body)                                                        \
    EACH_ROW({                                                            \
        V state;                                                          \
        body;                                                             \
        STORE_BYTES(b->out[row] + b->first + lane, state * 127.0f);       \
    })
#define PEEP(g, k, v) (peepholes ? (V)(GATE(g) + peephole[k] * (v)) : (V)GATE(g))
#define GATE(g) FUSED(NAME(load_sums)(sums + (g) * LANES), scale[g], bias[g])
#define STORE_CELL(v) memcpy(cells, &(v), sizeof(V))

TIER static inline __attribute__((always_inline)) void NAME(squash)(
    const struct block *b, int cell, int gates, int peepholes, int lane) {
    V scale[4], bias[4], peephole[3];
    for (int gate = 0; gate < gates; gate++) {
        scale[gate] = ARGUMENT * NAME(load)(b->scale + gate * LANES + lane);
        bias[gate] = ARGUMENT * NAME(load)(b->bias + gate * LANES + lane);
    }
    for (int gate = 0; gate < 3; gate++)
        peephole[gate] = peepholes && gate < gates - 1
                             ? ARGUMENT * NAME(load)(b->peephole + gate * LANES + lane) : (V){0};
    if (cell == LSTM) {
        EACH_ROW({
            V before = NAME(load)(cells);
            V g = NAME(tanh)(GATE(0));
            V i = NAME(sigmoid)(PEEP(1, 0, before));
            V f = NAME(sigmoid)(PEEP(2, 1, before));
            V c = f * before + i * g;
            STORE_CELL(c);
        })
        ROWS({
            V c = NAME(load)(cells);
            V o = NAME(sigmoid)(PEEP(3, 2, c));
            state = o * NAME(tanh)(ARGUMENT * c);
        })
    } else if (cell == LSTM_COUPLED) {
        EACH_ROW({
            V before = NAME(load)(cells);
            V g = NAME(tanh)(GATE(0));
            V f = NAME(sigmoid)(PEEP(1, 0, before));
            V c = f * (before - g) + g;
            STORE_CELL(c);
        })
        ROWS({
            V c = NAME(load)(cells);
            V o = NAME(sigmoid)(PEEP(2, 1, c));
            state = o * NAME(tanh)(ARGUMENT * c);
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

#define CELL_CASE(constant, name, gates, ...) \
    case constant:                                 \
        if (b->peephole) NAME(squash)(b, constant, gates, 1, lane); \
        else NAME(squash)(b, constant, gates, 0, lane);             \
        break;
TIER static void NAME(units)(const struct block *b, int cell) {
    for (int lane = 0; lane < b->lanes; lane += WIDTH) switch (cell) { CELLS(CELL_CASE) }
}
#undef CELL_CASE
#undef PEEP

#undef ROWS
#undef EACH_ROW
#undef GATE
#undef STORE_CELL

#endif
