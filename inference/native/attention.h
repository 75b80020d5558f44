/* The scores of tags with self-attention behind the cells (Vaswani et al. 2017); included by tier.h,
 * once a tier.
 *
 *   scores_i = W x_i + b + sum over heads of sum over j of a_ij (U x_j),  a_i = softmax_j (q_i . k_j)
 *
 * What stands behind the softmax is linear: values, their mixture's output and the tags' weights are
 * one matrix U a head, of K rows. q, k and U x are products of bytes; the rest is float32. Queries hold
 * the factor of the softmax and log2(e). Every sum runs over a sentence from its first token on, sixteen
 * lanes of it at a time where it must, so that no result depends on a batch, or on a vector's width. */

/* Vectors of LANES floats, and queries that are computed at once: as many as registers hold. */
enum { NAME(parts) = LANES / WIDTH, NAME(queries) = 8 / NAME(parts) };

/* 2^x for x <= 0, and x at least -126: a polynomial on [-1/2, 1/2] for the least maximum relative error
 * (1e-7). */
TIER static inline V NAME(power)(V x) {
    x = MAXIMUM(x, (V){0} - 126.0f);
    const V rounded = x + 0x1.8p23f; /* in the lowest bits */
    const V rest = x - (rounded - 0x1.8p23f), zero = {0};
    V y = FUSED(zero + 1.3264727e-3f, rest, zero + 9.6715130e-3f);
    y = FUSED(y, rest, zero + 5.5507336e-2f);
    y = FUSED(y, rest, zero + 2.4022242e-1f);
    y = FUSED(y, rest, zero + 6.9314700e-1f);
    y = FUSED(y, rest, zero + 1.0f);
    return (V)((NAME(integers))y + ((NAME(integers))rounded << 23));
}

/* 2^scores over their largest in place of scores [`width`, whole blocks], and one over their sum. */
TIER static inline float NAME(normalise)(float *scores, int length, int width) {
    for (int j = length; j < width; j++) scores[j] = -INFINITY;
    V most = NAME(load)(scores), total[NAME(parts)] = {{0}};
    for (int j = WIDTH; j < width; j += WIDTH) most = MAXIMUM(most, NAME(load)(scores + j));
    float top = most[0], sums[LANES];
    for (int lane = 1; lane < WIDTH; lane++) top = most[lane] > top ? most[lane] : top;
    for (int j = 0; j < width; j += LANES)
        for (int v = 0; v < NAME(parts); v++) {
            const V made = NAME(power)(NAME(load)(scores + j + v * WIDTH) - top);
            memcpy(scores + j + v * WIDTH, &made, sizeof made);
            total[v] += made;
        }
    memcpy(sums, total, sizeof sums);
    for (int half = LANES / 2; half; half /= 2)
        for (int lane = 0; lane < half; lane++) sums[lane] += sums[lane + half];
    return 1.0f / sums[0];
}

/* For each of a few rows `left` of `count` numbers, LANES sums of its products with the rows `right`. */
TIER INLINE void NAME(multiply)(const float *const *left, int count,
                                const float *right, int64_t stride, V sums[][NAME(parts)]) {
    for (int i = 0; i < NAME(queries); i++)
        for (int v = 0; v < NAME(parts); v++) sums[i][v] = (V){0};
    for (int k = 0; k < count; k++, right += stride)
        for (int v = 0; v < NAME(parts); v++) {
            const V own = NAME(load)(right + v * WIDTH);
            for (int i = 0; i < NAME(queries); i++)
                sums[i][v] = FUSED(left[i][k] - (V){0}, own, sums[i][v]);
        }
}

/* Add to the emissions of a sentence, `step` floats from token to token, what one head mixes.
 * `projected` are its tokens, `width` floats each: K scores, K of each head, queries, keys. */
TIER static void NAME(head)(const struct network *n, const struct pass *p, int head,
                            const float *projected, int64_t width, int length, float *emissions,
                            int64_t step) {
    const int units = n->pairs.outputs / 2, size = units / n->heads;
    const int64_t columns = round_up(length, LANES);
    const float *values = projected + (1 + head) * n->tags;
    const float *queries = projected + n->scores.outputs + head * size;
    for (int j = 0; j < length; j++)
        for (int k = 0; k < size; k++) p->keys[k * columns + j] = queries[j * width + units + k];
    for (int first = 0; first < length; first += NAME(queries)) {
        const float *left[NAME(queries)];
        float *shares[NAME(queries)], over[NAME(queries)];
        V sums[NAME(queries)][NAME(parts)];
        for (int i = 0; i < NAME(queries); i++) { /* what is missing at the end is done twice */
            left[i] = queries + (first + i < length ? first + i : first) * width;
            shares[i] = p->shares + i * columns;
        }
        for (int j = 0; j < length; j += LANES) {
            NAME(multiply)(left, size, p->keys + j, columns, sums);
            for (int i = 0; i < NAME(queries); i++) memcpy(shares[i] + j, sums[i], sizeof sums[i]);
        }
        for (int i = 0; i < NAME(queries); i++) {
            over[i] = NAME(normalise)(shares[i], length, columns);
            left[i] = shares[i];
        }
        for (int tag = 0; tag < n->tags; tag += LANES) {
            const int count = n->tags - tag < LANES ? n->tags - tag : LANES;
            NAME(multiply)(left, length, values + tag, width, sums);
            for (int i = 0; i < NAME(queries) && first + i < length; i++) {
                float *to = emissions + (first + i) * step + tag, made[LANES] = {0};
                memcpy(made, to, count * sizeof *to);
                for (int v = 0; v < NAME(parts); v++) {
                    const V more = FUSED(sums[i][v], over[i] - (V){0}, NAME(load)(made + v * WIDTH));
                    memcpy(made + v * WIDTH, &more, sizeof more);
                }
                memcpy(to, made, count * sizeof *to);
            }
        }
    }
}

/* Emissions of all sentences from their states, `stride` bytes apart. Those of a few sentences are
 * computed together, up to KEPT tokens or one sentence. */
TIER static void NAME(attend)(const struct network *n, const struct pass *p,
                              const uint8_t *states, int64_t stride, float *emissions) {
    const int64_t bytes = (int64_t)n->scores.chunks * CHUNK;
    const int64_t width = n->scores.outputs + n->pairs.outputs, step = (int64_t)p->sequences * n->tags;
    const struct rows gathered = {p->gathered, bytes};
    for (int first = 0, stop; first < p->sequences; first = stop) {
        int tokens = 0, filled = 0, done = 0;
        for (stop = first; stop == first || (stop < p->sequences &&
                                             tokens + p->lengths[stop] <= KEPT); stop++)
            tokens += p->lengths[stop];
        for (int row = first; row < stop; row++)
            for (int t = 0; t < p->lengths[row]; t++) {
                const uint8_t *from = states + ((int64_t)t * p->sequences + row) * stride;
                memcpy(p->gathered + filled++ * bytes, from, stride);
                if (filled < KEPT && done + filled < tokens) continue;
                const struct rows rows = PREPARE(p->prepared, gathered, filled, bytes / 4);
                float *to = p->projected + done * width;
                NAME(linear)(&n->scores, p, rows, filled, to, width);
                NAME(linear)(&n->pairs, p, rows, filled, to + n->scores.outputs, width);
                done += filled;
                filled = 0;
            }
        const float *projected = p->projected;
        for (int row = first; row < stop; projected += p->lengths[row++] * width) {
            float *to = emissions + (int64_t)row * n->tags;
            for (int t = 0; t < p->lengths[row]; t++)
                memcpy(to + t * step, projected + t * width, n->tags * sizeof *to);
            for (int head = 0; head < n->heads; head++)
                NAME(head)(n, p, head, projected, width, p->lengths[row], to, step);
        }
    }
}
