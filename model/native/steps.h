/* The steps of the recurrent cells, forward and backward, in float32. Included behind products.h, with
 * TIER, NAME(x) and WIDTH, all undefined at the end. */

/* ---- activations ---- */

TIER INLINE V NAME(select)(BITS mask, V a, V b) {
    return (V)((mask & (BITS)a) | (~mask & (BITS)b));
}

/* e^x - 1 to 3e-7 of itself, near 0 as well; what is not a number stays so. x is a power of two, found
 * by rounding, times a rest of at most ln(2) / 2, of which the series of e^x is summed. */
TIER INLINE V NAME(expm1)(V x) {
    const V most = (V){0} + 87.0f, one = (V){0} + 1.0f;
    x = NAME(select)(x > most, most, NAME(select)(x < -most, -most, x));
    const V shifted = x * 1.44269504f + 12582912.0f; /* 1.5 * 2^23: its last bits are the power */
    const V power = shifted - 12582912.0f;
    const V rest = (x - power * 0.693359375f) + power * 2.12194440e-4f; /* ln(2) in two parts */
    const V scale = (V)(((BITS)shifted << 23) + (BITS)one);
    V sum = rest * (1.0f / 5040) + 1.0f / 720;
    sum = sum * rest + 1.0f / 120;
    sum = sum * rest + 1.0f / 24;
    sum = sum * rest + 1.0f / 6;
    sum = sum * rest + 0.5f;
    sum = sum * (rest * rest) + rest;
    return scale * sum + (scale - 1.0f);
}

TIER INLINE V NAME(sigmoid)(V x) { return 1.0f / (NAME(expm1)(-x) + 2.0f); }

TIER INLINE V NAME(tanh)(V x) {
    const V e = NAME(expm1)(x + x);
    return e / (e + 2.0f);
}

/* ---- cells ---- */

/* All of a row's units, WIDTH at a time from `h`. */
#define UNITS(...)                                                        \
    for (int h = 0; h < hidden; h += WIDTH) {                             \
        const int count = hidden - h < WIDTH ? hidden - h : WIDTH;        \
        __VA_ARGS__                                                       \
    }
#define AT(array, index) NAME(load)((array) + (index) * hidden + h, count)
#define SET(array, index, v) NAME(store)((array) + (index) * hidden + h, v, count)
#define SUM(gate) (AT(r->gates, gate) + AT(r->from_state, gate))

/* An LSTM, coupled if it has 3 gates; the last ones are forget and output. */
TIER INLINE void NAME(lstm_forward)(const struct row *r, int hidden, int gates) {
    UNITS({
        const V before = r->before_kept ? AT(r->before_kept, 0) : (V){0};
        V in = {0}, forget = SUM(gates - 2), output = SUM(gates - 1);
        if (r->peephole) forget += AT(r->peephole, gates - 3) * before;
        forget = NAME(sigmoid)(forget);
        const V candidate = NAME(tanh)(SUM(0));
        if (gates == 4) {
            in = SUM(1);
            if (r->peephole) in += AT(r->peephole, 0) * before;
            in = NAME(sigmoid)(in);
            SET(r->gates, 1, in);
        } else in = 1.0f - forget;
        const V cell = forget * before + in * candidate, squashed = NAME(tanh)(cell);
        if (r->peephole) output += AT(r->peephole, gates - 2) * cell;
        output = NAME(sigmoid)(output);
        SET(r->gates, 0, candidate);
        SET(r->gates, gates - 2, forget);
        SET(r->gates, gates - 1, output);
        SET(r->kept, 0, cell);
        SET(r->kept, 1, squashed);
        SET(r->state, 0, output * squashed);
    })
}

#define ADD(array, index, v) SET(array, index, AT(array, index) + (v))

TIER INLINE void NAME(lstm_backward)(const struct row *r, int hidden, int gates) {
    UNITS({
        const V before = r->before_kept ? AT(r->before_kept, 0) : (V){0};
        const V candidate = AT(r->gates, 0), forget = AT(r->gates, gates - 2);
        const V output = AT(r->gates, gates - 1), squashed = AT(r->kept, 1);
        const V in = gates == 4 ? AT(r->gates, 1) : 1.0f - forget;
        const V to_state = AT(r->grad, 0) + AT(r->to_state, 0);
        const V to_output = to_state * squashed * output * (1.0f - output);
        V to_cell = AT(r->to_cell, 0) + to_state * output * (1.0f - squashed * squashed);
        if (r->peephole) to_cell += to_output * AT(r->peephole, gates - 2);
        const V other = gates == 4 ? before : before - candidate;
        const V to_forget = to_cell * other * forget * (1.0f - forget);
        const V to_in = to_cell * candidate * in * (1.0f - in);
        V carried = to_cell * forget;
        if (r->peephole) {
            carried += to_forget * AT(r->peephole, gates - 3);
            ADD(r->peephole_grad, gates - 3, to_forget * before);
            ADD(r->peephole_grad, gates - 2, to_output * AT(r->kept, 0));
            if (gates == 4) {
                carried += to_in * AT(r->peephole, 0);
                ADD(r->peephole_grad, 0, to_in * before);
            }
        }
        SET(r->gate_grad, 0, to_cell * in * (1.0f - candidate * candidate));
        if (gates == 4) SET(r->gate_grad, 1, to_in);
        SET(r->gate_grad, gates - 2, to_forget);
        SET(r->gate_grad, gates - 1, to_output);
        SET(r->to_cell, 0, carried);
        SET(r->to_state, 0, (V){0});
    })
}

/* A GRU, or, with 2 gates, an MGU, whose f both resets and, as 1 - f, updates. Kept is what the
 * state gives the last gate, before the reset. */
TIER INLINE void NAME(gru_forward)(const struct row *r, int hidden, int gates) {
    UNITS({
        const V before = r->before ? AT(r->before, 0) : (V){0};
        const V reset = NAME(sigmoid)(SUM(0)), from_state = AT(r->from_state, gates - 1);
        const V new = NAME(tanh)(AT(r->gates, gates - 1) + reset * from_state);
        V update = 1.0f - reset;
        if (gates == 3) {
            update = NAME(sigmoid)(SUM(1));
            SET(r->gates, 1, update);
        }
        SET(r->gates, 0, reset);
        SET(r->gates, gates - 1, new);
        SET(r->kept, 0, from_state);
        SET(r->state, 0, new + update * (before - new));
    })
}

TIER INLINE void NAME(gru_backward)(const struct row *r, int hidden, int gates) {
    UNITS({
        const V before = r->before ? AT(r->before, 0) : (V){0};
        const V reset = AT(r->gates, 0), new = AT(r->gates, gates - 1);
        const V update = gates == 3 ? AT(r->gates, 1) : 1.0f - reset;
        const V to_state = AT(r->grad, 0) + AT(r->to_state, 0);
        const V to_new = to_state * (1.0f - update) * (1.0f - new * new);
        const V to_update = to_state * (before - new) * update * (1.0f - update);
        V to_reset = to_new * AT(r->kept, 0) * reset * (1.0f - reset);
        if (gates == 3) {
            SET(r->gate_grad, 1, to_update);
            SET(r->from_state_grad, 1, to_update);
        } else to_reset -= to_update;
        SET(r->gate_grad, 0, to_reset);
        SET(r->from_state_grad, 0, to_reset);
        SET(r->gate_grad, gates - 1, to_new);
        SET(r->from_state_grad, gates - 1, to_new * reset);
        SET(r->to_state, 0, to_state * update);
    })
}

TIER INLINE void NAME(rnn_forward)(const struct row *r, int hidden) {
    UNITS({
        const V state = NAME(tanh)(SUM(0));
        SET(r->gates, 0, state);
        SET(r->state, 0, state);
    })
}

TIER INLINE void NAME(rnn_backward)(const struct row *r, int hidden) {
    UNITS({
        const V state = AT(r->gates, 0), to_state = AT(r->grad, 0) + AT(r->to_state, 0);
        SET(r->gate_grad, 0, to_state * (1.0f - state * state));
        SET(r->to_state, 0, (V){0});
    })
}

TIER static void NAME(forward)(const struct row *r, enum cell cell, int hidden) {
    switch (cell) {
        case RNN: NAME(rnn_forward)(r, hidden); break;
        case LSTM: NAME(lstm_forward)(r, hidden, 4); break;
        case LSTM_COUPLED: NAME(lstm_forward)(r, hidden, 3); break;
        case GRU: NAME(gru_forward)(r, hidden, 3); break;
        case MGU: NAME(gru_forward)(r, hidden, 2); break;
    }
}

TIER static void NAME(backward)(const struct row *r, enum cell cell, int hidden) {
    switch (cell) {
        case RNN: NAME(rnn_backward)(r, hidden); break;
        case LSTM: NAME(lstm_backward)(r, hidden, 4); break;
        case LSTM_COUPLED: NAME(lstm_backward)(r, hidden, 3); break;
        case GRU: NAME(gru_backward)(r, hidden, 3); break;
        case MGU: NAME(gru_backward)(r, hidden, 2); break;
    }
}

static const struct tier NAME(tier) = {PANEL,         NAME(pack),    NAME(product),
                                       NAME(forward), NAME(backward), NAME(add)};

#undef V
#undef BITS
#undef PANEL
#undef UNITS
#undef AT
#undef SET
#undef SUM
#undef ADD
#undef TIER
#undef NAME
#undef WIDTH
