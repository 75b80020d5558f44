/* Products of float32 matrices: one matrix is laid out in panels, the other is read where it is.
 * Included once for each kind of processor, with TIER (attributes of functions), NAME(x) and WIDTH
 * (floats a vector). */

typedef float NAME(vector) __attribute__((vector_size(4 * WIDTH)));
typedef float NAME(anywhere) __attribute__((vector_size(4 * WIDTH), aligned(4), may_alias));
typedef int32_t NAME(bits) __attribute__((vector_size(4 * WIDTH)));
#define V NAME(vector)
#define BITS NAME(bits)
#define PANEL (2 * WIDTH)

/* The last vector of a row may be short. */
TIER INLINE V NAME(load)(const float *from, int count) {
    if (count == WIDTH) return *(const NAME(anywhere) *)from;
#if WIDTH == 16
    return (V)_mm512_maskz_loadu_ps((1u << count) - 1, from);
#else
    V v = {0};
    memcpy(&v, from, count * sizeof(float));
    return v;
#endif
}

TIER INLINE void NAME(store)(float *to, V v, int count) {
    if (count == WIDTH) *(NAME(anywhere) *)to = v;
#if WIDTH == 16
    else _mm512_mask_storeu_ps(to, (1u << count) - 1, (__m512)v);
#else
    else memcpy(to, &v, count * sizeof(float));
#endif
}

/* to += from, both [count]. */
TIER static void NAME(add)(float *to, const float *from, int count) {
    for (int i = 0; i < count; i += WIDTH) {
        const int some = count - i < WIDTH ? count - i : WIDTH;
        NAME(store)(to + i, NAME(load)(to + i, some) + NAME(load)(from + i, some), some);
    }
}

/* Lay out a matrix [inputs, outputs], whose strides are given, as [blocks][panels][depth][PANEL]. */
TIER static void NAME(pack)(float *to, const float *from, int64_t by_input, int64_t by_output,
                            int inputs, int outputs) {
    const int deepest = depth_of(inputs);
    for (int first = 0; first < inputs; first += deepest)
        for (int j = 0; j < outputs; j += PANEL) {
            const int depth = inputs - first < deepest ? inputs - first : deepest;
            const int count = outputs - j < PANEL ? outputs - j : PANEL;
            const int most = count < WIDTH ? count : WIDTH;
            const float *row = from + first * by_input + j * by_output;
            const int fours = by_input == 1 ? count & ~3 : 0, deep = depth & ~3;
            for (int i = 0; i < fours; i += 4)
                for (int k = 0; k < deep; k += 4)
                    transpose(to + k * PANEL + i, PANEL, row + k + i * by_output, by_output);
            for (int k = 0; k < depth; k++, to += PANEL, row += by_input)
                if (by_output == 1) {
                    NAME(store)(to, NAME(load)(row, most), WIDTH);
                    NAME(store)(to + WIDTH, NAME(load)(row + most, count - most), WIDTH);
                } else
                    for (int i = k < deep ? fours : 0; i < PANEL; i++)
                        to[i] = i < count ? row[i * by_output] : 0.0f;
        }
}

/* Multiply `rows` rows, at most eight, with a panel of one or two vectors, of `depth` inputs. */
TIER INLINE void NAME(block)(int rows, int wide, const float *const *in, int64_t from,
                             int64_t by_input, int depth, const float *panel, float *const *out,
                             int j, int count, const float *base) {
    V left[8], right[8];
    const int most = wide ? WIDTH : count, beyond = count - WIDTH;
    const float *x[8];
#pragma GCC unroll 8
    for (int i = 0; i < rows; i++) {
        const float *start = (base ? base : out[i]) + j;
        x[i] = in[i] + from * by_input;
        left[i] = NAME(load)(start, most);
        if (wide) right[i] = NAME(load)(start + WIDTH, beyond);
    }
    for (int64_t k = 0; k < depth * by_input; k += by_input, panel += PANEL) {
        const V a = *(const V *)panel, b = wide ? *(const V *)(panel + WIDTH) : a;
#pragma GCC unroll 8
        for (int i = 0; i < rows; i++) {
            left[i] += x[i][k] * a;
            if (wide) right[i] += x[i][k] * b;
        }
    }
#pragma GCC unroll 8
    for (int i = 0; i < rows; i++) {
        NAME(store)(out[i] + j, left[i], most);
        if (wide) NAME(store)(out[i] + j + WIDTH, right[i], beyond);
    }
}

#define ROWS (WIDTH == 16 ? 8 : 6) /* as many as there are registers for */

/* out [rows, outputs] = base [outputs] + in [rows, inputs] x packed; without a base, out += that.
 * The inputs of a row stand `by_input` apart, so that `in` may be the columns of a matrix. */
TIER static void NAME(product)(int rows, const float *const *in, int64_t by_input, int inputs,
                               const float *packed, float *const *out, int outputs,
                               const float *base) {
    const int deepest = depth_of(inputs), panels = (outputs + PANEL - 1) / PANEL;
    const int blocks = (rows + ROWS - 1) / ROWS;
    /* Neighbouring columns share cache lines, so all is done with a block of them at once. */
    const int by_block = by_input != 1;
    for (int first = 0; first < inputs; first += deepest, base = NULL) {
        const int depth = inputs - first < deepest ? inputs - first : deepest;
        for (int64_t n = 0; n < (int64_t)blocks * panels; n++) {
            const int64_t part = by_block ? n / panels : n % blocks;
            const int p = by_block ? n % panels : n / blocks, j = p * PANEL;
            const int count = outputs - j < PANEL ? outputs - j : PANEL;
            const float *panel = packed + (int64_t)p * depth * PANEL;
            const int64_t from = part * rows / blocks; /* of sizes as equal as may be */
            const int wide = count > WIDTH;
#define BLOCK(r, w) NAME(block)(r, w, in + from, first, by_input, depth, panel, out + from, j, count, base)
#define CASE(r) case r: if (wide) BLOCK(r, 1); else BLOCK(r, 0); break;
            switch ((part + 1) * rows / blocks - from) {
                CASE(1) CASE(2) CASE(3) CASE(4) CASE(5) CASE(6)
#if WIDTH == 16
                CASE(7) CASE(8)
#endif
            }
#undef CASE
#undef BLOCK
        }
        packed += (int64_t)panels * depth * PANEL;
    }
}
#undef ROWS
