/* Plain C, for every processor: what the other tiers are tested against. */

#include "exact.h"
#include "tiers.h"

static void product_portable(const struct product *m) {
    for (int g = 0; g < m->gates; g++)
        for (int row = 0; row < m->count; row++) {
            const int gate = m->which[g];
            const int8_t *tile = m->tiles + gate * m->pitch;
            const uint8_t *from = m->rows.at + row * m->rows.stride;
            int32_t *sums = m->sums + row * m->sums_stride + gate * LANES;
            if (m->from) memcpy(sums, start_from(m, row, gate), LANES * sizeof *sums);
            else memset(sums, 0, LANES * sizeof *sums);
            for (int k = 0; k < 4 * m->fours; k++)
                for (int lane = 0; lane < LANES; lane++)
                    sums[lane] += from[k] * tile[(k / 4 * LANES + lane) * 4 + k % 4];
        }
}

typedef float portable_floats __attribute__((vector_size(16)));

static inline portable_floats portable_select(portable_floats a, portable_floats b, int least) {
    for (int i = 0; i < 4; i++) a[i] = (a[i] < b[i]) == least ? a[i] : b[i];
    return a;
}

static inline portable_floats portable_fused(portable_floats a, portable_floats b,
                                             portable_floats c) {
    for (int i = 0; i < 4; i++) a[i] = fmaf(a[i], b[i], c[i]);
    return a;
}

static inline void portable_bytes(uint8_t *to, portable_floats v) {
    for (int i = 0; i < 4; i++) to[i] = (uint8_t)(lrintf(v[i]) + ZERO);
}

#define TIER
#define NAME(x) x##_portable
#define WIDTH 4
#define MINIMUM(a, b) portable_select(a, b, 1)
#define MAXIMUM(a, b) portable_select(a, b, 0)
#define QUOTIENT(a, b) ((a) / (b))
#define FUSED(a, b, c) portable_fused(a, b, c)
#define STORE_BYTES(p, v) portable_bytes(p, v)
#define FINISH product_portable
#include "tier.h"

const struct tier tier_portable = {direction_portable, tags_portable, attend_portable, NULL, NULL, NULL};
